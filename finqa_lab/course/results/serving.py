"""Tables of ``benchmarks/serving.py`` for the book, made from its committed JSON."""

from collections.abc import Mapping

from finqa_lab import markdown
from finqa_lab.course.results import reports

NAME = "serving"
COMMAND = "OMP_NUM_THREADS=1 python benchmarks/serving.py --out benchmarks/results/serving.json"
TABLES = ("speeds", "cpu", "ratios", "waits", "overload", "cost_model")
PEERS = {
    "ours": "this course's server",
    "ours one at a time": "this course's server, one at a time",
    "engine": "its engine, without HTTP",
    "serial": "the plain loop, without HTTP",
    "transformers": "transformers, continuous batching, without HTTP",
    "mlx": "mlx_lm.server",
    "llama": "llama.cpp",
}
"""What the benchmark's peers are called in the tables."""


def fragments(report: Mapping) -> dict[str, str]:
    """Markdown of every table; what was not measured says by which command it would be."""
    if not report:
        return dict.fromkeys(TABLES, reports.not_measured(COMMAND))
    made = {
        "speeds": _by_concurrency(report, "tokens_a_second", "{:.0f}"),
        "cpu": _by_concurrency(report, "tokens_a_cpu_second", "{:.0f}"),
        "ratios": _ratios(report),
        "waits": _waits(report),
        "overload": _overload(report),
        "cost_model": _cost_model(report),
    }
    load_average = f"load {report['load_average_before']} before and {report['load_average_after']} after"
    note = f" ({report['note']}; {load_average})" if report.get("note") else f" ({load_average})"
    source = f"`{COMMAND}`, {report['hardware']}, one thread, {report['date']}{note}.\n"
    return {name: f"{table}\n{source}" for name, table in made.items()}


def _by_concurrency(report: Mapping, key: str, form: str) -> str:
    """A row for each peer, a column for each concurrency."""
    counts = sorted({row["concurrency"] for row in report["rows"]})
    cells = {(row["peer"], row["concurrency"]): form.format(row[key]) for row in report["rows"]}
    same = {row["peer"]: [] for row in report["rows"]}
    for row in report["rows"]:
        same[row["peer"]] += [row["same"]] if "same" in row else []
    rows = [
        [PEERS.get(peer, peer), *(cells.get((peer, count), "") for count in counts),
         f"{sum(shares) / len(shares):.0%}" if shares else ""]
        for peer, shares in same.items()
    ]  # fmt: skip
    return markdown.table(["at a time", *(f"{count}:" for count in counts), "equal replies:"], rows)


def _ratios(report: Mapping) -> str:
    by_clock, by_cpu = report["ratios"]["tokens_a_second"], report["ratios"]["tokens_a_cpu_second"]
    rows = [[name, f"{by_clock[name]:.2f}", f"{by_cpu[name]:.2f}"] for name in by_clock]
    return markdown.table(["ratio", "by the clock:", "by processor time:"], rows)


def _waits(report: Mapping) -> str:
    rows = [
        [PEERS.get(row["peer"], row["peer"]), str(row["concurrency"]), f"{1000 * row['ttft_p50']:.0f}",
         f"{1000 * row['tpot_p50']:.1f}"]
        for row in report["rows"]
        if "ttft_p50" in row
    ]  # fmt: skip
    return markdown.table(["server", "at a time:", "first token p50, ms:", "each further token p50, ms:"], rows)


def _overload(report: Mapping) -> str:
    rows = []
    for row in report.get("overload", ()):
        bound = f"{row['waiting']} may wait" if row["waiting"] < 1000 else "no bound"
        p95 = row["ttft"]["p95"]["value"]
        rows.append(
            [bound, f"{row['arrivals_a_second']:.1f}", str(row["served"]), str(row["refused"]), f"{p95:.2f}",
             f"{row['goodput']:.1f}"]
        )  # fmt: skip
    return markdown.table(
        ["queue", "arrivals a second:", "served:", "refused:", "first token p95, s:", "goodput a second:"], rows
    )


def _cost_model(report: Mapping) -> str:
    found = report.get("cost_model", {})
    measured = found.get("measured", {})
    rows = [["measured", *(f"{rate:.0f}" for rate in measured.values()), ""]]
    for name, fit in found.items():
        if name == "measured":
            continue
        errors = [abs(fit["predicted"][count] / rate - 1) for count, rate in measured.items()]
        rows.append([name, *(f"{fit['predicted'][count]:.0f}" for count in measured), f"{max(errors):.0%}"])
    return markdown.table(["tokens/s at", *(f"{count}:" for count in measured), "largest error:"], rows)
