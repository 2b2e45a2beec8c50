"""Supervise one worker process: follow its events, hold its wall-clock limit, end its whole process tree."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from finqa_lab.course.execute import EVENT


@dataclass
class Ending:
    """How a worker ended.

    Attributes:
        reason: "" when every cell ran, else "error", "kernel died", "timeout", "interrupted", ...
        cell, cell_source: id and source of the cell that was executing.
        detail: the traceback or a sentence.
        cpu_seconds: of the worker's children (the kernel and what it started), sampled five times a second.
    """

    reason: str = ""
    cell: str = ""
    cell_source: str = ""
    detail: str = ""
    cpu_seconds: float = 0.0


def supervise(job_file: Path, timeout: float, stop: threading.Event, on_cell: Callable[[dict], None]) -> Ending:
    """Run ``finqa_lab.course.execute`` on ``job_file`` until it ends, ``timeout`` seconds pass, or ``stop`` is set.

    Args:
        on_cell: called with ``{"event": "cell", "index": ..., "total": ..., "id": ...}`` as each cell starts.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "finqa_lab.course.execute", str(job_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=worker_environment(),
    )
    ending, finished, late = Ending(), threading.Event(), threading.Event()

    def watch():
        deadline = time.perf_counter() + timeout
        while not finished.wait(0.2):
            ending.cpu_seconds = max(ending.cpu_seconds, _cpu_seconds(process.pid))
            if stop.is_set() or time.perf_counter() > deadline:
                late.set()
                end_tree(process.pid)
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    noise, failure, done = _follow(process, ending, on_cell)
    process.wait()
    finished.set()
    watcher.join()
    if done and process.returncode == 0:
        ending.cell = ending.cell_source = ""
    elif late.is_set():
        ending.reason = "interrupted" if stop.is_set() else "timeout"
        ending.detail = (
            f"stopped after {timeout:g} s of wall-clock time" if not stop.is_set() else "stopped by the user"
        )
    else:
        ending.reason = failure.get("kind", "worker died")
        ending.detail = failure.get("detail") or "".join(noise[-30:]).strip() or f"exit status {process.returncode}"
    return ending


def _follow(process: subprocess.Popen, ending: Ending, on_cell) -> tuple[list[str], dict, bool]:
    noise, failure, done = [], {}, False
    for line in process.stdout:
        if not line.startswith(EVENT):
            noise.append(line)
            continue
        event = json.loads(line[len(EVENT) :])
        if event["event"] == "cell":
            ending.cell, ending.cell_source = event["id"], event["source"]
            on_cell(event)
        elif event["event"] == "failed":
            failure = event
        elif event["event"] == "done":
            done = True
    return noise, failure, done


def worker_environment() -> dict[str, str]:
    """Environment of a worker: one computing thread, offline, a fixed hash seed, no display.

    Several labs run side by side, so each keeps to one thread; results then do not depend on the number of cores.
    """
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {
        **os.environ,
        **threads,
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "PYTHONHASHSEED": "0",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def _cpu_seconds(pid: int) -> float:
    total = 0.0
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
    return total


def end_tree(pid: int) -> None:
    """Kill a process and everything it started; a kernel must not outlive its lab."""
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(pid)
        for process in [*parent.children(recursive=True), parent]:
            with contextlib.suppress(psutil.Error):
                process.kill()
