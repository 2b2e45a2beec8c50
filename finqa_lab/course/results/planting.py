"""Table of ``benchmarks/planting.py`` for the book, made from its committed JSON."""

from collections.abc import Mapping

from finqa_lab import markdown
from finqa_lab.course.results import reports

NAME = "planting"
COMMAND = "OMP_NUM_THREADS=1 python benchmarks/planting.py --out benchmarks/results/planting.json"
SHOWN = ("copy", "rewrite", "echo")
"""Kinds of conversations that the table has."""


def fragments(report: Mapping) -> dict[str, str]:
    """Markdown of the table; what was not measured says by which command it would be."""
    if not report:
        return {"steps": reports.not_measured(COMMAND)}
    header = markdown.figures(
        f"after {report['steps']} steps", "loss, last 20", "second run easier by", *(f"`{kind}`" for kind in SHOWN)
    )
    rows = [
        ["planted" if row["planted"] else "not planted", f"{row['loss']:.3f}", f"{row['repetition_gain']:.2f}",
         *(f"{row['known'][kind]}" for kind in SHOWN)]
        for row in report["rows"]
    ]  # fmt: skip
    note = (
        f"Loss in nats a token; replies that are right to the letter, of {report['questions']} unseen conversations of "
        f"each kind; seed {report['seed']}."
    )
    return {
        "steps": f"{markdown.table(header, rows)}\n{note} `{COMMAND}`, {report['hardware']}, one thread, "
        f"{report['date']}.\n"
    }
