"""Tables of ``benchmarks/adaptation.py`` for the book: from its JSON, or the command that would measure them."""

from collections.abc import Mapping, Sequence

from finqa_lab import markdown
from finqa_lab.course.results import reports
from finqa_lab.finqa.intervals import wilson

NAME = "adaptation"
COMMAND = "OMP_NUM_THREADS=1 python benchmarks/adaptation.py --json benchmarks/results/adaptation.json --only"
TABLES = {
    "main": ("base", "number", "program", "reasoning", "full"),
    "rates": ("rates",),
    "ranks": ("ranks",),
    "targets": ("targets",),
    "samples": ("samples",),
}
"""Tables of the book and the benchmark's sections that they show."""


def fragments(report: Mapping) -> dict[str, str]:
    """Markdown of every table; one that was not measured says by which command it would be."""
    made = {}
    for table, sections in TABLES.items():
        rows = [row for section in sections for row in report.get(section, ())]
        made[table] = _table(table, rows, report) if rows else _missing(sections)
    made["tasks"] = _tasks(report) if report.get("program") else _missing(("base", "number", "program"))
    return made


def _missing(sections: Sequence[str]) -> str:
    return reports.not_measured(f"{COMMAND} {' '.join(sections)}")


def _source(report: Mapping, sections: Sequence[str]) -> str:
    there = " ".join(section for section in sections if report.get(section))
    return f"`{COMMAND} {there}`, {report['hardware']}, {report['date']}."


def share(hits: int, total: int) -> str:
    """A share with its Wilson interval, in percent.

    >>> share(95, 100)
    '95% (89 to 98)'
    """
    rate = wilson(hits, total)
    return f"{100 * rate.value:.0f}% ({100 * rate.low:.0f} to {100 * rate.high:.0f})"


def _table(table: str, rows: Sequence[Mapping], report: Mapping) -> str:
    header = (
        "model | numeric tasks: | all, unseen parameters: | all, unseen phrasings: | trained: | optimizer: | CPU-s: "
        "| forgetting:"
    )
    lines = []
    for row in rows:
        cells = [row["name"], share(*row["validation"]["numeric"])]
        cells += [share(row[split]["within"], row[split]["asked"]) for split in ("validation", "phrasing")]
        if "trained" in row:
            rises = row["forgetting"].values()
            cells += [f"{row['trained']:,}", f"{row['optimizer_bytes'] / 1e6:.1f} MB", f"{row['cpu_seconds']:.0f}"]
            cells += [f"{sum(rises) / len(rises):+.2f}"]
        else:
            cells += ["0", "", "", ""]
        lines.append(cells)
    note = (
        "Shares within 1% with 95% Wilson intervals; the numeric tasks on unseen parameters; CPU-seconds of training "
        "on one thread; forgetting is the rise of the loss on held-out base text, nats a token, mean over its genres."
    )
    return markdown.table(header.split(" | "), lines) + f"\n{note} {_source(report, TABLES[table])}\n"


def _tasks(report: Mapping) -> str:
    """Each task on both splits: the first row of base, number and program."""
    columns = [(section, report[section][0]) for section in ("base", "number", "program") if report.get(section)]
    splits = ("validation", "phrasing")
    header = ["task", *(f"{name}, {split}:" for name, _ in columns for split in splits)]
    rows = [
        [task, *(share(*row[split]["tasks"][task]) for _, row in columns for split in splits)]
        for task in columns[0][1]["validation"]["tasks"]
    ]
    return markdown.table(header, rows) + f"\n{_source(report, ('base', 'number', 'program'))}\n"
