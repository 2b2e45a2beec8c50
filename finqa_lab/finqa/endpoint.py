"""Any server with an OpenAI-compatible ``/chat/completions``, asked one question at a time, patiently.

A busy server answers 429 or 5xx, or nothing at all; the request is repeated after a pause that doubles, with a random
part so that clients do not come back together, and never shorter than ``Retry-After`` asks for. The API key comes from
an environment variable, goes into one header, and appears in no message and no log.

Whatever the server sends back is untrusted: of limited size, parsed as JSON, and only its text is used.
"""

import email.utils
import http.client
import json
import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from finqa_lab.errors import CourseError
from finqa_lab.files import sha256_bytes
from finqa_lab.finqa.snapshot import canonical

BUSY = (408, 409, 425, 429, 500, 502, 503, 504, 529)
"""Statuses after which the same request may succeed."""
WRONG_SETUP = (401, 402, 403, 404, 405)
"""Statuses that every further request would get too, because key, model or address are wrong."""
LOCAL = ("127.0.0.1", "localhost", "::1")
LARGEST_REPLY = 8 * 2**20
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class Endpoint:
    """Where and how to ask.

    Attributes:
        url: base address, to which ``/chat/completions`` is added: ``"http://127.0.0.1:8000/v1"``.
        model: name that the server knows the model by.
        api_key_env: environment variable with the key; None sends none.
        timeout: seconds that the server may stay silent.
        retries: how often a request is repeated.
        pause: seconds before the first repetition; doubled each time, at most ``LONGEST_PAUSE``.
        temperature: of the sampling; 0 takes the likeliest token.
        max_tokens: of a reply.
        seed: sent when given; servers may ignore it.
        extra: further fields of the request, as the server documents them.
    """

    url: str
    model: str
    api_key_env: str | None = None
    timeout: float = 60.0
    retries: int = 5
    pause: float = 1.0
    temperature: float = 0.0
    max_tokens: int = 256
    seed: int | None = None
    extra: Mapping = field(default_factory=dict)

    def __post_init__(self):
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise CourseError(f"the endpoint {parts.scheme}://{parts.hostname} is no http address; give its base URL")
        if self.api_key_env is not None and parts.scheme == "http" and not self.local:
            raise CourseError(f"the API key would go to {parts.hostname} unencrypted; give an https address")

    @property
    def local(self) -> bool:
        """Whether the server is on this machine; no proxy is asked then."""
        return urlsplit(self.url).hostname in LOCAL

    def body(self, messages: Sequence[Mapping[str, str]]) -> dict:
        """The request's JSON, without the key."""
        seed = {} if self.seed is None else {"seed": self.seed}
        sent = {"model": self.model, "messages": [dict(message) for message in messages], "stream": False}
        return sent | {"temperature": self.temperature, "max_tokens": self.max_tokens} | seed | dict(self.extra)

    def prompt_hash(self, messages: Sequence[Mapping[str, str]]) -> str:
        """SHA-256 of everything in the request that the reply depends on."""
        return sha256_bytes(canonical(self.body(messages)))

    def key(self) -> str | None:
        """The API key.

        Raises:
            CourseError: when the variable is not set, or holds what no header may.
        """
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env, "").strip()
        if not key or not key.isascii() or not key.isprintable():
            state = "holds characters that no key has" if key else "is not set"
            raise CourseError(f"the environment variable {self.api_key_env} {state}; set it to the endpoint's API key")
        return key


@dataclass(frozen=True)
class Completion:
    """What came back.

    Attributes:
        text: of the reply; "" with an error.
        error: one sentence when there is no reply.
        finish_reason: ``"stop"``, ``"length"`` when ``max_tokens`` cut it, or what the server says.
        prompt_tokens: as the server counts; None when it does not say.
        completion_tokens: likewise.
        seconds: of the last attempt.
        attempts: requests that were sent.
    """

    text: str = ""
    error: str | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float = 0.0
    attempts: int = 0


class _Again(Exception):
    """The attempt failed and may succeed later; carries a sentence and the seconds that the server asks for."""

    def __init__(self, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.wait = wait


class _Refused(Exception):
    """This request will not succeed; carries a sentence."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key and the prompt to another address."""

    def redirect_request(self, *arguments):
        return None


def complete(
    endpoint: Endpoint, messages: Sequence[Mapping[str, str]], sleep: Callable[[float], None] = time.sleep
) -> Completion:
    """Ask once, repeating while the server is busy.

    Args:
        endpoint: where and how.
        messages: objects with ``role`` and ``content``.
        sleep: waits the given seconds.

    Returns:
        A completion; with ``error`` when the server refused this request, or stayed busy.

    Raises:
        CourseError: when every other request would fail too: key, model or address are wrong.
    """
    key = endpoint.key()
    error, started = "", time.perf_counter()
    for attempt in range(endpoint.retries + 1):
        started = time.perf_counter()
        try:
            text, finish, usage = _ask(endpoint, endpoint.body(messages), key)
        except _Again as again:
            error = str(again)
            if attempt < endpoint.retries:
                sleep(_pause(endpoint.pause, attempt, again.wait))
            continue
        except _Refused as refused:
            seconds = time.perf_counter() - started
            return Completion(error=str(refused), seconds=seconds, attempts=attempt + 1)
        seconds = time.perf_counter() - started
        counts = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        return Completion(text, None, finish, *counts, seconds, attempt + 1)
    return Completion(error=error, seconds=time.perf_counter() - started, attempts=endpoint.retries + 1)


def _pause(first: float, attempt: int, wait: float) -> float:
    """Half of the doubled pause and a random part of the other half, but what the server asks for at least."""
    doubled = min(LONGEST_PAUSE, first * 2**attempt)
    return min(LONGEST_PAUSE, max(wait, doubled / 2 * (1 + random.random())))


def _ask(endpoint: Endpoint, body: dict, key: str | None) -> tuple[str, str | None, Mapping]:
    headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "finqa-lab"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    url = f"{endpoint.url.rstrip('/')}/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    handlers = [_NoRedirects, *([urllib.request.ProxyHandler({})] if endpoint.local else [])]
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=endpoint.timeout) as response:
            content = response.read(LARGEST_REPLY + 1)
    except urllib.error.HTTPError as error:
        _raise_for(error, url, key)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error or type(error).__name__
        raise _Again(f"{url} did not answer: {reason}") from None
    if len(content) > LARGEST_REPLY:
        raise _Refused(f"{url} sent more than {LARGEST_REPLY:,} bytes")
    return _read(content, url)


def _raise_for(error: urllib.error.HTTPError, url: str, key: str | None):
    with error:
        try:
            said = error.read(2000).decode("utf-8", "replace")
        except (http.client.HTTPException, OSError):
            said = ""
    said = " ".join(said.split())[:200]
    said = said.replace(key, "***") if key else said
    sentence = f"{url} answered {error.code} {error.reason}" + (f": {said}" if said else "")
    if error.code in BUSY:
        raise _Again(sentence, _seconds(error.headers.get("Retry-After", ""))) from None
    if error.code in WRONG_SETUP or 300 <= error.code < 400:
        raise CourseError(f"{sentence}; check the endpoint's address, model name and API key") from None
    raise _Refused(sentence) from None


def _seconds(retry_after: str) -> float:
    """Seconds of a ``Retry-After`` header, which holds a number or a date; 0 when it holds neither.

    >>> _seconds("7"), _seconds("soon")
    (7.0, 0.0)
    """
    try:
        return max(0.0, float(retry_after)) if float(retry_after) < float("inf") else LONGEST_PAUSE
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _read(content: bytes, url: str) -> tuple[str, str | None, Mapping]:
    """Text, reason of the end and token counts of a reply; anything that has no text counts as a passing fault."""
    try:
        value = json.loads(content)
        choice = value["choices"][0]
        text = choice["message"]["content"]
        if not isinstance(text, str):
            raise TypeError("its content is no text")
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise _Again(f"{url} sent no chat completion ({type(error).__name__}: {error})"[:300]) from None
    text = text.encode("utf-8", "replace").decode()  # half a surrogate pair is JSON, but no file takes it
    finish, usage = choice.get("finish_reason"), value.get("usage")
    return text, finish if isinstance(finish, str) else None, usage if isinstance(usage, Mapping) else {}


def _count(usage: Mapping, name: str) -> int | None:
    found = usage.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None
