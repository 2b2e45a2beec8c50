"""Run labs: one process and one fresh kernel each, in parallel, bounded in time, resumable.

A lab that fails (an error in a cell, a dead kernel, a timeout, a metric out of its bounds) is reported with the cell
and its traceback, and the others still run.
"""

import contextlib
import hashlib
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from finqa_lab.course import golden, labs, metrics, parameters, timing
from finqa_lab.course.supervise import supervise
from finqa_lab.errors import CourseError
from finqa_lab.files import data_root, read_json, sha256_bytes, write_atomic


@dataclass
class Result:
    """What became of one lab.

    Attributes:
        status: ``"passed"``, ``"failed"`` or ``"not run"``.
        seconds: wall-clock time of the lab, kernel start included.
        cpu_seconds: CPU time of the kernel and what it started, all threads.
        loops: the same in runs of the calibrated loop (:mod:`finqa_lab.course.timing`).
        reason: for a failure, what kind: "error", "kernel died", "timeout", "metrics", ...
        cell: id of the cell that was executing when it failed.
        detail: the traceback, or the sentence that explains the failure.
        resumed: True when an earlier run with the same inputs was reused.
    """

    lab: str
    profile: str
    parameters: dict
    status: str = "not run"
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    loops: float = 0.0
    reason: str = ""
    cell: str = ""
    cell_source: str = ""
    detail: str = ""
    metrics: dict = field(default_factory=dict)
    key: str = ""
    resumed: bool = False
    notebook: str = ""


@dataclass(frozen=True)
class Job:
    """One lab to run: its complete parameters and the folder for its results."""

    lab: str
    profile: str
    parameters: dict
    out: Path
    timeout: float
    default: bool  # no parameter was overridden, so the golden bounds apply

    @property
    def target(self) -> Path:
        """The executed notebook."""
        return self.out / f"{self.lab}.ipynb"

    @property
    def state(self) -> Path:
        """The stored result, for ``--resume``."""
        return self.out / f"{self.lab}.result.json"


def plan(lab_list, profile="smoke", assignments=(), out=None, timeout=1800.0) -> list[Job]:
    """Jobs for the given labs (all when the list is empty), with every parameter checked before anything runs.

    Args:
        lab_list: names as a user writes them.
        profile: ``smoke``, ``cpu`` or ``gpu``.
        assignments: ``"name=value"`` strings that override the profile.
        out: folder for results; default ``_build/run/<profile>``.
        timeout: wall-clock seconds for a whole lab.

    Raises:
        CourseError: for an unknown lab, profile or parameter, or a refused value.
    """
    out = Path(out) if out else labs.root() / "_build" / "run" / profile
    jobs = []
    for name in dict.fromkeys(labs.resolve(n) for n in lab_list) if lab_list else labs.lab_names():
        declared = parameters.declared(name)
        values = parameters.profile(profile, name, declared)
        values |= dict(parameters.parse_assignment(name, text, declared) for text in assignments)
        complete = {k: values.get(k, p.default) for k, p in declared.items()}
        jobs.append(Job(name, profile, complete, out, timeout, default=not assignments))
    return jobs


def fingerprint(job: Job) -> str:
    """SHA-256 over everything a result depends on: notebook, library, shipped data, lock, parameters, Python."""
    digest = hashlib.sha256()
    root = labs.root()
    library = Path(__file__).resolve().parent.parent
    inputs = [labs.solution_path(job.lab), root / "requirements.txt", data_root() / "manifest.json"]
    inputs += sorted(library.rglob("*.py"))
    for path in inputs:
        digest.update(path.name.encode())
        digest.update(path.read_bytes() if path.exists() else b"missing")
    digest.update(json.dumps([job.parameters, job.profile, sys.version], sort_keys=True).encode())
    return digest.hexdigest()


def run(
    jobs: list[Job],
    workers: int = 2,
    resume: bool = False,
    keep_going: bool = True,
    on_event: Callable[[str, dict], None] = lambda lab, event: None,
    hold_bounds: bool = True,
) -> list[Result]:
    """Run the jobs, ``workers`` at a time, and return their results in the order of the jobs.

    Args:
        workers: labs at the same time; each kernel computes on one thread.
        resume: reuse a passed result whose inputs have not changed.
        keep_going: run the remaining labs after a failure; False starts no further one.
        on_event: called with the lab and ``{"event": "start" | "cell" | "end", ...}``, from worker threads.
        hold_bounds: compare the metrics of a plain ``smoke`` run with the golden file.
    """
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    results = [Result(job.lab, job.profile, job.parameters) for job in jobs]
    for index, job in enumerate(jobs):
        waiting.put((index, job))
    stop = threading.Event()

    def work():
        while not stop.is_set():
            try:
                index, job = waiting.get_nowait()
            except queue.Empty:
                return
            on_event(job.lab, {"event": "start"})
            result = (resume and _stored(job)) or _run_one(job, on_event, stop)
            if result.status == "passed" and hold_bounds and job.default and job.profile == "smoke":
                _hold_bounds(job, result)
            results[index] = result
            on_event(job.lab, {"event": "end", "status": results[index].status})
            if results[index].status != "passed" and not keep_going:
                stop.set()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(max(1, min(workers, len(jobs))))]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        stop.set()  # the watchers end their process trees
        for thread in threads:
            thread.join(10)
        raise
    return results


def _stored(job: Job) -> Result | None:
    if not (job.state.exists() and job.target.exists()):
        return None
    try:
        old = Result(**read_json(job.state, "the stored result"))
    except (CourseError, TypeError):  # a damaged or older file: run the lab again
        return None
    if old.status != "passed" or old.key != fingerprint(job):
        return None
    old.resumed = True
    return old


def _run_one(job: Job, on_event, stop: threading.Event) -> Result:
    result = Result(job.lab, job.profile, job.parameters, key=fingerprint(job), notebook=str(job.target))
    started = time.perf_counter()
    # Named after the process: two runs into one folder must not take each other's file.
    partial = job.out / f".{job.lab}.{os.getpid()}.partial.ipynb"
    job_path = job.out / f".{job.lab}.{os.getpid()}.job.json"
    try:
        for stale in (job.target, job.state):
            stale.unlink(missing_ok=True)  # a failed run must not leave an older success in its place
        spec = {
            "source": str(labs.solution_path(job.lab)),
            "target": str(partial),
            "parameters": job.parameters,
            "cell_timeout": int(job.timeout) + 30,  # the runner's own limit comes first
            "cwd": str(labs.root()),
        }
        job_file = write_atomic(job_path, json.dumps(spec))
        before = timing.loop_seconds()
        ending = supervise(job_file, job.timeout, stop, lambda event: on_event(job.lab, event))
        result.status = "failed" if ending.reason else "passed"
        for name in ("reason", "cell", "cell_source", "detail", "cpu_seconds"):
            setattr(result, name, getattr(ending, name))
        result.loops = round(2 * result.cpu_seconds / (before + timing.loop_seconds()), 1)
        if partial.exists():
            notebook = labs.read_notebook(partial)
            result.metrics = metrics.collect(notebook)
            os.replace(partial, job.target)  # the executed notebook also of a failed lab: it shows where
    except (CourseError, OSError) as error:
        result.status, result.reason, result.detail = "failed", "cannot write", str(error)
    finally:
        for leftover in (partial, job_path):
            leftover.unlink(missing_ok=True)
        result.seconds = time.perf_counter() - started
    with contextlib.suppress(CourseError):  # the report says so too; the lab itself ran
        write_atomic(job.state, json.dumps(asdict(result), indent=1) + "\n")
    return result


def _hold_bounds(job: Job, result: Result) -> None:
    try:
        broken = golden.compare(job.lab, result.metrics)
        slower = timing.exceeded(job.lab, result.loops)
    except CourseError as error:
        broken, slower = [str(error)], ""
    if broken or slower:
        result.status, result.reason = "failed", "metrics" if broken else "time"
        result.detail = "; ".join([*broken, *([slower] if slower else [])])


def environment_key() -> str:
    """Short hash of the installed environment, shown in reports: Python version and the lock file's bytes."""
    lock = labs.root() / "requirements.txt"
    return sha256_bytes(sys.version.encode() + (lock.read_bytes() if lock.exists() else b""))[:12]
