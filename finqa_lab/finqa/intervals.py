"""How far a measured accuracy can be trusted: the interval of one rate, and the comparison of two systems.

Two systems that answer the same questions are compared question by question. The questions that both get right, or
both wrong, say nothing about which is better; McNemar's test and the paired bootstrap use that, two separate intervals
do not. (For an error rate with no or few errors, the one-sided bound of Clopper and Pearson is the better choice.)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of questions with its Wilson interval.

    Attributes:
        hits: how many.
        total: of how many.
        low: lower end of the interval, in [0, 1].
        high: upper end.
    """

    hits: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share, in [0, 1]."""
        return self.hits / self.total

    def __str__(self) -> str:
        return f"{self.value:.2%} ({self.low:.2%} to {self.high:.2%}; {self.hits} of {self.total})"


def wilson(hits: int, total: int, confidence: float = 0.95) -> Rate:
    """Two-sided score interval of a rate (Wilson 1927): all rates that the normal test does not reject.

    It stays inside [0, 1] and has a width also at 0 and 1, which the textbook interval around the mean has not.

    >>> print(wilson(9, 10))
    90.00% (59.58% to 98.21%; 9 of 10)

    Raises:
        ValueError: unless 0 <= hits <= total and total is positive.
    """
    if not 0 <= hits <= total or total < 1:
        raise ValueError(f"{hits} hits of {total} is no rate")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate, square = hits / total, z * z / total
    middle = (rate + square / 2) / (1 + square)
    half = z * math.sqrt(rate * (1 - rate) / total + square / (4 * total)) / (1 + square)
    # At the ends one bound is the rate itself, which rounding must not miss.
    return Rate(hits, total, 0.0 if hits == 0 else middle - half, 1.0 if hits == total else middle + half)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p-value that two systems are equally good (McNemar 1947, with the exact binomial distribution).

    Args:
        only_first: questions that only the first system answers rightly.
        only_second: questions that only the second answers rightly.

    >>> round(mcnemar_exact(8, 1), 6), mcnemar_exact(0, 0)
    (0.039062, 1.0)
    """
    disagreements = only_first + only_second
    tail, ways = 0, 1
    for k in range(min(only_first, only_second) + 1):
        tail, ways = tail + ways, ways * (disagreements - k) // (k + 1)
    return min(1.0, 2 * tail / 2**disagreements)


def bootstrap_difference(
    first: Sequence[bool], second: Sequence[bool], seed: int, samples: int = 10_000, confidence: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the accuracy of the second system minus that of the first, over resampled questions.

    A resample of n questions draws the three possible differences of a question (-1, 0, 1) with the frequencies they
    have, so the bootstrap is drawn from the multinomial distribution instead of question by question.

    Args:
        first: whether the first system is right, a question each.
        second: the same questions, in the same order.
        seed: of the resampling.
        samples: number of resamples.
        confidence: share of the resamples inside the interval.

    Raises:
        ValueError: when the lengths differ or are 0.
    """
    differences = np.asarray(second, dtype=np.int64) - np.asarray(first, dtype=np.int64)
    if len(first) != len(second) or not len(first):
        raise ValueError(f"{len(first)} and {len(second)} outcomes cannot be paired")
    total = len(differences)
    frequencies = [np.mean(differences == step) for step in (-1, 0, 1)]
    lost, _, gained = np.random.default_rng(seed).multinomial(total, frequencies, size=samples).T
    low, high = np.quantile((gained - lost) / total, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
