"""Tables of a generated page, in the spelling of the data set: ``$ 1234.5``, ``-32 ( 32 )``, ``12.5% ( 12.5 % )``."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from finqa_lab.finqa.synthetic.wording import SAID

UNITS = (
    "( in millions )",
    "( in millions )",
    "( in thousands )",
    "( in thousands )",
    "( dollars in millions )",
    "in millions",
    "",
)
HEADS = ("{}", "{}", "{}", "fiscal {}", "december 31 , {}", "year ended december 31 , {}")
"""How a header writes a year; a question may write the year alone."""


@dataclass(frozen=True)
class Row:
    """A row to be spelled.

    Attributes:
        name: first cell.
        values: a number a column; empty for a heading inside the table.
        said: other names that a question may give it.
        asked: whether a question may need it: not so where its name leaves open which row is meant.
    """

    name: str
    values: Sequence[float] = ()
    said: tuple[str, ...] = ()
    asked: bool = True


@dataclass(frozen=True)
class Statement:
    """A table and what may be asked about it.

    Attributes:
        cells: rows of text; row 0 is the header.
        columns: what the columns after the first stand for, as a question names them: ``"2008"``.
        values: plain numbers of each row below the header, as a program writes them: ``"1234.5"``, ``"-32"``.
        whole: index in ``values`` of the row that the others add up to, or None.
        periods: indexes of the columns that are points in time, the earliest first.
        said: other names of each row.
        usable: indexes in ``values`` of the rows that questions ask for, the whole left out.
    """

    cells: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    whole: int | None
    periods: tuple[int, ...]
    said: tuple[tuple[str, ...], ...]
    usable: tuple[int, ...]

    @property
    def unit(self) -> str:
        """``"million"``, ``"thousand"`` or "": what the header says of the numbers."""
        return next((unit for unit in ("million", "thousand") if unit in self.cells[0][0]), "")

    @property
    def names(self) -> list[str]:
        """The first cell of each row below the header."""
        return [row[0] for row in self.cells[1:]]


def spelled(value: float, decimals: int, money: bool) -> tuple[str, str]:
    """A value as a program writes it and as a cell shows it.

    >>> spelled(-32, 0, True), spelled(1234.5, 1, True)
    (('-32', '-32 ( 32 )'), ('1234.5', '$ 1234.5'))
    """
    plain = f"{value:.{decimals}f}"
    if value < 0:
        return plain, f"{plain} ( {plain[1:]} )"
    return plain, f"$ {plain}" if money else plain


def statement(
    rng: random.Random,
    corner: str,
    columns: Sequence[str],
    rows: Sequence[Row],
    decimals: int,
    whole: int | None,
    periods: tuple[int, ...],
    heads: str | None = None,
) -> Statement:
    """Spell the rows.

    Args:
        rng: draws how the header writes the columns.
        corner: the header's first cell.
        columns: as questions name them.
        rows: below the header.
        decimals: of every number.
        whole: see :class:`Statement`.
        periods: see :class:`Statement`.
        heads: pattern of a header cell; one of ``HEADS`` when None.
    """
    head = heads or rng.choice(HEADS)
    cells, values = [(corner, *map(head.format, columns))], []
    for number, row in enumerate(rows):
        both = [spelled(value, decimals, money=number in (0, len(rows) - 1)) for value in row.values]
        values.append(tuple(plain for plain, _ in both))
        cells.append((row.name, *([shown for _, shown in both] or [""] * len(columns))))
    return Statement(
        tuple(cells),
        tuple(columns),
        tuple(values),
        whole,
        periods,
        tuple(row.said or SAID.get(row.name, ()) for row in rows),
        tuple(i for i, row in enumerate(rows) if row.values and row.asked and i != whole),
    )


def rounded(rng: random.Random, value: float, decimals: int) -> float:
    """A value near another."""
    return round(value * rng.uniform(0.85, 1.2), decimals)


def walk(rng: random.Random, start: float, years: int, decimals: int) -> list[float]:
    """One value a year, each near the next."""
    values = [round(start, decimals)]
    while len(values) < years:
        values.append(rounded(rng, values[-1], decimals))
    return values


def latest_first(years: int) -> tuple[int, ...]:
    """Columns in the order of time when the latest year stands first."""
    return tuple(reversed(range(years)))


def years_before(last: int, count: int) -> tuple[str, ...]:
    """``count`` years, the latest first."""
    return tuple(str(last - back) for back in range(count))
