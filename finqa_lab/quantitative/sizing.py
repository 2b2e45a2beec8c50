"""Position sizing by risk: as many shares as lose no more than a share of the account if the stop is reached.

N = floor(account * risk / abs(entry - stop)). Difficulty 1 buys, 2 buys or sells short (the stop is above the entry),
and 3 also caps the value of the position at a share of the account: N = floor(min(that, account * cap / entry)). The
stop is taken to fill at its price; a gap through it loses more.
"""

import math
import random
from decimal import Decimal
from fractions import Fraction

from finqa_lab.quantitative.dsl import Value
from finqa_lab.quantitative.spelling import money, percentage, plain, shown
from finqa_lab.quantitative.task import NAMES, Parameters, Task, decimal, draw_until, far

PHRASINGS = {
    "question": (
        "How many shares of {asset} can a trader with an account of {account} {act} at {entry} with a stop at {stop}, "
        "if no more than {risk} of the account may be lost?{cap}",
        "If at most {risk} of an account of {account} may be lost, how many shares of {asset} fit a plan to {act} at "
        "{entry} with a stop at {stop}?{cap}",
    ),
    "story": (
        "Noor has saved {account}. She wants to {act} {asset} at {entry} and will get out when the price reaches "
        "{stop}. Losing more than {risk} of her savings would hurt.{cap} What is the largest number she can afford?",
        "Before Felix decides to {act} {asset} at {entry}, he sets an exit at {stop}. His savings: {account}, and he "
        "is ready to give up {risk} of them on this idea.{cap} What is the largest number he should take?",
    ),
    "sheet": (
        "symbol: {asset}\nside: {act}\nequity: {account}\nrisk budget: {risk}\nentry: {entry}\nstop-loss: {stop}{cap}\n"
        "wanted: quantity",
        "quantity = ? | symbol {asset}, side {act} | stop-loss {stop} | entry {entry} | equity {account} | risk budget "
        "{risk}{cap}",
    ),
    "order": (
        "Size this trade: {act} {asset} at {entry}, protective stop at {stop}. Capital is {account}; put {risk} of it "
        "at stake.{cap}",
        "Work out the position size. Capital: {account}. Stake: {risk} of it. Trade: {act} {asset} at {entry}, "
        "protective stop at {stop}.{cap}",
    ),
    "memo": (
        "Desk, client wants to {act} {asset} around {entry}, bail-out level {stop}. Mandate: {account}, and the loss "
        "per idea must stay within {risk} of that.{cap} How big can the ticket be in units?",
        "Ticket for {asset}: {act} around {entry}, bail-out level {stop}. The mandate of {account} allows a loss per "
        "idea of {risk}.{cap} Units?",
    ),
}
CAPS = {
    "question": " The position may be worth at most {cap} of the account.",
    "story": " No single holding may cost more than {cap} of the savings.",
    "sheet": "; largest exposure: {cap} of equity",
    "order": " Keep its market value within {cap} of the capital.",
    "memo": " House limit on notional: {cap} of the mandate.",
}
"""The cap on the value of a position, by family."""
ACTS = {1: ("buy", "go long"), -1: ("sell short", "short")}


def draw(rng: random.Random, difficulty: int) -> Parameters:
    """Parameters for 30 shares and more, so that rounding down is no large step."""

    def once() -> Parameters:
        short = difficulty > 1 and rng.random() < 0.5
        entry = decimal(rng, "8", "180", "0.5")
        distance = round(entry * decimal(rng, "0.02", "0.12", "0.005"), 1) or Decimal("0.1")
        parameters = {
            "account": Decimal(rng.choice([rng.randint(10, 99) * 1000, rng.randint(20, 400) * 2500])),
            "risk": decimal(rng, "0.0025", "0.03", "0.0025"),
            "entry": entry,
            "stop": Decimal(plain(entry + distance if short else entry - distance)),
        }
        return parameters | ({"cap": decimal(rng, "0.1", "0.5", "0.05")} if difficulty == 3 else {})

    def accept(p: Parameters) -> bool:
        right, wrong = _shares(p), mistakes(p)
        return right >= 30 and all(far(wrong[name], right) for name in SURE)

    return draw_until(once, accept)


def _shares(p: Parameters) -> int:
    account, risk, entry, stop = (Fraction(p[name]) for name in ("account", "risk", "entry", "stop"))
    return math.floor(min(account * risk / abs(entry - stop), account * Fraction(p.get("cap", 10**6)) / entry))


def program(p: Parameters) -> str:
    """The program, of one form for both sides: the distance to the stop is a difference without its sign."""
    account, risk, entry, stop = (plain(p[name]) for name in ("account", "risk", "entry", "stop"))
    steps = [f"multiply({account}, {risk})", f"subtract({entry}, {stop})", "absolute(#1, none)", "divide(#0, #2)"]
    if "cap" in p:
        steps += [f"multiply({account}, {plain(p['cap'])})", f"divide(#4, {entry})", "minimum(#3, #5)"]
    return ", ".join([*steps, f"floor(#{len(steps) - 1}, none)"])


def words(p: Parameters, rng: random.Random, family: str) -> dict[str, str]:
    """Spelled parameters."""
    cap = CAPS[family].format(cap=percentage(p["cap"], rng)) if "cap" in p else ""
    return {
        "asset": rng.choice(NAMES),
        "account": money(p["account"], rng),
        "risk": percentage(p["risk"], rng),
        "entry": money(p["entry"], rng),
        "stop": money(p["stop"], rng),
        "act": rng.choice(ACTS[-1 if p["stop"] > p["entry"] else 1]),
        "cap": cap,
    }


def reasoning(p: Parameters, values: list[Value]) -> list[str]:
    """Worked steps."""
    account, risk, entry, stop = (plain(p[name]) for name in ("account", "risk", "entry", "stop"))
    high, low = (stop, entry) if p["stop"] > p["entry"] else (entry, stop)
    distance = shown(abs(values[1]))
    lines = [
        f"The loss may be {account} * {risk} = {shown(values[0])}.",
        f"A share loses {high} - {low} = {distance} at the stop.",
        f"The risk allows {shown(values[0])} / {distance} = {shown(values[3])} shares.",
    ]
    if "cap" in p:
        value, by_value, smaller = values[-4:-1]
        lines.append(f"The position may be worth {account} * {plain(p['cap'])} = {shown(value)}.")
        lines.append(f"That allows {shown(value)} / {entry} = {shown(by_value)} shares.")
        lines.append(f"The smaller number is {shown(smaller)}.")
    return [*lines, f"Rounded down, that is {shown(values[-1])}."]


def mistakes(p: Parameters) -> dict[str, float]:
    """Answers without the stop, without the risk share, or without the cap."""
    account, risk, entry, stop = (float(p[name]) for name in ("account", "risk", "entry", "stop"))
    wrong = {
        "divided by the entry": account * risk / entry,
        "divided by the stop": account * risk / stop,
        "whole account": account / entry,
        "whole account at the stop": account / abs(entry - stop),
    }
    return wrong | ({"cap ignored": account * risk / abs(entry - stop)} if "cap" in p else {})


SURE = ("divided by the entry", "whole account")
TASK = Task("sizing", "shares", draw, program, PHRASINGS, words, reasoning, mistakes, SURE)
