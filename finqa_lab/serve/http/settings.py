"""What can be chosen when the server starts, validated once; what it is told about a model comes on top."""

from dataclasses import dataclass, field, fields

from finqa_lab.errors import CourseError
from finqa_lab.web.access import LOOPBACK, check_key_length


def _option(default, low: float, high: float, text: str):
    return field(default=default, metadata={"range": (low, high), "help": text})


@dataclass(frozen=True)
class ServerSettings:
    """Limits of the server; each field's ``metadata`` has its range and its meaning.

    Attributes:
        host: address to listen on; anything but loopback is announced with a warning.
        port: TCP port; 0 takes a free one.
        max_tokens: most tokens of a reply.
        max_prompt: most tokens of a prompt; the context bounds it too.
        body_cap: bytes of a request's body.
        timeout: seconds from a request's arrival to its last token.
        drain: seconds that a stopping server gives to requests in flight.
        api_key: secret that clients must send, or None for an open server.

    Raises:
        CourseError: naming the first value that is out of range.
    """

    host: str = field(default="127.0.0.1", metadata={"help": "address to listen on"})
    port: int = _option(8000, 0, 65_535, "port; 0 takes a free one and logs it")
    max_tokens: int = _option(1024, 1, 1_000_000, "tokens of one reply")
    max_prompt: int = _option(1_000_000, 1, 1_000_000, "tokens of one prompt; the context bounds it too")
    body_cap: int = _option(1_000_000, 256, 100_000_000, "bytes of a request's body")
    timeout: float = _option(600.0, 0.05, 86_400, "seconds from a request's arrival to its last token")
    drain: float = _option(20.0, 0, 3600, "seconds for requests in flight when stopping")
    api_key: str | None = field(default=None, repr=False)  # out of logs and tracebacks

    def __post_init__(self):
        for one in fields(self):
            low, high = one.metadata.get("range", (None, None))
            value = getattr(self, one.name)
            kinds = int if one.type is int else (int, float)
            if low is not None and (
                isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high
            ):
                raise CourseError(f"serve: {one.name.replace('_', '-')} is {value!r}; allowed: {low} to {high}")
        check_key_length(self.api_key)

    @property
    def exposed(self) -> bool:
        """Whether other machines can reach the server."""
        return self.host not in LOOPBACK
