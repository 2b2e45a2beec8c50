"""Maximum drawdown of a short series: the largest fall from an earlier peak, as a fraction of that peak.

MDD = max over t of (1 - p_t / max of p_1..p_t). The program keeps the running peak; the same number by definition is
the largest (p_i - p_j) / p_i over all pairs i < j. Difficulty 1 has four values, 2 five or six, 3 seven or eight.
"""

import random
from decimal import Decimal
from fractions import Fraction

from finqa_lab.quantitative.dsl import Value
from finqa_lab.quantitative.spelling import plain, shown
from finqa_lab.quantitative.task import NAMES, Parameters, Task, draw_until, far

PHRASINGS = {
    "question": (
        "What is the maximum drawdown of {asset}, whose month-end prices were {series}?",
        "The month-end prices {series} belong to {asset}; what is its maximum drawdown?",
    ),
    "story": (
        "Ines watched her savings in the fund {asset} go from one statement to the next: {series}. Had she bought at "
        "the worst moment and sold at the worst moment after it, which share of her money would have been lost?",
        "A retired teacher writes down what his units of {asset} are worth: {series}. What was the deepest fall from "
        "an earlier high that he had to sit through, as a share of that high?",
    ),
    "sheet": (
        "instrument: {asset}\ncloses: {series}\nmetric: max drawdown (decimal)",
        "metric: max drawdown (decimal) | closes {series} | instrument {asset}",
    ),
    "order": (
        "Find the worst peak-to-trough decline of {asset} relative to the peak. Levels in order: {series}.",
        "Consider the index levels {series} of {asset}. Report the worst peak-to-trough decline relative to the peak.",
    ),
    "memo": (
        "Compliance asks how bad {asset} got under water. NAV history, oldest first: {series}. Give me the MDD.",
        "For the fact sheet of {asset} we still lack the MDD. NAVs, oldest first: {series}. Can you fill it in?",
    ),
}

LENGTHS = {1: (4,), 2: (5, 6), 3: (7, 8)}
"""Values of a series by difficulty."""


def draw(rng: random.Random, difficulty: int) -> Parameters:
    """A series whose deepest fall is more than 3%, takes several periods, and is not the loss from start to end."""

    def once() -> Parameters:
        start, series = rng.choice([20, 50, 100, 250, 1000]) * rng.uniform(0.8, 1.3), []
        for _ in range(rng.choice(LENGTHS[difficulty])):
            series.append(round(Decimal(start), 1 if start < 200 else 0))
            start *= 1 + rng.gauss(0, 0.09)
        return {"series": tuple(series)}

    def accept(p: Parameters) -> bool:
        right, wrong = float(largest_fall(p["series"])), mistakes(p)
        return right > 0.03 and min(p["series"]) > 5 and all(far(wrong[name], right) for name in SURE)

    return draw_until(once, accept)


def largest_fall(series: tuple[Decimal, ...]) -> Fraction:
    """Maximum drawdown with the running peak, exact.

    >>> largest_fall((Decimal(100), Decimal(80), Decimal(120), Decimal(90)))
    Fraction(1, 4)
    """
    peak, fall = Fraction(0), Fraction(0)
    for price in map(Fraction, series):
        peak = max(peak, price)
        fall = max(fall, 1 - price / peak)
    return fall


def program(p: Parameters) -> str:
    """The running peak, the value over it, and the smallest such ratio so far, for each value after the first."""
    first, *rest = map(plain, p["series"])
    steps, peak, lowest = [], first, None
    for price in rest:
        steps.append(f"maximum({peak}, {price})")
        peak = f"#{len(steps) - 1}"
        steps.append(f"divide({price}, {peak})")
        ratio = f"#{len(steps) - 1}"
        if lowest is not None:
            steps.append(f"minimum({lowest}, {ratio})")
        lowest = f"#{len(steps) - 1}"
    return ", ".join([*steps, f"subtract(const_1, {lowest})"])


def words(p: Parameters, rng: random.Random, family: str) -> dict[str, str]:
    """The series with or without dollar signs."""
    sign = rng.choice(["", "", "$", "$ "])
    separator = rng.choice([", ", "; ", " -> "] if family in ("sheet", "memo") else [", "])
    grouping = rng.choice(["", ","])
    texts = [f"{sign}{value:{grouping}}" for value in p["series"]]
    return {"asset": rng.choice(NAMES), "series": separator.join(texts)}


def reasoning(p: Parameters, values: list[Value]) -> list[str]:
    """Worked steps: every value against its running peak."""
    lines, peak = [], p["series"][0]
    for price in p["series"][1:]:
        peak = max(peak, price)
        if price == peak:
            lines.append(f"{plain(price)} is a new peak.")
        else:
            fall = 1 - Fraction(price) / Fraction(peak)
            lines.append(
                f"{plain(price)} is below the peak {plain(peak)} by 1 - {plain(price)} / {plain(peak)} = {shown(fall)}."
            )
    return [*lines, f"The largest fall is {shown(values[-1])}."]


def mistakes(p: Parameters) -> dict[str, float]:
    """Falls measured from something other than the running peak, or as a share of something else."""
    series = [float(price) for price in p["series"]]
    pairs = [(a, b) for index, a in enumerate(series) for b in series[index:]]
    return {
        "from the previous value": max((a - b) / a for a, b in zip(series, series[1:])),
        "from the start to the end": (series[0] - series[-1]) / series[0],
        "from the highest to the end": (max(series) - series[-1]) / max(series),
        "from the highest to the lowest in any order": (max(series) - min(series)) / max(series),
        "as a share of the trough": max((a - b) / b for a, b in pairs),
        "in price units": max(a - b for a, b in pairs),
    }


SURE = ("from the previous value", "from the start to the end", "as a share of the trough")
TASK = Task("drawdown", "fraction", draw, program, PHRASINGS, words, reasoning, mistakes, SURE)
