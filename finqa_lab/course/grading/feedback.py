"""The feedback page of one submission: a small HTML file that needs no network and shows no hidden test."""

import html
from pathlib import Path

from finqa_lab.course import labs
from finqa_lab.course.grading.model import GRADED, VERDICTS, Exercise, Grade, number
from finqa_lab.course.grading.source import Source
from finqa_lab.files import write_atomic

_STYLE = """\
body { font: 16px/1.5 sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .6rem; vertical-align: top;
border-bottom: 1px solid #bbb; } pre { white-space: pre-wrap; background: #f4f4f4; padding: .6rem; overflow-x: auto; }
.points { text-align: right; }"""


def page(grade: Grade, source: Source) -> str:
    """The page as HTML; every text of the submission is escaped."""
    name = labs.title(source.released) or grade.lab
    parts = [
        f"<h1>{_text(name)}</h1>",
        f"<p>Student {_text(grade.student)}, lab {_text(grade.lab)}: "
        f"<strong>{number(grade.points)} of {number(grade.max_points)} points</strong>.</p>",
        f"<p>Verdict: <strong>{_text(grade.verdict)}</strong> ({_text(VERDICTS[grade.verdict])}). "
        f"{_text(grade.sentence)}</p>",
        "<h2>Exercises</h2>",
        "<table><thead><tr><th>exercise</th><th>result</th><th class='points'>points</th></tr></thead><tbody>",
        *map(_row, grade.exercises),
        "</tbody></table>",
    ]
    for exercise in grade.exercises:
        if exercise.status == "wrong":
            parts += [f"<h3>{_text(exercise.grade_id)}</h3>", f"<pre>{_text(exercise.message)}</pre>"]
    if grade.notes:
        parts += ["<h2>What the grader changed or noticed</h2>", "<ul>"]
        parts += [f"<li>{_text(note)}</li>" for note in grade.notes] + ["</ul>"]
    if grade.verdict != GRADED and grade.output.strip():
        parts += ["<h2>What was printed first</h2>", f"<pre>{_text(grade.output[:2000])}</pre>"]
    if grade.isolation:
        parts += ["<h2>How it was run</h2>", f"<p>{_text(grade.isolation)}</p>"]
    title = f"{grade.lab}: {grade.student}"
    return (
        f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width'><title>{_text(title)}</title>"
        f"<style>{_STYLE}</style></head>\n<body><main>\n" + "\n".join(parts) + "\n</main></body></html>\n"
    )


def write(grades: list[Grade], sources: list[Source], out: Path) -> None:
    """Write ``out/STUDENT/LAB/feedback.html`` for each grade."""
    by_lab = {source.lab: source for source in sources}
    for grade in grades:
        write_atomic(out / grade.student / grade.lab / "feedback.html", page(grade, by_lab[grade.lab]))


def _row(item: Exercise) -> str:
    points = f"{number(item.points)} of {number(item.max_points)}"
    why = f": {_text(item.message)}" if item.status == "not run" else ""
    return f"<tr><td>{_text(item.grade_id)}</td><td>{item.status}{why}</td><td class='points'>{points}</td></tr>"


def _text(text: str) -> str:
    """Escaped text; lone surrogates and control characters, which no HTML file may hold, as question marks."""
    clean = "".join(c if c in "\n\t" or (c.isprintable() or c.isspace()) else "?" for c in text)
    return html.escape(clean.encode("utf-8", "replace").decode("utf-8"))
