"""What early rounding does to a worked example: it can leave its own tolerance.

A worked example that rounds every step, as a person with two decimals would, teaches a model wrong arithmetic; and its
last number can be more than 1% away from the exact answer, so that the example fails the test that it trains for.

>>> program = "divide(0.0425, const_12), add(#0, const_1), multiply(20, const_12), exp(#1, #2), multiply(8300, #3)"
>>> for places in (2, 3, 4, 5, 6):
...     value, error = rounded_early(program, places)
...     print(places, f"{value:,.2f}", f"{error:.2%}")
2 8,300.00 57.19%
3 21,638.10 11.59%
4 19,197.90 0.99%
5 19,382.24 0.04%
6 19,391.47 0.01%

Of the 1,500 samples of the data set with seed 0, 1,000 have a number as their answer. So many of them leave 1% when
every step keeps 2, 3, 4 and 5 decimals:

>>> from finqa_lab.quantitative.dataset import dataset
>>> samples = [sample for split in dataset(0).named().values() for sample in split]
>>> [len(outside_tolerance(samples, places)) for places in (2, 3, 4, 5)]
[498, 115, 10, 0]
"""

from collections.abc import Sequence
from fractions import Fraction

from finqa_lab.errors import CourseError
from finqa_lab.quantitative.dsl import run
from finqa_lab.quantitative.scoring import TOLERANCE
from finqa_lab.quantitative.task import Sample


def rounded_early(program: str, places: int) -> tuple[float, float]:
    """Result of a program whose every step is rounded, and its relative distance from the exact result.

    Args:
        program: text with a number as its answer, not zero.
        places: decimals that every step keeps.

    Raises:
        ProgramError: when the program cannot be run, with or without rounding.
        CourseError: when its answer is no number, or zero.
    """
    exact = run(program)[-1]
    if not isinstance(exact, Fraction) or exact == 0:
        raise CourseError("the answer of this program is no number to be off from; give one of a numeric task")
    value = run(program, lambda number: round(number, places))[-1]
    return float(value), float(abs(value - exact) / abs(exact))


def outside_tolerance(samples: Sequence[Sample], places: int, tolerance: float = TOLERANCE) -> list[Sample]:
    """Numeric samples whose worked steps, each rounded to ``places`` decimals, end outside the tolerance."""
    numeric = [sample for sample in samples if isinstance(sample.answer, float)]
    return [sample for sample in numeric if _error(sample.program, places) > tolerance]


def _error(program: str, places: int) -> float:
    try:
        return rounded_early(program, places)[1]
    except CourseError:  # a divisor was rounded to zero
        return float("inf")
