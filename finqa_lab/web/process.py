"""The process of a service: a socket, uvicorn, and a clean end."""

import signal
import socket

from finqa_lab.errors import CourseError
from finqa_lab.web.access import LOOPBACK
from finqa_lab.web.log import JsonLog

BACKLOG = 2048
"""Connections that may wait to be accepted; uvicorn's default."""


def run(app, host: str, port: int, drain: float, log: JsonLog, api_key: bool) -> int:
    """Serve until SIGTERM or Ctrl-C; returns 0 after requests in flight were answered.

    Args:
        app: ASGI application.
        host, port: to listen on; port 0 takes a free one, and the line "listening" names it.
        drain: seconds that requests in flight get when stopping.
        log: for the lines "listening" and "exposed".
        api_key: whether clients need a key, for those lines.

    Raises:
        CourseError: when uvicorn is not installed or the address cannot be had.
    """
    try:
        import uvicorn
    except ImportError:
        raise CourseError("serving needs uvicorn: pip install 'finqa-lab[serve]'") from None
    listener = listen(host, port)
    host, port = listener.getsockname()[:2]
    if host not in LOOPBACK:
        lock = "clients need the API key" if api_key else "anyone who reaches it can use it: set --api-key-env"
        log("exposed", level="warning", message=f"listening on {host}, beyond this machine, without encryption; {lock}")
    log("listening", host=host, port=port, api_key=api_key)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",  # the service writes its own lines
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here depends on the client's address, so no header is believed
        timeout_graceful_shutdown=max(1, round(drain)),
        timeout_keep_alive=30,
    )
    # uvicorn raises the signal again once it has stopped; with this the process then ends with status 0, not by it.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    server = uvicorn.Server(config)
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0 if server.started else 1


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; binding here and not in uvicorn gives one sentence when the port is taken.

    From here on the system takes connections, which wait until uvicorn answers them.

    Raises:
        CourseError: when the address cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        raise CourseError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; choose another --port"
        ) from error
    return listener
