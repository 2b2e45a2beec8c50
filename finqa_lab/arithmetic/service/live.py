"""The engine of the promoted version, exchanged while the server runs.

A task looks at the stamp of the registry's pointer file (one ``stat`` every ``poll`` seconds). When it changes, the new
version is verified and loaded in a thread, and only then takes the place of the old one: there is no moment without an
engine, and a version that cannot be loaded changes nothing but the health report.
"""

import asyncio
import contextlib
from collections.abc import Callable

from finqa_lab.arithmetic.service.engine import Engine
from finqa_lab.arithmetic.service.promotion import Promotion
from finqa_lab.arithmetic.service.registry import Registry
from finqa_lab.errors import CourseError

RETRY_POLLS = 20  # a version that could not be loaded is tried again after so many polls


class LiveEngine:
    """Follows the pointer of a registry.

    Args:
        registry: the registry.
        load: makes the engine of a version; slow, run in a thread.
        poll: seconds between two looks at the pointer.
        report: called with the name of an event and its facts (a line of the log).

    Attributes:
        engine: the engine that serves, or None.
        trouble: why the promoted version does not serve, or None.
    """

    def __init__(
        self,
        registry: Registry,
        load: Callable[[Registry, str], Engine],
        poll: float = 0.5,
        report: Callable[..., None] = lambda event, **facts: None,
    ):
        self.registry, self.promotion, self.poll = registry, Promotion(registry), poll
        self.engine: Engine | None = None
        self.trouble: str | None = "no version has been loaded yet"
        self._load, self._report = load, report
        self._stamp: object = ()  # differs from every stamp, so that the first look loads
        self._task: asyncio.Task | None = None
        self._retry = 0

    async def start(self) -> None:
        """Load the promoted version, then follow the pointer."""
        await self.look()
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> None:
        """Look once; exchange the engine when the pointer names another version."""
        stamp = self.promotion.stamp()
        self._retry -= 1
        if stamp == self._stamp and not (self.trouble and self._retry <= 0):
            return
        self._stamp, self._retry = stamp, RETRY_POLLS
        try:
            version = self.promotion.current()
            if version is None:
                raise CourseError(
                    f"no version is promoted in the registry {self.registry.root}; "
                    "run `finqa-lab registry add CHECKPOINT --promote`"
                )
            if self.engine is None or self.engine.version != version:
                self.engine = await asyncio.to_thread(self._load, self.registry, version)
                self._report("serving", version=version)
            self.trouble = None
        except Exception as error:  # whatever a damaged version does, the one that serves goes on serving
            text = str(error) if isinstance(error, CourseError) else f"{type(error).__name__}: {error}"
            if text != self.trouble:
                self._report("not_serving", level="error", reason=text)
            self.trouble = text

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self.poll)
            await self.look()
