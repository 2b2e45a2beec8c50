"""What a reply gets right without a calculation: names guessed among those of the question.

A score is to be read against this floor. A third of the data set's answers are names, so a model that calculates
nothing and only knows the form of a reply is right more often than never.
"""

import math
from collections.abc import Sequence

from finqa_lab.errors import CourseError
from finqa_lab.quantitative.scoring import names
from finqa_lab.quantitative.task import Sample


def guess_rate(sample: Sample) -> float:
    """Probability that a guess is right: a name or an order drawn among those of the question; 0 for a number.

    >>> from finqa_lab.quantitative.dataset import dataset
    >>> samples = dataset(0, {"train": 6, "validation": 6, "phrasing": 6}).train
    >>> sorted({(sample.task, guess_rate(sample)) for sample in samples if sample.unit == "name"})
    [('ranking', 0.3333333333333333), ('sharpe', 0.5)]
    """
    if not isinstance(sample.answer, str):
        return 0.0
    choices = len(sample.parameters["names"])
    return 1 / math.perm(choices, len(names(sample.answer)))


def no_calculation(samples: Sequence[Sample]) -> float:
    """Expected share of right replies of a model that guesses names and gets no number right.

    Raises:
        CourseError: when there is no sample.
    """
    if not samples:
        raise CourseError("there is no sample to guess; give those of a split")
    return sum(map(guess_rate, samples)) / len(samples)
