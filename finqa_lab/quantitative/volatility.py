"""Annualising volatility: a standard deviation of returns grows with the square root of time, sigma_y = sigma sqrt(m).

m is 252 for daily, 52 for weekly and 12 for monthly returns. That holds for returns that do not depend on one another.
Difficulty 1 is daily, 2 weekly or monthly, 3 states the variance instead: sigma_y = sqrt(m variance).
"""

import random

from finqa_lab.quantitative.dsl import Value
from finqa_lab.quantitative.spelling import percentage, plain, shown
from finqa_lab.quantitative.task import NAMES, Parameters, Task, decimal

PERIODS = {"daily": 252, "weekly": 52, "monthly": 12}
"""Periods of a year."""

PHRASINGS = {
    "question": (
        "What is the annualised volatility of {asset} if its {period} {measure} is {value}?",
        "If the {measure} of {asset} is {value} in {period} data, what is its annualised volatility?",
    ),
    "story": (
        "A student measures how much the price of {asset} moves and finds a {period} {measure} of {value}. Her "
        "teacher wants it for a whole year. What should she hand in as the yearly standard deviation?",
        "{asset} has been in Ben's portfolio for a while. From his {period} records he gets a {measure} of {value}. "
        "How large is the standard deviation of a full year?",
    ),
    "sheet": (
        "series: {asset}\nfrequency: {period}\n{measure}: {value}\nwanted: standard deviation p.a.",
        "{measure} {value} | frequency {period} | series {asset} | wanted: standard deviation p.a.",
    ),
    "order": (
        "Scale a {period} {measure} of {value}, observed for {asset}, to a one-year volatility.",
        "Annualise. Given: {asset}, {period} {measure} = {value}. Return the one-year volatility.",
    ),
    "memo": (
        "Hi, the risk desk quotes {asset} with {value} as its {period} {measure}. The report to the board shows per "
        "annum figures only, so which volatility goes in there?",
        "Please convert before we publish: {asset}, {measure} {value}, {period}. The board wants per annum volatility.",
    ),
}
MEASURES = {
    "question": ("volatility of returns", "variance of returns"),
    "story": ("standard deviation", "variance"),
    "sheet": ("std. dev. of returns", "variance of returns"),
    "order": ("return volatility", "return variance"),
    "memo": ("vol number", "variance number"),
}
"""How the measure is called, by family, which is a standard deviation or a variance."""

_RANGES = {"daily": ("0.003", "0.035"), "weekly": ("0.008", "0.07"), "monthly": ("0.015", "0.14")}
_STEP = "0.0001"


def draw(rng: random.Random, difficulty: int) -> Parameters:
    """Parameters; at difficulty 3 the variance of a standard deviation with one decimal of a percent."""
    period = "daily" if difficulty == 1 else rng.choice(["weekly", "monthly"] if difficulty == 2 else list(PERIODS))
    value = decimal(rng, *_RANGES[period], _STEP)
    measure = "variance" if difficulty == 3 else "deviation"
    return {"period": period, "measure": measure, "value": value**2 if difficulty == 3 else value}


def program(p: Parameters) -> str:
    """The program."""
    value, count = plain(p["value"]), PERIODS[p["period"]]
    if p["measure"] == "variance":
        return f"multiply({value}, const_{count}), exp(#0, const_0.5)"
    return f"exp(const_{count}, const_0.5), multiply({value}, #0)"


def words(p: Parameters, rng: random.Random, family: str) -> dict[str, str]:
    """Spelled parameters; a variance is never a percentage."""
    variance = p["measure"] == "variance"
    return {
        "asset": rng.choice(NAMES),
        "period": p["period"],
        "measure": MEASURES[family][variance],
        "value": plain(p["value"]) if variance else percentage(p["value"], rng),
    }


def reasoning(p: Parameters, values: list[Value]) -> list[str]:
    """Worked steps."""
    value, count = plain(p["value"]), PERIODS[p["period"]]
    counted = f"A year has {count} periods of {p['period']} returns."
    if p["measure"] == "variance":
        yearly = shown(values[0])
        return [
            counted,
            f"The yearly variance is {value} * {count} = {yearly}.",
            f"The yearly volatility is sqrt({yearly}) = {shown(values[1])}.",
        ]
    root = shown(values[0])
    return [
        counted,
        f"Volatility grows with the square root of time: sqrt({count}) = {root}.",
        f"The yearly volatility is {value} * {root} = {shown(values[1])}.",
    ]


def mistakes(p: Parameters) -> dict[str, float]:
    """The root forgotten, nothing scaled, or the root of the wrong number of periods."""
    value, count = float(p["value"]), PERIODS[p["period"]]
    deviation = value**0.5 if p["measure"] == "variance" else value
    wrong = {
        "no square root": value * count,
        "not scaled": deviation,
        "divided by the root": deviation / count**0.5,
    }
    wrong |= {f"{other} periods": deviation * other**0.5 for other in (252, 52, 12) if other != count}
    return wrong | ({"365 days": deviation * 365**0.5} if count == 252 else {})


TASK = Task(
    "volatility", "fraction", draw, program, PHRASINGS, words, reasoning, mistakes, ("no square root", "not scaled")
)
