"""Grade many submissions: side by side, each apart from the others, resumable.

Whatever happens to one submission, the others are graded: an error of the grader itself becomes the verdict
"grader failed" of that one.
"""

import builtins
import functools
import hashlib
import json
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from finqa_lab.course import labs
from finqa_lab.course.grading import rebuild, sandbox, verdicts
from finqa_lab.course.grading.model import Grade, Limits
from finqa_lab.course.grading.source import Source
from finqa_lab.course.grading.submissions import Submission
from finqa_lab.errors import CourseError
from finqa_lab.files import data_root, read_json, write_atomic

_BUILTINS = frozenset(vars(builtins))


def grade_all(
    submissions: list[Submission],
    sources: list[Source],
    out: Path,
    limits: Limits,
    jobs: int = 2,
    resume: bool = False,
    hidden: list[Path] | None = None,
    on_grade: Callable[[Grade], None] = lambda grade: None,
) -> list[Grade]:
    """Grades in the order of ``submissions``, each stored as ``out/STUDENT/LAB/grade.json``.

    Args:
        jobs: submissions at the same time.
        resume: take a stored grade whose notebook, source, library and limits have not changed.
        hidden: folders to hide from submissions beside ``out``, ``solutions/`` and the version control's folder.
        on_grade: called as each is done, from worker threads.
    """
    by_lab = {source.lab: source for source in sources}
    out_of_sight = [*(hidden or []), out, labs.root() / "solutions", labs.root() / ".git", labs.root() / "tests"]
    lock = threading.Lock()

    def one(submission: Submission) -> Grade:
        source = by_lab[submission.lab]
        state = out / submission.student / submission.lab / "grade.json"
        key = fingerprint(submission, source, limits)
        grade = _stored(state, key) if resume else None
        if grade is None:
            try:
                grade = _grade(submission, source, limits, out_of_sight, scratch_root)
            except Exception as error:  # never stop the batch
                sentence = f"The grader failed on it ({type(error).__name__}: {error}); its points are not a judgement."
                grade = verdicts.without_run(submission.student, source, "grader failed", sentence, [])
            grade.fingerprint = key
            write_atomic(state, json.dumps(grade.as_dict(), indent=1) + "\n")
        with lock:
            on_grade(grade)
        return grade

    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fl-grade-", ignore_cleanup_errors=True) as folder:
        scratch_root = Path(folder)
        with ThreadPoolExecutor(max(1, jobs)) as pool:
            return list(pool.map(one, submissions))


def _grade(submission: Submission, source: Source, limits: Limits, hidden: list[Path], scratch_root: Path) -> Grade:
    def not_run(verdict: str, sentence: str) -> Grade:
        return verdicts.without_run(submission.student, source, verdict, sentence, list(submission.notes))

    if submission.path is None:
        return not_run("missing", f"There is no notebook '{source.lab}.ipynb' in the folder: 0 points.")
    try:
        notebook = rebuild.read_submission(submission.path)
    except CourseError as error:
        return not_run("broken notebook", f"The notebook was not run: {error}.")
    if not rebuild.belongs(submission.path, source):
        return not_run("another notebook", "The notebook was not run: none of the lab's exercises is in it.")
    rebuilt = rebuild.rebuild(notebook, source)
    own_names = sorted(_BUILTINS & set(source.trusted_names))
    job = {"cells": rebuilt.cells, "imports": source.imports, "trusted_names": source.trusted_names,
           "own_names": own_names}  # fmt: skip
    run = sandbox.run(job, limits, hidden, scratch_root)
    grade = verdicts.from_run(submission.student, source, rebuilt, run, limits, list(submission.notes))
    grade.isolation = sandbox.isolation()
    return grade


def _stored(state: Path, key: str) -> Grade | None:
    if not state.exists():
        return None
    try:
        grade = Grade.from_dict(read_json(state, "the stored grade"))
    except (CourseError, TypeError, KeyError):  # damaged, or of another version: grade again
        return None
    if grade.fingerprint != key or grade.verdict == "grader failed":
        return None
    grade.resumed = True
    return grade


def fingerprint(submission: Submission, source: Source, limits: Limits) -> str:
    """SHA-256 of all that a grade depends on: the file, the lab's source, the library, the data, the limits, Python."""
    content = b"missing"
    if submission.path is not None:
        try:
            content = rebuild.read_bytes(submission.path)
        except CourseError as error:
            content = str(error).encode()
    digest = hashlib.sha256(content)
    digest.update(source.text.encode())
    digest.update(_library(str(data_root())).encode())
    digest.update(json.dumps([submission.notes, asdict(limits), sandbox.closed_room(), sys.version]).encode())
    return digest.hexdigest()


@functools.cache
def _library(data: str) -> str:
    digest = hashlib.sha256()
    files = sorted(Path(__file__).resolve().parents[2].rglob("*.py"))
    for path in [*files, Path(data) / "manifest.json", labs.root() / "requirements.txt"]:
        digest.update(path.name.encode())
        digest.update(path.read_bytes() if path.exists() else b"missing")
    return digest.hexdigest()
