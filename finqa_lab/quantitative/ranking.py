"""Ranking three assets by risk.

Difficulty 1 asks for the asset with the highest yearly volatility, numbers spelled in three ways; 2 the same with
volatilities of different periods, to be annualised; 3 for the order by value at risk, largest first. The value at risk
of one day at 95% is 1.645 * position * daily volatility: normal returns with mean zero (RiskMetrics 1996). Guessing is
right for a third of the questions, at difficulty 3 for a sixth.
"""

import random
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from finqa_lab.quantitative.dsl import Value
from finqa_lab.quantitative.spelling import money, percentage, plain, shown
from finqa_lab.quantitative.task import NAMES, Parameters, Task, decimal, draw_until, ratio_apart

YEAR = {"yearly": 1, "monthly": 12, "weekly": 52, "daily": 252}
"""Periods of a year."""
NORMAL_95 = "1.645"
"""95% quantile of the standard normal distribution, as risk reports round it."""

PHRASINGS = {
    "question": (
        "{wanted} The three are {a}, {b} and {c}.",
        "Given {a}, {b} and {c}: {wanted}",
    ),
    "story": (
        "Grandfather's estate holds three things: {a}; {b}; and {c}. {wanted}",
        "Yusuf sleeps badly because of three holdings. There is {a}, there is {b}, and there is {c}. {wanted}",
    ),
    "sheet": (
        "1) {a}\n2) {b}\n3) {c}\n{wanted}",
        "{wanted} | {a} | {b} | {c}",
    ),
    "order": (
        "{wanted} Candidates: {a}; {b}; {c}.",
        "Take {a}; {b}; {c}. {wanted}",
    ),
    "memo": (
        "Risk committee, three lines to look at. {a}. {b}. {c}. {wanted}",
        "{wanted} That is for tomorrow's limits call. Lines: {a}, then {b}, then {c}.",
    ),
}
WANTED = {
    "question": (
        "Which of the three has the highest annualised volatility?",
        "What is the order of the three by one-day 95% value at risk, from the largest to the smallest?",
    ),
    "story": (
        "Which one swings most over a year?",
        "Who would lose most on a bad day, one in twenty? Put them in order by 1.645 times the value times the daily "
        "swing, the worst first.",
    ),
    "sheet": ("wanted: max of std. dev. p.a. (name)", "wanted: sort by VaR(95%, 1 day), descending (names)"),
    "order": (
        "Pick the riskiest by standard deviation on a yearly basis.",
        "Rank by 95% VaR over one day, 1.645 standard deviations of the position, in descending order.",
    ),
    "memo": (
        "Which line is our hottest one in per annum vol?",
        "Give me the league table by 1d VaR at 95%, top first.",
    ),
}
"""What is asked for, by family, which is the most volatile asset or the order by value at risk."""
CLAUSES = {
    "question": "{name} with a {period} volatility of {deviation}",
    "story": "{name}, whose price swings by {deviation} ({period} standard deviation)",
    "sheet": "{name}: {period} std. dev. {deviation}",
    "order": "{name}, {period} standard deviation {deviation}",
    "memo": "{name} runs at {deviation} {period} vol",
}
POSITIONS = {
    "question": " on a position of {position}",
    "story": ", {position} of it",
    "sheet": ", exposure {position}",
    "order": ", position {position}",
    "memo": " with {position} in it",
}
"""The value of a position, by family."""

_RANGES = {
    "yearly": ("0.06", "0.45", "0.005"),
    "monthly": ("0.02", "0.13", "0.001"),
    "weekly": ("0.01", "0.065", "0.0005"),
    "daily": ("0.004", "0.03", "0.0005"),
}


def draw(rng: random.Random, difficulty: int) -> Parameters:
    """Three assets whose risks are at least 5% apart.

    The place of the riskiest is drawn first, so that no period and no place is riskiest more often than another. At
    difficulty 3 so is its rank by volatility alone.
    """
    place = rng.randrange(3)

    def once() -> Parameters:
        periods = {1: ["yearly"] * 3, 2: rng.sample(list(YEAR), 3), 3: ["daily"] * 3}[difficulty]
        assets = []
        for period in periods:
            position = Decimal(rng.randint(16, 120) * 2500) if difficulty == 3 else Decimal(0)
            assets.append((period, decimal(rng, *_RANGES[period]), position))
        if difficulty == 3:
            assets.sort(key=lambda asset: asset[1])
        return {"names": tuple(rng.sample(NAMES, 3)), "assets": tuple(assets)}

    def accept(p: Parameters) -> bool:
        squares = _squared_risks(p)
        # A tenth between squares is a twentieth between the risks themselves.
        return ratio_apart(squares, Fraction(1, 10)) and squares.index(max(squares)) == place

    parameters = draw_until(once, accept)
    assets = list(parameters["assets"])
    if difficulty == 3:  # they stand by volatility here
        rng.shuffle(assets)
    return {**parameters, "assets": tuple(assets)}


def _squared_risks(p: Parameters) -> list[Fraction]:
    return [
        YEAR[period] * Fraction(deviation) ** 2 * Fraction(position or 1) ** 2
        for period, deviation, position in p["assets"]
    ]


def _answer(p: Parameters, scores: list) -> str:
    ordered = [p["names"][i] for i in sorted(range(3), key=lambda i: scores[i], reverse=True)]
    return " > ".join(ordered) if p["assets"][0][2] else ordered[0]


def _right(p: Parameters) -> str:
    return _answer(p, _squared_risks(p))


def program(p: Parameters) -> str:
    """The three risks, named and ranked; a yearly volatility is scaled by the root of one year."""
    steps, named = [], []
    for name, (period, deviation, position) in zip(p["names"], p["assets"]):
        risk = plain(deviation)
        if position:
            steps.append(f"multiply({plain(position)}, {risk})")
            steps.append(f"multiply(const_{NORMAL_95}, #{len(steps) - 1})")
        else:
            steps.append(f"exp(const_{YEAR[period]}, const_0.5)")
            steps.append(f"multiply({risk}, #{len(steps) - 1})")
        steps.append(f"name(#{len(steps) - 1}, {name})")
        named.append(f"#{len(steps) - 1}")
    steps.append(f"rank({named[0]}, {named[1]})")
    steps.append(f"rank(#{len(steps) - 1}, {named[2]})")
    return ", ".join(steps if p["assets"][0][2] else [*steps, f"first(#{len(steps) - 1}, none)"])


def words(p: Parameters, rng: random.Random, family: str) -> dict[str, str]:
    """Spelled parameters."""
    clauses = []
    for name, (period, deviation, position) in zip(p["names"], p["assets"]):
        text = CLAUSES[family].format(name=name, period=period, deviation=percentage(deviation, rng))
        clauses.append(text + (POSITIONS[family].format(position=money(position, rng)) if position else ""))
    return dict(zip("abc", clauses)) | {"wanted": WANTED[family][bool(p["assets"][0][2])]}


def reasoning(p: Parameters, values: list[Value]) -> list[str]:
    """Worked steps."""
    ranking = values[-1] if p["assets"][0][2] else values[-2]
    risks, lines = dict(ranking), []
    for name, (period, deviation, position) in zip(p["names"], p["assets"]):
        risk = shown(risks[name])
        if position:
            lines.append(
                f"The value at risk of {name} is {NORMAL_95} * {plain(position)} * {plain(deviation)} = {risk}."
            )
        elif period == "yearly":
            lines.append(f"The yearly volatility of {name} is {risk}.")
        else:
            lines.append(f"The yearly volatility of {name} is {plain(deviation)} * sqrt({YEAR[period]}) = {risk}.")
    comparisons = [
        f"{shown(larger.value)} is more than {shown(smaller.value)}" for larger, smaller in pairwise(ranking)
    ]
    return [*lines, f"{' and '.join(comparisons)}."]


def mistakes(p: Parameters) -> dict[str, str]:
    """Names that another rule picks."""
    largest = {"largest position": _answer(p, [a[2] for a in p["assets"]])} if p["assets"][0][2] else {}
    return {
        "volatility as stated": _answer(p, [a[1] for a in p["assets"]]),
        "no square root": _answer(p, [YEAR[a[0]] * a[1] * (a[2] or 1) for a in p["assets"]]),
        "the safest": _answer(p, [-risk for risk in _squared_risks(p)]),
        **largest,
    }


TASK = Task("ranking", "name", draw, program, PHRASINGS, words, reasoning, mistakes, ("the safest",))
