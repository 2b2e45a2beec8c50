"""Execute one rebuilt submission: ``python -m finqa_lab.course.grading.worker``, the job as JSON on standard input.

Cells run one after the other in an IPython shell without a Jupyter server, so that neither sockets nor a second
process are needed. An ordinary cell that raises does not stop the rest. A graded cell is judged by whether it raises;
its result goes to the grader over a pipe of its own, signed with a key that is new for every submission.
"""

import builtins
import hashlib
import hmac
import json
import os
import sys
import traceback

from finqa_lab.course.grading.trusted import TrustedState, run_import

_LONGEST_MESSAGE = 4000  # characters


class Channel:
    """Signed JSON lines to the grader. Only the process that made it can send: a forked copy stays silent."""

    def __init__(self, handle: int, key: str):
        self._handle, self._key, self._owner, self._count = handle, key.encode(), os.getpid(), 0

    def send(self, **event) -> None:
        """Send one event."""
        if os.getpid() != self._owner:
            os._exit(0)
        body = json.dumps({**event, "number": self._count})
        self._count += 1
        line = signature(self._key, body) + " " + body + "\n"
        os.write(self._handle, line.encode("ascii"))  # json escapes everything else


def signature(key: bytes, body: str) -> str:
    """HMAC-SHA256 of an event, in hex."""
    return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()


def main() -> int:
    """Run the job; 0 when the last cell was reached."""
    job = json.loads(sys.stdin.buffer.read())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.set_inheritable(job["channel"], False)
    channel = Channel(job["channel"], job["key"])
    if job["block_sockets"]:
        _block_sockets()
    shell = _shell()
    space: dict = {}
    for statement in job["imports"]:  # before the state is noted, so that it covers what the lab uses
        run_import(statement, space)
    state = TrustedState()
    state.names(job["imports"], [])
    _limit(job["limits"])
    channel.send(event="ready")
    for index, cell in enumerate(job["cells"]):
        channel.send(event="cell", index=index)
        if cell["grade_id"]:
            passed, message = _judge(cell, shell, state, job)
            channel.send(event="graded", index=index, passed=passed, message=message[:_LONGEST_MESSAGE])
        else:
            error = _run(cell["source"], shell)
            channel.send(event="ran", index=index, error=error[:300])
    channel.send(event="end")
    sys.stdout.flush()
    os._exit(0)  # no exit handler of the submission runs, no thread of it is waited for


def _shell():
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "NoColor"
    config.InteractiveShell.xmode = "Plain"
    return InteractiveShell.instance(config=config)


def _run(source: str, shell) -> str:
    """Run an ordinary cell; returns its error as one line, or ""."""
    try:
        result = shell.run_cell(source, store_history=False)
        error = result.error_before_exec or result.error_in_exec
    except BaseException as raised:  # an exception class that breaks IPython's own report
        error = raised
    return f"{type(error).__name__}: {_text(error)}".splitlines()[0] if error is not None else ""


def _judge(cell: dict, shell, state: TrustedState, job: dict) -> tuple[bool, str]:
    """Run a graded cell over the restored state; (passed, message for the student)."""
    before = dict(shell.user_ns)
    state.restore()
    space = {name: value for name, value in before.items() if name not in vars(builtins) or name in job["own_names"]}
    space |= state.names(job["imports"], job["trusted_names"])
    space["__builtins__"] = builtins
    start = dict(space)
    filename = f"<graded cell {cell['grade_id']}>"
    try:
        exec(compile(cell["source"], filename, "exec", dont_inherit=True), space)  # noqa: S102
        passed, message = True, ""
    except BaseException as error:
        passed, message = False, _explain(error, filename, cell["hidden_from"])
    # What the cell defined is there for the cells that follow, as in a notebook.
    shell.user_ns.update({name: value for name, value in space.items() if start.get(name) is not value})
    return passed, message


def _explain(error: BaseException, filename: str, hidden_from: int) -> str:
    if hasattr(type(error), "verdict") or hasattr(error, "verdict"):  # the check's own words, with a hint
        return _text(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
    line = frames[0].lineno if frames else 0
    text = f"{type(error).__name__}: {_text(error)}".removesuffix(": ")
    if hidden_from and line >= hidden_from:
        # The text of a hidden test stays hidden; an AssertionError's message may quote it.
        return f"A hidden test did not hold ({type(error).__name__})."
    return f"{text}\n  in line {line} of the test: {frames[0].line}" if frames and frames[0].line else text


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:
        return "(its text cannot be shown)"


def _limit(limits: dict) -> None:
    """Bound this process and all that it starts; what the system does not know is left to the supervisor."""
    import resource

    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    mb = 2**20
    for name, value in (
        ("RLIMIT_CPU", int(used + limits["cpu_seconds"]) + 1),
        ("RLIMIT_AS", int(2 * limits["memory_mb"] * mb)),
        ("RLIMIT_FSIZE", int(limits["file_mb"] * mb)),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_NPROC", limits["process_ceiling"]),
    ):
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # The kernel sends SIGXCPU at the soft limit, which can be caught, and SIGKILL at the hard one.
        above = value + 2 if name == "RLIMIT_CPU" and hard == resource.RLIM_INFINITY else value
        try:
            resource.setrlimit(kind, (value, above))
        except (ValueError, OSError):
            continue


def _block_sockets() -> None:
    """Refuse connections to other machines, where the kernel's namespaces are not at hand. Easily undone by intent."""
    import socket

    original = socket.socket.connect

    def connect(self, address):
        local = isinstance(address, str | bytes) or str(address[0]) in ("127.0.0.1", "::1", "localhost")
        if not local:
            raise OSError("a submission has no network while it is graded")
        return original(self, address)

    socket.socket.connect = socket.socket.connect_ex = connect


if __name__ == "__main__":
    sys.exit(main())
