"""Run one rebuilt submission in a process of its own, within limits, and say how it ended.

On Linux with user namespaces the worker runs in the ``enclosure``: no network, file systems read-only, other
submissions and the solutions out of sight, every process ended with the first. Elsewhere it is an ordinary process in
a process group of its own, whose sockets Python refuses; :func:`isolation` says which.
"""

import contextlib
import functools
import hmac
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from finqa_lab.course.grading import enclosure
from finqa_lab.course.grading.model import Limits
from finqa_lab.course.grading.worker import signature
from finqa_lab.course.supervise import worker_environment
from finqa_lab.files import REPOSITORY, data_root

_ROOM = ["--user", "--map-root-user", "--net", "--mount", "--ipc", "--pid", "--fork", "--kill-child"]
_CHANNEL_LIMIT = 16 * 2**20  # bytes: far more than a lab's events need
_SHOWN = 20_000  # characters of output that are kept


@dataclass
class Run:
    """What the worker did.

    Attributes:
        ending: "" when the last cell was reached, else a key of ``model.VERDICTS``.
        events: what the worker reported, in order.
        output: the first characters that it printed.
        status: its exit status; negative for a signal.
    """

    ending: str = ""
    events: list[dict] = field(default_factory=list)
    output: str = ""
    status: int = 0


@functools.cache
def closed_room() -> bool:
    """True when this machine can run the enclosure."""
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        return False
    with tempfile.TemporaryDirectory(prefix="fl-room-") as scratch:
        plan = _plan(Path(scratch), [], Limits(scratch_mb=1))
        command = [*_enclosed(plan), sys.executable, "-I", "-S", "-c", "pass"]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            return subprocess.run(command, capture_output=True, timeout=60).returncode == 0
    return False


def isolation() -> str:
    """One sentence on how submissions are kept apart on this machine."""
    if closed_room():
        return (
            "Ran in Linux namespaces of its own: no network but loopback, files read-only outside its scratch folder, "
            "solutions and other submissions out of sight."
        )
    return (
        "Ran as an ordinary process of the grading user: connections to other machines were refused inside Python "
        "only, and files were not protected."
    )


def run(job: dict, limits: Limits, hidden: list[Path], scratch_root: Path) -> Run:
    """Run ``job`` (``cells``, ``imports``, ``trusted_names``, ``own_names``) in a new folder of ``scratch_root``.

    Args:
        hidden: folders that the submission must not see, where the machine can hide them.
    """
    read_end, write_end = os.pipe()
    key = secrets.token_hex(32)
    scratch = Path(tempfile.mkdtemp(prefix="s-", dir=scratch_root))
    enclosed = closed_room()
    job = job | {
        "channel": write_end,
        "key": key,
        "block_sockets": not enclosed,
        "limits": {**asdict(limits), "process_ceiling": limits.processes + (0 if enclosed else _threads_of_user())},
    }
    command = [sys.executable, "-P", "-m", "finqa_lab.course.grading.worker"]
    if enclosed:
        command = [*_enclosed(_plan(scratch, hidden, limits)), *command]
    environment = _environment(scratch)
    try:
        process = subprocess.Popen(
            command, cwd=scratch, env=environment, pass_fds=[write_end], start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        os.close(write_end)
        return _Watch(process, read_end, key, limits, scratch).until_it_ends(json.dumps(job).encode())
    finally:
        os.close(read_end)
        _sweep(environment["FINQA_LAB_SUBMISSION"])
        shutil.rmtree(scratch, ignore_errors=True)


class _Watch:
    """Follows one worker: reads its two pipes, holds the limits, ends its whole group."""

    def __init__(self, process, channel: int, key: str, limits: Limits, scratch: Path):
        self.process, self.channel, self.key, self.limits, self.scratch = process, channel, key, limits, scratch
        self.result, self.printed, self.ending = Run(), 0, ""
        self.kept: list[bytes] = []

    def until_it_ends(self, job: bytes) -> Run:
        readers = [threading.Thread(target=work, daemon=True) for work in (self._read_output, self._read_channel)]
        for reader in readers:
            reader.start()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(job)
            self.process.stdin.close()
        deadline, next_look = time.monotonic() + self.limits.seconds, 0.0
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                self.ending = self.ending or "timed out"
            if not self.ending and time.monotonic() > next_look:
                self.ending = self._over_a_limit()
                next_look = time.monotonic() + 0.2
            if self.ending:
                self._end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
        self._end()  # what it left in its group
        for reader in readers:
            reader.join(5)  # a process that escaped may hold a pipe open: its text is not waited for
        status = self.process.returncode
        self.result.status = 128 - status if status > 128 else status
        self.result.output = b"".join(self.kept).decode("utf-8", "replace")[:_SHOWN]
        self.result.ending = self.ending or self._own_ending()
        return self.result

    def _own_ending(self) -> str:
        seen = [event["event"] for event in self.result.events]
        if seen and seen[-1] == "end":
            return ""
        if "ready" not in seen:
            return "grader failed"
        return "CPU time" if self.result.status == -signal.SIGXCPU else "ended early"

    def _over_a_limit(self) -> str:
        members = []
        with contextlib.suppress(psutil.Error):
            members = psutil.Process(self.process.pid).children(recursive=True)
        allowance = 2 if closed_room() else 0  # unshare and the enclosure's first process
        if len(members) + 1 - allowance > self.limits.processes:
            return "too many processes"
        memory = 0
        for member in [*members, psutil.Process(self.process.pid)] if psutil.pid_exists(self.process.pid) else []:
            with contextlib.suppress(psutil.Error):
                memory += member.memory_info().rss
        if memory > self.limits.memory_mb * 2**20:
            return "memory"
        if not closed_room() and _folder_bytes(self.scratch) > self.limits.scratch_mb * 2**20:
            return "scratch full"
        return ""

    def _end(self) -> None:
        with contextlib.suppress(psutil.Error):
            for member in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    member.kill()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _read_output(self) -> None:
        limit = self.limits.output_mb * 2**20
        while chunk := self.process.stdout.read1(65536):
            if self.printed < 4 * _SHOWN:
                self.kept.append(chunk)
            self.printed += len(chunk)
            if self.printed > limit:
                self.ending = self.ending or "output too large"

    def _read_channel(self) -> None:
        pending, total = b"", 0
        with contextlib.suppress(OSError):
            while chunk := os.read(self.channel, 65536):
                total += len(chunk)
                *lines, pending = (pending + chunk).split(b"\n")
                if total > _CHANNEL_LIMIT or not all(self._take(line) for line in lines):
                    self.ending = self.ending or "tampered"
                    return

    def _take(self, line: bytes) -> bool:
        try:
            signed, _, body = line.decode("ascii").partition(" ")
            genuine = hmac.compare_digest(signed, signature(self.key.encode(), body))
            event = json.loads(body) if genuine else {}
        except ValueError:
            return False
        if event.get("number") != len(self.result.events):
            return False
        self.result.events.append(event)
        return True


def _enclosed(plan: Path) -> list[str]:
    return ["unshare", *_ROOM, sys.executable, "-I", "-S", enclosure.__file__, str(plan)]


def _plan(scratch: Path, hidden: list[Path], limits: Limits) -> Path:
    """The enclosure's plan, in the scratch folder: it is covered when the room closes."""
    needed = [Path(sys.executable), Path(sys.prefix), Path(sys.base_prefix), data_root(), REPOSITORY, scratch]
    needed = [path.resolve() for path in needed]
    # A folder that holds the library or Python itself cannot be covered; one that does not exist need not be.
    covered = [folder.resolve() for folder in hidden]
    inside = [str(folder) for folder in covered if not any(path.is_relative_to(folder) for path in needed)]
    path = scratch / "plan.json"
    path.write_text(json.dumps({"hidden": inside, "scratch": str(scratch.resolve()), "scratch_mb": limits.scratch_mb}))
    return path


def _environment(scratch: Path) -> dict[str, str]:
    """What the worker inherits: nothing of the grader's environment but paths and language, so no keys and tokens."""
    kept = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "FINQA_LAB_DATA", "PYTHONPATH")
    made = {name: os.environ[name] for name in kept if name in os.environ}
    fixed = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TOKENIZERS_PARALLELISM",
             "HF_HUB_OFFLINE", "PYTHONHASHSEED", "PYDEVD_DISABLE_FILE_VALIDATION")  # fmt: skip
    made |= {name: worker_environment()[name] for name in fixed}
    folder = str(scratch)
    return made | {
        "MPLBACKEND": "agg", "HOME": folder, "TMPDIR": folder, "IPYTHONDIR": folder, "MPLCONFIGDIR": folder,
        "FINQA_LAB_SUBMISSION": secrets.token_hex(16), "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(REPOSITORY), made.get("PYTHONPATH", "")])),
    }  # fmt: skip


def _threads_of_user() -> int:
    """Threads that this user runs already: outside a namespace the limit of processes counts them too."""
    total = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, AttributeError):
            if process.uids().real == os.getuid():
                total += process.num_threads()
    return total


def _sweep(mark: str) -> None:
    """End processes that left the group but still carry the submission's mark in their environment."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get("FINQA_LAB_SUBMISSION") == mark:
                process.kill()


def _folder_bytes(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_size
    return total
