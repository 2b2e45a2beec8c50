"""Which number belongs to which name: texts that list things with their traits, and the same list in another form.

A model that reads "Pine at 8% and Oak at 12%" has to bring each number back with its own name. The name stands there
in other tokens than where it is copied to (with a space before it, behind a bracket), so that it must be learnt as a
name and not as a token. Names come from three sources, so that copying is learnt and not a list of them. Nothing is
computed.
"""

import random
from decimal import Decimal

from finqa_lab.finqa.synthetic.sectors import STEMS
from finqa_lab.pretrain.statements import amount, share
from finqa_lab.quantitative.spelling import money, percentage, plain
from finqa_lab.quantitative.task import NAMES

Messages = list[dict[str, str]]

PEOPLE = tuple(
    "Ada Amir Anna Ben Carla Chen Dana Dario Elif Emma Farid Gina Hana Hugo Ines Ivan Jana Joon Kofi Lara Leon Lina "
    "Marco Maya Mira Nadia Nils Noor Olga Omar Paula Priya Ravi Rosa Samir Sofia Tariq Tessa Uma Vera Yara".split()
)
TRAITS = ("return", "volatility", "yield", "weight", "fee", "margin", "standard deviation", "excess return", "drift")
PERIODS = {"daily": 252, "weekly": 52, "monthly": 12, "quarterly": 4, "yearly": 1}
"""Periods that a year has."""
_JOINS = ("; ", " and ", ", ", " versus ")
_THINGS = ("fund", "asset", "strategy", "sleeve", "book", "holding", "candidate")


def names(rng: random.Random, count: int) -> list[str]:
    """Different names: mostly trees, else companies or people."""
    source = rng.choice((NAMES, NAMES, NAMES, tuple(STEMS), PEOPLE))
    found = []
    while len(found) < count:
        name = rng.choice(source).capitalize()
        if name not in found:
            found.append(name)
    return found


def listed(rng: random.Random) -> tuple[str, str]:
    """A text that gives each name one to three traits, and the same as a list in digits."""
    who = names(rng, rng.randint(1, 4))
    traits = rng.sample(TRAITS, rng.randint(1, 3))
    values = {name: [_trait(rng) for _ in traits] for name in who}
    text = _told(rng, who, traits, values)
    form = rng.randrange(5)
    if form == 0:
        rows = [f"({name}, {', '.join(plain(v) for _, v in values[name])})" for name in who]
        return text, ", ".join(rows)
    if form == 1:
        rows = [f"pair({name}, {plain(v)})" for name in who for _, v in values[name]]
        return text, ", ".join(rows)
    if form == 2:
        return text, "; ".join(f"{name}: {', '.join(plain(v) for _, v in values[name])}" for name in who)
    if form == 3:
        place = rng.randrange(len(traits))
        return text, ", ".join(f"{traits[place]} of {name} {plain(values[name][place][1])}" for name in who)
    return text, ", ".join(f"({name})" for name in who)


def _trait(rng: random.Random) -> tuple[str, Decimal]:
    value = share(rng)
    return percentage(value, rng), value


def _told(rng: random.Random, who: list[str], traits: list[str], values: dict) -> str:
    """Names with their traits as a sentence, a sheet or an order."""
    kind, thing = rng.randrange(6), rng.choice(_THINGS)
    plainly = {name: ", ".join(f"{trait} {text}" for trait, (text, _) in zip(traits, values[name])) for name in who}
    with_article = {
        name: " and ".join(
            f"{'an' if trait[0] == 'e' else 'a'} {trait} of {text}" for trait, (text, _) in zip(traits, values[name])
        )
        for name in who
    }
    if kind == 0:
        return "\n".join(f"{thing} {i}: {name}, {plainly[name]}" for i, name in enumerate(who, 1))
    if kind == 1:
        return f"There is {', there is '.join(f'{name}, with {with_article[name]}' for name in who)}."
    if kind == 2:
        return f"Take {rng.choice(_JOINS).join(f'{name}, {plainly[name]}' for name in who)}."
    if kind == 3:
        return " ".join(f"{thing.capitalize()} {'ABCD'[i]} is {name}, {plainly[name]}." for i, name in enumerate(who))
    if kind == 4:
        rows = [[name, *(text for text, _ in values[name])] for name in who]
        return "\n".join(" | ".join(row) for row in [[thing, *traits], *rows])
    return f"Between {' and '.join(f'{name} with {with_article[name]}' for name in who)}, which {thing}?"


def periods(rng: random.Random) -> tuple[str, str]:
    """How often figures are quoted, and how many such periods a year has."""
    who = names(rng, rng.randint(1, 4))
    often = {name: rng.choice(list(PERIODS)) for name in who}
    form = rng.choice(("{} quotes {} figures", "{}: {}", "{} reports {} returns", "the {1} volatility of {0}"))
    text = rng.choice(("; ", ", ", "\n")).join(form.format(name, often[name]) for name in who)
    if rng.random() < 0.5:
        return text, ", ".join(f"{name} {PERIODS[often[name]]}" for name in who)
    return text, ", ".join(f"({name}, const_{PERIODS[often[name]]})" for name in who)


def amounts(rng: random.Random) -> tuple[str, str]:
    """Amounts in words and signs, then in digits."""
    who, values = names(rng, rng.randint(1, 4)), []
    for _ in who:
        value = amount(rng)
        if rng.random() < 0.5:  # thousands, which are often written with a k
            value = Decimal(rng.randint(1, 999)) * 1000 // rng.choice((1, 1, 10))
        values.append(max(value, Decimal(1)))
    form = rng.choice(("{} holds {}", "{}: {}", "{} with {}", "the account of {} has {}"))
    text = rng.choice(("; ", ", ", "\n")).join(form.format(n, money(v, rng)) for n, v in zip(who, values))
    return text, ", ".join(f"({name}, {plain(value)})" for name, value in zip(who, values))


_KINDS = ((listed, 0.7), (periods, 0.12), (amounts, 0.18))


def _pair(rng: random.Random) -> tuple[str, str]:
    kinds, weights = zip(*_KINDS)
    return rng.choices(kinds, weights)[0](rng)


def bindings(rng: random.Random, count: int) -> str:
    """A document of lists, each told and then written in digits."""
    arrow = rng.choice(("\n", "\nin digits: ", " => ", "\n-> "))
    return "\n".join(arrow.join(_pair(rng)) for _ in range(count)) + "\n"


def conversation(rng: random.Random) -> Messages:
    """A list told by the user and written in digits by the assistant, whose form an example in the rules shows."""
    user, reply = _pair(rng)
    shown = rng.choice(("Write the list in digits.", "Repeat each name with its numbers. A percentage is a fraction."))
    return [
        {"role": "system", "content": f"{shown}\nReply as in: {_shape(reply)}"},
        {"role": "user", "content": user},
        {"role": "assistant", "content": reply},
    ]


def _shape(reply: str) -> str:
    """The beginning of a reply up to its first name or bracket, as a hint of its form."""
    if "(" in reply and "," not in reply.partition(")")[0]:
        return "(A)"
    for shape in ("pair(", "(", ": ", " of "):
        if shape in reply:
            return {"pair(": "pair(A, 0.1)", "(": "(A, 0.1)", ": ": "A: 0.1", " of ": "yield of A 0.1"}[shape]
    return "A 12"
