"""Sheets: one thing with several figures, each under its label, and the figures that are asked for by label.

``bindings`` gives every name its figures; a sheet gives one thing figures of many kinds, an amount, a rate, a price, a
term, and asks for some of them in an order of its own, digits only. That is what a program over a text needs first: the
number behind a word, wherever it stands and however it is spelled. Nothing is computed.
"""

import random
from collections.abc import Callable
from decimal import Decimal

from finqa_lab.pretrain.bindings import invented, names
from finqa_lab.pretrain.statements import share
from finqa_lab.quantitative.spelling import WORDS, money, percentage, plain

Messages = list[dict[str, str]]
Figure = tuple[str, str]
"""How a figure is spelled, and the same in digits."""

LABELS = {
    "amount": "equity capital deposit face budget mandate savings stake proceeds turnover debt reserve cost".split(),
    "price": "entry exit stop bid offer strike level close open ceiling floor target quote".split(),
    "rate": "rate margin risk limit fee yield coupon share cap discount weight spread growth".split(),
    "count": "term horizon maturity age delay span duration wait tenor".split(),
}
"""Labels by the kind of figure that stands behind them; one sheet in four has invented labels instead."""

_CLAUSES = {
    "amount": ("{label} {value}", "{value} of {label}", "a {label} of {value}", "the {label} is {value}"),
    "price": ("{label} at {value}", "a {label} of {value}", "{label} near {value}", "the {label} is {value}"),
    "rate": ("{label} {value}", "{value} {label}", "a {label} of {value}", "the {label} is {value}"),
    "count": ("{label} {value}", "a {label} of {value}", "{value} of {label}", "the {label} is {value}"),
}
_PAIRS = ("{label}: {value}", "{label} {value}", "{label} = {value}")
_WISHES = ("wanted: {}", "Give {}.", "We need {}.", "Now {}?", "order: {}")


def _amount(rng: random.Random) -> Figure:
    value = Decimal(rng.choice((rng.randint(10, 99) * 1000, rng.randint(10, 1999) * 500, rng.randint(10, 999) * 100)))
    return money(value, rng), plain(value)


def _price(rng: random.Random) -> Figure:
    value = Decimal(rng.randint(40, 4000)) / rng.choice((2, 10, 20))
    return money(value, rng), plain(value)


def _rate(rng: random.Random) -> Figure:
    value = share(rng)
    return percentage(value, rng), plain(value)


def _count(rng: random.Random) -> Figure:
    value = rng.randint(2, 40)
    told = WORDS[value] if value < len(WORDS) and rng.random() < 0.4 else str(value)
    return f"{told} {rng.choice(('years', 'years', 'months', 'weeks'))}", str(value)


_FIGURES: dict[str, Callable[[random.Random], Figure]] = {
    "amount": _amount,
    "price": _price,
    "rate": _rate,
    "count": _count,
}


def sheet(rng: random.Random) -> tuple[str, str]:
    """A sheet with what is asked of it, and the figures in that order.

    >>> text, reply = sheet(random.Random(0))
    >>> len(reply.split(", ")) >= 1
    True
    """
    kinds = rng.choices(list(LABELS), k=rng.randint(2, 6))
    made_up = rng.random() < 0.25
    figures: dict[str, tuple[str, Figure]] = {}
    for kind in kinds:
        label = invented(rng).lower() if made_up else rng.choice(LABELS[kind])
        figures.setdefault(label, (kind, _FIGURES[kind](rng)))
    asked = [rng.choice(list(figures)) for _ in range(rng.randint(1, 5))]
    text = _told(rng, figures)
    wish = rng.choice(_WISHES).format(", ".join(asked))
    digits = [figures[label][1][1] for label in asked]
    return f"{text}{rng.choice((' | ', chr(10)))}{wish}", _reply(rng, asked, digits)


def _told(rng: random.Random, figures: dict[str, tuple[str, Figure]]) -> str:
    """The figures as a list of pairs, or as clauses of a sentence."""
    thing = names(rng, 1)[0]
    if rng.random() < 0.5:
        form, join = rng.choice(_PAIRS), rng.choice(("\n", " | ", "; ", ", "))
        head = rng.choice((f"name: {thing}{join}", f"{thing}{join}", ""))
        return head + join.join(form.format(label=label, value=told) for label, (_, (told, _)) in figures.items())
    clauses = [
        rng.choice(_CLAUSES[kind]).format(label=label, value=told) for label, (kind, (told, _)) in figures.items()
    ]
    begin = rng.choice((f"For {thing}: ", f"{thing} has ", f"Take {thing} with ", "Our plan: "))
    joins = [rng.choice((", ", " and ", "; ")) for _ in clauses[1:]]
    return begin + "".join(piece for pair in zip(clauses, [*joins, "."]) for piece in pair)


def _reply(rng: random.Random, asked: list[str], digits: list[str]) -> str:
    """Digits alone, with their labels, or as the arguments of calls."""
    kind = rng.randrange(4)
    if kind == 0:
        return ", ".join(digits)
    if kind == 1:
        return ", ".join(f"{label} {value}" for label, value in zip(asked, digits))
    if kind == 2:
        return ", ".join(f"take({value}, #{i})" for i, value in enumerate(digits))
    return ", ".join(f"both({a}, {b})" for a, b in zip(digits, digits[1:])) or f"list: {digits[0]}"


def sheets(rng: random.Random, count: int) -> str:
    """A document of sheets, each with its figures in digits."""
    arrow = rng.choice(("\n", "\nin digits: ", " => ", "\n-> "))
    return "\n".join(arrow.join(sheet(rng)) for _ in range(count)) + "\n"


def conversation(rng: random.Random) -> Messages:
    """A sheet told by the user, and the figures by the assistant, whose form an example in the rules shows."""
    user, reply = sheet(rng)
    rules = rng.choice(("Read the sheet.", "Give the figures in digits. A percentage is a fraction.", "Look it up."))
    return [
        {"role": "system", "content": f"{rules}\nReply as in: {_shape(reply)}"},
        {"role": "user", "content": user},
        {"role": "assistant", "content": reply},
    ]


def _shape(reply: str) -> str:
    """The form of a reply, shown with other figures.

    >>> _shape("take(0.05, #0), take(12, #1)"), _shape("both(3, 4)"), _shape("0.05, 12"), _shape("fee 0.02")
    ('take(0.1, #0)', 'both(0.1, 0.2)', '0.1', 'label 0.1')
    """
    if reply.startswith("take("):
        return "take(0.1, #0)"
    if reply.startswith("both("):
        return "both(0.1, 0.2)"
    if reply.startswith("list:"):
        return "list: 0.1"
    return "0.1" if reply[0].isdigit() else "label 0.1"
