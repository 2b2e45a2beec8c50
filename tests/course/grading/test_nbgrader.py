"""nbgrader itself on the same released sources: its grades are those of ``finqa-lab grade``."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from finqa_lab.cli import main
from finqa_lab.course.normalise import to_text
from tests.course.grading import small_lab

_CONFIG = """c = get_config()
c.CourseDirectory.course_id = "toy"
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\\nraise NotImplementedError"}
c.IncludeHeaderFooter.header = ""
c.ExportApp.plugin_class = "nbgrader.plugins.CsvExportPlugin"
"""


@pytest.mark.slow
def test_nbgrader_gives_the_same_points_and_writes_its_feedback(toy_course, tmp_path):
    toy_course(l01_toy=small_lab.solution())
    course = tmp_path / "nbgrader"
    source = course / "source" / "01_toy" / "01_toy.ipynb"
    source.parent.mkdir(parents=True)
    source.write_text(to_text(small_lab.solution()))
    (course / "nbgrader_config.py").write_text(_CONFIG)

    def nbgrader(*command: str) -> None:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # it calls alembic
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *command], cwd=course, capture_output=True, text=True,
            env={**os.environ, "PATH": path},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    nbgrader("generate_assignment", "01_toy", "--create")
    answers = {
        "amy": {},
        "bob": {"double": "def double(x):\n    return 4", "half": "def half(x):\n    return 0"},
    }
    for student, given in answers.items():
        small_lab.hand_in(course / "submitted", student, small_lab.submission(**given), "01_toy/01_toy.ipynb")
    nbgrader("autograde", "01_toy", "--create")
    nbgrader("generate_feedback", "01_toy")
    nbgrader("export", "--to", str(course / "theirs.csv"))
    with open(course / "theirs.csv", newline="") as stream:
        theirs = {row["student_id"]: (float(row["score"]), float(row["max_score"])) for row in csv.DictReader(stream)}

    assert main(["grade", str(course / "submitted"), "--out", str(tmp_path / "grades")]) == 0
    with open(tmp_path / "grades" / "grades.csv", newline="") as stream:
        ours = {row["student"]: (float(row["total"]), float(row["possible"])) for row in csv.DictReader(stream)}
    assert ours == theirs == {"amy": (6.0, 6.0), "bob": (3.0, 6.0)}
    for student in answers:
        assert "01_toy" in (course / "feedback" / student / "01_toy" / "01_toy.html").read_text()
