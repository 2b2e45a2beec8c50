"""A fake engine, checkpoints without weights, and a real server process for the tests of the service."""

import contextlib
import http.client
import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

from finqa_lab.arithmetic.service.engine import Answer
from finqa_lab.arithmetic.service.registry import Registry
from finqa_lab.arithmetic.service.server import serve
from finqa_lab.arithmetic.service.settings import Settings
from finqa_lab.files import REPOSITORY
from tests.asking import ask, connect


class FakeEngine:
    """Calculates exactly, after ``delay`` seconds; a problem that starts with ``unlucky`` raises."""

    def __init__(self, version="fake", delay=0.0, unlucky=13):
        self.version, self.delay, self.unlucky, self.batches = version, delay, unlucky, []

    def answer(self, problems):
        self.batches.append(len(problems))
        time.sleep(self.delay)
        if any(problem.left == self.unlucky for problem in problems):
            raise ArithmeticError("unlucky")
        values = [p.left + p.right if p.operator == "+" else p.left - p.right for p in problems]
        return [Answer(value, str(value)) for value in values]


def write_checkpoint(folder: Path, seed=0) -> Path:
    """Right files, no tensors: enough for the registry and a fake engine."""
    folder.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"__metadata__": {"seed": str(seed)}}).encode()
    (folder / "config.json").write_text(json.dumps({"format": 1, "seed": seed}))
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    return folder


def fake_version(registry: Registry, seed: int) -> str:
    """Add a version without tensors."""
    return registry.add(write_checkpoint(registry.root.parent / f"fake-{seed}", seed))


class Running:
    """A server process: its port and its log."""

    def __init__(self, process: subprocess.Popen, log: Path):
        self.process, self.log = process, log

    def lines(self, event=None) -> list[dict]:
        """The log so far; every line must be JSON. A last line without its end is still being written."""
        whole = self.log.read_text().split("\n")[:-1]
        return [line for line in map(json.loads, whole) if event in (None, line["event"])]

    def wait_for(self, event: str, count: int = 1, seconds: float = 30.0) -> dict:
        """The count-th line of that event."""
        give_up = time.monotonic() + seconds
        while len(found := self.lines(event)) < count:
            assert self.process.poll() is None, f"the server ended: {self.log.read_text()}"
            assert time.monotonic() < give_up, f"no line {event!r}: {self.log.read_text()}"
            time.sleep(0.01)
        return found[count - 1]

    @property
    def port(self) -> int:
        return self.wait_for("listening")["port"]

    def connect(self) -> http.client.HTTPConnection:
        return connect(self.port)

    def ask(self, method, path, body=None, headers=None):
        return ask(self.port, method, path, body, headers)

    def predict(self, problem, headers=None):
        return self.ask("POST", "/predict", {"problem": problem}, headers)

    def stop(self, number=signal.SIGTERM) -> int:
        """Send a signal; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(30)


@contextlib.contextmanager
def running(registry: Registry, log: Path, engine="onnx", delay=0.0, wait=True, **settings):
    """A server in its own process, killed at the end if it still runs."""
    settings = {"port": 0, "poll": 0.05} | settings
    arguments = json.dumps({"registry": str(registry.root), "engine": engine, "delay": delay, "settings": settings})
    with open(log, "w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.arithmetic.service_helpers", arguments],
            cwd=REPOSITORY,
            stderr=stream,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    server = Running(process, log)
    try:
        if wait:
            server.wait_for("serving")
        yield server
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def main(arguments: dict) -> int:
    """In the subprocess."""

    def fake(registry, version):
        registry.verify(version)  # as the real loader does
        return FakeEngine(version, arguments["delay"])

    load = fake if arguments["engine"] == "fake" else None
    return serve(Settings(**arguments["settings"]), Registry(arguments["registry"]), load)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
