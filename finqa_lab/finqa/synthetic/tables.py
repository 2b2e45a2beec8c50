"""Tables of a generated page, in the spelling of the data set: ``$ 1234.5``, ``-32 ( 32 )``, ``12.5% ( 12.5 % )``."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from finqa_lab.finqa.synthetic.sectors import Sector

UNITS = ("( in millions )", "( in thousands )", "( dollars in millions )", "")


@dataclass(frozen=True)
class Statement:
    """A table and what may be asked about it.

    Attributes:
        cells: rows of text; row 0 is the header.
        columns: what the columns after the first stand for, as a question names them: ``"2008"``.
        values: plain numbers of each row below the header, as a program writes them: ``"1234.5"``, ``"-32"``.
        whole: index in ``values`` of the row that the others add up to, or None.
        periods: indexes of the columns that are points in time, the earliest first.
    """

    cells: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    whole: int | None
    periods: tuple[int, ...]

    @property
    def unit(self) -> str:
        """``"million"``, ``"thousand"`` or "": what the header says of the numbers."""
        return next((unit for unit in ("million", "thousand") if unit in self.cells[0][0]), "")

    @property
    def names(self) -> list[str]:
        """The first cell of each row below the header."""
        return [row[0] for row in self.cells[1:]]


def _spelled(value: float, decimals: int, money: bool) -> tuple[str, str]:
    """A value as a program writes it and as a cell shows it.

    >>> _spelled(-32, 0, True), _spelled(1234.5, 1, True)
    (('-32', '-32 ( 32 )'), ('1234.5', '$ 1234.5'))
    """
    plain = f"{value:.{decimals}f}"
    if value < 0:
        return plain, f"{plain} ( {plain[1:]} )"
    return plain, f"$ {plain}" if money else plain


def _statement(
    header: tuple[str, ...],
    rows: list[tuple[str, list[float]]],
    decimals: int,
    whole: int | None,
    periods: tuple[int, ...],
) -> Statement:
    cells, values = [header], []
    for number, (name, row) in enumerate(rows):
        spelled = [_spelled(value, decimals, money=number in (0, len(rows) - 1)) for value in row]
        values.append(tuple(plain for plain, _ in spelled))
        cells.append((name, *(shown for _, shown in spelled)))
    return Statement(tuple(cells), header[1:], tuple(values), whole, periods)


def _rounded(rng: random.Random, value: float, decimals: int) -> float:
    return round(value * rng.uniform(0.85, 1.2), decimals)


def _walk(rng: random.Random, start: float, years: int, decimals: int) -> list[float]:
    """One value a year, each near the next."""
    values = [round(start, decimals)]
    while len(values) < years:
        values.append(_rounded(rng, values[-1], decimals))
    return values


def _latest_first(years: int) -> tuple[int, ...]:
    return tuple(reversed(range(years)))


def _years(last: int, count: int) -> tuple[str, ...]:
    return tuple(str(last - back) for back in range(count))


def income(rng: random.Random, sector: Sector, last: int) -> Statement:
    """Revenue, costs, the income that is left, and interest as a negative."""
    years, decimals = rng.choice([2, 3, 3]), rng.choice([0, 0, 1])
    revenue = _walk(rng, 10 ** rng.uniform(2.5, 4.6), years, decimals)
    shares = [rng.uniform(0.4, 0.55), rng.uniform(0.12, 0.2), rng.uniform(0.04, 0.1)]
    costs = [[_rounded(rng, share * value, decimals) for value in revenue] for share in shares]
    interest = [-_rounded(rng, 0.015 * value, decimals) - 1 for value in revenue]
    left = [round(r - sum(cost[i] for cost in costs) + interest[i], decimals) for i, r in enumerate(revenue)]
    rows = [(sector.revenue, revenue), *zip(sector.costs, costs), ("interest expense , net", interest)]
    return _statement(
        (rng.choice(UNITS), *_years(last, years)),
        [*rows, ("income before income taxes", left)],
        decimals,
        None,
        _latest_first(years),
    )


def segments(rng: random.Random, sector: Sector, last: int) -> Statement:
    """Revenue by segment with its total."""
    years, decimals = rng.choice([2, 3, 4]), rng.choice([0, 1])
    names = rng.sample(sector.segments, rng.choice([3, 4, 5]))
    parts = [_walk(rng, 10 ** rng.uniform(1.8, 3.8), years, decimals) for _ in names]
    total = [round(sum(part[i] for part in parts), decimals) for i in range(years)]
    rows = [*zip(names, parts), (f"total {sector.revenue}", total)]
    return _statement((rng.choice(UNITS), *_years(last, years)), rows, decimals, len(names), _latest_first(years))


def obligations(rng: random.Random, sector: Sector, last: int) -> Statement:
    """Payments due by period: columns are a total and periods."""
    names = ("long-term debt", "interest on long-term debt", "operating leases", "purchase obligations")
    names = names[: rng.choice([3, 4])]
    columns = ("total", str(last + 1), str(last + 2), str(last + 3), "thereafter")
    parts = [[float(round(10 ** rng.uniform(0.8, 3))) for _ in columns[1:]] for _ in names]
    rows = [(name, [sum(part), *part]) for name, part in zip(names, parts)]
    rows.append(("total contractual obligations", [sum(row[i] for _, row in rows) for i in range(len(columns))]))
    return _statement(("( in millions )", *columns), rows, 0, len(names), (1, 2, 3))


def performance(rng: random.Random, sector: Sector, last: int) -> Statement:
    """Value of 100 invested five years before, with two indexes."""
    names = ("the company 2019s common stock", f"s&p {sector.name} index", "s&p 500 index")
    paths = []
    for _ in names:
        values = [100.0]
        while len(values) < 5:
            values.append(round(values[-1] * rng.uniform(0.75, 1.4), 2))
        paths.append(values)
    header = ("company / index", *(f"12/31/{year % 100:02d}" for year in range(last - 4, last + 1)))
    return _statement(header, list(zip(names, paths)), 2, None, (0, 1, 2, 3, 4))


def rollforward(rng: random.Random, sector: Sector, last: int) -> Statement:
    """A reserve from the beginning to the end of two years: additions, payments as negatives, balance."""
    begin = float(round(10 ** rng.uniform(2, 4)))
    columns = []
    for _ in range(2):
        added, paid = float(round(begin * rng.uniform(0.1, 0.4))), -float(round(begin * rng.uniform(0.05, 0.35)))
        columns.append([begin, added, paid, begin + added + paid])
        begin = columns[-1][-1]
    columns.reverse()  # the latest year comes first
    names = ("balance at january 1", "additions charged to expense", "payments", "balance at december 31")
    rows = [(name, [column[i] for column in columns]) for i, name in enumerate(names)]
    return _statement(("( in thousands )", *_years(last, 2)), rows, 0, None, _latest_first(2))


STATEMENTS: tuple[Callable[[random.Random, Sector, int], Statement], ...] = (
    income,
    segments,
    segments,
    obligations,
    performance,
    rollforward,
)
"""Kinds of table, each as often as it is drawn."""
