"""Make the cells to run from a submission: the student's work, with everything locked put back as it was released.

Graded cells come from the source with their hidden tests, found by grade id. A locked cell that was changed and a
given cell that is gone are restored from the release, each with a note for the student's page. Cells that the student
added run where they stand and give no points.
"""

import json
from dataclasses import dataclass, field

import nbformat

from finqa_lab.course.grading.source import Source
from finqa_lab.course.grading.submissions import grade_ids, read_bytes
from finqa_lab.errors import CourseError
from finqa_lab.files import parse_json


@dataclass
class Rebuilt:
    """What will run: ``cells`` of ``{"id", "source", "grade_id", "hidden_from"}`` and notes for the page.

    ``grade_id`` is "" for a cell that gives no points.
    """

    cells: list[dict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_submission(path) -> nbformat.NotebookNode:
    """The submitted notebook in format 4.5; repaired where only ids are missing or doubled.

    Raises:
        CourseError: with the reason why the file is no notebook.
    """
    content = read_bytes(path)
    if not content.strip():
        raise CourseError("the file is empty")
    try:
        raw = parse_json(content.decode("utf-8-sig"))
        notebook = nbformat.from_dict(raw)
        if notebook.get("nbformat") != 4 or not isinstance(notebook.get("cells"), list):
            raise CourseError("it is not a notebook of format 4")
        for index, cell in enumerate(notebook.cells):
            if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
                raise CourseError(f"its cell {index + 1} is no code, Markdown or raw cell")
            text = cell.get("source", "")
            cell.source = "".join(text) if isinstance(text, list) else text
            if not isinstance(cell.source, str) or not isinstance(cell.setdefault("metadata", {}), dict):
                raise CourseError(f"its cell {index + 1} has no text")
    except UnicodeDecodeError:
        raise CourseError("it is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise CourseError(f"it is not JSON (line {error.lineno}: {error.msg}); a download may be cut short") from None
    except (RecursionError, TypeError, AttributeError, ValueError) as error:
        raise CourseError(f"its structure cannot be read ({type(error).__name__})") from None
    return notebook


def belongs(path, source: Source) -> bool:
    """True when at least one of the lab's own ids is in the file."""
    return bool(grade_ids(path) & {flags["grade_id"] for flags in map(_flags, source.released.cells) if flags})


def rebuild(submitted: nbformat.NotebookNode, source: Source) -> Rebuilt:
    """The cells to run, in the student's order, with what is missing put back behind its released neighbour."""
    made = Rebuilt()
    released = [cell for cell in source.released.cells if cell.cell_type == "code"]
    by_key = {_key(cell): cell for cell in released}
    placed: list[tuple[object, dict]] = []  # (key of a released cell or None, cell to run)
    seen = set()
    for cell in submitted.cells:
        key = _match(cell, by_key, released)
        if cell.cell_type != "code" and key is None:
            continue
        if key is None or (key in seen and not _locked(by_key[key])):
            if cell.cell_type == "code":  # added, or a copy of an exercise: it runs where it stands
                placed.append((None, _plain(cell)))
            continue
        if key in seen:
            made.notes.append(f"Cell '{key}' occurs twice; the second one was left out.")
            continue
        seen.add(key)
        placed.append((key, _restored(cell, by_key[key], source, made.notes)))
    _put_back(placed, released, source, made.notes)
    made.cells = [cell for _, cell in placed]
    return made


def _put_back(placed, released, source, notes) -> None:
    order = [_key(cell) for cell in released]
    for index, cell in enumerate(released):
        keys = [key for key, _ in placed]
        if order[index] in keys:
            continue
        before = [position for position, key in enumerate(keys) if key in order[:index]]
        placed.insert(max(before) + 1 if before else 0, (order[index], _given(cell, source)))
        notes.append(f"Cell '{order[index]}' was deleted; it was restored from the release.")


def _restored(cell, original, source: Source, notes: list[str]) -> dict:
    key = _key(original)
    if not _locked(original):
        if cell.cell_type != "code":
            notes.append(f"Cell '{key}' was turned into text; its text was run as code.")
        return {**_plain(cell), "id": key}
    accepted = {original.source.strip(), source.graded.get(key, original.source).strip()}
    if cell.source.strip() not in accepted or cell.cell_type != "code":
        notes.append(f"Cell '{key}' is locked and was changed; it was restored from the release.")
    return _given(original, source)


def _given(cell, source: Source) -> dict:
    name = _flags(cell).get("grade_id", "")
    if name in source.graded:
        text, hidden = source.graded[name], source.hidden_from[name]
        return {"id": name, "source": text, "grade_id": name, "hidden_from": hidden}
    return {**_plain(cell), "id": _key(cell)}


def _plain(cell) -> dict:
    return {"id": str(cell.get("id", "")), "source": cell.source, "grade_id": "", "hidden_from": 0}


def _match(cell, by_key: dict, released: list):
    """The key of the released cell that this one is: by grade id, else by cell id, else by the same text."""
    name = _flags(cell).get("grade_id")
    if isinstance(name, str) and name in by_key:
        return name
    if cell.cell_type == "code":
        for original in released:
            if cell.get("id") and cell.get("id") == original.get("id"):
                return _key(original)
        for original in released:
            if cell.source.strip() and cell.source.strip() == original.source.strip():
                return _key(original)
    return None


def _key(cell) -> str:
    return _flags(cell).get("grade_id") or cell.get("id", "")


def _flags(cell) -> dict:
    flags = cell.metadata.get("nbgrader", {})
    return flags if isinstance(flags, dict) else {}


def _locked(cell) -> bool:
    return bool(_flags(cell).get("locked") or _flags(cell).get("grade"))
