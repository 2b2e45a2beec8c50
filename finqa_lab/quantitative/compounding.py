"""Compound interest: B = P (1 + r/m)^(m t), with principal P, yearly rate r, m credits a year and t years.

Difficulty 1 credits interest once a year and 2 more often; 3 asks for the interest alone, B - P.
"""

import random
from decimal import Decimal
from fractions import Fraction

from finqa_lab.quantitative.dsl import Value
from finqa_lab.quantitative.spelling import money, percentage, plain, shown, years
from finqa_lab.quantitative.task import Parameters, Task, decimal, draw_until, far

OFTEN = {
    1: ("yearly", "annually", "once a year"),
    2: ("semi-annually", "twice a year", "every six months"),
    4: ("quarterly", "every quarter", "four times a year"),
    12: ("monthly", "every month", "twelve times a year"),
}
"""Credits a year, and how they are called."""

ASKED = {
    "question": ("the future value", "the interest earned in total"),
    "story": ("How much money does the account hold then?", "How much of the money is interest by then?"),
    "sheet": ("final value", "final value less initial amount"),
    "order": ("the redemption amount", "the gain over the face"),
    "memo": ("what the note is worth", "what we gain on the note"),
}
"""What is asked for, by family, which is the balance or the interest alone."""

PHRASINGS = {
    "question": (
        "What is {asked} if {principal} is invested at {rate} a year, compounded {often}, for {years}?",
        "At a yearly rate of {rate}, compounded {often}, what is {asked} of {principal} invested for {years}?",
    ),
    "story": (
        "Mara opens a savings account with {principal}. The bank adds interest {often}, at {rate} per annum, and she "
        "touches nothing for {years}. {asked}",
        "Tom's grandparents paid {principal} into an account when he was born. It has earned {rate} per annum, "
        "credited {often}, for {years} now. {asked}",
    ),
    "sheet": (
        "initial amount: {principal}\nannual rate: {rate}\ncredited: {often}\nterm: {years}\nwanted: {asked}",
        "term {years} | annual rate {rate} | credited {often} | initial amount {principal} | wanted: {asked}",
    ),
    "order": (
        "Compute {asked} of a certificate. Face: {principal}. Nominal yield: {rate}, reinvested {often}. It matures "
        "in {years}.",
        "Take a certificate with a face of {principal} and a nominal yield of {rate} that is reinvested {often}. "
        "Determine {asked} at maturity, {years} from now.",
    ),
    "memo": (
        "Team, the treasurer parked {principal} in a note that pays {rate} p.a. and rolls its coupons over {often}. "
        "I need to know {asked} once {years} have passed.",
        "Quick one before the meeting: {years} with the note, {rate} p.a., coupons rolled over {often}, {principal} "
        "put in at the start. Please send me {asked}.",
    ),
}


def draw(rng: random.Random, difficulty: int) -> Parameters:
    """Parameters whose simple interest is not close to the compound one."""

    def once() -> Parameters:
        return {
            "principal": Decimal(rng.choice([rng.randint(10, 99) * 100, rng.randint(20, 1999) * 500])),
            "rate": decimal(rng, "0.02", "0.12", "0.0025"),
            "years": rng.randint(2, (10, 12, 25)[difficulty - 1]),
            "credits": 1 if difficulty == 1 else rng.choice([2, 4, 12]),
            "asked": "interest" if difficulty == 3 else "balance",
        }

    def accept(p: Parameters) -> bool:
        wrong = mistakes(p)["simple interest"]
        return far(wrong, _answer(p))

    return draw_until(once, accept)


def _answer(p: Parameters) -> float:
    balance = p["principal"] * (1 + p["rate"] / p["credits"]) ** (p["years"] * p["credits"])
    return float(balance - (p["principal"] if p["asked"] == "interest" else 0))


def program(p: Parameters) -> str:
    """The program, of one form for all: a yearly credit is one credit a year."""
    steps = [
        f"divide({plain(p['rate'])}, const_{p['credits']})",
        "add(#0, const_1)",
        f"multiply({p['years']}, const_{p['credits']})",
        "exp(#1, #2)",
        f"multiply({plain(p['principal'])}, #3)",
    ]
    if p["asked"] == "interest":
        steps.append(f"subtract(#4, {plain(p['principal'])})")
    return ", ".join(steps)


def words(p: Parameters, rng: random.Random, family: str) -> dict[str, str]:
    """Spelled parameters."""
    return {
        "principal": money(p["principal"], rng),
        "rate": percentage(p["rate"], rng),
        "years": years(p["years"], rng),
        "often": rng.choice(OFTEN[p["credits"]]),
        "asked": ASKED[family][p["asked"] == "interest"],
    }


def reasoning(p: Parameters, values: list[Value]) -> list[str]:
    """Worked steps."""
    principal, rate, credits = plain(p["principal"]), plain(p["rate"]), p["credits"]
    growth, count = f"1 + {rate}", str(p["years"])
    lines = []
    if credits > 1:
        lines.append(
            f"Interest is credited {credits} times a year, so a credit is {rate} / {credits} = {shown(values[0])}."
        )
        lines.append(f"In {count} years there are {count} * {credits} = {shown(values[2])} credits.")
        growth, count = f"1 + {shown(values[0])}", shown(values[2])
    lines.append(f"One dollar grows to ({growth})^{count} = {shown(values[3])}.")
    lines.append(f"The balance is {principal} * {shown(values[3])} = {shown(values[4])}.")
    if p["asked"] == "interest":
        lines.append(f"The interest is {shown(values[4])} - {principal} = {shown(values[-1])}.")
    return lines


def mistakes(p: Parameters) -> dict[str, float]:
    """Simple interest; the yearly rate at every credit; one credit a year."""
    principal, rate, time, credits = Fraction(p["principal"]), Fraction(p["rate"]), p["years"], p["credits"]
    less = principal if p["asked"] == "interest" else 0
    balances = {
        "simple interest": principal * (1 + rate * time),
        "yearly rate at every credit": principal * (1 + rate) ** (time * credits),
        "one credit a year": principal * (1 + rate) ** time,
        "credits not counted": principal * (1 + rate / credits) ** time,
    }
    wrong = {name: float(balance - less) for name, balance in balances.items()}
    other = "principal not subtracted" if less else "principal subtracted"
    return wrong | {other: _answer(p) + (float(principal) if less else -float(principal))}


TASK = Task("compounding", "dollars", draw, program, PHRASINGS, words, reasoning, mistakes, ("simple interest",))
