"""Intervals and paired tests, against published values and against their definitions."""

from itertools import product
from statistics import NormalDist

import numpy as np
import pytest

from finqa_lab.finqa.intervals import bootstrap_difference, mcnemar_exact, wilson


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(hits, total, low, high):
    """Newcombe (1998), Statistics in Medicine 17, table I, method 3."""
    found = wilson(hits, total)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    mirrored = wilson(total - hits, total)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - high, 1 - low), abs=5e-5)


@pytest.mark.parametrize(("hits", "total"), [(0, 1), (1, 1), (0, 20), (20, 20), (3, 7), (702, 1147), (1146, 1147)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_wilsons_ends_are_where_the_score_test_begins_to_reject(hits, total, confidence):
    found = wilson(hits, total, confidence)
    assert 0 <= found.low <= found.value <= found.high <= 1
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    for end in (found.low, found.high):
        if 0 < end < 1:
            assert abs(found.value - end) == pytest.approx(z * (end * (1 - end) / total) ** 0.5, rel=1e-9)


@pytest.mark.parametrize(("hits", "total"), [(0, 0), (-1, 5), (6, 5)])
def test_what_is_no_rate_is_refused(hits, total):
    with pytest.raises(ValueError, match="no rate"):
        wilson(hits, total)


@pytest.mark.parametrize("disagreements", range(11))
def test_mcnemar_counts_the_outcomes_that_are_as_uneven(disagreements):
    for first in range(disagreements + 1):
        uneven = abs(2 * first - disagreements)
        outcomes = [abs(2 * sum(coins) - disagreements) for coins in product((0, 1), repeat=disagreements)]
        expected = sum(other >= uneven for other in outcomes) / len(outcomes)
        assert mcnemar_exact(first, disagreements - first) == pytest.approx(expected, rel=1e-12)


def test_mcnemar_of_many_disagreements():
    assert mcnemar_exact(5000, 5000) == 1.0 and mcnemar_exact(4000, 6000) < 1e-80


def test_the_bootstrap_is_that_of_resampled_questions():
    rng = np.random.default_rng(0)
    first, second = rng.random(300) < 0.6, rng.random(300) < 0.7
    low, high = bootstrap_difference(list(first), list(second), seed=1, samples=20_000)
    chosen = rng.integers(0, 300, (20_000, 300))
    differences = (second[chosen].astype(int) - first[chosen]).mean(axis=1)
    # the standard error of a 2.5% quantile of 20,000 draws is 0.0004 here; one question is 0.0033
    assert (low, high) == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=0.004)
    assert low < second.mean() - first.mean() < high
    assert (low, high) == bootstrap_difference(list(first), list(second), seed=1, samples=20_000)
    assert bootstrap_difference([True, False], [True, False], seed=0) == (0.0, 0.0)


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="cannot be paired"):
        bootstrap_difference([True], [True, False], seed=0)
    with pytest.raises(ValueError, match="cannot be paired"):
        bootstrap_difference([], [], seed=0)
