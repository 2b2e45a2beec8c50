"""A toy course of one-cell labs, written into a temporary folder: what the machinery is tested on."""

from pathlib import Path

import nbformat
import yaml

PARAMETERS = "steps: int = 3  # how many steps [1, 10]\nseed: int = 0  # random seed [0, 100]"
EXERCISE = '''def double(x):
    """Twice x: ``double(2) == 4``."""
    ### BEGIN SOLUTION
    return x + x
    ### END SOLUTION'''
TEST = """assert double(2) == 4
### BEGIN HIDDEN TESTS
assert double(21) == 42
### END HIDDEN TESTS"""


def nbgrader(grade_id: str, **flags) -> dict:
    """nbgrader schema v3 metadata of one cell."""
    base = {"schema_version": 3, "solution": False, "grade": False, "locked": False, "task": False}
    return {"nbgrader": base | flags | {"grade_id": grade_id}}


def notebook(*code: str, parameters: str | None = PARAMETERS) -> nbformat.NotebookNode:
    """A lab whose last cells are ``code``; ``parameters=None`` leaves the parameters cell out."""
    cells = [nbformat.v4.new_markdown_cell("# Toy lab\n\nA lab for tests.")]
    if parameters is not None:
        cell = nbformat.v4.new_code_cell(parameters)
        cell.metadata = {"tags": ["parameters"]} | nbgrader("parameters", locked=True)
        cells.append(cell)
    cells += [nbformat.v4.new_code_cell(source) for source in code]
    for index, cell in enumerate(cells):
        cell["id"] = f"cell-{index}"
    made = nbformat.v4.new_notebook(cells=cells)
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return made


def graded_notebook() -> nbformat.NotebookNode:
    """A lab with one exercise and one test cell with a hidden test."""
    made = notebook(EXERCISE, TEST)
    made.cells[-2].metadata = nbgrader("double", solution=True)
    made.cells[-1].metadata = nbgrader("test-double", grade=True, locked=True) | {}
    made.cells[-1].metadata["nbgrader"]["points"] = 2
    return made


def course(folder: Path, **labs: nbformat.NotebookNode) -> Path:
    """Write a course with the labs ``{"l01_name": notebook}`` (the leading letter is dropped) and empty profiles."""
    for sub in ("solutions", "labs/profiles", "tests/golden"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    for name, made in labs.items():
        nbformat.write(made, folder / "solutions" / f"{name[1:]}.ipynb")
    for profile in ("smoke", "cpu", "gpu"):
        values = {name[1:]: {"steps": 5 if profile == "cpu" else 3} for name in labs}
        (folder / "labs" / "profiles" / f"{profile}.yml").write_text(yaml.safe_dump(values))
    return folder
