"""What can be chosen when the service starts, validated once."""

from dataclasses import dataclass, fields

from finqa_lab.errors import CourseError
from finqa_lab.web.access import LOOPBACK, check_key_length


@dataclass(frozen=True)
class Settings:
    """Limits of the service.

    Args:
        host: address to listen on; anything but loopback is announced with a warning.
        port: TCP port; 0 takes a free one.
        max_batch: problems in one decode [1, 4096].
        queue: problems that may wait [1, 1000000].
        batch_cap: problems in one ``/predict/batch`` request [1, 100000]; never more than ``queue``.
        body_cap: bytes of a request's body [64, 10000000].
        timeout: seconds a request may wait for its decode [0.01, 600].
        drain: seconds that a stopping server gives to requests in flight [0, 600].
        poll: seconds between two looks at the registry's pointer [0.01, 600].
        api_key: secret that clients must send, or None for an open service.

    Raises:
        CourseError: naming the first value that is out of range.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    max_batch: int = 64
    queue: int = 1024
    batch_cap: int = 256
    body_cap: int = 65_536
    timeout: float = 5.0
    drain: float = 10.0
    poll: float = 0.5
    api_key: str | None = None

    def __post_init__(self):
        for name, low, high in RANGES:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise CourseError(f"serve: {name.replace('_', '-')} is {value!r}; allowed: {low} to {high}")
        check_key_length(self.api_key)

    @property
    def largest_request(self) -> int:
        """Most problems in one request; what does not fit the queue could never be admitted."""
        return min(self.batch_cap, self.queue)

    @property
    def exposed(self) -> bool:
        """Whether other machines can reach the service."""
        return self.host not in LOOPBACK

    def __repr__(self) -> str:  # the key stays out of logs and tracebacks
        shown = (f"{field.name}={getattr(self, field.name)!r}" for field in fields(self) if field.name != "api_key")
        return f"Settings({', '.join(shown)}, api_key={'set' if self.api_key else None})"


RANGES = (
    ("port", 0, 65_535),
    ("max_batch", 1, 4096),
    ("queue", 1, 1_000_000),
    ("batch_cap", 1, 100_000),
    ("body_cap", 64, 10_000_000),
    ("timeout", 0.01, 600),
    ("drain", 0, 600),
    ("poll", 0.01, 600),
)
