"""The log of an Ollama server as the table of :mod:`finqa_lab.serve.load.table`.

Read are two kinds of line; what the system's journal writes in front of them is passed over:

* requests, as the web framework logs them when they end, with the latency as Go writes durations:

      ``[GIN] 2025/02/10 - 11:20:29 | 200 | 35.684791792s |       127.0.0.1 | POST     "/api/chat"``

* last objects of replies, as ``/api/chat`` and ``/api/generate`` send them and a client or a proxy logs them, with
  durations in nanoseconds (https://docs.ollama.com/api/usage):

      ``{"model": "llama3.2", "created_at": "2025-02-10T10:20:29.114Z", "done": true, "total_duration": 35684000000,``
      ``"load_duration": 21000000, "prompt_eval_count": 512, "prompt_eval_duration": 980000000, "eval_count": 300,``
      ``"eval_duration": 34600000000}``

A request line knows the status and no tokens, an object the tokens and no status. Where a log has both, they are
paired by their durations, because their clocks differ by a time zone; the latency is then that of the request line.
Objects with ``done`` false are pieces of a reply. Other lines are the server's own words and are counted. A line that
begins like one of the two kinds and cannot be read is malformed, and is reported with its number.
"""

import json
import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from finqa_lab.errors import CourseError
from finqa_lab.serve.load.table import Row

LONGEST_LINE = 2**20
_NEARBY = 200  # request lines of either side that an object can belong to
_REPLIES = ("/api/chat", "/api/generate")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_REQUEST = re.compile(
    r"\[GIN\] (\d{4})/(\d\d)/(\d\d) - (\d\d):(\d\d):(\d\d) \|\s*(\d{3}) \|\s*(\S+) \|\s*(\S+) \|\s*([A-Z]+)\s+\"(\S*)\""
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|µs|μs|us|ns)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "μs": 1e-6, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request line.

    Attributes:
        ended: when, in the server's local time.
        status: of HTTP.
        latency: in seconds.
        path: that was asked for.
    """

    ended: datetime
    status: int
    latency: float
    path: str


@dataclass(frozen=True)
class OllamaLog:
    """What was read of a log.

    Attributes:
        rows: one for each last object, in the order of their beginning.
        requests: all request lines, in order.
        paired: rows whose request line was found.
        malformed: one sentence for each line that cannot be read, with its number.
        other: lines of other kinds.
    """

    rows: list[Row]
    requests: list[HttpRequest]
    paired: int
    malformed: list[str]
    other: int

    def failures(self) -> list[HttpRequest]:
        """Requests for replies whose status is not 200; they have no row."""
        return [request for request in self.requests if request.path in _REPLIES and request.status != 200]


def read_ollama_log(path: str | os.PathLike) -> OllamaLog:
    """Read a log file.

    Raises:
        CourseError: when it cannot be opened.
    """
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as lines:
            return parse_ollama_log(lines)
    except OSError as error:
        raise CourseError(
            f"the Ollama log {path} cannot be read: {error.strerror}; give the server's log file"
        ) from None


def parse_ollama_log(lines: Iterable[str]) -> OllamaLog:
    """Read the lines of a log; no line makes it raise.

    >>> log = parse_ollama_log(['[GIN] 2025/02/10 - 11:20:29 | 200 |  1.5s | 127.0.0.1 | POST     "/api/chat"',
    ...                         '[GIN] 2025/02/10 - 11:20'])
    >>> log.requests[0].latency, log.malformed
    (1.5, ['line 2: it is no whole request line'])
    """
    requests: list[HttpRequest] = []
    objects: list[tuple[int, Row]] = []  # with the number of request lines before it
    malformed, other = [], 0
    for number, line in enumerate(lines, start=1):
        text = _COLOUR.sub("", line[:LONGEST_LINE]).strip()
        begin = text.find("[GIN] ")
        try:
            if begin >= 0:
                requests.append(_request(text[begin:]))
            elif text.startswith("{") or ('"done"' in text and "{" in text):
                row = _object(text[text.find("{") :])
                if row is not None:
                    objects.append((len(requests), row))
            elif text:
                other += 1
        except ValueError as error:
            malformed.append(f"line {number}: {error}")
    rows, paired = _paired(objects, requests)
    return OllamaLog(sorted(rows, key=lambda row: row.begin), requests, paired, malformed, other)


def go_duration(text: str) -> float:
    """Seconds of a duration as Go writes it.

    >>> go_duration("1m3.5s"), go_duration("414.019µs")
    (63.5, 0.000414019)

    Raises:
        ValueError: when it is none.
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(value + unit for value, unit in parts) != text:
        raise ValueError(f"{text[:20]!r} is no duration")
    seconds = sum(float(value) * _SECONDS[unit] for value, unit in parts)
    if not math.isfinite(seconds):
        raise ValueError(f"{text[:20]!r} is no finite duration")
    return seconds


def _request(text: str) -> HttpRequest:
    match = _REQUEST.match(text)
    if match is None:
        raise ValueError("it is no whole request line")
    *moment, status, latency, _, _, path = match.groups()
    return HttpRequest(datetime(*map(int, moment)), int(status), go_duration(latency), path)


def _object(text: str) -> Row | None:
    """The row of a last object; None for a piece of a reply."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON object") from None
    if not isinstance(value.get("done"), bool):
        raise ValueError("the object has no field 'done', so it is no reply")
    if not value["done"]:
        return None
    if not isinstance(value.get("created_at"), str):
        raise ValueError("the object has no 'created_at'")
    # Counts of zero are left out by the server: a prompt that is cached whole has no prompt_eval_count.
    total, load, reading = (_whole(value, name) for name in ("total_duration", "load_duration", "prompt_eval_duration"))
    prompt, output = _whole(value, "prompt_eval_count"), _whole(value, "eval_count")
    if total < load + reading:
        raise ValueError("its total_duration is shorter than its parts")
    end = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value["created_at"])).timestamp()
    return Row(end - total / 1e9, total / 1e9, (load + reading) / 1e9, prompt, output)


def _whole(value: dict, name: str) -> int:
    found = value.get(name, 0)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 2**63:
        raise ValueError(f"its {name} is {str(found)[:20]!r}")
    return found


def _paired(objects: list[tuple[int, Row]], requests: list[HttpRequest]) -> tuple[list[Row], int]:
    """Rows with the latency of their request lines, where found, and how many were."""
    free = {place for place, request in enumerate(requests) if request.status == 200 and request.path in _REPLIES}
    rows = []
    for before, row in objects:
        slack = 0.05 + 0.02 * row.latency
        near = range(max(0, before - _NEARBY), min(len(requests), before + _NEARBY))
        gaps = [(abs(requests[place].latency - row.latency), place) for place in near if place in free]
        gap, place = min(gaps, default=(math.inf, -1))
        if gap <= slack:
            free.discard(place)
            latency = max(requests[place].latency, row.ttft)
            row = Row(row.begin, latency, row.ttft, row.prompt_tokens, row.output_tokens)
        rows.append((row, gap <= slack))
    return [row for row, _ in rows], sum(found for _, found in rows)
