"""The engine in a thread of its own, and its tokens as asynchronous streams.

The engine belongs to one thread: requests, cancellations and questions reach it as messages that it reads between two
steps. A stream that is closed, because the client has gone or a task was cancelled, cancels its request, so that the
blocks are free one step later.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable

from finqa_lab.errors import CourseError
from finqa_lab.serve.engine import Emission, Engine, Statistics
from finqa_lab.serve.request import Request

log = logging.getLogger(__name__)


class EngineWorker:
    """Runs an engine.

    Args:
        engine: nobody else calls it while the worker runs.

    Attributes:
        engine: as given.
        failure: the exception that the engine died of, or None.
    """

    def __init__(self, engine: Engine):
        self.engine = engine
        self.failure: BaseException | None = None
        self._messages: deque[Callable[[], None]] = deque()
        self._wake = threading.Condition()
        self._streams: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Queue]] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin to work; once."""
        self._thread.start()

    def close(self) -> None:
        """Cancel what is left, end every stream with a CourseError, and wait for the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether requests are being worked on."""
        return self._thread.is_alive() and self.failure is None

    @property
    def statistics(self) -> Statistics:
        """The engine's counters, perhaps taken in the middle of a step."""
        return self.engine.statistics

    async def stream(self, request: Request) -> AsyncIterator[Emission]:
        """The tokens of a request, as they come; close the iterator to cancel it.

        Raises:
            Overloaded: before the first token, when too many wait.
            CourseError: before the first token, when the engine refuses the request; at any time, when the engine has
                died or is closed.
        """
        loop, inbox = asyncio.get_running_loop(), asyncio.Queue()
        accepted: asyncio.Future[int] = loop.create_future()
        self._send(lambda: self._add(request, loop, inbox, accepted))
        number = None
        try:
            number = await asyncio.shield(accepted)
            while True:
                for event in await inbox.get():
                    if isinstance(event, BaseException):
                        raise event
                    yield event
                    if event.ended is not None:
                        return
        finally:
            if number is None:  # the task was cancelled before the answer came
                accepted.add_done_callback(self._cancel_when_accepted)
            else:
                self._send(lambda: self._cancel(number), quiet=True)

    def _send(self, message: Callable[[], None], quiet: bool = False) -> None:
        with self._wake:
            if not self._closing and self._thread.is_alive():
                self._messages.append(message)
                self._wake.notify()
            elif not quiet:
                raise CourseError("the engine does not run; start the server again")

    def _cancel_when_accepted(self, accepted: "asyncio.Future[int]") -> None:
        if not accepted.cancelled() and accepted.exception() is None:
            number = accepted.result()
            self._send(lambda: self._cancel(number), quiet=True)

    # Everything below runs in the engine's thread.

    def _run(self) -> None:
        try:
            while True:
                with self._wake:
                    self._wake.wait_for(lambda: self._messages or self._closing or self.engine.busy)
                    if self._closing:
                        break
                    messages = list(self._messages)
                    self._messages.clear()
                for message in messages:
                    message()
                self._deliver(self.engine.step())
        except BaseException as error:  # whatever it was, nobody may wait for ever
            log.exception("the engine has died")
            self.failure = error
        finally:
            self._end_all()

    def _add(self, request: Request, loop: asyncio.AbstractEventLoop, inbox: asyncio.Queue, accepted) -> None:
        try:
            if self._closing:
                raise self._ended()
            number = self.engine.add(request)
        except CourseError as error:
            _call(loop, _set_exception, accepted, error)
            return
        self._streams[number] = loop, inbox
        _call(loop, _set_result, accepted, number)

    def _cancel(self, number: int) -> None:
        self.engine.cancel(number)
        self._streams.pop(number, None)

    def _deliver(self, events: list[Emission]) -> None:
        """One call into a loop for each stream; a step has at most a batch of them."""
        for event in events:
            stream = self._streams.pop(event.row) if event.ended is not None else self._streams[event.row]
            _call(stream[0], stream[1].put_nowait, [event])

    def _end_all(self) -> None:
        with self._wake:
            self._closing = True
        for message in self._messages:  # nobody adds to them any more: requests among them are refused
            message()
        for number, (loop, inbox) in list(self._streams.items()):
            if self.failure is None:
                self.engine.cancel(number)
            _call(loop, inbox.put_nowait, [self._ended()])
        self._streams.clear()

    def _ended(self) -> CourseError:
        why = "has failed" if self.failure else "was closed"
        return CourseError(f"the engine {why} before the reply was complete; send the request again")


def _call(loop: asyncio.AbstractEventLoop, function: Callable, *arguments) -> None:
    """Call into an event loop from this thread; one that is closed has nobody who waits."""
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:
        pass


def _set_result(future: asyncio.Future, value) -> None:
    if not future.done():
        future.set_result(value)


def _set_exception(future: asyncio.Future, error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
