"""A ``finqa-lab serve`` process beside this one, on loopback, for as long as a ``with`` block lasts."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from finqa_lab.errors import CourseError

PATIENCE = 120.0
"""Seconds that a server gets to listen; it imports torch and reads its weights."""
GRACE = 20.0
"""Seconds between SIGTERM and SIGKILL."""


@dataclass(frozen=True)
class Background:
    """A running server.

    Attributes:
        url: such as ``http://127.0.0.1:41234``.
        log: its JSON lines.
        process: to look at, or to stop early.
    """

    url: str
    log: Path
    process: subprocess.Popen

    def lines(self, event: str | None = None) -> list[dict]:
        """What it has logged so far, of one kind of event or of all."""
        read = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
        return [line for line in read if event is None or line.get("event") == event]


@contextmanager
def serving(model: str, options: Sequence[str] = (), log: str | os.PathLike | None = None) -> Iterator[Background]:
    """Serve a model: ``with serving("finqa-tiny", ["--batch", "8"]) as server: ask(server.url)``.

    The process computes with one thread, so that measurements mean the same everywhere, and ends with the block: first
    asked to (SIGTERM), then killed.

    Args:
        model, options: of the command ``finqa-lab serve``; the port is chosen here.
        log: file for its lines; a temporary one by default.

    Raises:
        CourseError: when the server ends before it listens, with its last words, or does not listen in time.
    """
    with tempfile.TemporaryDirectory(prefix="finqa-serve-") as folder:
        path = Path(log) if log is not None else Path(folder) / "server.log"
        command = [sys.executable, "-m", "finqa_lab.cli", "serve", model, *options, "--port", "0"]
        with path.open("w", encoding="utf-8") as errors:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        try:
            yield _listening(process, path)
        finally:
            process.terminate()
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _listening(process: subprocess.Popen, path: Path) -> Background:
    server, end = Background("", path, process), time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for line in server.lines("listening"):  # connections wait from now on
            return Background(f"http://127.0.0.1:{line['port']}", path, process)
        if process.poll() is not None:
            words = " ".join(path.read_text(encoding="utf-8", errors="replace").split())[-300:]
            raise CourseError(f"the server ended with status {process.returncode} before it listened: {words}")
        time.sleep(0.05)
    raise CourseError(f"the server did not listen within {PATIENCE:.0f} s; look at what it does on an idle machine")
