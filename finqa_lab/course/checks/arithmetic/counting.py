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


def _error_table(pairs, wrong, length=lambda v: len(str(v)), share="cell", swap=False, empty=None):
    table = [[[0, 0] for _ in range(3)] for _ in range(3)]
    for (a, b), mark in zip(pairs, wrong):
        row, column = length(a) - 1, length(b) - 1
        cell = table[column][row] if swap else table[row][column]
        cell[0] += mark
        cell[1] += 1
    total = {"cell": None, "all": len(pairs), "wrong": max(sum(wrong), 1)}[share]
    return [[bad / (total or asked) if asked else empty for bad, asked in row] for row in table]


def _one_row_three_times(pairs, wrong):
    row = _error_table([(0, b) for _, b in pairs], wrong)[0]
    return [row, row, row]


def _counts(pairs, wrong):
    table = [[0] * 3 for _ in range(3)]
    for (a, b), mark in zip(pairs, wrong):
        table[len(str(a)) - 1][len(str(b)) - 1] += mark
    return table


register(
    Check(
        name="arithmetic.error_table",
        task="share of wrong answers for each pair of operand lengths, None where nothing was asked",
        cases=table_cases,
        oracle=_error_table,
        why="one accuracy for everything hides a format that fails completely on a tenth of the problems.",
        hint="rows: digits of the first operand; columns: digits of the second; divide within each cell, and write "
        "None where nothing was asked.",
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
            WrongAnswer(
                "zero where nothing was asked",
                lambda pairs, wrong: _error_table(pairs, wrong, empty=0.0),
                "0 says that no answer was wrong; where nothing was asked nobody knows, so write None.",
            ),
            WrongAnswer(
                "share of right answers",
                lambda pairs, wrong: _error_table(pairs, [not mark for mark in wrong]),
                "that is the share of right answers: `wrong` is True where the answer was wrong.",
            ),
            WrongAnswer(
                "number of errors",
                _counts,
                "these are numbers of errors: divide each by the problems asked in its cell, and write None for none.",
            ),
            WrongAnswer(
                "one row three times",
                _one_row_three_times,
                "all rows are the same list: [[0] * 3] * 3 repeats one row, so a change in it shows in all three.",
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
        hint="solve (1 - p)^asked = 1 - confidence for p: take a root of both sides; p is a share, not a percentage.",
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
            WrongAnswer(
                "divided instead of a root",
                lambda asked, confidence: 1 - (1 - confidence) / asked,
                "the root is missing: x ** 1 / asked means (x ** 1) / asked, so put 1 / asked in brackets.",
            ),
            WrongAnswer(
                "logarithm taken for the rate",
                lambda asked, confidence: -math.log(1 - confidence) / asked,
                "log(1 - p) is close to -p only for small p, and one right answer would leave a rate above 1; "
                "undo the logarithm with exp.",
            ),
            WrongAnswer(
                "always 95%",
                lambda asked, confidence: 1 - 0.05 ** (1 / asked),
                "0.05 belongs to a confidence of 0.95; use the argument `confidence`.",
            ),
        ],
    )
)
