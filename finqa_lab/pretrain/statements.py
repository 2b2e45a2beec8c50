"""Statements about numbers: spellings of one value, results of one operation, lists read in several ways.

They are what a base model can learn about numbers from text alone: to copy digits, to move a decimal point, to compare,
to do easy sums. No statement chains operations, and none is a task of ``finqa_lab.quantitative``.
"""

import random
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

from finqa_lab.quantitative.spelling import money, percentage, plain, shown, years
from finqa_lab.quantitative.task import NAMES

OPERATIONS = {
    "add": ("+", "plus", "the sum of {a} and {b}"),
    "subtract": ("-", "minus", "the difference of {a} and {b}"),
    "multiply": ("*", "times", "the product of {a} and {b}"),
    "divide": ("/", "divided by", "the quotient of {a} and {b}"),
}
COMPUTE = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
}


def number(rng: random.Random, low: float = -1.0, high: float = 4.5, places: int = 3) -> Decimal:
    """A positive number, its size drawn evenly by order of magnitude (powers of ten), with 0 to ``places`` decimals."""
    decimals = rng.randint(0, places)
    value = round(Decimal(10 ** rng.uniform(low, high)), decimals)
    return value if value > 0 else Decimal(1).scaleb(-decimals)


def share(rng: random.Random) -> Decimal:
    """A fraction below 1 that is a percentage with up to two decimals."""
    return round(Decimal(10 ** rng.uniform(-0.5, 1.95)), rng.choice((0, 0, 1, 1, 2, 2))) / 100 or Decimal("0.01")


def amount(rng: random.Random) -> Decimal:
    """Dollars: round thousands and hundreds, whole, or with cents."""
    value = Decimal(10 ** rng.uniform(0.3, 6.3))
    digits = rng.choice((-4, -3, -3, -2, -2, 0, 1, 2))
    return max(round(value, digits).quantize(Decimal("0.01") if digits > 0 else Decimal(1)), Decimal(1))


def conversion(rng: random.Random) -> str:
    """One value in two spellings; the second has digits only."""
    kind = rng.random()
    if kind < 0.45:
        value = share(rng)
        left, right = percentage(value, rng), plain(value)
        form = rng.choice(("{} is {}", "{} = {}", "{} as a fraction is {}", "{}, that is {}", "{} as a decimal: {}"))
    elif kind < 0.75:
        value = amount(rng)
        left, right = money(value, rng), plain(value)
        form = rng.choice(("{} is {}", "{} = {}", "{} in digits is {}", "{}, that is {}", "{} without signs: {}"))
    elif kind < 0.85:
        count = rng.randint(1, 40)
        left, right = years(count, rng), str(count)
        form = rng.choice(("{} is {}", "{} = {}", "{}, that is {}"))
    else:
        decimals = rng.randint(1, 3)
        value = round(Decimal(10 ** rng.uniform(-0.5, 3.5)), rng.randint(0, decimals))
        left, right = f"{value:,.{decimals}f}", plain(value)
        form = rng.choice(("{} is {}", "{} = {}", "{} in short is {}"))
    return form.format(left, right)


def easy(rng: random.Random) -> tuple[str, Decimal, Decimal]:
    """An operation and operands of few digits."""
    operation = rng.choice(list(OPERATIONS))
    if operation in ("add", "subtract"):
        places = rng.randint(0, 2)
        a, b = (round(Decimal(10 ** rng.uniform(0, 2.5)), places) for _ in range(2))
    else:
        a, b = round(Decimal(10 ** rng.uniform(0, 2.5)), rng.randint(0, 1)), Decimal(rng.randint(2, 20))
    return operation, a, b


def calculation(rng: random.Random) -> str:
    """One operation with its result, in symbols, in words, or as a call."""
    operation, a, b = easy(rng)
    symbol, word, phrase = OPERATIONS[operation]
    result = shown(Fraction(COMPUTE[operation](Fraction(a), Fraction(b))))
    forms = (
        f"{a} {symbol} {b} = {result}",
        f"{a} {word} {b} is {result}",
        f"{phrase.format(a=a, b=b)} is {result}",
        f"{operation}({a}, {b}) = {result}",
    )
    return rng.choice(forms)


def comparison(rng: random.Random) -> str:
    """Two or three numbers in order."""
    values = sorted({number(rng, -1, 1.5, 4) for _ in range(3)}, reverse=True)[: rng.randint(2, 3)]
    if len(values) < 2:
        return comparison(rng)
    pairs = [f"{plain(a)} is more than {plain(b)}" for a, b in zip(values, values[1:])]
    if rng.random() < 0.5:
        pairs = [f"{plain(b)} is less than {plain(a)}" for a, b in zip(values, values[1:])]
    return " and ".join(pairs)


def series(rng: random.Random, count: int) -> list[str]:
    """Prices that walk at random, all with the same decimals."""
    places, price = rng.randint(0, 2), 10 ** rng.uniform(0.8, 3)
    found = []
    for _ in range(count):
        found.append(f"{price:.{places}f}")
        price *= 1 + rng.uniform(-0.15, 0.15)
    return found


_SEPARATORS = (", ", " -> ", "; ", " / ", " ", " then ", "\n", " | ")


def listing(rng: random.Random) -> str:
    """A list of prices, and the same list written otherwise, or a part of it."""
    prices = series(rng, rng.randint(3, 9))
    label = rng.choice(("prices", "closes", "levels", "values", "path", "quotes", "marks"))
    text = f"{label}: {rng.choice(_SEPARATORS).join(prices)}"
    plainly = [plain(Decimal(price)) for price in prices]
    kind = rng.randrange(5)
    if kind == 0:
        return f"{text}\nin digits: {', '.join(plainly)}"
    if kind == 1:
        ends = [rng.choice(("first", "last", "second", "third"))]
        place = {"first": 0, "second": 1, "third": 2, "last": -1}[ends[0]]
        return f"{text}\nthe {ends[0]} is {plainly[place]}"
    if kind == 2:
        word, choose = rng.choice((("highest", max), ("lowest", min)))
        return f"{text}\nthe {word} is {choose(plainly, key=Decimal)}"
    if kind == 3:
        steps = [f"from {a} to {b}" for a, b in zip(plainly, plainly[1:])]
        return f"{text}\n{', '.join(steps)}"
    return f"{text}\nbackwards: {', '.join(reversed(plainly))}"


def named(rng: random.Random) -> str:
    """Names with numbers, and what belongs to each."""
    names = rng.sample(NAMES, rng.randint(2, 4))
    traits = rng.sample(("return", "volatility", "yield", "weight", "fee", "margin"), rng.randint(1, 2))
    values = {name: [share(rng) for _ in traits] for name in names}
    join = rng.choice(("; ", ". ", "\n", ", and "))
    rows = []
    for name in names:
        said = [(trait, percentage(value, rng)) for trait, value in zip(traits, values[name])]
        if rng.random() < 0.5:
            rows.append(f"{name}: {', '.join(f'{trait} {text}' for trait, text in said)}")
        else:
            rows.append(f"{name} has a {' and a '.join(f'{trait} of {text}' for trait, text in said)}")
    asked = rng.sample(names, rng.randint(1, len(names)))
    place = rng.randrange(len(traits))
    facts = [f"the {traits[place]} of {name} is {plain(values[name][place])}" for name in asked]
    return f"{join.join(rows)}\n{', '.join(facts)}"


KINDS: tuple[tuple[Callable[[random.Random], str], float], ...] = (
    (conversion, 0.32),
    (calculation, 0.2),
    (comparison, 0.1),
    (listing, 0.2),
    (named, 0.18),
)
"""Kinds of statements with their shares."""


def statements(rng: random.Random, count: int) -> str:
    """A document of statements, some with a full stop, one after the other."""
    kinds, weights = zip(*KINDS)
    if rng.random() < 0.5:  # a page about one thing
        kinds = (rng.choices(kinds, weights)[0],)
        weights = (1.0,)
    end = rng.choice(("\n", ".\n", ". ", "; "))
    return end.join(kind(rng) for kind in rng.choices(kinds, weights, k=count)) + end.rstrip(" ;") + "\n"
