"""``finqa-lab new-lab``: the files of a new lab, sound from the first minute, all of them or none.

The text is in :mod:`finqa_lab.course.new_lab_template`. What is written passes the tests that hold for every lab, so an
author starts from a lab that runs, is released, and whose check can fail.
"""

import json
import keyword
import re
from pathlib import Path

import nbformat
import yaml

from finqa_lab.course import golden, labs, parameters, release, structure
from finqa_lab.course import new_lab_template as template
from finqa_lab.course.normalise import to_text
from finqa_lab.errors import CourseError
from finqa_lab.files import write_atomic

_NAME = re.compile(r"(?:(?P<number>\d\d)_)?(?P<subject>[a-z][a-z0-9]*(?:_[a-z0-9]+)*)")


def create(name: str, title: str = "") -> list[Path]:
    """Write the files of a new lab and return them: source, checks, golden file, student notebook, three profiles.

    Args:
        name: ``"12_drift"``, or ``"drift"`` for the number after the last lab's.
        title: the lab's title behind its number; default the subject.

    Raises:
        CourseError: for a malformed name, one that a lab or a check already has, or a course without its folders.
            Nothing is left behind.
    """
    lab = chosen_name(name)
    contents = _contents(lab, " ".join(title.split()))
    before = {path: path.read_bytes() if path.exists() else None for path in contents}
    before[labs.release_path(lab)] = None
    try:
        for path, text in contents.items():
            write_atomic(path, text)
        release.release(lab)
        problems = structure.problems(labs.read_notebook(labs.solution_path(lab)))
        if problems:
            raise CourseError(f"lab {lab} is not sound: {problems[0]}; choose another name or title")
        for profile in parameters.PROFILES:
            parameters.profile(profile, lab)
        golden.load(lab)
    except BaseException:  # an interrupt as well: all files or none
        for path in (path for path, content in before.items() if content is None):
            path.unlink(missing_ok=True)
        for path, content in before.items():
            if content is not None and path.read_bytes() != content:
                write_atomic(path, content)
        raise
    return list(before)


def chosen_name(name: str) -> str:
    """The full name ``NN_subject`` of the new lab.

    Raises:
        CourseError: when the name is malformed or taken.
    """
    match = _NAME.fullmatch(name)
    if match is None or keyword.iskeyword(match["subject"]) or len(name) > 40:
        raise CourseError(
            f"'{name[:80]}' is no name for a lab; write a subject of at most 40 small letters, digits and single "
            "underscores, with or without two digits in front, such as 12_drift or drift"
        )
    taken = {lab.partition("_")[0]: lab for lab in labs.lab_names()}
    number, subject = match["number"] or f"{max(map(int, taken), default=0) + 1:02d}", match["subject"]
    if len(number) > 2:
        raise CourseError(f"there is no number left after lab {taken['99']}; give one, such as 12_{subject}")
    if number in taken:
        raise CourseError(f"the number {number} is taken by lab {taken[number]}; choose another one")
    for lab in taken.values():
        if lab.partition("_")[2] == subject:
            raise CourseError(f"the subject '{subject}' is taken by lab {lab}; choose another one")
    checks = _checks_folder()
    for path in (checks / subject, checks / f"{subject}.py"):
        if path.exists():
            raise CourseError(f"the subject '{subject}' has checks already, in {path}; choose another one")
    lab = f"{number}_{subject}"
    for path in (golden.path(lab), labs.release_path(lab)):
        if path.exists():
            raise CourseError(f"{path} exists without a source in solutions/; remove it or choose another name")
    return lab


def to_do(lab: str) -> str:
    """What the command cannot do for the author, as a numbered list."""
    return _filled(template.TO_DO, lab, "")


def _checks_folder() -> Path:
    folder = labs.root() / "finqa_lab" / "course" / "checks"
    if not folder.is_dir():
        raise CourseError(f"{folder} does not exist; a lab is added in a checkout of the course with its library")
    return folder


def _contents(lab: str, title: str) -> dict[Path, str]:
    """Every file that is written by hand later on, with its first text."""
    subject = lab.partition("_")[2]
    contents = {
        labs.solution_path(lab): to_text(_notebook(lab, title)),
        _checks_folder() / f"{subject}.py": _filled(template.CHECKS, lab, title),
        golden.path(lab): _golden(lab),
    }
    for profile, values in template.PROFILES.items():
        contents |= _profile(lab, profile, values)
    return contents


def _notebook(lab: str, title: str) -> nbformat.NotebookNode:
    cells = []
    for kind, name, flags, source in template.CELLS:
        make = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
        cell = make(_filled(source, lab, title), id=name)
        if flags:
            defaults = {"schema_version": 3, "solution": False, "grade": False, "locked": False, "task": False}
            cell.metadata["nbgrader"] = defaults | flags
        if name == "parameters":
            cell.metadata["tags"] = ["parameters"]
        cells.append(cell)
    return nbformat.v4.new_notebook(cells=cells)


def _golden(lab: str) -> str:
    entries = {}
    for name, (value, kind, margin, unit, why) in template.GOLDEN.items():
        low, high = golden.bounds(value, kind, margin)
        entries[name] = {
            "value": value, "kind": kind, "margin": margin, "low": low, "high": high, "unit": unit, "why": why,
        }  # fmt: skip
    return json.dumps({"lab": lab, "profile": "smoke", "metrics": entries}, indent=1) + "\n"


def _profile(lab: str, profile: str, values: dict) -> dict[Path, str]:
    """The profile with the new lab at its end: text is added, so comments and order of the others stay."""
    path = labs.root() / "labs" / "profiles" / f"{profile}.yml"
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text) or {}
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise CourseError(f"profile {path} cannot be read: {reason}; restore it from version control") from error
    if lab in content:
        raise CourseError(f"{path} has an entry for {lab} already; remove it or choose another name")
    before = text.rstrip("\n") + "\n\n" if content else ""  # an empty profile may be written as {}
    return {path: before + yaml.safe_dump({lab: values}, sort_keys=False)}


def _filled(text: str, lab: str, title: str) -> str:
    number, _, subject = lab.partition("_")
    title = title or subject.replace("_", " ")
    names = {"lab": lab, "number": number, "subject": subject, "title": title}
    return re.sub(r"@(lab|number|subject|title)@", lambda match: names[match[1]], text)
