"""Questions that need a sentence of a generated page, alone or together with its table."""

import random
from collections.abc import Callable

from finqa_lab.finqa.synthetic.asking import Draft, Question, column_of, name_of, pick_rows


def repurchase(rng: random.Random, page: Draft) -> Question | None:
    """Shares times price, from one sentence."""
    values = page.notes["repurchase"].values
    text = rng.choice(
        [
            f"how much did the company spend on share repurchases in {page.year} , in millions?",
            f"what was the total cost of the shares repurchased during {page.year} in millions of dollars?",
            f"how many million dollars went into buying back stock in {page.year}?",
            f"what did buybacks of common stock cost in {page.year} , in millions?",
        ]
    )
    return Question(text, f"multiply({values['shares']}, {values['price']})", topics=("repurchase",))


def paid_out(rng: random.Random, page: Draft) -> Question | None:
    """What a sentence says was paid: alone, or as a part of a row of the table."""
    topic = rng.choice(["dividends", "repurchase"])
    first, second = page.notes[topic].values.values()
    program, table, column = f"multiply({first}, {second})", page.table, column_of(page)
    what = rng.choice(
        ["dividends declared", "cash dividends", "payouts that owners received", "distributions to owners"]
        if topic == "dividends"
        else ["share repurchases", "stock buybacks", "retirements of equity", "buyback outlays"]
    )
    if rng.random() < 0.4 or table.unit != "million" or column is None:
        text = rng.choice(
            [
                f"what was the total of the {what} in {page.year} , in millions?",
                f"in millions of dollars , how much were {what} in {page.year}?",
            ]
        )
        return Question(text, program, topics=(topic,))
    (row,) = pick_rows(rng, table, 1)
    name, value = name_of(rng, table, row), table.values[row][column]
    if float(value) == 0:
        return None
    text = rng.choice(
        [
            f"what were the {what} in {page.year} as a percent of {name}?",
            f"in {page.year} , what was the ratio of {what} to {name}?",
        ]
    )
    return Question(text, f"{program}, divide(#0, {value})", (table.names[row],), (topic,))


def per_employee(rng: random.Random, page: Draft) -> Question | None:
    """A row of the table by the employees of a sentence, in thousands of dollars: text and table."""
    table, column = page.table, column_of(page)
    if not table.unit or column is None:
        return None
    (row,) = pick_rows(rng, table, 1)
    name, people, value = name_of(rng, table, row), page.notes["employees"].values["now"], table.values[row][column]
    text = rng.choice(
        [
            f"what was {name} per employee in {page.year} , in thousands of dollars?",
            f"for each person employed at the end of {page.year} , how many thousand dollars was {name}?",
            f"how much was {name} per head of the workforce in {page.year} in thousands?",
        ]
    )
    scaled = f"multiply({value}, const_1000), divide(#0, {people})"
    program = scaled if table.unit == "million" else f"divide({value}, {people})"
    return Question(text, program, (table.names[row],), ("employees",))


def after_tax(rng: random.Random, page: Draft) -> Question | None:
    """Income of the table less the tax at the rate of a sentence."""
    table, column = page.table, column_of(page)
    if "income before income taxes" not in table.names:
        return None
    row, now = table.names.index("income before income taxes"), page.notes["tax rate"].values["now"]
    name, value = name_of(rng, table, row), table.values[row][column]
    text = rng.choice(
        [
            f"at the effective rate , what was income after taxes in {page.year}?",
            f"what is the {page.year} {name} after deducting tax at the effective rate?",
            f"what remained of {name} in {page.year} once income taxes at the rate of that year were taken off?",
        ]
    )
    return Question(text, f"multiply({value}, {now}), subtract({value}, #0)", (table.names[row],), ("tax rate",))


def from_text(rng: random.Random, page: Draft) -> Question | None:
    """Change of a number that one sentence gives for two years."""
    topic, names = rng.choice(
        [
            (
                "employees",
                (
                    "number of employees",
                    "number of employees",
                    "headcount",
                    "number of people at work",
                    "roster of staff",
                ),
            ),
            ("volume", (f"number of {page.sector.volume}", f"count of {page.sector.volume}")),
            ("tax rate", ("tax rate", "effective tax rate", "fiscal burden", "proportion that governments took")),
        ]
    )
    now, before = page.notes[topic].values["now"], page.notes[topic].values["before"]
    what, span = rng.choice(names), f"from {page.year - 1} to {page.year}"
    if topic == "tax rate" or rng.random() < 0.3:
        text = rng.choice(
            [
                f"how much did {what} change {span}?",
                f"how much higher or lower was {what} in {page.year} than in {page.year - 1}?",
            ]
        )
        return Question(text, f"subtract({now}, {before})", topics=(topic,))
    text = rng.choice(
        [
            f"by what percentage did {what} change {span}?",
            f"what percentage change did {what} show between {page.year - 1} and {page.year}?",
            f"at what rate did {what} grow {span}?",
        ]
    )
    return Question(text, f"subtract({now}, {before}), divide(#0, {before})", topics=(topic,))


def part_of_price(rng: random.Random, page: Draft) -> Question | None:
    """Goodwill as a part of what was paid for a named company."""
    values = page.notes["acquisition"].values
    text = rng.choice(
        [
            f"what percentage of the price paid for {values['place']} was allocated to goodwill?",
            f"what portion of the {values['place']} acquisition was recorded as goodwill in {page.year}?",
            f"how much of each dollar paid for {values['place']} was goodwill?",
        ]
    )
    return Question(text, f"divide({values['goodwill']}, {values['paid']})", topics=("acquisition",))


def interest_a_year(rng: random.Random, page: Draft) -> Question | None:
    """Principal times rate, from one sentence."""
    values, due = page.notes["notes"].values, page.year + 10
    text = rng.choice(
        [
            f"how many million dollars of interest a year do senior notes due {due} bear?",
            f"what annual interest expense , in millions , comes from notes due {due}?",
        ]
    )
    return Question(text, f"multiply({values['borrowed']}, {values['interest']})", topics=("notes",))


def compounding(rng: random.Random, page: Draft) -> Question | None:
    """Growth over several years: the one family with a power."""
    values, years = page.notes["capital expenditures"].values, rng.choice([2, 3, 4, 5])
    what = rng.choice(["capital expenditures", "capital spending", "investment in plant and equipment"])
    text = f"at the expected growth , what will {what} be in {page.year + years} , in millions?"
    program = f"add(const_1, {values['growth']}), exp(#0, const_{years}), multiply({values['amount']}, #1)"
    return Question(text, program, topics=("capital expenditures",))


TEXT_FAMILIES: tuple[tuple[Callable[[random.Random, Draft], Question | None], int], ...] = (
    (repurchase, 1),
    (paid_out, 7),
    (per_employee, 42),
    (after_tax, 48),
    (from_text, 18),
    (part_of_price, 6),
    (interest_a_year, 2),
    (compounding, 1),
)
"""Every family with its weight."""
