"""Where the reports of benchmarks lie, and what stands in the book where there is none."""

from pathlib import Path

from finqa_lab.course import labs
from finqa_lab.errors import CourseError
from finqa_lab.files import read_json

HEAD = ("date", "hardware")
"""What every report begins with."""


def report_path(name: str) -> Path:
    """Where a benchmark's committed report lies."""
    return labs.root() / "benchmarks" / "results" / f"{name}.json"


def load(name: str) -> dict:
    """A committed report, or an empty one where there is none.

    Raises:
        CourseError: when the file is no JSON or lacks a field of its head.
    """
    path = report_path(name)
    if not path.is_file():
        return {}
    report = read_json(path, "the benchmark's report")
    missing = [field for field in HEAD if field not in report]
    if missing:
        raise CourseError(f"{path} lacks {', '.join(missing)}; run the benchmark that writes it again")
    return report


def not_measured(command: str) -> str:
    """What stands in place of a table."""
    return f"Not measured in this checkout; `{command}` measures it.\n"
