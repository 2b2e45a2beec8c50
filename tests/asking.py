"""One HTTP request to a server on loopback, as tests of every server send it."""

import http.client
import json


def connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=30)


def ask(port: int, method: str, path: str, body=None, headers=None):
    """(status, headers, parsed or plain body) of one request on a new connection; a body that is no bytes is sent as
    JSON."""
    connection = connect(port)
    try:
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        content, kind = response.read(), response.headers.get("content-type", "")
        return response.status, response.headers, json.loads(content) if kind == JSON else content.decode()
    finally:
        connection.close()


JSON = "application/json"
