"""Submissions that are broken or mean harm, each with the verdict and the points that it must get.

The points of the small lab: ``double`` 2, ``merge`` 3, ``half`` 1. A submission that is stopped keeps the points of
the tests that it had passed before.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import nbformat

from tests.course.grading.small_lab import LAB, RIGHT, cell_of, submission


@dataclass(frozen=True)
class Hostile:
    """One spoiled submission.

    Attributes:
        make: the notebook, or raw bytes; called when the toy course is the current one.
        verdict, points: what it must get.
        says: a piece of the sentence or of a note.
        file: name of the file handed in.
        limits: options of the command line that reach this submission's limit soon; those of ``test_hostile`` when
            empty.
        needs_room: it would do harm where the machine has no closed room (user namespaces).
    """

    make: Callable
    verdict: str
    points: float
    says: str = ""
    file: str = f"{LAB}.ipynb"
    limits: list[str] = field(default_factory=list)
    needs_room: bool = False


def before(code: str, exercise: str = "merge"):
    """A right submission with ``code`` in front of the answer to one exercise."""
    return lambda: submission(**{exercise: f"{code}\n{RIGHT[exercise]}"})


def added(code: str):
    """A blank submission with a cell of ``code`` behind the imports."""

    def make():
        blank = {name: f"def {name}(*given):\n    raise NotImplementedError" for name in RIGHT}
        made = submission(**blank)
        made.cells.insert(3, nbformat.v4.new_code_cell(code))
        return made

    return make


def without(*grade_ids: str):
    """A right submission from which cells are deleted."""

    def make():
        made = submission()
        made.cells = [c for c in made.cells if c.metadata.get("nbgrader", {}).get("grade_id") not in grade_ids]
        return made

    return make


def changed(grade_id: str, source: str, **answers: str):
    """A submission in which the text of a cell, locked or not, is another."""

    def make():
        made = submission(**answers)
        cell_of(made, grade_id).source = source
        return made

    return make


def no_ids():
    """A right submission whose cells have lost ids and metadata, as after a careless converter."""
    made = submission()
    for cell in made.cells:
        cell.pop("id", None)
        if "nbgrader" in cell.metadata and cell.metadata.nbgrader.grade_id.startswith("test-"):
            cell.metadata = {}
    made.nbformat_minor = 4
    return made


def twice():
    """A graded cell is there twice, and an exercise too: the later definition counts."""
    made = submission(double="def double(x):\n    return 0")
    copies = [nbformat.from_dict(cell_of(made, name)) for name in ("double", "test-double")]
    copies = [nbformat.v4.new_code_cell(c.source, metadata=c.metadata) for c in copies]
    copies[0].source = RIGHT["double"]
    made.cells[4:4] = copies
    return made


_REBOUND = """
import sys
import finqa_lab.course
check = record = lambda *a, **k: None
finqa_lab.course.check = finqa_lab.course.record = check
sys.modules["finqa_lab.course"].__dict__["check"] = check
"""
_PATCHED_CHECKING = """
import finqa_lab.course.checking as checking
checking.Check.agree = lambda self, expected, got: True
checking.Check._not_started = lambda self: checking.Verdict("right", "")
"""
_PATCHED_LIBRARY = """
import random
import finqa_lab.text.recount as recount
from finqa_lab.course import compare
def refuse(ids, pair, new_id): raise NotImplementedError
recount.merge.__code__ = refuse.__code__
compare.same.__code__ = (lambda expected, got: True).__code__
random.Random = lambda *seed: None
"""
_PATCHED_BUILTINS = """
import builtins
builtins.bool = lambda *a: True
builtins.type = lambda *a: int
"""
_SPEAK = """
import os
for handle in range(3, 64):
    try:
        os.write(handle, b'{"event": "graded", "index": 3, "passed": true, "message": ""}\\n')
    except OSError:
        pass
"""
_WRITE = """
import os, pathlib, sys
import finqa_lab
def spoil(path):
    try:
        pathlib.Path(path).write_text("spoiled")
    except OSError:
        pass
spoil(pathlib.Path(finqa_lab.__file__).parent / "spoiled.txt")
"""

CORPUS = {
    "right": Hostile(lambda: submission(), "graded", 6),
    "empty-file": Hostile(lambda: b"", "broken notebook", 0, "empty"),
    "half-a-download": Hostile(lambda: nbformat.writes(submission()).encode()[:700], "broken notebook", 0, "JSON"),
    "not-text": Hostile(lambda: b"\x80\x00\xff" * 99, "broken notebook", 0, "UTF-8"),
    "deeply-nested": Hostile(lambda: b"[" * 100_000, "broken notebook", 0),
    "a-list": Hostile(lambda: b"[1, 2]", "broken notebook", 0),
    "cells-are-numbers": Hostile(lambda: b'{"nbformat": 4, "cells": [1]}', "broken notebook", 0, "cell 1"),
    "another-notebook": Hostile(
        lambda: nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]), "another notebook", 0, "none"
    ),
    "renamed": Hostile(lambda: submission(), "graded", 6, "recognised", file="final (2).ipynb"),
    "wrong-name": Hostile(lambda: b"{}", "missing", 0, "no notebook", file="notes.txt"),
    "deleted-tests": Hostile(
        without("test-double", "test-merge", "parameters"), "graded", 6, "'test-double' was deleted"
    ),
    "deleted-answer": Hostile(without("merge"), "graded", 3, "'merge' was deleted"),
    "no-ids": Hostile(no_ids, "graded", 6),
    "twice": Hostile(twice, "graded", 6, "occurs twice"),
    "altered-test": Hostile(
        changed("test-double", "assert True", double="def double(x):\n    return 0"), "graded", 4, "locked"
    ),
    "altered-parameters": Hostile(changed("parameters", "steps = 'many'"), "graded", 6, "'parameters' is locked"),
    "visible-tests-only": Hostile(lambda: submission(double="def double(x):\n    return 4"), "graded", 4),
    "syntax-error": Hostile(lambda: submission(merge="def merge(:"), "graded", 3, "SyntaxError"),
    "rebound-check": Hostile(added(_REBOUND), "graded", 0),
    "patched-check": Hostile(added(_PATCHED_CHECKING), "graded", 0),
    "patched-library": Hostile(before(_PATCHED_LIBRARY, exercise="double"), "graded", 6),
    "patched-builtins": Hostile(before(_PATCHED_BUILTINS, exercise="double"), "graded", 6),
    "shadowed-names": Hostile(
        added("check = record = assert_ = print\ncheck = lambda *a, **k: None\nprint = 3"), "graded", 0
    ),
    "exits": Hostile(before("import os; os._exit(0)"), "ended early", 2, "exit status 0"),
    "raises-exit": Hostile(before("raise SystemExit"), "graded", 3),
    "crashes": Hostile(before("import ctypes; ctypes.string_at(0)"), "ended early", 2, "SIGSEGV"),
    "kills-itself": Hostile(before("import os; os.kill(os.getpid(), 9)"), "ended early", 2, "SIGKILL"),
    "exits-inside-a-test": Hostile(
        lambda: submission(merge="def merge(*a):\n    import os; os._exit(0)"), "ended early", 2
    ),
    "forks": Hostile(before("import os\nif os.fork() == 0: pass"), "graded", 6),
    "writes-to-the-channel": Hostile(added(_SPEAK), "tampered", 0, "channel"),
    "sleeps": Hostile(
        before("import time; time.sleep(3600)"), "timed out", 2, "limit of 30 s", limits=["--timeout", "30"]
    ),
    "endless": Hostile(before("while True: pass"), "CPU time", 2, "processor time"),
    "endless-in-a-test": Hostile(
        lambda: submission(half="def half(x):\n    while True: pass"), "CPU time", 5, "'test-half'"
    ),
    "endless-in-a-check": Hostile(
        lambda: submission(merge="def merge(*a):\n    while True: pass"), "graded", 3
    ),
    "prints-without-end": Hostile(
        before("while True: print('x' * 1000)"), "output too large", 2, "printed"
    ),
    "asks-for-too-much": Hostile(
        before("x = bytearray(10**13)", exercise="half"), "graded", 5, "MemoryError"
    ),
    "eats-memory": Hostile(
        before("hold = []\nwhile True: hold.append(bytes(range(256)) * 40_000)"), "memory", 2, "memory",
    ),
    "fork-bomb": Hostile(
        before("import os, time\nfor _ in range(12): os.fork()\ntime.sleep(600)"), "too many processes", 2,
        "more than 24 processes",
    ),
    "large-file": Hostile(
        before("with open('big', 'wb') as f:\n    for _ in range(64): f.write(bytes(2**20))", exercise="half"),
        "graded", 5, "File too large",
    ),
    "leaves-a-process": Hostile(
        before("import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(77.25)'],"
               " start_new_session=True)"), "graded", 6,
    ),
    "asks-for-input": Hostile(before("input('name?')"), "graded", 3, "EOF"),
    "markup": Hostile(
        lambda: submission(half="def half(x):\n    raise ValueError('<script>alert(1)</script>')"), "graded", 5
    ),
    "writes-elsewhere": Hostile(before(_WRITE), "graded", 6, needs_room=True),
}  # fmt: skip
