"""Student notebooks from solutions, with nbgrader's own preprocessors and without its database.

``labs/*.ipynb`` is generated and never edited: the same source gives the same bytes, a test regenerates and compares.
A release in which an answer survives, in code or in prose, is refused.
"""

import re

import nbformat
from nbgrader import preprocessors
from traitlets.config import Config

from finqa_lab.course import labs, settings
from finqa_lab.course.normalise import to_text
from finqa_lab.errors import CourseError
from finqa_lab.files import write_atomic

# The order is nbgrader's generate_assignment; checksums come twice because hidden tests are cut after the first.
_STEPS = (
    "LockCells",
    "ClearSolutions",
    "ClearOutput",
    "CheckCellMetadata",
    "ComputeChecksums",
    "ClearHiddenTests",
    "ClearMarkScheme",
    "ComputeChecksums",
)
_HOSTED = """\
# A hosted notebook (Colab, for instance) starts without the course: fetch and install it. Elsewhere nothing happens.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("finqa_lab") is None:
    subprocess.run(["git", "clone", "--depth", "1", "--branch", "{branch}", "{repository}", "course"], check=True)
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "-e", "course[compare,serve]"], check=True)
    sys.path.insert(0, "course")"""
_MARKER = re.compile(r"(BEGIN|END)\s+(SOLUTION|HIDDEN\s+TESTS?|MARK\s+SCHEME)", re.IGNORECASE)
_SOLUTION = re.compile(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", re.DOTALL)
_HIDDEN = re.compile(r"### BEGIN HIDDEN TESTS\n(.*?)### END HIDDEN TESTS", re.DOTALL)
# Too ordinary to give anything away: control words, single names, closing brackets.
_ORDINARY = re.compile(r"(import|from|def|class|for|while|if|elif|else|try|with|return|raise|pass|break|#|\"\"\").*")


def student_notebook(solution: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The student's version of a solution notebook; the argument is not changed.

    Solution regions become ``raise NotImplementedError``, hidden tests disappear, outputs are cleared, checksums are
    stored in the cells' metadata.
    """
    config = Config()
    config.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\nraise NotImplementedError"}
    notebook, resources = nbformat.from_dict(solution.copy()), {}
    notebook = nbformat.reads(nbformat.writes(notebook), as_version=4)  # a deep copy
    for step in _STEPS:
        notebook, resources = getattr(preprocessors, step)(config=config).preprocess(notebook, resources)
    return notebook


def release_text(lab: str) -> str:
    """The bytes of ``labs/<lab>.ipynb`` as text.

    Raises:
        CourseError: when nbgrader refuses the source, or a solution line would survive.
    """
    solution = labs.read_notebook(labs.solution_path(lab))
    try:
        notebook = student_notebook(solution)
    except (RuntimeError, ValueError) as error:  # a missing END marker, a bad grade_id, ...
        raise CourseError(f"lab {lab} cannot be released: {' '.join(str(error).split())}") from error
    launch = settings.launch()
    if launch.repository:
        source = _HOSTED.format(branch=launch.branch, repository=launch.repository)
        notebook.cells.insert(1, nbformat.v4.new_code_cell(source, id="hosted-setup"))
    found = leaks(solution, notebook)
    if found:
        raise CourseError(f"lab {lab} cannot be released: {found[0]}; reword that cell")
    return to_text(notebook)


def release(lab: str) -> bool:
    """Write ``labs/<lab>.ipynb``; True when its bytes changed."""
    path, text = labs.release_path(lab), release_text(lab)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    write_atomic(path, text)
    return True


def stale(lab: str) -> str:
    """Why ``labs/<lab>.ipynb`` is not what its source generates, or ""."""
    path = labs.release_path(lab)
    if not path.exists():
        return f"{path} is missing; run `finqa-lab release`"
    if path.read_text(encoding="utf-8") != release_text(lab):
        return (
            f"{path} is not what solutions/{lab}.ipynb generates (an edit in labs/, or a source released no more); "
            "edit the source and run `finqa-lab release`"
        )
    return ""


def solution_lines(solution: nbformat.NotebookNode) -> set[str]:
    """Lines that only an answer or a hidden test contains, white space collapsed.

    A line counts when it is at least 16 characters long, is not an ordinary opening such as ``return x``, and
    contains an operator or a call.
    """
    lines: set[str] = set()
    for cell in solution.cells:
        for body in _SOLUTION.findall(cell.source) + _HIDDEN.findall(cell.source):
            for line in map(_collapse, body.splitlines()):
                telling = line.removeprefix("return ")
                if len(telling) >= 16 and not _ORDINARY.fullmatch(telling) and re.search(r"[-+*/%(\[=<>]", telling):
                    lines.add(telling)
    return lines


def leaks(solution: nbformat.NotebookNode, student: nbformat.NotebookNode) -> list[str]:
    """What of the answers is still in the student's notebook: one sentence each, in code and in prose."""
    found, lines = [], solution_lines(solution)
    for cell in student.cells:
        where = f"cell '{cell.get('id', '?')}' ({cell.cell_type})"
        if marker := _MARKER.search(cell.source):
            found.append(f"{where} still holds the marker '{marker.group()}'")
        text = _collapse(cell.source)
        found += [f"{where} gives away the solution line `{line}`" for line in sorted(lines) if line in text]
    return found


def _collapse(text: str) -> str:
    return " ".join(text.split())
