"""One form for committed notebooks: no outputs, stable ids, one kernel name, indent 1.

Two editors then produce the same bytes for the same cells, and a diff shows what was changed and nothing else.
"""

import json

import nbformat

_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
_KEPT = ("tags", "nbgrader", "mystnb", "slideshow", "deletable", "editable")


def normalised(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A copy in the committed form; cell order, sources and ids are kept.

    Cells without an id get ``cell-<position>``. Trailing white space and trailing newlines of a cell are dropped.
    """
    cells = []
    for index, cell in enumerate(notebook.cells):
        made = {
            "cell_type": cell.cell_type,
            "id": cell.get("id", f"cell-{index}"),
            "metadata": {key: cell.metadata[key] for key in _KEPT if key in cell.metadata},
            "source": "\n".join(line.rstrip() for line in cell.source.splitlines()).strip("\n"),
        }
        if cell.cell_type == "code":
            made |= {"execution_count": None, "outputs": []}
        cells.append(made)
    metadata = {"kernelspec": _KERNEL, "language_info": {"name": "python"}}
    return nbformat.from_dict({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def to_text(notebook: nbformat.NotebookNode) -> str:
    """The committed form as text: sorted keys, indent 1, a final newline, sources split into lines."""
    made = nbformat.v4.rwbase.split_lines(normalised(notebook))
    return json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
