"""The floor without a calculation: what drawing names at random gets right."""

import random

import pytest

from finqa_lab.errors import CourseError
from finqa_lab.quantitative.dataset import dataset
from finqa_lab.quantitative.guessing import guess_rate, no_calculation
from finqa_lab.quantitative.scoring import score

SAMPLES = dataset(0).validation


def test_the_floor_is_what_random_names_score():
    rng, hits, rounds = random.Random(0), 0, 40
    named = [sample for sample in SAMPLES if isinstance(sample.answer, str)]
    for _ in range(rounds):
        replies = {}
        for sample in named:
            order = rng.sample(sample.parameters["names"], len(sample.answer.split(">")))
            replies[sample.id] = f"answer: {' > '.join(order)}"
        hits += score(replies, SAMPLES).rate("within").hits
    assert hits / rounds / len(SAMPLES) == pytest.approx(no_calculation(SAMPLES), abs=0.01)


def test_numbers_are_not_guessed_and_orders_are_harder_than_names():
    rates = {(sample.task, ">" in str(sample.answer)): guess_rate(sample) for sample in SAMPLES}
    assert rates[("volatility", False)] == 0 and rates[("sharpe", False)] == 1 / 2
    assert rates[("ranking", False)] == pytest.approx(1 / 3) and rates[("ranking", True)] == pytest.approx(1 / 6)


def test_no_sample_has_no_floor():
    with pytest.raises(CourseError, match="there is no sample to guess"):
        no_calculation([])
