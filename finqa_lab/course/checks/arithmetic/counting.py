"""Checks of lab 04: errors by operand length, and what a sample promises."""

import math
import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def table_cases(rng: random.Random) -> Iterator[Case]:
    """Problems with their verdicts; some cells stay empty."""
    yield Case([(951, 11)], [True])
    yield Case([(951, 11), (951, 12), (5, 7)], [True, False, False])
    yield Case([(100, 9), (9, 100), (10, 10), (99, 0)], [True, False, True, True], note="borders of the lengths")
    for _ in range(3):
        pairs = [(10 ** rng.randrange(4) - 1, rng.randrange(10 ** rng.randrange(1, 4))) for _ in range(40)]
        yield Case(pairs, [rng.random() < 0.4 for _ in pairs])


def _error_table(pairs, wrong, length=lambda v: len(str(v)), share="cell", swap=False):
    table = [[[0, 0] for _ in range(3)] for _ in range(3)]
    for (a, b), mark in zip(pairs, wrong):
        row, column = length(a) - 1, length(b) - 1
        cell = table[column][row] if swap else table[row][column]
        cell[0] += mark
        cell[1] += 1
    total = {"cell": None, "all": len(pairs), "wrong": max(sum(wrong), 1)}[share]
    return [[bad / (total or asked) if asked else None for bad, asked in row] for row in table]


register(
    Check(
        name="arithmetic.error_table",
        task="share of wrong answers for each pair of operand lengths, None where nothing was asked",
        cases=table_cases,
        oracle=_error_table,
        why="one accuracy for everything hides a format that fails completely on a tenth of the problems.",
        hint="rows: digits of the first operand; columns: digits of the second; divide within each cell.",
        wrong=[
            WrongAnswer(
                "share of all problems",
                lambda pairs, wrong: _error_table(pairs, wrong, share="all"),
                "divide by the problems of the same cell; divided by all, a rare pair looks harmless.",
            ),
            WrongAnswer(
                "share of all errors",
                lambda pairs, wrong: _error_table(pairs, wrong, share="wrong"),
                "that is where the errors are, not how likely one is: divide by the problems asked in the cell.",
            ),
            WrongAnswer(
                "rows and columns exchanged",
                lambda pairs, wrong: _error_table(pairs, wrong, swap=True),
                "the first operand chooses the row, the second the column.",
            ),
            WrongAnswer(
                "lengths by logarithm",
                lambda pairs, wrong: _error_table(
                    pairs, wrong, length=lambda v: max(1, math.ceil(math.log10(v)) if v else 1)
                ),
                "the borders are off by one: 9 has one digit, but 10 and 100 have two and three.",
            ),
        ],
    )
)


def bound_cases(rng: random.Random) -> Iterator[Case]:
    """Sizes of an error-free sample, and confidences."""
    for asked, confidence in ((1, 0.95), (10, 0.5), (100, 0.95), (5006, 0.95), (8000, 0.99)):
        yield Case(asked, confidence)
    for _ in range(5):
        yield Case(rng.randrange(2, 100_000), rng.choice([0.9, 0.95, 0.99]))


def _bound(asked: int, confidence: float) -> float:
    return 1 - (1 - confidence) ** (1 / asked)


register(
    Check(
        name="arithmetic.sample_bound",
        task="largest error rate that is still plausible after a sample without an error",
        cases=bound_cases,
        oracle=_bound,
        same=lambda expected, got: abs(expected - got) <= 1e-9 + 1e-6 * abs(expected),
        why="'100% on the test set' is a statement about the sample; this number is what it says about the rest.",
        hint="solve (1 - p)^asked = 1 - confidence for p.",
        wrong=[
            WrongAnswer(
                "confidence and its complement exchanged",
                lambda asked, confidence: 1 - confidence ** (1 / asked),
                "the probability of seeing no error must be small, 1 - confidence, not confidence.",
            ),
            WrongAnswer(
                "three over n for everything",
                lambda asked, confidence: 3 / asked,
                "3/n is the approximation for 95% and a large sample; solve the equation itself.",
            ),
            WrongAnswer(
                "the rate of right answers",
                lambda asked, confidence: (1 - confidence) ** (1 / asked),
                "that is the smallest plausible accuracy 1 - p; the error rate p was asked for.",
            ),
        ],
    )
)
