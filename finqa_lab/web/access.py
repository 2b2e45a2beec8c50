"""Who is asking: API keys, request ids, and web pages that must not ask at all."""

import hmac
import os
import re
import secrets
from collections.abc import Iterable
from urllib.parse import urlsplit

from finqa_lab.errors import CourseError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
SHORTEST_KEY = 16
Headers = Iterable[tuple[bytes, bytes]]
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


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


def check_key_length(key: str | None) -> None:
    """Refuse a key that could be guessed.

    Raises:
        CourseError: when it is shorter than ``SHORTEST_KEY`` characters.
    """
    if key is not None and len(key) < SHORTEST_KEY:
        raise CourseError(f"serve: the API key is shorter than {SHORTEST_KEY} characters; choose a longer one")


def key_matches(headers: Headers, key: bytes) -> bool:
    """Whether a request carries the key, as ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``.

    >>> key_matches([(b"authorization", b"Bearer abc")], b"abc"), key_matches([], b"abc")
    (True, False)
    """
    given = b""
    for name, value in headers:
        if name == b"x-api-key":
            given = value
        elif name == b"authorization" and value[:7].lower() == b"bearer ":
            given = value[7:]
    return hmac.compare_digest(given, key)  # takes as long for a near miss as for a far one


class RequestIds:
    """Names for requests, unlike those of any other process."""

    def __init__(self):
        self.prefix, self.count = secrets.token_hex(4), 0

    def of(self, headers: Headers) -> str:
        """The client's own id (``X-Request-ID``) when it is harmless, else a new one."""
        for name, value in headers:
            if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                return value.decode()
        self.count += 1
        return f"{self.prefix}-{self.count}"


def foreign_page(headers: Headers) -> bool:
    """Whether a browser sends this request for a web page that does not come from this machine.

    A page from anywhere can make a browser send POST requests to ``127.0.0.1``, past every firewall; the browser names
    the page's address in ``Origin``. A page can also give its own name the address 127.0.0.1 (DNS rebinding); that name
    then stands in ``Host``. Programs send no ``Origin``, and a ``Host`` of this machine.

    >>> foreign_page([(b"host", b"127.0.0.1:8000")]), foreign_page([(b"origin", b"http://example.com")])
    (False, True)
    >>> foreign_page([(b"host", b"localhost:8000"), (b"origin", b"http://localhost:3000")])
    False
    """
    for name, value in headers:
        if name in (b"host", b"origin"):
            text = value.decode("latin-1")
            try:
                named = urlsplit(text if name == b"origin" else f"//{text}").hostname
            except ValueError:
                return True
            if named not in LOOPBACK:
                return True
    return False
