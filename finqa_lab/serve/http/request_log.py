"""One line of JSON for every request: what it was, what became of it, and how long each part took.

The lines are what every figure about a server is computed from: latency against output tokens, time to first token
against context, throughput over a run. A line of the log has the members ``time`` (ISO 8601, when it was written),
``level``, ``event`` and, for the event ``"request"``, those of :class:`RequestLine`. Lines of other events say what
happened to the server itself; :func:`read_requests` leaves them out.

Times are in seconds. ``arrival`` is of the wall clock, to put requests of several logs on one axis; durations are of a
clock that never jumps.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from finqa_lab.errors import CourseError
from finqa_lab.files import parse_json

EVENT = "request"


@dataclass(frozen=True)
class RequestLine:
    """One request, as the server saw it. What does not apply, or was never reached, is None.

    Attributes:
        request_id: also in the response's header ``x-request-id``.
        route: path of the request; ``"other"`` for one that the server does not know.
        method: of HTTP.
        status: of HTTP, as it was sent; 499 when the client went away before the end, 0 when the server was stopped
            before it had sent one.
        arrival: when the request's headers had been read, seconds since 1970-01-01 UTC.
        total: from then to the end of the response.
        model: name as the client wrote it.
        adapter: that answered; None for the base.
        stream: whether the reply was sent in pieces.
        prompt_tokens: of the prompt.
        cached_tokens: those that were found in the prefix cache.
        output_tokens: tokens that the reply took, the one that ended it included.
        queue: from the engine's receipt of the request to its first step.
        ttft: from arrival to the first token.
        tpot: from one token to the next, on average; with two tokens or more.
        finish_reason: ``"stop"``, ``"length"``, or why there was no proper end: ``"cancelled"``, ``"timeout"``,
            ``"error"``.
        reason: what was wrong, for a request that was refused or failed: the error's code.
    """

    request_id: str
    route: str
    method: str
    status: int
    arrival: float
    total: float
    model: str | None = None
    adapter: str | None = None
    stream: bool | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    queue: float | None = None
    ttft: float | None = None
    tpot: float | None = None
    finish_reason: str | None = None
    reason: str | None = None


class Exchange:
    """One request while it is worked on, in ``scope["exchange"]``; the layers set what they learn."""

    def __init__(self, request_id: str, route: str, method: str):
        self.request_id, self.route, self.method = request_id, route, method
        self.arrival, self.started = time.time(), time.perf_counter()
        self.model: str | None = None
        self.adapter: str | None = None
        self.stream: bool | None = None
        self.prompt_tokens: int | None = None
        self.cached_tokens: int | None = None
        self.output_tokens: int | None = None
        self.submitted: float | None = None  # to the engine, seconds from the start, as are the tokens below
        self.queue: float | None = None
        self.first_token: float | None = None
        self.last_token: float | None = None
        self.finish_reason: str | None = None
        self.reason: str | None = None

    def elapsed(self) -> float:
        """Seconds since the request's headers were read."""
        return time.perf_counter() - self.started

    @property
    def prompt_time(self) -> float:
        """Seconds from the engine's first step on the request to its first token."""
        return max(0.0, self.first_token - self.submitted - self.queue)

    def token(self, waited: float, cached: int) -> None:
        """Count a token that has just come from the engine."""
        self.last_token = self.elapsed()
        if self.first_token is None:
            self.first_token, self.queue, self.cached_tokens, self.output_tokens = self.last_token, waited, cached, 0
        self.output_tokens += 1

    def line(self, status: int) -> RequestLine:
        """The request's line, once it has ended."""
        several = self.output_tokens is not None and self.output_tokens > 1
        known = {field.name: getattr(self, field.name, None) for field in fields(RequestLine)}
        return RequestLine(
            **known
            | {
                "status": status,
                "arrival": round(self.arrival, 6),
                "total": _rounded(self.elapsed()),
                "queue": _rounded(self.queue),
                "ttft": _rounded(self.first_token),
                "tpot": _rounded((self.last_token - self.first_token) / (self.output_tokens - 1)) if several else None,
            }
        )


def read_requests(path: str | os.PathLike) -> Iterator[RequestLine]:
    """The requests of a log, in the order in which they ended; members that a later version added are left out.

    Raises:
        CourseError: naming the line that is no JSON, or lacks a member.
    """
    known = {field.name for field in fields(RequestLine)}
    try:
        stream = open(Path(path), "rb")
    except OSError as error:
        raise CourseError(f"the server's log {path} cannot be read: {error.strerror}; name the right file") from None
    with stream:
        for number, text in enumerate(stream, start=1):
            try:
                values = parse_json(text)
                if values.get("event") == EVENT:
                    yield RequestLine(**{name: value for name, value in values.items() if name in known})
            except (ValueError, TypeError, AttributeError) as error:
                raise CourseError(f"line {number} of {path} is not of a server's log: {error}; copy it again") from None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
