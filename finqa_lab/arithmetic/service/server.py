"""The process: a socket, uvicorn, and a clean end."""

import signal
import socket

from finqa_lab.arithmetic.service.app import make_app
from finqa_lab.arithmetic.service.registry import Registry
from finqa_lab.arithmetic.service.settings import Settings
from finqa_lab.arithmetic.service.telemetry import JsonLog
from finqa_lab.errors import CourseError


def serve(settings: Settings, registry: Registry, load=None) -> int:
    """Serve until SIGTERM or Ctrl-C; returns 0 after requests in flight were answered.

    Raises:
        CourseError: when uvicorn is not installed or the address cannot be had.
    """
    try:
        import uvicorn
    except ImportError:
        raise CourseError("serving needs uvicorn: pip install 'finqa-lab[serve]'") from None
    log = JsonLog()
    app = make_app(settings, registry, load, log)
    listener = _listen(settings)
    host, port = listener.getsockname()[:2]
    if settings.exposed:
        lock = "clients need the API key" if settings.api_key else "anyone who reaches it can use it: set --api-key-env"
        log("exposed", level="warning", message=f"listening on {host}, beyond this machine, without encryption; {lock}")
    log("listening", host=host, port=port, api_key=settings.api_key is not None)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",  # the service writes its own lines
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here depends on the client's address, so no header is believed
        timeout_graceful_shutdown=max(1, round(settings.drain)),
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


def _listen(settings: Settings) -> socket.socket:
    """A bound socket; binding here and not in uvicorn gives one sentence when the port is taken."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise CourseError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}; choose another --port"
        ) from error
    return listener
