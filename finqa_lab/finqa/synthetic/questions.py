"""Questions about the table of a generated page, each with its program and its gold facts.

A family is a function that draws what to ask and returns a :class:`~finqa_lab.finqa.synthetic.asking.Question`, or None
where the page does not offer it.
``FAMILIES`` gives each a weight, so that the operations come out in roughly the proportions of the data set.
"""

import random
from collections.abc import Callable

from finqa_lab.finqa.synthetic.asking import Draft, Question, date_of, name_of, pick_rows, two_columns, when, with_unit
from finqa_lab.finqa.synthetic.text_questions import TEXT_FAMILIES


def change(rng: random.Random, page: Draft) -> Question | None:
    """Percentage change of a row between two columns."""
    table, picked, columns = page.table, pick_rows(rng, page.table, 1), two_columns(rng, page.table)
    if columns is None or float(table.values[picked[0]][columns[1]]) == 0:
        return None
    (row,), (late, early) = picked, columns
    name, values = name_of(rng, table, row), table.values[row]
    since, until = date_of(rng, table, early), date_of(rng, table, late)
    text = rng.choice(
        [
            f"what was the percentage change in {name} from {since} to {until}?",
            f"by what percent did {name} change between {since} and {until}?",
            f"what is the growth rate of {name} from {since} to {until}?",
            f"by what percentage did {name} rise or fall from {since} to {until}?",
            f"what is the percent of the change of {name} in {until} , with {since} as the base?",
            f"relative to {since} , what is the percent of the change of {name} in {until}?",
            f"how fast , in percent , did {name} grow between {since} and {until}?",
        ]
    )
    program = f"subtract({values[late]}, {values[early]}), divide(#0, {values[early]})"
    return Question(text, program, (table.names[row],))


def difference(rng: random.Random, page: Draft) -> Question | None:
    """Change of a row in its unit."""
    table, (row,), columns = page.table, pick_rows(rng, page.table, 1), two_columns(rng, page.table)
    if columns is None:
        return None
    late, early = columns
    name, values = name_of(rng, table, row), table.values[row]
    since, until = date_of(rng, table, early), date_of(rng, table, late)
    text = rng.choice(
        [
            f"what was the change in {name} from {since} to {until}?",
            f"how much higher or lower was {name} in {until} than in {since}?",
            f"what is the difference in {name} between {since} and {until}?",
            f"what was the net change in {name} between the years {since} and {until}?",
            f"in {until} , what is the rise or fall of {name} since {since}?",
        ]
    )
    return Question(with_unit(rng, text, table), f"subtract({values[late]}, {values[early]})", (table.names[row],))


def share(rng: random.Random, page: Draft) -> Question | None:
    """A row as a part of the total, or of another row."""
    table = page.table
    column = rng.randrange(len(table.columns))
    picked = pick_rows(rng, table, 2)
    part, whole = (picked[0], table.whole) if table.whole is not None else picked
    if float(table.values[whole][column]) == 0:
        return None
    a, b, time = name_of(rng, table, part), name_of(rng, table, whole), when(rng, table, column)
    text = rng.choice(
        [
            f"what percent of {b} was {a} {time}?",
            f"what was the ratio of {a} to {b} {time}?",
            f"{time} , what portion of {b} did {a} account for?",
            f"{time} what is {a} as a percent of {b}?",
            f"what percentage of {b} came from {a} {time}?",
            f"how large was {a} in relation to {b} {time}?",
        ]
    )
    program = f"divide({table.values[part][column]}, {table.values[whole][column]})"
    return Question(text, program, (table.names[part], table.names[whole]))


def total(rng: random.Random, page: Draft) -> Question | None:
    """Two or three rows of one column together."""
    table, column = page.table, rng.randrange(len(page.table.columns))
    rows = pick_rows(rng, table, rng.choice([2, 3, 3]))
    if rows is None:
        return None
    names, time = [name_of(rng, table, row) for row in rows], when(rng, table, column)
    listed = " and ".join([" , ".join(names[:-1]), names[-1]])
    text = rng.choice(
        [
            f"what is the sum of {listed} {time}?",
            f"what were {listed} combined {time}?",
            f"taken together , how much were {listed} {time}?",
        ]
    )
    values = [table.values[row][column] for row in rows]
    steps = [f"add({values[0]}, {values[1]})"] + [f"add(#{i}, {value})" for i, value in enumerate(values[2:])]
    return Question(with_unit(rng, text, table), ", ".join(steps), tuple(table.names[row] for row in rows))


def share_of_two(rng: random.Random, page: Draft) -> Question | None:
    """Two rows together as a part of the total: three gold facts."""
    table, column, rows = page.table, rng.randrange(len(page.table.columns)), pick_rows(rng, page.table, 2)
    if table.whole is None or rows is None or float(table.values[table.whole][column]) == 0:
        return None
    a, b, of = (name_of(rng, table, row) for row in (*rows, table.whole))
    text = rng.choice(
        [
            f"what percent of {of} were {a} and {b} together {when(rng, table, column)}?",
            f"{when(rng, table, column)} , what portion of {of} did {a} and {b} make up?",
        ]
    )
    x, y, whole = (table.values[row][column] for row in (*rows, table.whole))
    names = tuple(table.names[row] for row in (*rows, table.whole))
    return Question(text, f"add({x}, {y}), divide(#0, {whole})", names)


def average(rng: random.Random, page: Draft) -> Question | None:
    """Mean of a row over two to four columns, written out: two to four steps."""
    table = page.table
    if len(table.periods) < 2:
        return None
    (row,) = pick_rows(rng, table, 1)
    count = rng.randrange(2, min(4, len(table.periods)) + 1)
    columns = sorted(rng.sample(table.periods, count))
    values = [table.values[row][column] for column in columns]
    steps = [f"add({values[0]}, {values[1]})"] + [f"add(#{i}, {value})" for i, value in enumerate(values[2:])]
    steps.append(f"divide(#{count - 2}, const_{count})")
    name, years = name_of(rng, table, row), " , ".join(date_of(rng, table, column) for column in columns)
    text = rng.choice(
        [
            f"what was the average of {name} for {years}?",
            f"on average , how much was {name} over {years}?",
            f"what is the mean of {name} for the years {years}?",
        ]
    )
    return Question(with_unit(rng, text, table), ", ".join(steps), (table.names[row],))


def share_change(rng: random.Random, page: Draft) -> Question | None:
    """How much a row's part of the total moved: three steps, five in percentage points times a hundred."""
    table, picked = page.table, two_columns(rng, page.table)
    if table.whole is None or picked is None:
        return None
    (row,), (late, early) = pick_rows(rng, table, 1), picked
    part, whole = table.values[row], table.values[table.whole]
    steps = [f"divide({part[late]}, {whole[late]})", f"divide({part[early]}, {whole[early]})"]
    name, of = name_of(rng, table, row), name_of(rng, table, table.whole)
    span = f"from {table.columns[early]} to {table.columns[late]}"
    if rng.random() < 0.6:
        text = f"how did the share of {name} in {of} change {span}?"
        steps.append("subtract(#0, #1)")
    else:
        text = f"by how many percentage points did {name} as a percent of {of} change {span}?"
        steps += ["multiply(#0, const_100)", "multiply(#1, const_100)", "subtract(#2, #3)"]
    return Question(text, ", ".join(steps), (table.names[row], table.names[table.whole]))


def combined_change(rng: random.Random, page: Draft) -> Question | None:
    """Percentage change of two rows together: four steps."""
    table, columns = page.table, two_columns(rng, page.table)
    if columns is None:
        return None
    (a, b), (late, early) = pick_rows(rng, table, 2), columns
    x, y = table.values[a], table.values[b]
    if float(x[early]) + float(y[early]) == 0:
        return None
    text = (
        f"what was the percentage change in {name_of(rng, table, a)} and {name_of(rng, table, b)} together from "
        f"{table.columns[early]} to {table.columns[late]}?"
    )
    program = f"add({x[late]}, {y[late]}), add({x[early]}, {y[early]}), subtract(#0, #1), divide(#2, #1)"
    return Question(text, program, (table.names[a], table.names[b]))


def over_the_row(rng: random.Random, page: Draft) -> Question | None:
    """A table operation on a row, alone or against one of its cells; all columns must be points in time."""
    table = page.table
    if len(table.periods) < len(table.columns):
        return None
    (row,) = pick_rows(rng, table, 1)
    name = name_of(rng, table, row)
    words = {"max": "highest", "min": "lowest", "average": "average", "sum": "total"}
    operation = rng.choice(["average", "average", "max", "min", "sum"])
    first = f"table_{operation}({table.names[row]}, none)"
    if operation in ("sum", "average") and rng.random() < 0.3:
        column = rng.randrange(len(table.columns))
        text = f"how far was {name} in {table.columns[column]} from its {words[operation]} over the periods shown?"
        program = f"{first}, subtract({table.values[row][column]}, #0)"
        return Question(text, program, (table.names[row],))
    text = rng.choice(
        [
            f"what was the {words[operation]} value of {name} over the periods shown?",
            f"over all years of the table , what is the {words[operation]} of {name}?",
        ]
    )
    return Question(with_unit(rng, text, table), first, (table.names[row],))


def compare(rng: random.Random, page: Draft) -> Question | None:
    """Yes or no: is one row larger than another?"""
    table, column = page.table, rng.randrange(len(page.table.columns))
    a, b = pick_rows(rng, table, 2)
    text = f"was {name_of(rng, table, a)} greater than {name_of(rng, table, b)} {when(rng, table, column)}?"
    program = f"greater({table.values[a][column]}, {table.values[b][column]})"
    return Question(text, program, (table.names[a], table.names[b]))


FAMILIES: tuple[tuple[Callable[[random.Random, Draft], Question | None], int], ...] = (
    (change, 33),
    (difference, 18),
    (share, 28),
    (share_of_two, 8),
    (total, 7),
    (average, 10),
    (share_change, 4),
    (combined_change, 2),
    (over_the_row, 5),
    (compare, 2),
    *TEXT_FAMILIES,
)
"""Every family with its weight."""
