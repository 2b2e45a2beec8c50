"""The anatomy of a lab, held by a test: a notebook that breaks a rule is named with the cell and the mend.

The rules are those of the contributing page: one title, fixed closing sections, no skipped heading level, one locked
parameters cell, unique ids and grade ids, every exercise followed by a graded check, at most three exercises between
checks, and no stored outputs.
"""

import re

import nbformat

_OPENING = ("objectives", "time", "difficulty", "prerequisites")
_CLOSING = ("takeaways", "next")


def problems(notebook: nbformat.NotebookNode) -> list[str]:
    """Every rule that the lab breaks, one sentence each; [] for a sound lab."""
    return [*_headings(notebook), *_opening(notebook), *_cells(notebook), *_exercises(notebook)]


def headings(notebook: nbformat.NotebookNode) -> list[tuple[int, str]]:
    """(level, text) of each Markdown heading, fenced code left out."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"(?ms)^```.*?^```", "", cell.source)
            found += [(len(m[1]), m[2].strip()) for m in re.finditer(r"(?m)^(#{1,6}) +(.+)$", text)]
    return found


def _headings(notebook) -> list[str]:
    levels = headings(notebook)
    found = []
    if [level for level, _ in levels].count(1) != 1 or not levels or levels[0][0] != 1:
        found.append("it must open with its only level-one heading")
    for (before, _), (level, text) in zip(levels, levels[1:]):
        if level > before + 1:
            found.append(f"heading '{text}' skips from level {before} to level {level}")
    closing = [text.lower() for level, text in levels if level == 2][-2:]
    if not (len(closing) == 2 and all(word in text for word, text in zip(_CLOSING, closing))):
        found.append("its last two level-two sections must be 'Takeaways' and 'Next'")
    return found


def _opening(notebook) -> list[str]:
    first = notebook.cells[0].source.lower() if notebook.cells else ""
    return [f"the first cell does not state its {word}" for word in _OPENING if word not in first]


def _cells(notebook) -> list[str]:
    found = []
    tagged = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(tagged) != 1:
        found.append(f"it has {len(tagged)} cells tagged 'parameters', it needs one")
    elif not tagged[0].metadata.get("nbgrader", {}).get("locked"):
        found.append("its parameters cell is not locked")
    ids = [c.get("id") for c in notebook.cells]
    grade_ids = [c.metadata["nbgrader"]["grade_id"] for c in notebook.cells if "nbgrader" in c.metadata]
    for what, names in (("cell id", ids), ("grade_id", grade_ids)):
        found += [f"{what} '{name}' occurs twice" for name in sorted({n for n in names if names.count(n) > 1})]
    for cell in notebook.cells:
        where = f"cell '{cell.get('id')}'"
        if cell.metadata.get("nbgrader", {}).get("schema_version", 3) != 3:
            found.append(f"{where} is not in nbgrader schema version 3")
        if cell.cell_type == "code" and (cell.outputs or cell.execution_count is not None):
            found.append(f"{where} has stored outputs")
        if cell.cell_type == "code" and "plt.show" in cell.source:
            found.append(f"{where} shows a figure without the figure() helper")
    return found


def _exercises(notebook) -> list[str]:
    found, pending = [], []
    for cell in notebook.cells:
        flags = cell.metadata.get("nbgrader", {})
        where = f"cell '{cell.get('id')}'"
        if flags.get("solution"):
            pending.append(where)
            if "### BEGIN SOLUTION" not in cell.source:
                found.append(f"{where} is an exercise without a solution region")
            if len(pending) > 3:
                found.append(f"{where} is the fourth exercise in a row without a check")
        if flags.get("grade"):
            if "check(" not in cell.source and "assert" not in cell.source:
                found.append(f"{where} is graded but checks nothing")
            if re.search(r"^\s*except\b", cell.source, re.MULTILINE):
                found.append(f"{where} is graded and swallows a failure")
            pending.clear()
    found += [f"{where} is never checked" for where in pending]
    return found
