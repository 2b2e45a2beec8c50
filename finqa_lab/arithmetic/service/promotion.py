"""Which version of a registry serves: promote, roll back, and the history of both.

Pointer and history are one file, ``current.json``, replaced atomically, so that a reader never sees one without the
other; a running server notices the replacement by the file's stamp (module ``live``)::

    {"stack": ["<id>", "<id>"], "history": [{"action": "promote", "version": "<id>", "date": "..."}]}

The last id of the stack serves. Promoting pushes; rolling back pops, so that rolling back twice goes back two steps
rather than to and fro.
"""

import contextlib
import datetime
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from finqa_lab.arithmetic.service.registry import Registry
from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, write_atomic

POINTER_FILE = "current.json"
LOCK_FILE = "current.lock"


class Promotion:
    """The pointer of a registry."""

    def __init__(self, registry: Registry):
        self.registry = registry
        self.path = registry.root / POINTER_FILE

    def current(self) -> str | None:
        """Id of the version that should serve, or None when none was ever promoted.

        Raises:
            CourseError: when the pointer file is not one.
        """
        stack = self._read()["stack"]
        return stack[-1] if stack else None

    def history(self) -> list[dict]:
        """All promotions and rollbacks, oldest first: ``{"action", "version", "date"}``."""
        return self._read()["history"]

    def stamp(self) -> tuple[int, int, int] | None:
        """A cheap fingerprint of the pointer file (one ``stat``): it changes when the file is replaced."""
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size

    def promote(self, version: str) -> str:
        """Let ``version`` serve; returns it. Promoting the current version changes nothing.

        Raises:
            CourseError: when the version is unknown or was altered.
        """
        self.registry.verify(version)
        with _locked(self.registry.root):
            state = self._read()
            if not state["stack"] or state["stack"][-1] != version:
                self._write(state, state["stack"] + [version], "promote")
        return version

    def roll_back(self) -> str:
        """Let the version serve that served before the last promotion; returns it.

        Raises:
            CourseError: when there is none, or it was altered since.
        """
        with _locked(self.registry.root):
            state = self._read()
            if len(state["stack"]) < 2:
                raise CourseError(f"the registry {self.registry.root} has no earlier version to roll back to")
            self.registry.verify(state["stack"][-2])
            self._write(state, state["stack"][:-1], "rollback")
            return state["stack"][-2]

    def _read(self) -> dict:
        if not self.path.exists():
            return {"stack": [], "history": []}
        state = read_json(self.path, "the registry's pointer")
        well_formed = (
            isinstance(state, dict)
            and all(isinstance(state.get(name), list) for name in ("stack", "history"))
            and all(isinstance(version, str) for version in state["stack"])
        )
        if not well_formed:
            raise CourseError(f"{self.path} is not a registry's pointer; delete it and promote a version again")
        return state

    def _write(self, state: dict, stack: list[str], action: str) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        entry = {"action": action, "version": stack[-1], "date": now}
        new = {"stack": stack, "history": state["history"] + [entry]}
        write_atomic(self.path, json.dumps(new, indent=1) + "\n")


@contextlib.contextmanager
def _locked(root: Path, patience: float = 5.0) -> Iterator[None]:
    """Hold the registry's lock file (created exclusively; works on every platform) while reading and writing.

    Raises:
        CourseError: when another process holds it for longer than ``patience`` seconds.
    """
    path = root / LOCK_FILE
    give_up = time.monotonic() + patience
    while True:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except FileExistsError:
            if time.monotonic() > give_up:
                raise CourseError(f"another command holds {path}; if none is running, delete that file") from None
            time.sleep(0.02)
        except OSError as error:
            raise CourseError(f"cannot write in the registry {root}: {error.strerror or error}") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
