"""Progress of a run: one bar a lab on a terminal, one line a lab in a log file."""

import threading

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class LabProgress:
    """Context manager around :func:`finqa_lab.course.runner.run`; pass :meth:`on_event` to it."""

    def __init__(self, jobs):
        self._console = Console()
        self._live = self._console.is_terminal
        self._lock = threading.Lock()
        self._progress = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("cells"),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._live,
        )
        self._tasks = {job.lab: self._progress.add_task(job.lab, start=False, total=None) for job in jobs}

    def __enter__(self):
        self._progress.start()
        return self

    def __exit__(self, *exc):
        self._progress.stop()

    def on_event(self, lab: str, event: dict) -> None:
        """Show one event of the runner; called from its threads."""
        with self._lock:
            kind, task = event["event"], self._tasks[lab]
            if kind == "start":
                self._progress.start_task(task)
            elif kind == "cell":
                self._progress.update(task, completed=event["index"], total=event["total"])
            elif kind == "end":
                total = self._progress.tasks[task].total or 1
                self._progress.update(task, completed=total, total=total, description=f"{lab} {event['status']}")
                self._progress.stop_task(task)
            if not self._live and kind in ("start", "end"):
                print(f"{lab}: {event.get('status', 'started')}", flush=True)
