"""HTTP messages on the level of ASGI: read a capped body, parse it, send JSON.

Routes that are called often do without request and response objects: parsing that nobody reads would be a good part
of a short request's latency.
"""

import json

JSON_HEADER = (b"content-type", b"application/json")
_SEPARATORS = (",", ":")


class ClientGone(Exception):
    """The client closed the connection before its request was answered."""


class BodyTooLarge(Exception):
    """The body is longer than ``cap`` bytes; the rest of it is not read."""

    def __init__(self, cap: int):
        super().__init__(f"the body is larger than {cap} bytes")
        self.cap = cap


class NotJSON(Exception):
    """The body is not JSON in UTF-8."""

    def __init__(self):
        super().__init__("the body is not JSON")


async def read_body(scope: dict, receive, cap: int) -> bytes:
    """The body of a request, at most ``cap`` bytes.

    Raises:
        BodyTooLarge: judged by the header where there is one, and again while reading.
        ClientGone: when the client went away.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > cap:
            raise BodyTooLarge(cap)
    message = await receive()
    body = message.get("body", b"")
    while message.get("more_body"):
        if len(body) > cap:
            break
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise ClientGone
    if len(body) > cap:
        raise BodyTooLarge(cap)
    return body


def parse_json(body: bytes) -> object:
    """The value of a JSON text.

    Raises:
        NotJSON: also for bytes that are not UTF-8, for nesting deeper than Python's stack, and for an integer of
            thousands of digits.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise NotJSON from None


async def send_json(send, status: int, payload: dict, headers=()) -> None:
    """Send a whole JSON response."""
    body = json.dumps(payload, separators=_SEPARATORS).encode()
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [JSON_HEADER, length, *headers]})
    await send({"type": "http.response.body", "body": body})
