"""Percentiles of a sample, and how far they can be trusted.

**The percentile.** Between the two nearest observations, linearly (the default of ``numpy.quantile``).

**Its interval** needs no assumption on the distribution. Of n independent observations, the number below the true
q-quantile is binomial with probability q. So the quantile lies between the l-th and the u-th smallest observation with
a probability that is a sum of binomial terms (H. David and H. Nagaraja, "Order Statistics", 2003, section 7.1). With 60
requests no observation is surely above the 99th percentile: the interval has no upper end.

**Not independent.** Requests that stand in one queue wait together. Then all formulas for independent observations
give intervals that are too narrow; a bootstrap that draws whole *blocks* of neighbouring requests keeps their
dependence (H. Künsch, 1989).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from finqa_lab.errors import CourseError


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with a confidence interval; an end is infinite where the sample says nothing about it."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"


def quantile(sample: Sequence[float], q: float, confidence: float = 0.95) -> Interval:
    """The q-quantile of independent observations, with the interval of order statistics.

    >>> print(quantile(range(1, 102), 0.5))
    51 (41 to 61)
    >>> quantile(range(60), 0.99).high
    inf

    Raises:
        CourseError: for an empty sample.
    """
    values = np.sort(_checked(sample))
    low, high = _ranks(len(values), q, (1 - confidence) / 2)
    return Interval(
        float(np.quantile(values, q)),
        -math.inf if low == 0 else float(values[low - 1]),
        math.inf if high > len(values) else float(values[high - 1]),
    )


def _ranks(size: int, q: float, tail: float) -> tuple[int, int]:
    """Ranks from 1: the largest l with P(fewer than l below) <= tail, the smallest u with P(at least u) <= tail.

    Rank 0 and rank size + 1 stand for "no such observation".
    """
    terms = np.arange(1, size + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(size - terms + 1) - np.log(terms))])  # of the binomial coefficients
    below = np.cumsum(np.exp(logs + np.arange(size + 1) * math.log(q) + np.arange(size, -1, -1) * math.log1p(-q)))
    low = int(np.searchsorted(below, tail, side="right"))  # P(count < low) = below[low - 1]
    high = int(np.searchsorted(below, 1 - tail, side="left")) + 1  # P(count >= high) = 1 - below[high - 1]
    return low, high


def bootstrap(
    sample: Sequence[float],
    statistic: Callable[[np.ndarray], np.ndarray],
    seed: int = 0,
    block: int = 1,
    draws: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Percentile interval of a statistic over resampled blocks of neighbouring observations.

    Args:
        sample: in the order of time.
        statistic: maps (draws, n) to (draws,), and (1, n) to (1,).
        seed: of the draws.
        block: neighbours that are drawn together; 1 where observations are independent. The blocks wrap around.
        draws: resamples.
        confidence: of the interval.

    >>> mean = lambda rows: rows.mean(axis=1)
    >>> print(bootstrap([1, 2, 3, 4] * 25, mean))
    2.5 (2.28 to 2.72)

    Raises:
        CourseError: for an empty sample, or a block that is not between 1 and its size.
    """
    values = _checked(sample)
    if not 1 <= block <= len(values):
        raise CourseError(f"blocks of {block} cannot be drawn from {len(values)} observations")
    blocks = math.ceil(len(values) / block)
    starts = np.random.default_rng(seed).integers(0, len(values), (draws, blocks, 1))
    places = ((starts + np.arange(block)) % len(values)).reshape(draws, -1)[:, : len(values)]
    found = np.quantile(statistic(values[places]), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(statistic(values[None])[0]), *map(float, found))


def _checked(sample: Sequence[float]) -> np.ndarray:
    values = np.asarray(list(sample), dtype=np.float64)
    if not len(values) or not np.isfinite(values).all():
        raise CourseError(f"a percentile needs finite observations, and of {len(values)} not all are; check the log")
    return values
