"""Questions about a generated page, each with its program and its gold facts.

A family is a function that draws what to ask and returns a :class:`Question`, or None where the page does not offer it.
``FAMILIES`` gives each a weight, so that the operations come out in roughly the proportions of the data set.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from finqa_lab.finqa.synthetic.notes import Note
from finqa_lab.finqa.synthetic.sectors import Sector
from finqa_lab.finqa.synthetic.tables import Statement


@dataclass(frozen=True)
class Draft:
    """A page before it is put together.

    Attributes:
        sector: its industry.
        table: its table.
        notes: sentences with figures, by topic; the last year is ``year``.
        year: the latest year.
    """

    sector: Sector
    table: Statement
    notes: dict[str, Note]
    year: int


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        text: the question.
        program: its program as linear text.
        rows: names of the table rows that it needs.
        topics: topics of the notes that it needs.
    """

    text: str
    program: str
    rows: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


def _rows(rng: random.Random, table: Statement, count: int) -> list[int] | None:
    """Different rows that are no total."""
    usable = [i for i in range(len(table.values)) if i != table.whole]
    return rng.sample(usable, count) if len(usable) >= count else None


def _two_columns(rng: random.Random, table: Statement) -> tuple[int, int]:
    """A later and an earlier column, in this order."""
    early, late = sorted(rng.sample(range(len(table.periods)), 2))
    return table.periods[late], table.periods[early]


def change(rng: random.Random, page: Draft) -> Question | None:
    """Percentage change of a row between two columns."""
    table = page.table
    (row,), (late, early) = _rows(rng, table, 1), _two_columns(rng, table)
    name, values = table.names[row], table.values[row]
    if float(values[early]) == 0:
        return None
    text = rng.choice(
        [
            f"what was the percentage change in {name} from {table.columns[early]} to {table.columns[late]}?",
            f"by what percent did {name} change between {table.columns[early]} and {table.columns[late]}?",
            f"what is the growth rate of {name} from {table.columns[early]} to {table.columns[late]}?",
            f"by what percentage did {name} rise or fall from {table.columns[early]} to {table.columns[late]}?",
        ]
    )
    return Question(text, f"subtract({values[late]}, {values[early]}), divide(#0, {values[early]})", (name,))


def difference(rng: random.Random, page: Draft) -> Question | None:
    """Change of a row in its unit."""
    table = page.table
    (row,), (late, early) = _rows(rng, table, 1), _two_columns(rng, table)
    name, values = table.names[row], table.values[row]
    text = rng.choice(
        [
            f"what was the change in {name} from {table.columns[early]} to {table.columns[late]}?",
            f"how much higher or lower was {name} in {table.columns[late]} than in {table.columns[early]}?",
            f"what is the difference in {name} between {table.columns[early]} and {table.columns[late]}?",
        ]
    )
    return Question(text, f"subtract({values[late]}, {values[early]})", (name,))


def share(rng: random.Random, page: Draft) -> Question | None:
    """A row as a part of the total, or of another row."""
    table = page.table
    column = rng.randrange(len(table.columns))
    picked = _rows(rng, table, 2)
    part, whole = (picked[0], table.whole) if table.whole is not None else picked
    if float(table.values[whole][column]) == 0:
        return None
    a, b, when = table.names[part], table.names[whole], table.columns[column]
    text = rng.choice(
        [
            f"what percent of {b} was {a} in {when}?",
            f"what was the ratio of {a} to {b} in {when}?",
            f"in {when} , what portion of {b} did {a} account for?",
        ]
    )
    return Question(text, f"divide({table.values[part][column]}, {table.values[whole][column]})", (a, b))


def total(rng: random.Random, page: Draft) -> Question | None:
    """Two rows of one column together."""
    table, column = page.table, rng.randrange(len(page.table.columns))
    a, b = _rows(rng, table, 2)
    when = table.columns[column]
    text = rng.choice(
        [
            f"what is the sum of {table.names[a]} and {table.names[b]} in {when}?",
            f"what were {table.names[a]} and {table.names[b]} combined for {when}?",
        ]
    )
    program = f"add({table.values[a][column]}, {table.values[b][column]})"
    return Question(text, program, (table.names[a], table.names[b]))


def average(rng: random.Random, page: Draft) -> Question | None:
    """Mean of a row over two to four columns, written out: two to four steps."""
    table = page.table
    (row,) = _rows(rng, table, 1)
    count = rng.randrange(2, min(4, len(table.periods)) + 1)
    columns = sorted(rng.sample(table.periods, count))
    values = [table.values[row][column] for column in columns]
    steps = [f"add({values[0]}, {values[1]})"] + [f"add(#{i}, {value})" for i, value in enumerate(values[2:])]
    steps.append(f"divide(#{count - 2}, const_{count})")
    name, when = table.names[row], " , ".join(table.columns[column] for column in columns)
    text = rng.choice([f"what was the average {name} for {when}?", f"on average , how much was {name} over {when}?"])
    return Question(text, ", ".join(steps), (name,))


def share_change(rng: random.Random, page: Draft) -> Question | None:
    """How much a row's part of the total moved: three steps, five in percentage points times a hundred."""
    table = page.table
    if table.whole is None:
        return None
    (row,), (late, early) = _rows(rng, table, 1), _two_columns(rng, table)
    part, whole = table.values[row], table.values[table.whole]
    steps = [f"divide({part[late]}, {whole[late]})", f"divide({part[early]}, {whole[early]})"]
    name, of = table.names[row], table.names[table.whole]
    span = f"from {table.columns[early]} to {table.columns[late]}"
    if rng.random() < 0.6:
        text = f"how did the share of {name} in {of} change {span}?"
        steps.append("subtract(#0, #1)")
    else:
        text = f"by how many percentage points did {name} as a percent of {of} change {span}?"
        steps += ["multiply(#0, const_100)", "multiply(#1, const_100)", "subtract(#2, #3)"]
    return Question(text, ", ".join(steps), (name, of))


def combined_change(rng: random.Random, page: Draft) -> Question | None:
    """Percentage change of two rows together: four steps."""
    table = page.table
    (a, b), (late, early) = _rows(rng, table, 2), _two_columns(rng, table)
    x, y = table.values[a], table.values[b]
    if float(x[early]) + float(y[early]) == 0:
        return None
    text = (
        f"what was the percentage change in {table.names[a]} and {table.names[b]} together from {table.columns[early]} "
        f"to {table.columns[late]}?"
    )
    program = f"add({x[late]}, {y[late]}), add({x[early]}, {y[early]}), subtract(#0, #1), divide(#2, #1)"
    return Question(text, program, (table.names[a], table.names[b]))


def over_the_row(rng: random.Random, page: Draft) -> Question | None:
    """A table operation on a row, alone or against one of its cells."""
    table = page.table
    (row,) = _rows(rng, table, 1)
    name = table.names[row]
    words = {"max": "highest", "min": "lowest", "average": "average", "sum": "total"}
    operation = rng.choice(["average", "average", "max", "min", "sum"])
    first = f"table_{operation}({name}, none)"
    if operation in ("sum", "average") and rng.random() < 0.3:
        column = rng.randrange(len(table.columns))
        text = f"how far was {name} in {table.columns[column]} from its {words[operation]} over the periods shown?"
        return Question(text, f"{first}, subtract({table.values[row][column]}, #0)", (name,))
    text = rng.choice(
        [f"what was the {words[operation]} {name} over the periods shown?", f"what is the {words[operation]} {name}?"]
    )
    return Question(text, first, (name,))


def compare(rng: random.Random, page: Draft) -> Question | None:
    """Yes or no: is one row larger than another?"""
    table, column = page.table, rng.randrange(len(page.table.columns))
    a, b = _rows(rng, table, 2)
    text = f"was {table.names[a]} greater than {table.names[b]} in {table.columns[column]}?"
    program = f"greater({table.values[a][column]}, {table.values[b][column]})"
    return Question(text, program, (table.names[a], table.names[b]))


def repurchase(rng: random.Random, page: Draft) -> Question | None:
    """Shares times price, from one sentence."""
    values = page.notes["repurchase"].values
    text = rng.choice(
        [
            f"how much did the company spend on share repurchases in {page.year} , in millions?",
            f"what was the total cost of the shares repurchased during {page.year} in millions of dollars?",
        ]
    )
    return Question(text, f"multiply({values['shares']}, {values['price']})", topics=("repurchase",))


def paid_out(rng: random.Random, page: Draft) -> Question | None:
    """What a sentence says was paid: alone, or as a part of a row of the table."""
    topic = rng.choice(["dividends", "repurchase"])
    first, second = page.notes[topic].values.values()
    program, table = f"multiply({first}, {second})", page.table
    what = "dividends declared" if topic == "dividends" else "share repurchases"
    if rng.random() < 0.3 or table.unit != "million":
        return Question(f"what was the total of the {what} in {page.year} , in millions?", program, topics=(topic,))
    (row,) = _rows(rng, table, 1)
    column = table.columns.index(str(page.year)) if str(page.year) in table.columns else 0
    name, value = table.names[row], table.values[row][column]
    text = f"what were the {what} in {page.year} as a percent of {name} ( {table.columns[column]} )?"
    return Question(text, f"{program}, divide(#0, {value})", (name,), (topic,))


def per_employee(rng: random.Random, page: Draft) -> Question | None:
    """A row of the table by the employees of a sentence, in thousands of dollars: text and table."""
    table = page.table
    if not table.unit or str(page.year) not in table.columns:
        return None
    (row,) = _rows(rng, table, 1)
    name, people = table.names[row], page.notes["employees"].values["now"]
    value = table.values[row][table.columns.index(str(page.year))]
    text = f"what was {name} per employee in {page.year} , in thousands of dollars?"
    scaled = f"multiply({value}, const_1000), divide(#0, {people})"
    program = scaled if table.unit == "million" else f"divide({value}, {people})"
    return Question(text, program, (name,), ("employees",))


def after_tax(rng: random.Random, page: Draft) -> Question | None:
    """Income of the table less the tax at the rate of a sentence."""
    table = page.table
    if "income before income taxes" not in table.names:
        return None
    row, now = table.names.index("income before income taxes"), page.notes["tax rate"].values["now"]
    value = table.values[row][table.columns.index(str(page.year))]
    text = rng.choice(
        [
            f"at the effective rate , what was income after taxes in {page.year}?",
            f"what is the {page.year} income before income taxes after deducting tax at the effective rate?",
        ]
    )
    return Question(text, f"multiply({value}, {now}), subtract({value}, #0)", (table.names[row],), ("tax rate",))


def from_text(rng: random.Random, page: Draft) -> Question | None:
    """Change of a number that one sentence gives for two years."""
    topic, what = rng.choice(
        [("employees", "number of employees"), ("volume", f"number of {page.sector.volume}"), ("tax rate", "tax rate")]
    )
    now, before = page.notes[topic].values["now"], page.notes[topic].values["before"]
    if topic == "tax rate" or rng.random() < 0.4:
        text = f"what was the change in the {what} from {page.year - 1} to {page.year}?"
        return Question(text, f"subtract({now}, {before})", topics=(topic,))
    text = f"by what percentage did the {what} change from {page.year - 1} to {page.year}?"
    return Question(text, f"subtract({now}, {before}), divide(#0, {before})", topics=(topic,))


def compounding(rng: random.Random, page: Draft) -> Question | None:
    """Growth over several years: the one family with a power."""
    values, years = page.notes["capital expenditures"].values, rng.choice([2, 3, 4, 5])
    text = f"at the expected growth , what will capital expenditures be in {page.year + years} , in millions?"
    program = f"add(const_1, {values['growth']}), exp(#0, const_{years}), multiply({values['amount']}, #1)"
    return Question(text, program, topics=("capital expenditures",))


FAMILIES: tuple[tuple[Callable[[random.Random, Draft], Question | None], int], ...] = (
    (change, 27),
    (difference, 13),
    (share, 22),
    (total, 6),
    (average, 8),
    (share_change, 4),
    (combined_change, 2),
    (over_the_row, 5),
    (compare, 2),
    (repurchase, 1),
    (paid_out, 10),
    (per_employee, 24),
    (after_tax, 32),
    (from_text, 18),
    (compounding, 1),
)
"""Every family with its weight."""
