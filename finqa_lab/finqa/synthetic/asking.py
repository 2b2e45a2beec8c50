"""What a question is and what it is asked about; names of rows and columns in its words."""

import random
from dataclasses import dataclass

from finqa_lab.finqa.synthetic.notes import Note
from finqa_lab.finqa.synthetic.sectors import KINDS, Sector
from finqa_lab.finqa.synthetic.tables import Statement
from finqa_lab.finqa.synthetic.wording import called

BARE = ("the ", "what ", "all ", "everything ", "less ", "an ", "large ", "thereafter", "20")
"""Beginnings of names that take no article."""


@dataclass(frozen=True)
class Draft:
    """A page before it is put together.

    Attributes:
        sector: its industry.
        table: its table.
        notes: sentences with figures, by topic; the last year is ``year``.
        year: the latest year.
        company: its name.
    """

    sector: Sector
    table: Statement
    notes: dict[str, Note]
    year: int
    company: str


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        text: the question.
        program: its program as linear text.
        rows: names of the table rows that it needs; of two rows of one name, the last.
        topics: topics of the notes that it needs.
    """

    text: str
    program: str
    rows: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


def pick_rows(rng: random.Random, table: Statement, count: int) -> list[int] | None:
    """Different rows that are no total; None when there are too few."""
    return rng.sample(table.usable, count) if len(table.usable) >= count else None


def name_of(rng: random.Random, table: Statement, row: int) -> str:
    """What the question calls the row, in most cases with an article."""
    name, said = table.names[row], table.said[row]
    # two rows of one name: only another name says which is meant
    name = rng.choice(said) if table.names.count(name) > 1 else called(rng, name, said)
    bare = name.startswith(BARE) or name.endswith(KINDS) or rng.random() < 0.12
    return name if bare else f"the {name}"


def two_columns(rng: random.Random, table: Statement) -> tuple[int, int] | None:
    """A later and an earlier column, in this order; None in a table without two points in time."""
    if len(table.periods) < 2:
        return None
    early, late = sorted(rng.sample(range(len(table.periods)), 2))
    return table.periods[late], table.periods[early]


def date_of(rng: random.Random, table: Statement, column: int) -> str:
    """A point in time as a question writes it: the year, or as the header has it."""
    name, head = table.columns[column], table.cells[0][column + 1]
    return head if head.endswith(f" {name}") and "due" not in head and rng.random() < 0.7 else name


def when(rng: random.Random, table: Statement, column: int) -> str:
    """A column as an adverbial: a year, a kind of lease or of space, all together."""
    name = table.columns[column]
    if name in ("total", "thereafter"):
        return {"total": "in total", "thereafter": "for the years thereafter"}[name]
    if name.isdigit():
        return f"in {date_of(rng, table, column)}"
    return f"{'in' if 'space' in name else 'under'} {name}"


def column_of(page: Draft) -> int | None:
    """The column of the page's year, None in a table without it."""
    columns = page.table.columns
    return columns.index(str(page.year)) if str(page.year) in columns else None


def with_unit(rng: random.Random, text: str, table: Statement) -> str:
    """The question, in half of the cases with the table's unit, if it has one."""
    if not table.unit or rng.random() < 0.5:
        return text
    return text.removesuffix("?") + rng.choice([f" in {table.unit}s?", f" , in {table.unit}s?"])
