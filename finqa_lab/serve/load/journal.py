"""The request log as a file: a line is appended whole, and an interrupted run goes on where it stopped.

A line is handed to the system in one write, so that a client that is killed leaves at most one torn line, the last. It
is cut off when the file is opened again. The file is flushed to the disk at the end only: waiting for a disk between
two tokens would be measured as the server's time.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from finqa_lab.errors import CourseError
from finqa_lab.serve.load.record import RequestRecord, RunHeader, header_from_line


@dataclass(frozen=True)
class RequestLog:
    """What a file holds.

    Attributes:
        headers: of the runs, in order.
        records: of the requests, in the order in which they ended.
    """

    headers: Sequence[RunHeader]
    records: Sequence[RequestRecord]


def read_log(path: str | os.PathLike) -> RequestLog:
    """Read a log; a torn last line is passed over.

    Raises:
        CourseError: when the file is missing, or a line is no part of a log, with its number.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise CourseError(f"the request log {path} cannot be read: {error.strerror}; run the load first") from None
    headers, records = [], []
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            text = line.decode("utf-8")
            if text.startswith('{"kind": "run"'):
                headers.append(header_from_line(text))
            else:
                records.append(RequestRecord.from_line(text))
        except (CourseError, UnicodeDecodeError) as error:
            raise CourseError(f"{path}, line {number}: {error}") from None
    return RequestLog(headers, records)


class Journal:
    """A log that is written, as a context: ``with Journal(path, header) as journal: journal.append(record)``.

    Args:
        path: new, or of an interrupted run of the same plan.
        url, mode, concurrency, plan, began: of the header; its number is counted here.

    Attributes:
        run: number of this run.
        done: indexes of the requests that the file holds already; they need not be sent again.

    Raises:
        CourseError: when the file holds another plan or another kind of run, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike, url: str, mode: str, concurrency: int | None, plan: str, began: str):
        self.path = Path(path)
        before = read_log(path) if self.path.exists() else RequestLog((), ())
        for header in before.headers:
            if (header.plan, header.mode, header.concurrency) != (plan, mode, concurrency):
                raise CourseError(f"{path} holds a run of another plan; give a new file, or the same requests")
        self.run = len(before.headers)
        self.done = frozenset(record.index for record in before.records)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                os.truncate(self.path, self.path.read_bytes().rfind(b"\n") + 1)  # without a torn last line
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            self._write(RunHeader(self.run, url, mode, concurrency, plan, began).to_line())
        except OSError as error:
            raise CourseError(f"the request log {path} cannot be written: {error.strerror}") from None

    def append(self, record: RequestRecord) -> None:
        """Add a request.

        Raises:
            CourseError: when the disk is full.
        """
        try:
            self._write(record.to_line())
        except OSError as error:
            raise CourseError(f"the request log {self.path} cannot be written: {error.strerror}") from None

    def _write(self, line: str) -> None:
        data = line.encode("utf-8")
        if os.write(self._file, data) != len(data):
            raise OSError(28, "the disk is full")

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exception) -> None:
        os.fsync(self._file)
        os.close(self._file)
