"""Tables for the instructor's pages: what each lab teaches and asks for, and which mistakes its checks know.

Both are read from the sources of the labs and the catalogues of the checks, so a new lab is in them by being there.
"""

import re

from finqa_lab import markdown
from finqa_lab.course import labs, timing
from finqa_lab.course.checking import Check, all_checks

_CHECK = re.compile(r"""(?m)^check\(\s*["']([a-z0-9_.]+)["']""")
_FACT = re.compile(r"\*\*(Time|Difficulty)\.?\*\*\s*([^.;]+)")


def exercises(lab: str) -> list[tuple[Check, float]]:
    """The graded checks of a lab with their points, in its order."""
    known, found = all_checks(), []
    for cell in labs.read_notebook(labs.solution_path(lab)).cells:
        grade = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "code" and grade.get("grade"):
            names = list(dict.fromkeys(_CHECK.findall(cell.source)))
            found += [(known[name], grade["points"] / len(names)) for name in names]
    return found


def facts(lab: str) -> dict[str, str]:
    """What the head of a lab says of its time and difficulty, and its heading.

    >>> facts("06_lora")["Time"]
    '150 minutes'
    """
    notebook = labs.read_notebook(labs.solution_path(lab))
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    found = {name: value.strip() for name, value in reversed(_FACT.findall(text))}
    return found | {"heading": re.search(r"(?m)^# (.+)$", text)[1]}


def outcomes(lab: str) -> list[str]:
    """The objectives that a lab states, without their marks."""
    notebook = labs.read_notebook(labs.solution_path(lab))
    text = next(cell.source for cell in notebook.cells if "**Objectives" in cell.source)
    listed = text.split("**Objectives", 1)[1].split("\n- ", 1)[1].split("\n\n", 1)[0]
    return [" ".join(item.split()).rstrip(";,.") for item in listed.split("\n- ")]


def prose(text: str) -> str:
    r"""A sentence whose signs mean nothing to Markdown, but for `code`.

    >>> print(prose("2 * x < $3 where `a_b` is [0]"))
    2 \* x \< \$3 where `a_b` is \[0\]
    """
    parts = text.split("`")
    parts[::2] = [re.sub(r"([\\$*_<>{}\[\]])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def overview_table() -> str:
    """One row a lab: minutes, difficulty, exercises, points."""
    rows = []
    for lab in labs.lab_names():
        found, graded = facts(lab), exercises(lab)
        points = sum(points for _, points in graded)
        link = f"{{doc}}`{found['heading']} </labs/{lab}>`"
        rows.append((link, found.get("Time", ""), found.get("Difficulty", ""), str(len(graded)), f"{points:g}"))
    return markdown.table(("lab", "a student's time:", "difficulty", "exercises:", "points:"), rows)


def times_table() -> str:
    """One row a lab: what its ``smoke`` run took when its record was set, and the sum."""
    found = timing.records()
    rows = [
        (lab, f"{found[lab]['cpu_seconds']:.0f}", f"{found[lab]['loops']:.0f}", found[lab]["date"])
        for lab in labs.lab_names()
        if lab in found
    ]
    rows.append(("together", f"{sum(found[row[0]]['cpu_seconds'] for row in rows):.0f}",
                 f"{sum(found[row[0]]['loops'] for row in rows):.0f}", ""))  # fmt: skip
    return markdown.table(("lab", "processor seconds:", "calibrated loops:", "measured"), rows)


def outcomes_page() -> str:
    """A section a lab: what a student can do afterwards, and which check asks for what, with its points."""
    parts = []
    for lab in labs.lab_names():
        rows = [(f"`{check.name}`", prose(check.task), f"{points:g}") for check, points in exercises(lab)]
        parts += [f"## {facts(lab)['heading']}", "", "After it a student can", ""]
        parts += [f"- {outcome}" for outcome in outcomes(lab)]
        parts += ["", markdown.table(("check", "asks for", "points:"), rows)]
    return "\n".join(parts)


def misconceptions_page() -> str:
    """A section a lab: every catalogued mistake of its checks, with the hint that a student gets for it."""
    parts = []
    for lab in labs.lab_names():
        rows = [
            (f"`{check.name}`", prose(mistake.name), prose(mistake.hint))
            for check, _ in exercises(lab)
            for mistake in check.wrong
        ]
        parts += [f"## {facts(lab)['heading']}", "", markdown.table(("check", "what a student does", "the hint"), rows)]
    return "\n".join(parts)
