"""Checks of lab 11: how sure a score is, whether two systems differ, and how many questions a claim needs."""

import math
import numbers
import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def interval_cases(rng: random.Random) -> Iterator[Case]:
    """Right answers among those asked."""
    for right, asked in ((5, 10), (0, 10), (1, 10), (10, 10), (45, 100), (rng.randrange(1, 400), 400)):
        yield Case(right, asked)


def _wilson(right: int, asked: int, z: float = 1.959964) -> tuple[float, float]:
    share, spread = right / asked, z * z / asked
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / asked + spread / (4 * asked))
    return max(0.0, middle - half), min(1.0, middle + half)


def _wald(right: int, asked: int, clip: bool = False, z: float = 1.959964) -> tuple[float, float]:
    share = right / asked
    half = z * math.sqrt(share * (1 - share) / asked)
    low, high = share - half, share + half
    return (max(0.0, low), min(1.0, high)) if clip else (low, high)


register(
    Check(
        name="evaluation.wilson",
        task="95% interval of Wilson for a share, (low, high)",
        cases=interval_cases,
        oracle=_wilson,
        same=lambda expected, got: (
            len(got) == 2 and all(math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-4) for a, b in zip(expected, got))
        ),
        why="45 of 100 right means between 36% and 55%: most published differences are smaller than that.",
        hint="the formula is in the cell above; z is 1.96.",
        wrong=[
            WrongAnswer(
                "the simple interval",
                _wald,
                "that is p +- z sqrt(p (1-p) / n), which is 'exactly 0' when none was right; Wilson moves the middle.",
            ),
            WrongAnswer(
                "the simple interval, clipped",
                lambda right, asked: _wald(right, asked, clip=True),
                "clipping hides the fault of the simple interval and does not mend it: use Wilson's formula.",
            ),
            WrongAnswer(
                "90 percent",
                lambda right, asked: _wilson(right, asked, z=1.644854),
                "1.645 leaves 5% on each side; 95% in the middle needs 1.96.",
            ),
        ],
    )
)


def pair_cases(rng: random.Random) -> Iterator[Case]:
    """Questions that only the first, and only the second system got right."""
    for only_a, only_b in ((0, 0), (1, 0), (0, 5), (5, 5), (8, 2), (2, 8), (rng.randrange(20), rng.randrange(20))):
        yield Case(only_a, only_b)


def _mcnemar(only_a: int, only_b: int, sides: int = 2, strict: bool = False) -> float:
    discordant, least = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(discordant, k) for k in range(least + (0 if strict else 1))) / 2**discordant
    return min(1.0, sides * tail)


register(
    Check(
        name="evaluation.mcnemar",
        task="exact two-sided p-value that two systems are equally good, from the questions on which they differ",
        cases=pair_cases,
        oracle=_mcnemar,
        why="two systems asked the same questions share their luck: only the questions on which they differ count.",
        hint="if both are equally good, each of these questions is a fair coin: a binomial tail, doubled, at most 1.",
        wrong=[
            WrongAnswer(
                "one-sided",
                lambda only_a, only_b: _mcnemar(only_a, only_b, sides=1),
                "either system could have been the better one: double the tail.",
            ),
            WrongAnswer(
                "the observed count left out",
                lambda only_a, only_b: _mcnemar(only_a, only_b, strict=True),
                "the tail includes what was observed: k from 0 to the smaller count, both ends in.",
            ),
            WrongAnswer(
                "more than one",
                lambda only_a, only_b: (
                    2
                    * sum(math.comb(only_a + only_b, k) for k in range(min(only_a, only_b) + 1))
                    / 2 ** (only_a + only_b)
                ),
                "a probability is at most 1: with equal counts the doubled tail counts the middle twice.",
            ),
        ],
    )
)


def size_cases(rng: random.Random) -> Iterator[Case]:
    """An expected share, and how far off the claim may be."""
    for share, margin in ((0.5, 0.05), (0.5, 0.01), (0.1, 0.03), (0.45, 0.02), (round(rng.uniform(0.2, 0.8), 2), 0.04)):
        yield Case(share, margin)


def _size(share: float, margin: float, z: float = 1.959964, half: bool = True, up: bool = True) -> int:
    needed = (z / (margin if half else margin / 2)) ** 2 * share * (1 - share)
    return math.ceil(needed) if up else math.floor(needed)


def _as_many(expected: int, got) -> bool:
    """A whole number of any type; one more is right, too: z as 1.96 is a little larger than the oracle's."""
    return isinstance(got, numbers.Real) and got == math.floor(got) and 0 <= got - expected <= 1


register(
    Check(
        name="evaluation.questions_needed",
        task="questions needed so that a share is known to plus or minus a margin, at 95%",
        cases=size_cases,
        oracle=_size,
        same=_as_many,
        why="to claim a gain of two points one needs thousands of questions; most test sets have a few hundred.",
        hint="set z sqrt(p (1-p) / n) equal to the margin, solve for n, round up.",
        wrong=[
            WrongAnswer(
                "margin taken for the whole width",
                lambda share, margin: _size(share, margin, half=False),
                "plus or minus the margin: the interval is twice as wide.",
            ),
            WrongAnswer(
                "rounded down",
                lambda share, margin: _size(share, margin, up=False),
                "rounded down, the margin is just missed: round up.",
            ),
            WrongAnswer(
                "margin not squared",
                lambda share, margin: math.ceil(1.959964**2 * share * (1 - share) / margin),
                "half the margin needs four times the questions: the margin stands squared in the denominator.",
            ),
        ],
    )
)
