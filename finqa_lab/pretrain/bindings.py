"""Which number belongs to which name: texts that list things with their traits, and the same list in another form.

A model that reads "Pine at 8% and Oak at 12%" has to bring each number back with its own name. That takes two skills:
to copy a name token by token, whatever the name is, and to find the one that belongs to a number. ``echo`` teaches the
first alone, lists that are repeated; ``listed`` both; ``prices`` the same with numbers, that are paired with their
neighbours. Half of the names are invented, so that copying is learnt and not a list of names, and a name stands behind
a space almost everywhere, so that it is the same token in both places. Nothing is computed.
"""

import random
from collections.abc import Callable
from decimal import Decimal

from finqa_lab.finqa.synthetic.sectors import STEMS
from finqa_lab.pretrain.statements import amount, series, share
from finqa_lab.quantitative.spelling import WORDS, money, percentage, plain
from finqa_lab.quantitative.task import NAMES

Messages = list[dict[str, str]]

PEOPLE = tuple(
    "Ada Amir Anna Ben Carla Chen Dana Dario Elif Emma Farid Gina Hana Hugo Ines Ivan Jana Joon Kofi Lara Leon Lina "
    "Marco Maya Mira Nadia Nils Noor Olga Omar Paula Priya Ravi Rosa Samir Sofia Tariq Tessa Uma Vera Yara".split()
)
TRAITS = ("return", "volatility", "yield", "weight", "fee", "margin", "standard deviation", "excess return", "drift")
PERIODS = {
    "daily": 252, "every trading day": 252, "weekly": 52, "every week": 52,
    "monthly": 12, "every month": 12, "twelve times a year": 12,
    "quarterly": 4, "every quarter": 4, "four times a year": 4,
    "semi-annually": 2, "twice a year": 2, "every six months": 2, "yearly": 1, "annually": 1, "once a year": 1,
}  # fmt: skip
"""Periods that a year has."""
_JOINS = ("; ", " and ", ", ", " versus ", " then ", " | ")
_THINGS = ("fund", "asset", "strategy", "sleeve", "book", "holding", "candidate")
_CONSONANTS, _VOWELS = "b c d f g k l m n p r s t v w z br dr gr kl pr st tr".split(), "a e i o u".split()


def names(rng: random.Random, count: int) -> list[str]:
    """Different names of one kind: trees, companies, people, or invented ones."""
    source = rng.choice((NAMES, NAMES, tuple(STEMS), PEOPLE, None, None, None))
    found = []
    while len(found) < count:
        name = invented(rng) if source is None else rng.choice(source).capitalize()
        if name not in found:
            found.append(name)
    return found


def invented(rng: random.Random) -> str:
    """A name of two or three syllables that means nothing."""
    syllables = [rng.choice(_CONSONANTS) + rng.choice(_VOWELS) for _ in range(rng.randint(2, 3))]
    return "".join([*syllables, rng.choice(("", "", "l", "n", "r", "s", "x"))]).capitalize()


def echo(rng: random.Random) -> tuple[str, str]:
    """A list of names, and the same list, or the one at its head or its end."""
    who = names(rng, rng.choice((1, 2, 2, 3, 3, 4, 5, 6)))
    text = f"{rng.choice(('The list:', 'We hold', 'names:', 'Take', 'In order:'))} {rng.choice(_JOINS).join(who)}"
    form = rng.randrange(6)
    if form == 0:
        return f"{text}. The first?", f"first: {who[0]}"
    if form == 1:
        return f"{text}. The last?", f"last: {who[-1]}"
    if form == 2:
        return text, "; ".join(f"{i} {name}" for i, name in enumerate(who, 1))
    return text, f"list: {', '.join(who)}"


def listed(rng: random.Random) -> tuple[str, str]:
    """A text that gives each name one to three traits, and the same as a list in digits."""
    who = names(rng, rng.randint(1, 4))
    traits = rng.sample(TRAITS, rng.randint(1, 3))
    values = {name: [_trait(rng) for _ in traits] for name in who}
    text = _told(rng, who, traits, values)
    form = rng.randrange(6)
    if form == 0:
        return text, ", ".join(f"({', '.join(plain(v) for _, v in values[name])}, {name})" for name in who)
    if form in (1, 2):
        return text, ", ".join(f"pair({plain(v)}, {name})" for name in who for _, v in values[name])
    if form == 3:
        return text, "; ".join(f"{', '.join(plain(v) for _, v in values[name])} for {name}" for name in who)
    if form == 4:
        place = rng.randrange(len(traits))
        return text, ", ".join(f"{traits[place]} of {name} {plain(values[name][place][1])}" for name in who)
    return text, f"list: {', '.join(who)}"


def _trait(rng: random.Random) -> tuple[str, Decimal]:
    """A percentage; one in six is a small number with many digits, as a variance is."""
    if rng.random() < 1 / 6:
        value = Decimal(rng.randint(1, 9999)) * Decimal(rng.randint(1, 99)) / 10**8
        return plain(value), value
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
        return "\n".join(f"| {' | '.join(row)} |" for row in [[thing, *traits], *rows])
    return f"Between {' and '.join(f'{name} with {with_article[name]}' for name in who)}, which {thing}?"


def periods(rng: random.Random) -> tuple[str, str]:
    """How often figures are quoted, and how many such periods a year has."""
    who = names(rng, rng.randint(1, 4))
    often = {name: rng.choice(list(PERIODS)) for name in who}
    forms = (
        "fund {} reports {}",
        "there is {}: {}",
        "of {}, {}",
        "the note {} pays {}",
        "the interest of {} is added {}",
    )
    form = rng.choice(forms)
    text = rng.choice(("; ", ", ", "\n")).join(form.format(name, often[name]) for name in who)
    if rng.random() < 0.3:
        return text, ", ".join(f"{PERIODS[often[name]]} for {name}" for name in who)
    return text, ", ".join(f"(const_{PERIODS[often[name]]}, {name})" for name in who)


def amounts(rng: random.Random) -> tuple[str, str]:
    """Amounts in words and signs, then in digits."""
    who, values = names(rng, rng.randint(1, 4)), []
    for _ in who:
        value = amount(rng)
        if rng.random() < 0.5:  # thousands, which are often written with a k
            value = Decimal(rng.randint(1, 999)) * 1000 // rng.choice((1, 1, 10))
        values.append(max(value, Decimal(1)))
    form = rng.choice(("fund {} holds {}", "there is {}: {}", "of {}, {}", "the account of {} has {}"))
    text = rng.choice(("; ", ", ", "\n")).join(form.format(n, money(v, rng)) for n, v in zip(who, values))
    return text, ", ".join(f"({plain(value)}, {name})" for name, value in zip(who, values))


def counts(rng: random.Random) -> tuple[str, str]:
    """Whole numbers, small ones as words, then in digits."""
    who, unit = names(rng, rng.randint(1, 4)), rng.choice(("years", "months", "shares", "payments", "years"))
    values = [rng.randint(2, 12) if rng.random() < 0.7 else rng.randint(2, 40) for _ in who]
    told = [WORDS[v] if v < len(WORDS) and rng.random() < 0.7 else str(v) for v in values]
    form = rng.choice(("{} runs for {} {}", "term of {}: {} {}", "{}, {} {}", "for {} it is {} {}", "of {}, {} {}"))
    text = rng.choice(("; ", ", ", "\n")).join(form.format(n, t, unit) for n, t in zip(who, told))
    if rng.random() < 0.5:
        return text, ", ".join(f"exp({name}, {value})" for name, value in zip(who, values))
    return text, ", ".join(f"({value}, {name})" for name, value in zip(who, values))


def prices(rng: random.Random) -> tuple[str, str]:
    """A series of prices: the same in short, each with the next, or each behind its number."""
    told, name = series(rng, rng.randint(3, 9)), names(rng, 1)[0]
    form = rng.choice(("The prices of {} were {}.", "{}: {}", "levels of {} in order: {}", "values {1} of {0}"))
    text = form.format(name, rng.choice((", ", "; ", " -> ", " / ", " | ", " then ", "\n")).join(told))
    digits = [plain(Decimal(price)) for price in told]
    kind = rng.randrange(4)
    if kind == 0:
        return text, f"list: {', '.join(digits)}"
    if kind == 1:
        return text, ", ".join(f"({a}, {b})" for a, b in zip(digits, digits[1:]))
    if kind == 2:
        return text, ", ".join(f"next(#{i}, {price})" for i, price in enumerate(digits))
    return text, "; ".join(f"{i} {price}" for i, price in enumerate(digits, 1))


_WHOLE = ("the balance", "the final amount", "the value at the end", "the amount paid back", "everything together")
_GAIN = ("the interest", "the gain alone", "the profit", "the growth without the deposit", "what was earned on top")


def wishes(rng: random.Random) -> tuple[str, str]:
    """Whether the whole is asked for or only what was gained."""
    who = names(rng, rng.randint(1, 3))
    gained = [rng.random() < 0.5 for _ in who]
    form = rng.choice(("of {}, {}", "{}: give me {}", "for {} we need {}", "{}, wanted: {}"))
    text = rng.choice(("; ", ", ", "\n")).join(
        form.format(name, rng.choice(_GAIN if gain else _WHOLE)) for name, gain in zip(who, gained)
    )
    return text, ", ".join(f"({'gain' if gain else 'whole'}, {name})" for name, gain in zip(who, gained))


KINDS = (
    (echo, 0.14), (listed, 0.42), (periods, 0.1), (amounts, 0.12), (counts, 0.08), (prices, 0.1), (wishes, 0.04)
)  # fmt: skip
"""Kinds of lists with their shares."""


def _pair(rng: random.Random) -> tuple[str, str]:
    kinds, weights = zip(*KINDS)
    return rng.choices(kinds, weights)[0](rng)


def bindings(rng: random.Random, count: int) -> str:
    """A document of lists, each told and then written in digits."""
    arrow = rng.choice(("\n", "\nin digits: ", " => ", "\n-> "))
    return "\n".join(arrow.join(_pair(rng)) for _ in range(count)) + "\n"


_SHAPES = (
    ("pair(", "pair(0.1, A)"),
    ("exp(", "exp(A, 2)"),
    ("next(", "next(#0, 3)"),
    ("(const_", "(const_1, A)"),
    ("(gain", "(whole, A)"),
    ("(whole", "(whole, A)"),
    ("(", "(0.1, A)"),
)
"""How a reply begins, and how an example of its form looks."""


def conversation(rng: random.Random, kind: Callable[[random.Random], tuple[str, str]] | None = None) -> Messages:
    """A list told by the user and written in digits by the assistant, whose form an example in the rules shows.

    Args:
        rng: draws everything.
        kind: of the list, one of ``KINDS``; drawn by default.
    """
    user, reply = _pair(rng) if kind is None else kind(rng)
    shown = rng.choice(("Write the list in digits.", "Repeat each name with its numbers. A percentage is a fraction."))
    return [
        {"role": "system", "content": f"{shown}\nReply as in: {_shape(reply)}"},
        {"role": "user", "content": user},
        {"role": "assistant", "content": reply},
    ]


def _shape(reply: str) -> str:
    """The form of a reply, shown with another name or other numbers.

    >>> _shape("(const_4, Pine), (const_1, Oak)"), _shape("1 461.69; 2 498.23"), _shape("0.05 for Pine; 0.1 for Oak")
    ('(const_1, A)', '1 A; 2 B', '0.1 for A')
    """
    if reply[0].isdigit():
        return "0.1 for A" if " for " in reply else "1 A; 2 B"
    for begin, shape in _SHAPES:
        if reply.startswith(begin):
            return shape if begin != "(" or reply[-2].isalpha() else "(0.1, 0.2)"
    head = reply.partition(" ")[0]
    return f"{head} A" if head.endswith(":") else "yield of A 0.1"
