"""What grading needs of a lab's source: its exercises, its graded cells with hidden tests, and the released cells."""

import ast
import re
from dataclasses import dataclass, field

import nbformat

from finqa_lab.course import labs, release
from finqa_lab.course.grading.model import Exercise
from finqa_lab.errors import CourseError

_HIDDEN = re.compile(r"^[ \t]*### BEGIN HIDDEN TESTS[ \t]*$", re.MULTILINE)


@dataclass
class Source:
    """One lab as the grader sees it.

    Attributes:
        released: the student's notebook before any work, as ``finqa-lab release`` makes it.
        graded: grade id to the full text of the graded cell, hidden tests included.
        hidden_from: grade id to the line (from 1) where the hidden tests begin, or 0 without any.
        exercises: one for each graded cell, 0 points, in order.
        imports: the top-level import statements of the source.
        trusted_names: names that these imports bind and nothing else in the source does.
    """

    lab: str
    released: nbformat.NotebookNode
    graded: dict[str, str] = field(default_factory=dict)
    hidden_from: dict[str, int] = field(default_factory=dict)
    exercises: list[Exercise] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)
    trusted_names: list[str] = field(default_factory=list)
    text: str = ""


def read(lab: str) -> Source:
    """The source of ``lab``, whose student notebook is generated anew: an edited file in ``labs/`` changes no grade.

    Raises:
        CourseError: when the lab cannot be released, or has no graded cell.
    """
    path = labs.solution_path(lab)
    notebook = labs.read_notebook(path)
    text = release.release_text(lab)
    source = Source(lab, nbformat.reads(text, as_version=4), text=path.read_text(encoding="utf-8") + text)
    for cell in notebook.cells:
        flags = cell.metadata.get("nbgrader", {})
        if cell.cell_type != "code" or not flags.get("grade") or flags.get("solution"):
            continue
        name = flags["grade_id"]
        source.graded[name] = cell.source
        mark = _HIDDEN.search(cell.source)
        source.hidden_from[name] = cell.source.count("\n", 0, mark.start()) + 1 if mark else 0
        source.exercises.append(Exercise(name, 0.0, float(flags.get("points", 0))))
    if not source.graded:
        raise CourseError(f"lab {lab} has no graded cell; there is nothing to grade")
    source.imports, source.trusted_names = _imports(notebook)
    return source


def _imports(notebook) -> tuple[list[str], list[str]]:
    statements, imported, bound = [], set(), set()
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        try:
            body = ast.parse(cell.source).body
        except SyntaxError:  # a cell with a magic
            continue
        for statement in body:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                statements.append(ast.unparse(statement))
                imported |= {(alias.asname or alias.name.partition(".")[0]) for alias in statement.names}
            else:
                bound |= _bound_names(statement)
    return statements, sorted(imported - bound)


def _bound_names(statement: ast.stmt) -> set[str]:
    """Names that a statement may bind at the top level; a few too many do no harm."""
    names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return names | {getattr(node, "name", None) for node in ast.walk(statement)} - {None}
