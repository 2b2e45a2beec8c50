"""The process: the application behind a socket until it is told to stop."""

from finqa_lab.arithmetic.service.app import make_app
from finqa_lab.arithmetic.service.registry import Registry
from finqa_lab.arithmetic.service.settings import Settings
from finqa_lab.web.log import JsonLog
from finqa_lab.web.process import run


def serve(settings: Settings, registry: Registry, load=None) -> int:
    """Serve until SIGTERM or Ctrl-C; returns 0 after requests in flight were answered.

    Raises:
        CourseError: when uvicorn is not installed or the address cannot be had.
    """
    log = JsonLog()
    app = make_app(settings, registry, load, log)
    return run(app, settings.host, settings.port, settings.drain, log, settings.api_key is not None)
