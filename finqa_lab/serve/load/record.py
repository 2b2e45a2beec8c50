"""The schema of the request log: one JSON object a line, times in seconds.

The first line of each run names what was sent where (:class:`RunHeader`); every other line is one request
(:class:`RequestRecord`). All times of a request count from the beginning of its run. A log can hold several runs,
because an interrupted one goes on in the same file; ``run`` says to which a request belongs.

==================  ====================================================================================
field               meaning
==================  ====================================================================================
``index``           which of the planned requests
``run``             number of the run in this file, from 0
``planned``         when the request should be sent; in a closed loop, when it was
``sent``            when it was sent
``token_times``     when each piece of text was read; servers may put several tokens into a piece
``finished``        when the reply was complete, or the request had failed
``status``          of HTTP; 0 when there was none (no connection, time-out, a stream that broke off)
``prompt_tokens``   as the server counted them; null when it did not say
``output_tokens``   likewise; without a count, the number of pieces
``finish_reason``   ``stop``, ``length``, ...; null when the reply did not end
``retry_after``     seconds, of a refusal (429, 503); null otherwise
``error``           empty, or one line
``text``            the reply
==================  ====================================================================================

>>> record = RequestRecord(0, 0, planned=1.0, sent=1.25, token_times=(1.5, 1.75, 2.0), finished=2.0, status=200,
...                        output_tokens=3)
>>> record.ok, record.ttft, record.tpot, record.latency, record.late
(True, 0.5, 0.25, 1.0, 0.25)
>>> RequestRecord.from_line(record.to_line()) == record
True
"""

import json
from dataclasses import asdict, dataclass, fields

from finqa_lab.errors import CourseError
from finqa_lab.files import parse_json


@dataclass(frozen=True, slots=True)
class RunHeader:
    """What a run sent, and where.

    Attributes:
        run: number in the file, from 0.
        url: of the server.
        mode: "open" or "closed".
        concurrency: of a closed loop; None of an open one.
        plan: SHA-256 of the planned requests; a run goes on only with the same plan.
        began: date and time in UTC, ISO 8601.
    """

    run: int
    url: str
    mode: str
    concurrency: int | None
    plan: str
    began: str

    def to_line(self) -> str:
        """The line of the log, with its line end."""
        return json.dumps({"kind": "run"} | asdict(self)) + "\n"


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request; the fields are those of the table above."""

    index: int
    run: int
    planned: float
    sent: float
    token_times: tuple[float, ...]
    finished: float
    status: int
    prompt_tokens: int | None = None
    output_tokens: int = 0
    finish_reason: str | None = None
    retry_after: float | None = None
    error: str = ""
    text: str = ""

    @property
    def ok(self) -> bool:
        """Whether a whole reply came; it may be empty."""
        return self.status == 200 and not self.error

    @property
    def ttft(self) -> float | None:
        """Time to first token, from when the request should have been sent; None without a token."""
        return self.token_times[0] - self.planned if self.token_times else None

    @property
    def tpot(self) -> float | None:
        """Time per output token behind the first; None for a reply of fewer than two tokens."""
        if self.output_tokens < 2 or not self.token_times:
            return None
        return (self.token_times[-1] - self.token_times[0]) / (self.output_tokens - 1)

    @property
    def latency(self) -> float:
        """From when the request should have been sent to the end of the reply."""
        return self.finished - self.planned

    @property
    def late(self) -> float:
        """How late the client sent it; a client that is late measures itself."""
        return self.sent - self.planned

    def to_line(self) -> str:
        """The line of the log, with its line end."""
        return json.dumps({"kind": "request"} | asdict(self), ensure_ascii=False) + "\n"

    @staticmethod
    def from_line(line: str) -> "RequestRecord":
        """Read a line.

        Raises:
            CourseError: when it is no record.
        """
        return _read(RequestRecord, "request", line)


def header_from_line(line: str) -> RunHeader:
    """Read the line of a run.

    Raises:
        CourseError: when it is no header.
    """
    return _read(RunHeader, "run", line)


def _read(kind: type, name: str, line: str):
    """An object of a dataclass whose fields have simple types."""
    try:
        values = parse_json(line)
        if not isinstance(values, dict) or values.pop("kind", None) != name:
            raise ValueError(f"it is no {name}")
        if isinstance(values.get("token_times"), list):
            values["token_times"] = tuple(values["token_times"])
        found = kind(**values)
        for field in fields(kind):
            value = getattr(found, field.name)
            if field.name == "token_times":
                fits = isinstance(value, tuple) and all(_is(float, time) for time in value)
            else:
                fits = any(_is(one, value) for one in _types(field.type))
            if not fits:
                raise ValueError(f"{field.name} is {value!r}")
        return found
    except (ValueError, TypeError) as error:
        raise CourseError(f"a line of the request log cannot be read: {error}; the line begins {line[:60]!r}") from None


def _types(annotation) -> tuple[type, ...]:
    return getattr(annotation, "__args__", (annotation,))


def _is(kind: type, value: object) -> bool:
    """A whole number is a float too; a truth value is neither."""
    if isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if kind is float else kind)
