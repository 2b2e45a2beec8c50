"""Grades for other programs: a table for a learning platform, a table by exercise, Gradescope's ``results.json``.

Gradescope's format: https://gradescope-autograders.readthedocs.io/en/latest/specs/ ("Output format").
"""

import csv
import io
import json
from pathlib import Path

from finqa_lab.course.grading.model import GRADED, Grade, number
from finqa_lab.files import write_atomic


def grades_csv(grades: list[Grade]) -> str:
    """One row a student: for each lab its points, its possible points and its verdict, then the sum."""
    labs = list(dict.fromkeys(grade.lab for grade in grades))
    rows = {}
    for grade in grades:
        rows.setdefault(grade.student, {})[grade.lab] = grade
    header = ["student", *[f"{lab}{end}" for lab in labs for end in ("", " possible", " verdict")], "total", "possible"]
    lines = []
    for student, of_lab in rows.items():
        line = [student]
        for lab in labs:
            grade = of_lab.get(lab)
            line += [number(grade.points), number(grade.max_points), grade.verdict] if grade else ["", "", ""]
        total, possible = (sum(getattr(g, name) for g in of_lab.values()) for name in ("points", "max_points"))
        lines.append([*line, number(total), number(possible)])
    return _csv(header, lines)


def exercises_csv(grades: list[Grade]) -> str:
    """One row for each student, lab and exercise."""
    header = ["student", "lab", "exercise", "points", "possible", "status", "verdict"]
    lines = [
        [grade.student, grade.lab, item.grade_id, number(item.points), number(item.max_points), item.status,
         grade.verdict]
        for grade in grades for item in grade.exercises
    ]  # fmt: skip
    return _csv(header, lines)


def gradescope(grade: Grade) -> str:
    """``results.json`` of one submission: one test per exercise, the verdict and the notes as its output."""
    tests = [
        {
            "name": item.grade_id, "score": item.points, "max_score": item.max_points,
            "status": "passed" if item.status == "right" else "failed",
            "output": item.message or item.status, "output_format": "text", "visibility": "visible",
        }
        for item in grade.exercises
    ]  # fmt: skip
    text = "\n".join([f"{grade.verdict}: {grade.sentence}", *grade.notes])
    payload = {"score": grade.points, "output": text, "output_format": "text", "visibility": "visible",
               "stdout_visibility": "hidden", "tests": tests}  # fmt: skip
    return json.dumps(payload, indent=1) + "\n"


def write(grades: list[Grade], out: Path) -> None:
    """Write ``grades.csv``, ``exercises.csv`` and each submission's ``results.json`` below ``out``."""
    for grade in grades:
        write_atomic(out / grade.student / grade.lab / "results.json", gradescope(grade))
    write_atomic(out / "exercises.csv", exercises_csv(grades))
    write_atomic(out / "grades.csv", grades_csv(grades))


def all_graded(grades: list[Grade]) -> bool:
    """True when every submission ran to its end."""
    return all(grade.verdict == GRADED for grade in grades)


def _csv(header: list[str], rows: list[list[str]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_inert(value) for value in row] for row in rows)
    return stream.getvalue()


def _inert(value: str) -> str:
    """A text that a spreadsheet does not take for a formula.

    >>> _inert("=HYPERLINK(1)"), _inert("amy")
    ("'=HYPERLINK(1)", 'amy')
    """
    return "'" + value if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
