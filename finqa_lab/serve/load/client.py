"""One streamed request to a server with OpenAI's interface, and what a user would see of it.

Any such server will do: ours, vLLM, llama.cpp, mlx_lm. Its events are lines ``data: {...}`` with a piece of text each,
and ``data: [DONE]`` at the end (server-sent events). The time of a piece is when its line was read; the counts of
tokens are the server's, from the ``usage`` that ``stream_options`` asks for.

Whatever the server sends is untrusted: bounded in length, parsed as JSON, and kept as text.
"""

import asyncio
import importlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from finqa_lab.errors import CourseError
from finqa_lab.files import parse_json
from finqa_lab.serve.load.record import RequestRecord

LARGEST_LINE = 2**20
LONGEST_ERROR = 200
Clock = Callable[[], float]


def httpx():
    """The package, imported when first needed.

    Raises:
        CourseError: when it is not installed.
    """
    try:
        return importlib.import_module("httpx")
    except ImportError:
        raise CourseError(
            "sending load needs the package httpx, which is not installed; run `pip install httpx`"
        ) from None


@dataclass(frozen=True)
class Target:
    """Where requests go.

    Attributes:
        url: base address, to which ``/chat/completions`` or ``/completions`` is added: ``"http://127.0.0.1:8000/v1"``.
        model: name that the server knows the model by.
        timeout: seconds for a whole reply; a request that takes longer has failed.
        headers: sent with every request.

    Raises:
        CourseError: when the address is none, or the timeout not positive.
    """

    url: str
    model: str
    timeout: float = 120.0
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self):
        try:
            parts = urlsplit(self.url)
            known = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
        except ValueError:  # a port that is no number, or a broken bracket
            known = False
        if not known:
            raise CourseError(f"{self.url!r} is no address of a server; give one such as http://127.0.0.1:8000/v1")
        if not self.timeout > 0:
            raise CourseError(f"a timeout of {self.timeout} s lets no reply through; give a positive one")


def open_client(target: Target):
    """An ``httpx.AsyncClient`` without a bound on connections: a pool that is full would be a queue in the client."""
    library = httpx()
    limits = library.Limits(max_connections=None, max_keepalive_connections=64)
    timeout = library.Timeout(target.timeout)
    return library.AsyncClient(limits=limits, timeout=timeout, headers=dict(target.headers), trust_env=False)


async def ask(
    client, target: Target, body: Mapping, index: int, run: int, planned: float | None, clock: Clock
) -> RequestRecord:
    """Send a request and read its reply to the end.

    Args:
        client: of :func:`open_client`.
        target: where.
        body: with ``messages`` or ``prompt``, and options such as ``max_tokens``.
        index, run: for the record.
        planned: when it should be sent, on ``clock``; None means now.
        clock: seconds since the run began.

    Returns:
        The record. A server that refuses, fails or falls silent is a record too; nothing is raised or repeated.
    """
    sent = clock()
    reply = _Reply()
    path = "/chat/completions" if "messages" in body else "/completions"
    options = {"model": target.model, "stream": True, "stream_options": {"include_usage": True}}
    try:
        async with asyncio.timeout(target.timeout):
            async with client.stream("POST", target.url + path, json=options | dict(body)) as response:
                reply.status = response.status_code
                if response.status_code == 200:
                    await reply.read(response, clock)
                else:
                    await reply.refused(response)
    except TimeoutError:
        reply.fail(f"no whole reply within {target.timeout:.0f} s")
    except httpx().HTTPError as error:
        reply.fail(f"{type(error).__name__}: {error}")
    finished = clock()
    return RequestRecord(
        index=index,
        run=run,
        planned=sent if planned is None else planned,
        sent=sent,
        token_times=tuple(reply.times),
        finished=finished,
        status=reply.status,
        prompt_tokens=reply.prompt_tokens,
        output_tokens=len(reply.times) if reply.output_tokens is None else reply.output_tokens,
        finish_reason=reply.finish_reason,
        retry_after=reply.retry_after,
        error=reply.error,
        text="".join(reply.pieces),
    )


class _Reply:
    """What has been read of a reply so far."""

    def __init__(self):
        self.status = 0
        self.times: list[float] = []
        self.pieces: list[str] = []
        self.prompt_tokens: int | None = None
        self.output_tokens: int | None = None
        self.finish_reason: str | None = None
        self.retry_after: float | None = None
        self.error = ""

    def fail(self, reason: str) -> None:
        """The stream is broken: there was a status perhaps, but no whole reply."""
        self.status, self.error = 0, " ".join(reason.split())[:LONGEST_ERROR]

    async def refused(self, response) -> None:
        """A status other than 200, with the beginning of the server's words."""
        text = b""
        async for part in response.aiter_bytes():
            text += part
            if len(text) > LARGEST_LINE:
                break
        self.error = " ".join(text.decode("utf-8", "replace").split())[:LONGEST_ERROR] or response.reason_phrase
        wait = response.headers.get("retry-after", "")
        self.retry_after = float(wait) if wait.isascii() and wait.isdigit() else None

    async def read(self, response, clock: Clock) -> None:
        """Events until ``[DONE]``."""
        async for line in _lines(response):
            if line is None:
                return self.fail(f"a line has more than {LARGEST_LINE:,} bytes")
            if not line.startswith("data:"):
                continue  # empty lines, comments that keep the connection open, names of events
            data = line.removeprefix("data:").strip()
            if data == "[DONE]":
                return None
            if not self._event(data, clock()):
                return None
        return self.fail("the stream ended without [DONE]")

    def _event(self, data: str, now: float) -> bool:
        """Take an event in; False when it is none, or tells of an error."""
        try:
            event = parse_json(data)
            if event.get("error"):
                raise ValueError(f"the server says: {event['error']}")
            usage = event.get("usage") or {}
            self.prompt_tokens = _count(usage.get("prompt_tokens"), self.prompt_tokens)
            self.output_tokens = _count(usage.get("completion_tokens"), self.output_tokens)
            for choice in event.get("choices") or ():
                piece = choice["delta"].get("content") if "delta" in choice else choice.get("text")
                if piece:
                    self.times.append(now)
                    self.pieces.append(str(piece))
                self.finish_reason = choice.get("finish_reason") or self.finish_reason
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            self.fail(f"an event cannot be read: {error}")
            return False
        return True


async def _lines(response) -> AsyncIterator[str | None]:
    """Lines as they arrive; None, and no more, when one is too long."""
    rest = b""
    async for part in response.aiter_bytes():
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace").rstrip("\r")
        if len(rest) > LARGEST_LINE:
            yield None
            return


def _count(value: object, otherwise: int | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else otherwise


def started_clock() -> Clock:
    """Seconds from now on, on a clock that nobody sets."""
    origin = time.perf_counter()
    return lambda: time.perf_counter() - origin
