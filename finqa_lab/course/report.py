"""The report of a run: ``report.json`` for programs, ``report.md`` for people, a table for the terminal."""

import json
import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from finqa_lab.course import golden
from finqa_lab.course.metrics import format_value
from finqa_lab.course.runner import Result, environment_key
from finqa_lab.errors import CourseError
from finqa_lab.files import write_atomic
from finqa_lab.markdown import table as pipe_table


def hardware() -> str:
    """One line naming the machine: processor, cores, system, Python. No host name and no user."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [x.partition(":")[2].strip() for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        name = models[0] if models else name
    return f"{name}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def write(results: list[Result], out: Path) -> None:
    """Write ``report.json`` and ``report.md`` into ``out``, each whole or not at all.

    Raises:
        CourseError: when the folder cannot be written (a full disk, say); no half-written file is left.
    """
    payload = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(),
        "environment": environment_key(),
        "passed": all(result.status == "passed" for result in results),
        "labs": [asdict(result) for result in results],
    }
    write_atomic(out / "report.json", json.dumps(payload, indent=1) + "\n")
    write_atomic(out / "report.md", markdown(payload))


def markdown(payload: dict) -> str:
    """The readable report: verdict, durations, metrics with their bounds, and each failure's cell and traceback."""
    verdict = "All labs passed" if payload["passed"] else "NOT all labs passed"
    lines = [
        "# Lab report",
        "",
        f"{verdict}; {payload['date']}; {payload['hardware']}.",
        "",
    ]
    rows = [
        (lab["lab"], lab["profile"], lab["status"] + (" (reused)" if lab["resumed"] else ""), f"{lab['seconds']:.1f}",
         f"{lab['cpu_seconds']:.1f}", f"{lab['loops']:.0f}", f"{len(lab['metrics'])}")
        for lab in payload["labs"]
    ]  # fmt: skip
    lines += pipe_table(("lab", "profile", "status", "wall s:", "CPU s:", "loops:", "metrics:"), rows).splitlines()
    for lab in payload["labs"]:
        if lab["metrics"]:
            lines += ["", f"## {lab['lab']}", ""]
            lines += pipe_table(("metric", "value:", "unit", "bound"), metric_rows(lab)).splitlines()
        if lab["status"] == "failed":
            lines += ["", f"### {lab['lab']} failed: {lab['reason']}, cell `{lab['cell'] or '-'}`", ""]
            lines += ["```python", lab["cell_source"], "```", "", "```text", lab["detail"], "```"]
    return "\n".join(lines) + "\n"


def metric_rows(lab: dict) -> list[tuple[str, str, str, str]]:
    """Rows (name, value, unit, bound) of one lab's metrics; the bound is blank where the golden file does not apply."""
    try:
        entries = golden.load(lab["lab"]) if lab["profile"] == "smoke" else {}
    except CourseError:  # reported by the run itself
        entries = {}
    return [
        (name, format_value(found["value"]), found["unit"], golden.describe(entries[name]) if name in entries else "")
        for name, found in lab["metrics"].items()
    ]
