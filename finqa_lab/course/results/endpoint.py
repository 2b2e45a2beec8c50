"""Tables of ``benchmarks/endpoint.py`` for the book, made from its committed JSON."""

from collections.abc import Mapping

from finqa_lab import markdown
from finqa_lab.course.results import reports

NAME = "endpoint"
COMMAND = "OMP_NUM_THREADS=1 python benchmarks/endpoint.py --out benchmarks/results/endpoint.json"
TABLES = ("measured", "capacity", "policies", "starts")
FORMS = {"json": '`{"answer": number}`', "program": "a program, executed"}


def fragments(report: Mapping) -> dict[str, str]:
    """Markdown of every table; what was not measured says by which command it would be."""
    if not report:
        return dict.fromkeys(TABLES, reports.not_measured(COMMAND))
    made = {"measured": _measured(report), "capacity": _capacity(report), "policies": _policies(report),
            "starts": _starts(report)}  # fmt: skip
    source = f"`{COMMAND}`, {report['hardware']}, one thread, {report['date']}"
    note = f" ({report['note']}; load {report['load_average_before']} before and {report['load_average_after']} after)"
    computed = f"`{COMMAND}`; computed, no machine was measured; seeds 0, 1 and 2, {report['date']}"
    return {
        name: f"{table}\n{source + note if name == 'measured' else source if name == 'capacity' else computed}.\n"
        for name, table in made.items()
    }


def _measured(report: Mapping) -> str:
    rows = [
        [FORMS[row["form"]], str(row["requests"]), str(row["structure_errors"]), *(f"{row[key]:.2f}" for key in
         ("mean_s", "p50_s", "p95_s", "p99_s")), str(row["target_per_minute"])]
        for row in report["measured"]
    ]  # fmt: skip
    reference = report["reference"]
    rows.append(["the reference, stated", "", "", f"{reference['mean_s']:.2f}", "", "", "",
                 str(reference["target_per_minute"])])  # fmt: skip
    header = "reply | requests: | without an answer: | mean, s: | p50, s: | p95, s: | p99, s: | target, calls a minute:"
    return markdown.table(header.split(" | "), rows)


def _capacity(report: Mapping) -> str:
    rows = []
    sources = [(FORMS[row["form"]], row) for row in report["measured"]]
    for name, found in [*sources, ("the reference, 0.73 s always", report["reference"])]:
        for line in found["instances"]:
            load = f"{line['requests_a_second']:g}"
            rows.append([name, load, str(line["rule"]), str(line["p95_random"]), str(line["p95_least"])])
    return markdown.table(
        "reply | requests a second: | half used: | p95, random: | p95, least busy:".split(" | "), rows
    )


def _policies(report: Mapping) -> str:
    """One line a policy: the middle of the seeds, and the range where it matters."""
    rows = []
    chosen: dict[tuple[str, str], list] = {}
    for row in report["day"]["policies"]:
        chosen.setdefault((row["policy"], row["routing"]), []).append(row)
    for (policy, routing), found in chosen.items():
        name = policy if routing == "random" else f"{policy}, least busy"
        rows.append([name, _range(found, "p95_s", "{:.1f}"), _range(found, "dropped_share", "{:.2%}"),
                     _range(found, "mean_instances", "{:.1f}"), _range(found, "usd", "{:.0f}")])  # fmt: skip
    return markdown.table("policy | p95, s: | dropped: | mean instances: | USD a day:".split(" | "), rows)


def _starts(report: Mapping) -> str:
    chosen: dict[float, list] = {}
    for row in report["day"]["starts"]:
        chosen.setdefault(row["start_s"], []).append(row)
    rows = [[f"{start:g}", _range(found, "p95_s", "{:.1f}"), _range(found, "dropped_share", "{:.2%}"),
             _range(found, "usd", "{:.0f}")] for start, found in chosen.items()]  # fmt: skip
    return markdown.table("start of an instance, s: | p95, s: | dropped: | USD a day:".split(" | "), rows)


def _range(rows: list[Mapping], key: str, form: str) -> str:
    """All seeds in one cell: the lowest to the highest, or one figure when they are written alike."""
    low, high = form.format(min(row[key] for row in rows)), form.format(max(row[key] for row in rows))
    return low if low == high else f"{low} to {high}"
