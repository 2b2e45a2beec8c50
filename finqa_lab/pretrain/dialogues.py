"""Short conversations, so that a base model knows what a reply is: look something up, write it otherwise, copy it.

They show the roles of the chat template and that a reply follows the wish of the system message about its form. None
asks for a computation of more than one step.
"""

import random
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

from finqa_lab.finqa.synthetic.reports import make_page
from finqa_lab.pretrain.statements import COMPUTE, OPERATIONS, amount, easy, series, share
from finqa_lab.quantitative.spelling import money, percentage, plain, shown
from finqa_lab.quantitative.task import NAMES

Messages = list[dict[str, str]]

_PLAIN = ("Reply with the number and nothing else.", "Give the number only.", "Answer with one number, digits only.")
_JSON = ('Reply with one JSON object and nothing else: {"answer": 12.5}', 'Answer in JSON: {"answer": 0.031}')


def _talk(system: str, user: str, reply: str) -> Messages:
    roles = ("system", "user", "assistant")
    return [{"role": role, "content": text} for role, text in zip(roles, (system, user, reply)) if text]


def _number(rng: random.Random, user: str, value: str, about: str) -> Messages:
    """A reply that is a number, as a number or in JSON."""
    if rng.random() < 0.35:
        return _talk(f"{about}\n{rng.choice(_JSON)}", user, f'{{"answer": {value}}}')
    return _talk(f"{about}\n{rng.choice(_PLAIN)}", user, value)


def look_up(rng: random.Random) -> Messages:
    """A cell of a table that the user shows."""
    page, _ = make_page(rng, 0)
    header, *rows = page.table
    rows = [row for row in rows if row[0] and any(cell.strip() for cell in row[1:])]
    shown_rows = rng.sample(rows, min(len(rows), rng.randint(2, 4)))
    row = rng.choice(shown_rows)
    columns = [i for i in range(1, len(header)) if i < len(row) and row[i].strip()]
    column = rng.choice(columns)
    table = "\n".join(" | ".join(line) for line in (header, *shown_rows))
    wish = rng.choice(("What is {} for {}?", "{}, {}?", "Please read me {} of {}.", "Find {} in the column {}."))
    return _talk(
        rng.choice(("You read tables.", "You answer questions about a page of a report.", "")),
        f"{table}\n{wish.format(row[0], header[column])}",
        row[column],
    )


def rewrite(rng: random.Random) -> Messages:
    """A spelling of a number into digits."""
    if rng.random() < 0.6:
        value = share(rng)
        user = rng.choice(("Write {} as a fraction.", "{} as a decimal?", "What is {} as a fraction of one?"))
        return _number(rng, user.format(percentage(value, rng)), plain(value), "A percentage is a fraction.")
    value = amount(rng)
    user = rng.choice(("Write {} in digits.", "{} without signs?", "The amount is {}. Which number is that?"))
    return _number(rng, user.format(money(value, rng)), plain(value), "You write amounts as plain numbers.")


def one_step(rng: random.Random) -> Messages:
    """One easy operation."""
    operation, a, b = easy(rng)
    symbol, word, phrase = OPERATIONS[operation]
    user = rng.choice((f"{a} {symbol} {b}?", f"What is {a} {word} {b}?", f"Compute {phrase.format(a=a, b=b)}."))
    return _number(rng, user, shown(Fraction(COMPUTE[operation](Fraction(a), Fraction(b)))), "You calculate.")


def copy(rng: random.Random) -> Messages:
    """A list in another form."""
    prices = series(rng, rng.randint(3, 9))
    name = rng.choice(NAMES)
    shape = rng.choice((" -> ", ", ", " ", "\n", " then "))
    user = f"{rng.choice((f'{name}: ', 'closes: ', '', f'The prices of {name} were '))}{shape.join(prices)}"
    plainly = [plain(Decimal(price)) for price in prices]
    wish, reply = rng.choice(
        (
            ("List the prices with commas.", ", ".join(plainly)),
            ("List the prices one a line.", "\n".join(plainly)),
            ("Name the last price.", plainly[-1]),
            ("Name the first price.", plainly[0]),
            ("Pair each price with the next.", ", ".join(f"({a}, {b})" for a, b in zip(plainly, plainly[1:]))),
            ("Name the highest price.", max(plainly, key=Decimal)),
        )
    )
    return _talk(wish, user, reply)


def who(rng: random.Random) -> Messages:
    """Numbers that belong to names, and back."""
    names = rng.sample(NAMES, rng.randint(2, 5))
    values = [share(rng) for _ in names]
    join = rng.choice(("; ", ", ", "\n", " and "))
    form = rng.choice(("{} returned {}", "{}: {}", "{} at {}", "{} with {}", "{} stands at {}"))
    user = join.join(form.format(name, percentage(value, rng)) for name, value in zip(names, values))
    kind = rng.randrange(4)
    chosen = rng.randrange(len(names))
    if kind == 0:
        return _number(rng, f"{user}\n{names[chosen]}?", plain(values[chosen]), "A percentage is a fraction.")
    if kind == 1:
        return _talk("Reply with names only, commas between them.", user, ", ".join(names))
    if kind == 2:
        pairs = ", ".join(f"{name} {plain(value)}" for name, value in zip(names, values))
        return _talk("Reply with each name and its number as a fraction.", user, pairs)
    best = max(range(len(names)), key=values.__getitem__)
    return _talk("Reply with the name that has the largest number.", user, names[best])


KINDS: tuple[tuple[Callable[[random.Random], Messages], float], ...] = (
    (look_up, 0.15),
    (rewrite, 0.3),
    (one_step, 0.1),
    (copy, 0.25),
    (who, 0.2),
)
"""Kinds of conversations with their shares."""


def dialogue(rng: random.Random) -> Messages:
    """A conversation of two or three messages; the last is the assistant's."""
    kinds, weights = zip(*KINDS)
    return rng.choices(kinds, weights)[0](rng)
