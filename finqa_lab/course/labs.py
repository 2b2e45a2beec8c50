"""Where the labs are: the repository's layout, lab names, and reading a notebook with a clear error."""

import os
from pathlib import Path

import nbformat

from finqa_lab.errors import CourseError
from finqa_lab.files import REPOSITORY


def root() -> Path:
    """The course's folder (the one with ``solutions/``): ``FINQA_LAB_COURSE``, else the checkout of the library."""
    return Path(os.environ.get("FINQA_LAB_COURSE") or REPOSITORY)


def lab_names() -> list[str]:
    """Names of all labs in order, for example ``["01_tokenizers", "04_arithmetic"]``.

    Raises:
        CourseError: when there is no ``solutions/`` folder, as in an installation without the checkout.
    """
    folder = root() / "solutions"
    if not folder.is_dir():
        raise CourseError(
            f"{folder} does not exist; labs are run from a checkout of the course: change into it, install it with "
            "`pip install -r requirements.txt`, or set FINQA_LAB_COURSE"
        )
    return sorted(path.stem for path in folder.glob("[0-9][0-9]_*.ipynb"))


def resolve(name: str) -> str:
    """The full lab name for ``"01"``, ``"1"``, ``"tokenizers"``, ``"01_tokenizers"`` or a path to its notebook.

    Raises:
        CourseError: for an unknown lab, listing the known ones.
    """
    wanted = Path(name).stem if name.endswith(".ipynb") else name
    for lab in lab_names():
        number, _, subject = lab.partition("_")
        if wanted in (lab, number, number.lstrip("0"), subject):
            return lab
    raise CourseError(f"unknown lab '{name}'; known labs: {', '.join(lab_names())}")


def solution_path(lab: str) -> Path:
    """The hand-edited source of ``lab``."""
    return root() / "solutions" / f"{lab}.ipynb"


def release_path(lab: str) -> Path:
    """The generated student notebook of ``lab``."""
    return root() / "labs" / f"{lab}.ipynb"


def read_notebook(path: str | os.PathLike) -> nbformat.NotebookNode:
    """Read a version 4 notebook.

    Raises:
        CourseError: when the file is missing or is not a notebook.
    """
    path = Path(path)
    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise CourseError(f"notebook {path} is missing; restore it from version control") from None
    except Exception as error:  # nbformat raises its own, JSON's and the schema's errors
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CourseError(f"{path} is not a readable notebook: {reason}; restore it from version control") from error


def title(notebook: nbformat.NotebookNode) -> str:
    """Text of the first level-one heading."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("# "):
                    return line[2:].strip()
    return ""
