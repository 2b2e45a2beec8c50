"""Tables of ``benchmarks/distributed.py`` for the book, made from its committed JSON."""

from collections.abc import Mapping

from finqa_lab import markdown
from finqa_lab.course.results import reports

NAME = "distributed"
COMMAND = "OMP_NUM_THREADS=1 python benchmarks/distributed.py --out benchmarks/results/distributed.json"
TABLES = ("steps", "cost", "kept", "plans")
STRATEGIES = {"one process": "one process", "ddp": "DDP", "fsdp": "FSDP2"}


def fragments(report: Mapping) -> dict[str, str]:
    """Markdown of every table; what was not measured says by which command it would be."""
    if not report:
        return dict.fromkeys(TABLES, reports.not_measured(COMMAND))
    made = {"steps": _steps(report), "cost": _cost(report), "kept": _kept(report), "plans": _plans(report)}
    source = f"`{COMMAND}`, {report['hardware']}, {report['date']}"
    note = f" ({report['note']}; load {report['load_average_before']} before and {report['load_average_after']} after)"
    return {
        name: f"{table}\n{source}{'' if name in ('kept', 'plans') else note if report['note'] else ''}.\n"
        for name, table in made.items()
    }


def _steps(report: Mapping) -> str:
    rows = []
    for row in report["rows"]:
        sent = ["", "", ""] if row["ranks"] == 1 else [
            f"{row[key] / 1e6:.2f}" for key in ("predicted_bytes", "counted_bytes", "loopback_bytes")
        ]  # fmt: skip
        trained = {"lora": "adapter", "full": "all"}[row["method"]]
        cells = [STRATEGIES[row["strategy"]], trained, f"{row['tokens']:,}", f"{row['numbers_held_by_rank_0']:,}"]
        rows.append([*cells, *sent, f"{row['seconds']:.3f}", f"{row['model_seconds']:.3f}"])
    header = (
        "training | trained | tokens: | numbers on rank 0: | predicted, MB: | counted, MB: | wire, MB: | s a step: "
        "| by the model, s:"
    )
    return markdown.table(header.split(" | "), rows)


def _cost(report: Mapping) -> str:
    rows = []
    for row in report["cost_models"]:
        speed = f"{row['bytes_a_second'] / 1e6:,.0f}" if row["bytes_a_second"] else "no cost found"
        rows.append(
            [
                {"lora": "adapter", "full": "all"}[row["method"]],
                f"{row['tokens_a_second_of_a_rank']:,.0f}",
                f"{row['crowding']:.2f}",
                speed,
                f"{1e3 * row['latency_seconds']:.1f}",
                f"{row['largest_error_where_fitted']:.0%}",
                f"{row['largest_error_where_asked']:.0%}",
            ]
        )
    header = (
        "trained | tokens/s of a rank: | crowding: | MB/s: | ms an exchange: | largest error, fitted: "
        "| largest error, longest steps:"
    )
    return markdown.table(header.split(" | "), rows)


def _kept(report: Mapping) -> str:
    found = {(row["method"], row["recompute"], row["bits"]): row["kept_mb"] for row in report["kept"]}
    rows = [
        [name, *(f"{found[method, recompute, bits]:.1f}" for bits in (32, 16) for recompute in (False, True))]
        for name, method in (("adapter", "lora"), ("all", "full"))
    ]
    header = "trained | float32, MB: | recomputed: | bfloat16, MB: | recomputed:"
    return markdown.table(header.split(" | "), rows)


def _plans(report: Mapping) -> str:
    rows = []
    for row in report["plans"]:
        slow, fast = row["tokens_a_second"]
        speed = f"{slow:,} to {fast:,}" if row["fits"] else "does not fit"
        cells = [row["machine"], row["method"], STRATEGIES[row["strategy"]], f"{row['memory_gb']:.1f}"]
        cells += [f"{row['sent_gb_a_step']:.2f}", f"{row['compute_seconds']:.2f}", f"{row['link_seconds']:.2f}", speed]
        rows.append(cells)
    header = (
        "machine | method | strategy | GB a rank: | GB sent a step: | computing, s: | sending, s: "
        "| tokens/s (estimate):"
    )
    return markdown.table(header.split(" | "), rows)
