"""Tables of ``benchmarks/finqa.py`` for the book, made from its committed JSON."""

from collections.abc import Callable, Mapping

from finqa_lab import markdown

NAME = "finqa-dev"


def fragments(report: Mapping) -> dict[str, str]:
    """Markdown of every section that the report has, by its name; ``"head"`` says what was measured where."""
    if not report:  # a course of one's own may have no results to show
        return {}
    made = {name: make(report[name]) for name, make in SECTIONS.items() if name in report}
    return {"head": _head(report)} | {name: "\n".join(lines) + "\n" for name, lines in made.items()}


def _head(report: Mapping) -> str:
    kind = "estimates for the whole split, weighted by strata" if report["estimate"] else "means over the split"
    return (
        f"Measured on {report['questions']:,} questions of the public {report['split']} split, trained on "
        f"{report['train_on']}, {report['pages']:,} pages to search; {report['date']}, {report['hardware']}. "
        f"Figures are {kind}, in percent, with 95% intervals of the questions.\n"
    )


def _table(head: tuple[str, ...], rows: list[tuple]) -> list[str]:
    return markdown.table(markdown.figures(*head), ([str(cell) for cell in row] for row in rows)).splitlines()


def _estimate(found: Mapping) -> str:
    return f"{found['value']:.1f} ± {found['half']:.1f}"


def _executor(section: Mapping) -> list[str]:
    rows = []
    for name, part in section.items():
        if isinstance(part, Mapping):
            exceptions = "; ".join(f"{kind}: {', '.join(ids)}" for kind, ids in part["exceptions"].items())
            rows.append((name, part["records"], part["equal"], exceptions or "none", len(part["left_out"])))
    return _table(("part", "programs", "equal to the stored answer", "exceptions", "records left out"), rows)


def _scoring(section: Mapping) -> list[str]:
    rows = [
        ("predictions", f"{section['predictions']:,}"),
        ("this library", f"{section['ours_s']:.2f} s"),
        ("official rule through SymPy", f"{section['sympy_s']:.1f} s"),
        ("ratio, median of turns", f"{section['ratio']:.0f}"),
        ("slowest of 100,000 fuzzed programs", f"{section['fuzz_ms']:.1f} ms"),
    ]
    return _table(("scoring", "measured"), rows)


def _within(section: Mapping) -> list[str]:
    names = ("recall@3", "recall@5", "all@5", "recall@10", "mrr", "ndcg@5")
    rows = [(method, *(_estimate(row[name]) for name in names)) for method, row in section["methods"].items()]
    kinds = [
        (method, *(_estimate(row["all@5 by kind"][kind]) for kind in ("text", "table", "both")))
        for method, row in section["methods"].items()
    ]
    by_kind = _table(("all@5, gold facts in", "text only", "table only", "text and table"), kinds)
    training = section["training"]
    note = f"The reranker was trained on {training['questions']:,} questions in {training['cpu_s']:.0f} CPU-seconds."
    return [*_table(("method", *names), rows), "", *by_kind, "", note]


def _corpus(section: Mapping) -> list[str]:
    names = ("recall@5", "all@5", "recall@10", "all@10", "page@10", "recall@50")
    rows = [(method, *(_estimate(row[name]) for name in names)) for method, row in section["methods"].items()]
    size = f"{section['pages']:,} pages, {section['chunks']:,} chunks, {section['bytes'] / 2**20:.0f} MiB of indexes."
    gain = f"Page-then-chunk minus flat hybrid, all@10: {_estimate(section['gain'])} points, question by question."
    return [*_table(("method", *names), rows), "", f"{size} {gain}"]


def _latency(section: Mapping) -> list[str]:
    rows = [(name, f"{one['p50_ms']:.2f}", f"{one['p95_ms']:.2f}") for name, one in section["ms"].items()]
    faster = section["faster"]
    note = (
        f"Over {section['chunks']:,} chunks, one thread. Computing all scores, the sparse index is "
        f"{faster['p50_ms']:.0f} (p50) and {faster['p95_ms']:.0f} (p95) times faster than `rank-bm25`; no score "
        f"differs by more than {section['score_difference']:.0e}."
    )
    return [*_table(("a query, ms", "p50", "p95"), rows), "", note]


def _ladder(section: Mapping) -> list[str]:
    names = ("recall@3", "recall@5", "all@5", "made recall@3", "made recall@5", "made all@5")
    head = tuple(name.replace("made ", "generated ") if "made" in name else f"real {name}" for name in names)
    rows = [(rung, *(_estimate(row[name]) for name in names)) for rung, row in section["rungs"].items()]
    order = [
        f"{label}: Kendall's tau {one['tau']:.2f}, {len(one['inversions'])} of {one['pairs']} pairs inverted"
        for label, one in section["order"].items()
    ]
    return [*_table(("table row / method", *head), rows), "", f"The same order by recall@5? {'; '.join(order)}."]


def _generator(section: Mapping) -> list[str]:
    rows = []
    for name, one in section.items():
        if not isinstance(one, Mapping):
            continue
        middle = f"{100 * one['execution']:.1f} ± {100 * one['half_interval']:.1f}"
        seeds = ", ".join(map(str, one["each"]))
        rows.append((name, middle, f"{100 * one['among_five']:.1f}", seeds, f"{one['train_cpu_s']:.0f}"))
    head = ("answering from", "execution accuracy", "right among the first five", "each seed", "training, CPU-seconds")
    note = (
        f"{section['records']:,} training programs. Behind our own retrieval the generator reads {section['facts']} "
        "facts, and its training time includes the rerankers that find its training facts."
    )
    return [*_table(head, rows), "", note]


SECTIONS: dict[str, Callable[[Mapping], list[str]]] = {
    "executor": _executor,
    "scoring": _scoring,
    "within": _within,
    "corpus": _corpus,
    "latency": _latency,
    "ladder": _ladder,
    "generator": _generator,
}
