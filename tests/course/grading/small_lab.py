"""A lab of three exercises, and submissions of it: right, blank, and spoiled in the ways that ``hostile`` lists."""

from pathlib import Path

import nbformat

from finqa_lab.course import release
from tests.course import toy

LAB = "01_toy"
IMPORTS = "import math\n\nfrom finqa_lab.course import check, record\nfrom finqa_lab.text import bpe"
MERGE = '''def merge(ids, pair, new_id):
    """Replace each occurrence of ``pair``."""
    ### BEGIN SOLUTION
    made, at = [], 0
    while at < len(ids):
        step = 2 if tuple(ids[at : at + 2]) == tuple(pair) else 1
        made.append(new_id if step == 2 else ids[at])
        at += step
    return made
    ### END SOLUTION'''
TEST_MERGE = """check("tokenizers.merge", merge)
### BEGIN HIDDEN TESTS
check("tokenizers.merge", merge, seed=7)
### END HIDDEN TESTS"""
HALF = "def half(x):\n    ### BEGIN SOLUTION\n    return math.floor(x / 2)\n    ### END SOLUTION"
TEST_HALF = "record('halves', half(4))\nassert half(4) == 2, 'half of four'"
RIGHT = {
    "double": "def double(x):\n    return 2 * x",
    "merge": MERGE.replace("    ### BEGIN SOLUTION\n", "").replace("    ### END SOLUTION", ""),
    "half": "def half(x):\n    return math.floor(x / 2)",
}


def solution() -> nbformat.NotebookNode:
    """The source: 2 points for ``double``, 3 for ``merge``, 1 for ``half``."""
    made = toy.notebook(IMPORTS, toy.EXERCISE, toy.TEST, MERGE, TEST_MERGE, HALF, TEST_HALF)
    for index, (name, points) in enumerate([("double", 2), ("merge", 3), ("half", 1)]):
        made.cells[3 + 2 * index].metadata = toy.nbgrader(name, solution=True)
        made.cells[4 + 2 * index].metadata = toy.nbgrader(f"test-{name}", grade=True, locked=True, points=points)
    return made


def submission(**answers: str) -> nbformat.NotebookNode:
    """The released notebook with the answers filled in; an exercise that is not named is answered right."""
    made = nbformat.reads(release.release_text(LAB), as_version=4)
    for cell in made.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in RIGHT:
            cell.source = answers.get(name, RIGHT[name])
    return made


def cell_of(notebook: nbformat.NotebookNode, grade_id: str) -> nbformat.NotebookNode:
    """The cell with this grade id."""
    return next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def hand_in(folder: Path, student: str, content, name: str = f"{LAB}.ipynb") -> Path:
    """Write a submission: a notebook, or any bytes."""
    path = folder / student / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else nbformat.writes(content).encode())
    return path
