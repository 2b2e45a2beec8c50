"""What a service says about itself, one JSON object a line."""

import asyncio
import datetime
import json
import sys
from typing import TextIO


class JsonLog:
    """One JSON object a line, ASCII only, so that nothing a client sends can forge a line or steer a terminal.

    Lines of one turn of the event loop are written together: one system call for a batch of requests.
    """

    def __init__(self, stream: TextIO | None = None):
        self.stream = stream if stream is not None else sys.stderr
        self._lines: list[str] = []

    def __call__(self, event: str, level: str = "info", **facts) -> None:
        """Write ``{"time", "level", "event", **facts}``."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        self._lines.append(json.dumps({"time": now, "level": level, "event": event, **facts}))
        if len(self._lines) == 1:
            try:
                asyncio.get_running_loop().call_soon(self.flush)
            except RuntimeError:  # before or after the event loop
                self.flush()

    def flush(self) -> None:
        """Write what is waiting; a closed pipe at the other end does not stop the service."""
        lines, self._lines = self._lines, []
        if lines:
            try:
                self.stream.write("\n".join(lines) + "\n")
                self.stream.flush()
            except (OSError, ValueError):
                pass
