"""Three questions to a log, as data for three plots: what does a token cost, what does a prompt cost, does it last?

=====================  =============================  =====================================================
plot                   slope of its line              read as
=====================  =============================  =====================================================
latency, output        seconds a token                1 / slope: tokens a second of one reply
first token, prompt    seconds a token                1 / slope: prompt tokens a second
throughput, time       tokens a second, a second      near 0: the server neither tires nor warms up
=====================  =============================  =====================================================
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finqa_lab.errors import CourseError
from finqa_lab.serve.load.fits import Line, fit_line
from finqa_lab.serve.load.table import Row


@dataclass(frozen=True)
class Plot:
    """Points and their line.

    Attributes:
        x_label, y_label: with units.
        x, y: of the points.
        line: fitted.
    """

    x_label: str
    y_label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    line: Line


def latency_by_output(rows: Sequence[Row]) -> Plot:
    """Latency against output tokens; linear when each token costs the same.

    Raises:
        CourseError: when there are fewer than three rows, or all have the same number of tokens.
    """
    return _plot("output tokens", "latency, s", [(row.output_tokens, row.latency) for row in rows])


def first_token_by_prompt(rows: Sequence[Row]) -> Plot:
    """Time to first token against prompt tokens; linear while attention is the smaller part of the work.

    Raises:
        CourseError: when there are fewer than three rows, or all have the same number of tokens.
    """
    return _plot("prompt tokens", "time to first token, s", [(row.prompt_tokens, row.ttft) for row in rows])


def throughput_over_time(rows: Sequence[Row], windows: int = 20) -> Plot:
    """Output tokens a second in equal windows of time, from the first request to the last reply.

    The tokens of a reply are spread evenly between its first token and its end. The first and the last window hold the
    batch's coming and going and are left out.

    Raises:
        CourseError: when there are no rows, or fewer than five windows.
    """
    if not rows or windows < 5:
        raise CourseError(f"{len(rows)} rows in {windows} windows show no throughput; give rows and at least 5 windows")
    begin, end = min(row.begin for row in rows), max(row.end for row in rows)
    edges = np.linspace(begin, end, windows + 1)
    written = np.zeros(windows)
    for row in rows:
        first = row.begin + row.ttft
        if row.end > first:
            share = np.diff(np.clip((edges - first) / (row.end - first), 0.0, 1.0))
            written += row.output_tokens * share
        else:  # all tokens at once
            written[min(windows - 1, int(np.searchsorted(edges, row.end, side="left")) - 1)] += row.output_tokens
    rate, middles = written / np.diff(edges), (edges[:-1] + edges[1:]) / 2 - begin
    return _plot("time, s", "throughput, tokens/s", list(zip(middles[1:-1].tolist(), rate[1:-1].tolist())))


def drift(plot: Plot) -> float:
    """How much of its mean a throughput gains over the run by its line; -0.05 is a loss of a twentieth."""
    mean = float(np.mean(plot.y))
    return plot.line.slope.value * (plot.x[-1] - plot.x[0]) / mean if mean else 0.0


def _plot(x_label: str, y_label: str, points: Sequence[tuple[float, float]]) -> Plot:
    x, y = tuple(point[0] for point in points), tuple(point[1] for point in points)
    return Plot(x_label, y_label, x, y, fit_line(x, y))
