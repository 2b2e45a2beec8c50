"""The interactive parts in the book: notebooks that a reader opens, and what their pages show without a kernel.

``book/interactive/NAME.ipynb`` has a cell with the widget and a cell with the still picture. A page of the book cannot
compute, and controls that move nothing would only look as if they worked. So the first cell shows a sentence there, the
second one the picture, made here by the same function; a chapter includes the picture by its fragment.
"""

from functools import lru_cache
from pathlib import Path

import nbformat

from finqa_lab.course import labs, widgets
from finqa_lab.course.normalise import normalised

LIVE, STILL = "live", "still"
"""Ids of the two code cells."""
NO_KERNEL = "The controls appear here when this notebook runs in Jupyter; a page of the book cannot compute."


def notebook_path(name: str) -> Path:
    """The notebook of an interactive part."""
    return labs.root() / "book" / "interactive" / f"{name}.ipynb"


@lru_cache
def markup(name: str) -> str:
    """HTML of the still picture with caption and alternative text."""
    return widgets.still(name).markup()


def page(name: str) -> nbformat.NotebookNode:
    """The notebook with the outputs that its page shows."""
    shown = normalised(labs.read_notebook(notebook_path(name)))
    for cell in shown.cells:
        if cell["id"] == LIVE:
            cell["outputs"] = [nbformat.v4.new_output("stream", text=f"{NO_KERNEL}\n")]
        elif cell["id"] == STILL:
            cell["outputs"] = [nbformat.v4.new_output("display_data", data={"text/html": markup(name)})]
    return shown


def pages() -> dict[str, str]:
    """Every page as the text of a notebook, by the path inside ``book``; a course of its own may have none."""
    names = [name for name in widgets.NAMES if notebook_path(name).is_file()]
    return {f"interactive/{name}.ipynb": nbformat.writes(page(name)) + "\n" for name in names}


def fragments() -> dict[str, str]:
    """What a chapter includes, by the name of the part: the picture, and where it answers."""
    note = (
        "The picture is still, because this page has no kernel. To change its settings, run\n"
        "`.venv/bin/jupyter lab book/interactive/{0}.ipynb` and choose *Run All Cells*; {{doc}}`/book/interactive/{0}` "
        "is the\nsame notebook as a page.\n"
    )
    return {name: f"```{{raw}} html\n{markup(name)}\n```\n\n{note.format(name)}" for name in widgets.NAMES}
