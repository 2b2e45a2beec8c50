"""What may exist in the account, written down before it is asked for.

A deployment that dies between a request and its answer leaves a resource that nobody knows of. So the intention is
written first, one JSON line, flushed to the disk; then the resource is created; then that it was. What was intended
and not removed *may* exist, and is what a cleanup looks for. The file only grows: a line is never changed.
"""

import datetime
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from finqa_lab.cloud.errors import CloudError, redact
from finqa_lab.files import home, parse_json

INTEND, CREATED, REFUSED, REMOVED, FAILED = "intend", "created", "refused", "removed", "failed"
EVENTS = (INTEND, CREATED, REFUSED, REMOVED, FAILED)
"""What is refused was certainly not created; what failed is a removal that has to be tried again."""


@dataclass(frozen=True)
class Resource:
    """One thing in the account.

    Attributes:
        kind: ``endpoint``, ``model``, ...: a key of :data:`finqa_lab.cloud.teardown.REMOVALS`.
        name: of it; for an object in a bucket ``bucket/key``.
    """

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Line:
    """One line of the ledger."""

    time: str
    deployment: str
    event: str
    resource: Resource
    region: str
    target: str
    note: str = ""


class Ledger:
    """The file.

    Args:
        path: of it; by default in the course's home.
    """

    def __init__(self, path: str | os.PathLike | None = None):
        self.path = Path(path) if path is not None else home() / "cloud" / "ledger.jsonl"

    def write(self, deployment: str, event: str, resource: Resource, region: str, target: str, note: str = "") -> None:
        """Append a line, and return when it is on the disk.

        Raises:
            CloudError: when it cannot be written; then nothing may be created.
        """
        if event not in EVENTS:
            raise ValueError(event)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        values = {"time": now, "deployment": deployment, "event": event, "kind": resource.kind, "name": resource.name,
                  "region": region, "target": target}  # fmt: skip
        if note:
            values["note"] = redact(note)[:500]
        payload = json.dumps(values) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                size = os.fstat(handle).st_size
                if size and os.pread(handle, 1, size - 1) != b"\n":  # a line that a crash cut off
                    payload = "\n" + payload
                os.write(handle, payload.encode())
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise CloudError(
                f"the ledger {self.path} cannot be written ({error.strerror or error}), so nothing is created"
            ) from None

    def lines(self) -> Iterator[Line]:
        """All lines that are whole; one that a crash cut off says nothing, because its request was not sent."""
        if not self.path.is_file():
            return
        for text in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                values = parse_json(text)
                resource = Resource(values["kind"], values["name"])
                yield Line(values["time"], values["deployment"], values["event"], resource, values["region"],
                           values["target"], values.get("note", ""))  # fmt: skip
            except (ValueError, KeyError, TypeError):
                continue

    def deployments(self) -> list[str]:
        """Names, oldest first."""
        return list(dict.fromkeys(line.deployment for line in self.lines()))

    def left(self, deployment: str | None = None) -> list[Resource]:
        """What may exist, of one deployment or of all, newest first: the order in which it is removed."""
        open_ones: dict[Resource, None] = {}
        for line in self.lines():
            if deployment in (None, line.deployment):
                open_ones.pop(line.resource, None)
                if line.event not in (REMOVED, REFUSED):
                    open_ones[line.resource] = None
        return list(reversed(open_ones))

    def facts(self, deployment: str) -> Line | None:
        """The last line of a deployment: its region and target."""
        found = [line for line in self.lines() if line.deployment == deployment]
        return found[-1] if found else None
