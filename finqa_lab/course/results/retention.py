"""Table of ``benchmarks/retention.py`` for the book, made from its committed JSON."""

from collections.abc import Mapping

from finqa_lab import markdown
from finqa_lab.course.results import reports

NAME = "retention"
COMMAND = "OMP_NUM_THREADS=1 python benchmarks/retention.py --out benchmarks/results/retention.json"


def fragments(report: Mapping) -> dict[str, str]:
    """Markdown of the curve and a sentence on whole rows; what was not measured says by which command it would be."""
    if not report:
        return dict.fromkeys(("curve", "mean"), reports.not_measured(COMMAND))
    saved = lambda row, shape: row[f"new, {shape}"] - row[f"seen, {shape}"]  # noqa: E731
    rows = [
        [f"{row['distance']}", f"{row['new, all']:.2f}", f"{row['seen, all']:.2f}",
         *(f"{saved(row, shape):+.2f}" for shape in ("all", "window", "sinks"))]
        for row in report["rows"]
    ]  # fmt: skip
    header = ("distance $D$:", "new:", "seen before:", "saved:", "saved, window of 128:", "with four sinks:")
    whole = report["mean_loss"]
    return {
        "curve": f"{markdown.table(header, rows)}\n`{COMMAND}`, {report['hardware']}, one thread, {report['date']}.\n",
        "mean": f"Over {report['whole_rows']} whole rows of held-out text the mean loss is {whole['all']:.3f} nats "
        f"with all positions and {whole['window']:.3f} with the window of 128.\n",
    }
