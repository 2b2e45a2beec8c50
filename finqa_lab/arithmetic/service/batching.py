"""Concurrent requests in one decode: a bounded queue, one decode at a time, everything that waits joins the next one.

There is no timer: a request that finds the engine idle is decoded at once and alone; requests that come while a decode
runs form the next batch. So batches grow with the load by themselves, and an idle server adds no latency. The decode
runs in a worker thread (ONNX Runtime releases the interpreter lock), so the event loop keeps answering: 429 when the
queue is full, 503 when a deadline passes, health checks always. Decoding in the loop itself would
save two thread switches, and the service would be deaf while it decodes.

A job keeps the engine it was admitted with. When another version is promoted meanwhile, jobs already admitted finish on
the old one, and no batch mixes two versions.
"""

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Sequence

from finqa_lab.arithmetic.service.engine import Answer, Engine
from finqa_lab.arithmetic.service.validation import Problem

FAILING_AFTER = 3  # decodes failed in a row before the service calls itself unhealthy


class QueueFull(Exception):
    """No room for the job; ``retry_after`` is a whole number of seconds."""

    def __init__(self, retry_after: int):
        super().__init__(f"the queue is full; retry in {retry_after} s")
        self.retry_after = retry_after


class DeadlinePassed(Exception):
    """The job waited longer than the time allowed."""


class DecodeFailed(Exception):
    """The engine raised; the original exception is the cause."""


class Job:
    """Problems of one request. ``future`` resolves to their answers; cancelling it takes the job out of the queue."""

    __slots__ = ("problems", "engine", "future", "deadline", "answers", "missing", "batch")

    def __init__(self, problems: Sequence[Problem], engine: Engine, future: asyncio.Future, deadline: float):
        self.problems, self.engine, self.future, self.deadline = problems, engine, future, deadline
        self.answers: list[Answer | None] = [None] * len(problems)
        self.missing = len(problems)
        self.batch = 0  # size of the decode that completed it


class Batcher:
    """The queue and its worker thread.

    Args:
        max_batch: problems in one decode, at most.
        limit: problems waiting, at most; those being decoded do not count.
        timeout: seconds from admission to the start of the decode, at most.
    """

    def __init__(self, max_batch: int = 64, limit: int = 1024, timeout: float = 5.0):
        self.max_batch, self.limit, self.timeout = max_batch, limit, timeout
        self.decodes = self.decoded = self.failures = 0
        self.decoding = 0  # problems in the decode that is running
        self._waiting: deque[tuple[Job, int]] = deque()
        self._busy_since: float | None = None
        self._seconds = 0.001  # of a recent decode, for Retry-After
        self._work: queue.SimpleQueue = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the worker; call it from the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)
        self._thread.start()

    async def close(self, patience: float = 10.0) -> bool:
        """Finish what was admitted, then stop the worker; False when that took longer than ``patience`` seconds."""
        give_up = time.monotonic() + patience
        while (self._waiting or self._busy_since is not None) and time.monotonic() < give_up:
            await asyncio.sleep(0.005)
        drained = not self._waiting and self._busy_since is None
        for job, _ in self._waiting:
            _settle(job, DeadlinePassed())
        self._waiting.clear()
        self._work.put(None)
        return drained

    @property
    def depth(self) -> int:
        """Problems waiting."""
        return len(self._waiting)

    def trouble(self) -> str | None:
        """Why the service should not be sent requests, or None."""
        if self._busy_since is not None and time.monotonic() - self._busy_since > self.timeout:
            return f"a decode has been running for more than {self.timeout:g} s"
        if self.failures >= FAILING_AFTER:
            return f"the last {self.failures} decodes failed"
        return None

    def submit(self, problems: Sequence[Problem], engine: Engine) -> Job:
        """Admit a job; must be called in the event loop.

        Raises:
            QueueFull: when the queue has no room for all of its problems.
        """
        if len(self._waiting) + len(problems) > self.limit:
            self._drop_cancelled()
        if len(self._waiting) + len(problems) > self.limit:
            rounds = (len(self._waiting) + len(problems)) / self.max_batch
            raise QueueFull(max(1, min(60, round(rounds * self._seconds))))
        job = Job(problems, engine, self._loop.create_future(), time.monotonic() + self.timeout)
        self._waiting.extend((job, index) for index in range(len(problems)))
        if self._busy_since is None:
            self._dispatch()
        return job

    def _drop_cancelled(self) -> None:
        """Forget what nobody waits for any more."""
        self._waiting = deque(entry for entry in self._waiting if not entry[0].future.done())

    def _dispatch(self) -> None:
        """Hand the next batch to the worker: the head of the queue, as far as it has one engine."""
        batch: list[tuple[Job, int]] = []
        now = time.monotonic()
        while self._waiting and len(batch) < self.max_batch:
            job, index = self._waiting[0]
            if batch and job.engine is not batch[0][0].engine:
                break
            self._waiting.popleft()
            if job.future.done():
                continue
            if now > job.deadline:
                _settle(job, DeadlinePassed())
                continue
            batch.append((job, index))
        if batch:
            self._busy_since, self.decoding = now, len(batch)
            self._work.put(batch)

    def _run(self) -> None:
        """The worker thread: decode until told to stop; an engine that raises does not end it."""
        while (batch := self._work.get()) is not None:
            problems = [job.problems[index] for job, index in batch]
            try:
                result = batch[0][0].engine.answer(problems)
                if len(result) != len(problems):
                    raise RuntimeError(f"the engine gave {len(result)} answers to {len(problems)} problems")
            except BaseException as error:  # SystemExit in an engine must not silence the worker either
                result = error
            try:
                self._loop.call_soon_threadsafe(self._finish, batch, result)
            except RuntimeError:  # the loop was closed meanwhile: nobody is left to answer
                return

    def _finish(self, batch: list[tuple[Job, int]], result: list[Answer] | BaseException) -> None:
        """In the event loop: keep the worker busy first, then hand out the answers."""
        now = time.monotonic()
        self._seconds = 0.8 * self._seconds + 0.2 * (now - (self._busy_since or now))
        self._busy_since, self.decoding = None, 0
        self._dispatch()
        self.decodes += 1
        if isinstance(result, BaseException):
            self.failures += 1
            for job, _ in batch:
                failure = DecodeFailed(f"{type(result).__name__}: {result}")
                failure.__cause__ = result
                _settle(job, failure)
            return
        self.failures = 0
        self.decoded += len(batch)
        for (job, index), answer in zip(batch, result):
            job.answers[index] = answer
            job.missing -= 1
            if not job.missing and not job.future.done():
                job.batch = len(batch)
                job.future.set_result(job.answers)


def _settle(job: Job, failure: Exception) -> None:
    if not job.future.done():
        job.future.set_exception(failure)
