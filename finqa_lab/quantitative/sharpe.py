"""Which of two strategies has the higher Sharpe ratio: (mean return - risk-free rate) / volatility (Sharpe 1994).

Difficulty 1 states excess returns, 2 returns and the risk-free rate, and 3 has one strategy in monthly and the other in
yearly figures: a mean grows with time and a volatility with its root, so a monthly ratio is annualised by sqrt(12).

Guessing is right half of the time, and so are the rules "the higher return", "the lower volatility" and, at difficulty
3, "the monthly one": the strategy with the higher return always has the higher volatility too, and coins decide which
of the two wins. At difficulty 2 a high return that wins would lose if the risk-free rate were left out.
"""

import random
from decimal import Decimal
from fractions import Fraction

from finqa_lab.quantitative.dsl import Value
from finqa_lab.quantitative.spelling import percentage, plain, shown
from finqa_lab.quantitative.task import NAMES, Parameters, Task, decimal, draw_until, ratio_apart

PHRASINGS = {
    "question": (
        "Which has the higher Sharpe ratio: {first}, or {second}?{free}",
        "Between {first} and {second}, which one has the higher Sharpe ratio?{free}",
    ),
    "story": (
        "Two friends argue. Lena trusts {first}. Omar swears by {second}.{free} Whose choice pays more for the risk it "
        "takes, by Sharpe's measure? Name it.",
        "An aunt can leave her money with one of two managers. The first offers {first}. The other offers {second}."
        "{free} Who pays more for the risk taken, by Sharpe's measure?",
    ),
    "sheet": (
        "strategy 1: {first}\nstrategy 2: {second}{free}\nbetter by Sharpe (annualised): ?",
        "better by Sharpe (annualised) = ? | {first} | {second}{free}",
    ),
    "order": (
        "Compare the reward-to-variability of {first} and of {second}, on a yearly basis.{free} State the winner.",
        "State the winner by reward-to-variability on a yearly basis. Candidates: {first}; {second}.{free}",
    ),
    "memo": (
        "IC memo: allocate to one sleeve only, the one with more excess return per unit of vol. Sleeve A is {first}. "
        "Sleeve B is {second}.{free} Which name gets the money?",
        "We fund one sleeve this year, whichever earns more excess return per unit of vol, annualised. On the table: "
        "{first} and {second}.{free} Which name is it?",
    ),
}
CLAUSES = {
    "question": "{name} with a {period} {kind} of {mean} and a {period} volatility of {deviation}",
    "story": "{name}, which makes a {period} {kind} of {mean} while swinging by {deviation} (its {period} standard "
    "deviation)",
    "sheet": "{name}, {period} {kind} {mean}, {period} std. dev. {deviation}",
    "order": "{name} ({period} {kind} {mean}, {period} variability {deviation})",
    "memo": "{name}, {kind} {mean} at {deviation} vol, both {period}",
}
"""A strategy, by family."""
FREE = {
    "question": " The risk-free rate is {free}.",
    "story": " A bank deposit without any risk pays {free} a year.",
    "sheet": "; risk-free: {free}",
    "order": " Use {free} as the riskless rate.",
    "memo": " T-bills: {free}.",
}
"""The risk-free rate, by family."""

_MONTHS = {"yearly": 1, "monthly": 12}
_RANGES = {
    "monthly": (("0.0035", "0.018", "0.0005"), ("0.012", "0.09", "0.001")),
    "yearly": (("0.04", "0.22", "0.0025"), ("0.05", "0.32", "0.005")),
}


def draw(rng: random.Random, difficulty: int) -> Parameters:
    """Two strategies whose ratios are at least 5% apart."""
    low_return_wins, monthly_wins = rng.random() < 0.5, rng.random() < 0.5

    def once() -> Parameters:
        assets = []
        for period in ("monthly", "yearly") if difficulty == 3 else ("yearly", "yearly"):
            mean, deviation = _RANGES[period]
            assets.append((period, decimal(rng, *mean), decimal(rng, *deviation)))
        rng.shuffle(assets)
        free = decimal(rng, "0.01", "0.05", "0.0025") if difficulty == 2 else Decimal(0)
        return {"names": tuple(rng.sample(NAMES, 2)), "free": free, "assets": tuple(assets)}

    def accept(p: Parameters) -> bool:
        if any(mean <= p["free"] for _, mean, _ in p["assets"]):
            return False  # the sign would be lost in the squares
        squares = _squared_ratios(p)
        returns, risks = _yearly_returns(p), _yearly_variances(p)
        winner = squares.index(max(squares))
        loser = 1 - winner
        return (
            ratio_apart(squares, Fraction(1, 10))  # a tenth between squares is a twentieth between the ratios
            and (returns[winner] < returns[loser]) == (risks[winner] < risks[loser]) == low_return_wins
            and (difficulty != 3 or (p["assets"][winner][0] == "monthly") == monthly_wins)
            and (difficulty != 2 or low_return_wins or _flips_without_rate(p, winner))
        )

    return draw_until(once, accept)


def _flips_without_rate(p: Parameters, winner: int) -> bool:
    squares = _squared_ratios({**p, "free": Decimal(0)})
    return squares[1 - winner] > squares[winner]


def _yearly_returns(p: Parameters) -> list[Decimal]:
    return [_MONTHS[period] * mean for period, mean, _ in p["assets"]]


def _yearly_variances(p: Parameters) -> list[Decimal]:
    return [_MONTHS[period] * deviation**2 for period, _, deviation in p["assets"]]


def _squared_ratios(p: Parameters) -> list[Fraction]:
    """Squares of the yearly ratios, whose order is theirs, because excess returns are positive."""
    return [
        _MONTHS[period] * (Fraction(mean - p["free"]) / Fraction(deviation)) ** 2
        for period, mean, deviation in p["assets"]
    ]


def program(p: Parameters) -> str:
    """Both ratios, named and ranked."""
    steps, named = [], []
    for name, (period, mean, deviation) in zip(p["names"], p["assets"]):
        mean_text = plain(mean)
        if p["free"]:
            steps.append(f"subtract({mean_text}, {plain(p['free'])})")
            mean_text = f"#{len(steps) - 1}"
        steps.append(f"divide({mean_text}, {plain(deviation)})")
        if period == "monthly":
            ratio = len(steps) - 1
            steps.append("exp(const_12, const_0.5)")
            steps.append(f"multiply(#{ratio}, #{ratio + 1})")
        steps.append(f"name(#{len(steps) - 1}, {name})")
        named.append(f"#{len(steps) - 1}")
    steps.append(f"rank({named[0]}, {named[1]})")
    return ", ".join([*steps, f"first(#{len(steps) - 1}, none)"])


def words(p: Parameters, rng: random.Random, family: str) -> dict[str, str]:
    """Spelled parameters."""
    kind = "return" if p["free"] else "excess return"
    clauses = [
        CLAUSES[family].format(
            name=name, period=period, kind=kind, mean=percentage(mean, rng), deviation=percentage(deviation, rng)
        )
        for name, (period, mean, deviation) in zip(p["names"], p["assets"])
    ]
    free = FREE[family].format(free=percentage(p["free"], rng)) if p["free"] else ""
    return {"first": clauses[0], "second": clauses[1], "free": free}


def reasoning(p: Parameters, values: list[Value]) -> list[str]:
    """Worked steps."""
    lines, ratios = [], dict(values[-2])
    for name, (period, mean, deviation) in zip(p["names"], p["assets"]):
        excess = plain(mean - p["free"])
        if p["free"]:
            lines.append(f"The excess return of {name} is {plain(mean)} - {plain(p['free'])} = {excess}.")
        plain_ratio = shown(Fraction(mean - p["free"]) / Fraction(deviation))
        lines.append(f"The {period} Sharpe ratio of {name} is {excess} / {plain(deviation)} = {plain_ratio}.")
        if period == "monthly":
            lines.append(f"In a year it is {plain_ratio} * sqrt(12) = {shown(ratios[name])}.")
    winner, loser = values[-2]
    return [*lines, f"{shown(winner.value)} is more than {shown(loser.value)}, so {winner.name} is better."]


def mistakes(p: Parameters) -> dict[str, str]:
    """Names that another rule picks."""

    def best(scores: list) -> str:
        return p["names"][scores.index(max(scores))]

    right = best(_squared_ratios(p))
    return {
        "higher return": best(_yearly_returns(p)),
        "lower volatility": best([-variance for variance in _yearly_variances(p)]),
        "not annualised": best([(mean - p["free"]) / deviation for _, mean, deviation in p["assets"]]),
        "no risk-free rate": best(_squared_ratios({**p, "free": Decimal(0)})),
        "the other name": next(name for name in p["names"] if name != right),
    }


TASK = Task("sharpe", "name", draw, program, PHRASINGS, words, reasoning, mistakes, ("the other name",))
