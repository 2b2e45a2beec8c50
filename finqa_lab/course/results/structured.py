"""Tables of ``benchmarks/structured.py`` for the book, made from its committed JSON."""

from collections.abc import Mapping

from finqa_lab import markdown
from finqa_lab.course.results import reports

NAME = "structured"
COMMAND = "OMP_NUM_THREADS=1 python benchmarks/structured.py --questions 200 --out benchmarks/results/structured.json"
TABLES = ("grammars", "replies")


def fragments(report: Mapping) -> dict[str, str]:
    """Markdown of every table; what was not measured says by which command it would be."""
    if not report:
        return dict.fromkeys(TABLES, reports.not_measured(COMMAND))
    source = f"`{COMMAND}`, greedy, seed 0, {report['hardware']}, one thread, {report['date']}.\n"
    return {
        "grammars": f"{_grammars(report['grammars'])}\n{source}",
        "replies": f"{_replies(report['replies'])}\n{source}",
    }


def _grammars(rows) -> str:
    header = markdown.figures(
        "grammar", "states", "edges", "shortest", "longest", "CPU-seconds to compile", "µs a mask"
    )
    return markdown.table(
        header,
        [
            [row["grammar"], f"{row['states']:,}", f"{row['edges']:,}", str(row["shortest"]), f"{row['longest']:,}",
             f"{row['cpu_seconds']:.2f}", f"{row['mask_microseconds']:.0f}"]
            for row in rows
        ],
    )  # fmt: skip


def _replies(rows) -> str:
    header = "model | asked for | grammar | unreadable: | cut off: | without a value: | right within 1%: | own way:"
    return markdown.table(
        header.split(" | "),
        [
            [row["model"], row["asked_for"], "yes" if row["grammar"] else "no", str(row["unreadable"]),
             str(row["cut_off"]), str(row["without_value"]) if row["asked_for"] == "program" else "",
             str(row["right"]), str(row["own_way"])]
            for row in rows
        ],
    )  # fmt: skip
