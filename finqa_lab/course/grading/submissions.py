"""Find the notebooks in a folder of submissions.

Two layouts are read: ``STUDENT/NN_name.ipynb``, and nbgrader's ``STUDENT/NN_name/NN_name.ipynb``. A notebook under
another name (``NN_name (2).ipynb``, ``final.ipynb``) is recognised by the grade ids in it.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from finqa_lab.course.grading.source import Source
from finqa_lab.errors import CourseError

LARGEST_MB = 50  # a notebook with its figures is a few MiB; a larger file is not read


@dataclass
class Submission:
    """One student's file for one lab; ``path`` is None when there is none."""

    student: str
    lab: str
    path: Path | None
    notes: list[str] = field(default_factory=list)


def find(folder: Path, sources: list[Source]) -> list[Submission]:
    """One submission for each student and each source, in the order of students, then labs.

    Raises:
        CourseError: when ``folder`` is no folder, or holds no student's folder.
    """
    if not folder.is_dir():
        raise CourseError(f"the folder of submissions {folder} does not exist; give the folder with one per student")
    students = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not students:
        raise CourseError(f"{folder} holds no folder; it must hold one folder per student, with the notebooks in it")
    return [found for student in students for found in of_student(student, sources)]


def of_student(folder: Path, sources: list[Source], student: str = "") -> list[Submission]:
    """The submissions in one student's folder, one for each source."""
    student = student or folder.name
    files = sorted(
        path for pattern in ("*.ipynb", "*/*.ipynb") for path in folder.glob(pattern)
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )  # fmt: skip
    named = {source.lab: [path for path in files if path.stem == source.lab] for source in sources}
    taken = {path for paths in named.values() for path in paths}
    ids = {path: grade_ids(path) for path in files if path not in taken}
    submissions = []
    for source in sources:
        found = Submission(student, source.lab, None)
        candidates = named[source.lab]
        if not candidates:
            wanted = {exercise.grade_id for exercise in source.exercises}
            # More than half of the lab's exercises: a notebook of another lab shares a few ids at most.
            candidates = [path for path, present in ids.items() if 2 * len(wanted & present) > len(wanted)]
            if candidates:
                found.notes.append(
                    f"The file is called {candidates[0].name!r}, not '{source.lab}.ipynb'; it was recognised by the "
                    "exercises in it."
                )
        if candidates:
            found.path = candidates[0]
            if len(candidates) > 1:
                others = ", ".join(repr(str(path.relative_to(folder))) for path in candidates[1:])
                found.notes.append(f"Several files fit this lab; {others} was not graded.")
        submissions.append(found)
    return submissions


def grade_ids(path: Path) -> set[str]:
    """The nbgrader ids in a file, whatever else is wrong with it; an empty set for a file that is no notebook."""
    try:
        cells = json.loads(read_bytes(path))["cells"]
        flags = [cell.get("metadata", {}).get("nbgrader", {}) for cell in cells]
        return {flag["grade_id"] for flag in flags if isinstance(flag.get("grade_id"), str)}
    except (CourseError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return set()


def read_bytes(path: Path) -> bytes:
    """The bytes of a submitted file.

    Raises:
        CourseError: for a link, something that is no plain file, or a file of more than 50 MiB.
    """
    if path.is_symlink() or path.parent.is_symlink():
        raise CourseError("the file is a link to another place, which is not followed; hand in the notebook itself")
    if not path.is_file():
        raise CourseError("it is no plain file; hand in the notebook itself")
    size = path.stat().st_size
    if size > LARGEST_MB * 2**20:
        raise CourseError(f"the file has {size / 2**20:.0f} MiB, more than {LARGEST_MB}; clear its outputs")
    try:
        return path.read_bytes()
    except OSError as error:
        raise CourseError(f"the file cannot be read: {error.strerror or error}") from error
