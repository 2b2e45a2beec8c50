"""What can be chosen when the service starts, validated once."""

import os
from dataclasses import dataclass, fields

from finqa_lab.errors import CourseError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
SHORTEST_KEY = 16


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
        if self.api_key is not None and len(self.api_key) < SHORTEST_KEY:
            raise CourseError(f"serve: the API key is shorter than {SHORTEST_KEY} characters; choose a longer one")

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


def key_from_environment(name: str | None) -> str | None:
    """The API key in the environment variable ``name`` (on the command line every user of the machine could read it).

    Raises:
        CourseError: when a name is given and the variable is missing or empty.
    """
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise CourseError(f"serve: the environment variable {name} is not set; put the API key there")
    if not key.isascii() or not key.isprintable():
        raise CourseError(f"serve: the API key in {name} does not fit a header; use letters and digits")
    return key
