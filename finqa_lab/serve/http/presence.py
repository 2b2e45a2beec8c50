"""A reply is worth computing while its client is there, and until its deadline."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from finqa_lab.web.body import ClientGone


class DeadlinePassed(Exception):
    """The request took longer than it may."""


@contextlib.asynccontextmanager
async def attended(receive, seconds: float) -> AsyncIterator[None]:
    """Run the body while the client is connected, for at most ``seconds``; otherwise cancel whatever it awaits.

    ASGI tells of a client that has gone only when asked, so a task asks all the time. It ends the body by moving the
    deadline to now: one mechanism for both, and the body may be in the middle of anything.

    The last message of a response is sent behind the body: once it is out, a disconnect is reported in any case.

    Args:
        receive: of the request, whose body has been read.
        seconds: may be 0 or less.

    Raises:
        ClientGone: when the client has closed the connection.
        DeadlinePassed: when the time is over.
    """
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        deadline.reschedule(asyncio.get_running_loop().time())

    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            watcher = asyncio.create_task(watch())
            try:
                yield
            finally:
                watcher.cancel()
                await asyncio.wait([watcher])
    except TimeoutError:
        if not deadline.expired():  # of something inside
            raise
        raise (ClientGone if gone else DeadlinePassed) from None
