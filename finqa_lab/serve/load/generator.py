"""Two ways to send load: an open loop, whose users do not wait for each other, and a closed one, whose workers do.

**Closed loop.** ``concurrency`` workers send, wait for the reply, send the next. When the server stalls, the workers
stall with it and send nothing, just when the queue would have been longest. The requests that were not sent have no
latency, and the percentiles look fine: coordinated omission (G. Tene, "How NOT to measure latency"). A closed loop
measures *throughput* at a fixed concurrency and nothing else.

**Open loop.** Every request has a time at which it is sent, whatever has become of those before. Its latency counts
from that time. If the rate is above what the server can do, the queue grows as long as the run lasts, and the
percentiles depend on how long that was: say so, or bound the queue.
"""

import asyncio
import json
import os
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from finqa_lab.errors import CourseError
from finqa_lab.files import sha256_bytes
from finqa_lab.serve.load.client import Target, ask, open_client, started_clock
from finqa_lab.serve.load.journal import Journal, RequestLog, read_log

LONGEST_PLAN = 100_000
_SETTLE = 0.05  # seconds between the start of a run and its first request


def plan_digest(bodies: Sequence[Mapping], times: Sequence[float] | None) -> str:
    """SHA-256 of what is sent and when."""
    return sha256_bytes(json.dumps([list(map(dict, bodies)), times], sort_keys=True).encode())


async def send_open(
    target: Target, bodies: Sequence[Mapping], times: Sequence[float], path: str | os.PathLike
) -> RequestLog:
    """Send each body at its time, and write the log.

    Args:
        target: where.
        bodies: of the requests, in the order of their times.
        times: seconds from the beginning (:mod:`finqa_lab.serve.load.arrivals`), in rising order.
        path: of the log; an interrupted run goes on with the requests that are not in it, the first of them at once,
            with the planned distances between them.

    Returns:
        The whole log.

    Raises:
        CourseError: when bodies and times do not fit, or the log is another plan's.
    """
    _check(bodies)
    if len(bodies) != len(times) or any(after < before for before, after in zip(times, times[1:])):
        raise CourseError(f"{len(bodies)} requests with {len(times)} times; give one time each, in rising order")
    with _journal(path, target, "open", None, plan_digest(bodies, list(times))) as journal:
        left = [index for index in range(len(bodies)) if index not in journal.done]
        shift = (times[left[0]] if left and journal.done else 0.0) - _SETTLE
        clock = started_clock()

        async def one(index: int) -> None:
            planned = times[index] - shift
            await asyncio.sleep(max(0.0, planned - clock()))
            journal.append(await ask(client, target, bodies[index], index, journal.run, planned, clock))

        async with open_client(target) as client:
            await _all(one(index) for index in left)
    return read_log(path)


async def send_closed(
    target: Target, bodies: Sequence[Mapping], concurrency: int, path: str | os.PathLike
) -> RequestLog:
    """Send all bodies in order, ``concurrency`` at any time, and write the log.

    Args:
        target: where.
        bodies: of the requests.
        concurrency: workers.
        path: of the log; an interrupted run goes on with the requests that are not in it.

    Returns:
        The whole log.

    Raises:
        CourseError: when there is no request or worker, or the log is another plan's.
    """
    _check(bodies)
    if concurrency < 1:
        raise CourseError(f"{concurrency} workers send nothing; give at least 1")
    with _journal(path, target, "closed", concurrency, plan_digest(bodies, None)) as journal:
        left = iter([index for index in range(len(bodies)) if index not in journal.done])
        clock = started_clock()

        async def worker() -> None:
            for index in left:  # shared: whoever is free takes the next
                journal.append(await ask(client, target, bodies[index], index, journal.run, None, clock))

        async with open_client(target) as client:
            await _all(worker() for _ in range(concurrency))
    return read_log(path)


async def _all(tasks: Iterable[Coroutine]) -> None:
    """Run tasks together; the first that fails ends the others, and its error is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(task)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


def _check(bodies: Sequence[Mapping]) -> None:
    if not 1 <= len(bodies) <= LONGEST_PLAN:
        raise CourseError(f"{len(bodies)} requests cannot be sent; give 1 to {LONGEST_PLAN:,}")
    for index, body in enumerate(bodies):
        if ("messages" in body) == ("prompt" in body):
            raise CourseError(f"request {index} must have either messages or a prompt")


def _journal(path, target: Target, mode: str, concurrency: int | None, plan: str) -> Journal:
    return Journal(path, target.url, mode, concurrency, plan, datetime.now(UTC).isoformat(timespec="seconds"))
