"""The kinds of table of a generated page."""

import random
from collections.abc import Callable

from finqa_lab.finqa.synthetic.sectors import Sector, places
from finqa_lab.finqa.synthetic.tables import UNITS, Row, Statement, latest_first, rounded, statement, walk, years_before


def income(rng: random.Random, sector: Sector, last: int, company: str) -> Statement:
    """Revenue, costs, operating income, interest as a negative, and the income that is left."""
    years, decimals = rng.choice([2, 3, 3]), rng.choice([0, 0, 1])
    revenue = walk(rng, 10 ** rng.uniform(2.5, 4.6), years, decimals)
    names = [*sector.costs, "restructuring and impairment charges", "other operating expenses , net"]
    names = names[: rng.choice([3, 4, 5])]
    costs = [
        [rounded(rng, part * value, decimals) for value in revenue]
        for part in (rng.uniform(0.4, 0.55), rng.uniform(0.12, 0.2), rng.uniform(0.04, 0.1), 0.02, 0.01)[: len(names)]
    ]
    operating = [round(r - sum(cost[i] for cost in costs), decimals) for i, r in enumerate(revenue)]
    interest = [-rounded(rng, 0.015 * value, decimals) - 1 for value in revenue]
    left = [round(one + interest[i], decimals) for i, one in enumerate(operating)]
    rows = [
        Row(sector.revenue, revenue),
        *(Row(name, cost) for name, cost in zip(names, costs)),
        Row("operating income", operating),
        Row("interest expense , net", interest),
        Row("income before income taxes", left),
    ]
    return statement(rng, rng.choice(UNITS), years_before(last, years), rows, decimals, None, latest_first(years))


def segments(rng: random.Random, sector: Sector, last: int, company: str) -> Statement:
    """Revenue by segment with its total; a segment is a product or a place, and in half of the
    tables all rows share the words of the revenue.
    """
    years, decimals = rng.choice([2, 3, 4]), rng.choice([0, 1])
    count = rng.choice([3, 4, 5])
    by_place = rng.random() < 0.5
    names = places(rng, count) if by_place else rng.sample(sector.segments, count)
    parts = [walk(rng, 10 ** rng.uniform(1.8, 3.8), years, decimals) for _ in names]
    word = sector.revenue.split()[-1]
    pattern = rng.choice(["{}", "{}", f"{{}} {sector.revenue}", f"{sector.revenue} , {{}}"])
    said = ("the {} region", "{} " + word) if by_place else ("the {} segment", "{} " + word, "the {} business")
    rows = [
        Row(pattern.format(name), part, tuple(one.format(name) for one in said)) for name, part in zip(names, parts)
    ]
    if rng.random() < 0.5:
        other = walk(rng, 10 ** rng.uniform(1, 2), years, decimals)
        parts.append(other)
        rows.append(
            Row(
                f"other {sector.revenue}",
                other,
                ("everything outside the named segments", "the remainder", f"other {word}"),
            )
        )
    total = [round(sum(part[i] for part in parts), decimals) for i in range(years)]
    rows.append(
        Row(
            f"total {sector.revenue}",
            total,
            (f"all {word}", f"consolidated {word}", "the whole company", "the consolidated amount"),
        )
    )
    return statement(
        rng, rng.choice(UNITS), years_before(last, years), rows, decimals, len(rows) - 1, latest_first(years)
    )


def obligations(rng: random.Random, sector: Sector, last: int, company: str) -> Statement:
    """Payments due by period: columns are a total and periods."""
    note = rng.random() < 0.5
    names = [
        "long-term debt including current portion ( note 9 )" if note else "long-term debt",
        "interest on long-term debt",
        "operating leases ( note 12 )" if note else "operating leases",
        "unconditional purchase obligations and other" if note else "purchase obligations",
        "capital leases ( note 12 )",
        "pension and postretirement funding",
    ][: rng.choice([3, 4, 5, 6])]
    columns = ("total", str(last + 1), str(last + 2), str(last + 3), "thereafter")
    parts = [[float(round(10 ** rng.uniform(0.8, 3))) for _ in columns[1:]] for _ in names]
    rows = [Row(name, [sum(part), *part]) for name, part in zip(names, parts)]
    rows.append(Row("total contractual obligations", [sum(row.values[i] for row in rows) for i in range(len(columns))]))
    heads = rng.choice(["{}", "payments due by period {}", "payments due {}"])
    return statement(
        rng, rng.choice(["( in millions )", "( millions )"]), columns, rows, 0, len(names), (1, 2, 3), heads
    )


def performance(rng: random.Random, sector: Sector, last: int, company: str) -> Statement:
    """Value of 100 invested five years before, with indexes; the header writes the day, the question the year."""
    rows = []
    own = rng.choice([company, "the company 2019s common stock"])
    for name, said in (
        (own, (f"{company.split()[0]} stock", "an investment in the company", company)),
        ("s&p 500 index", ()),
        (f"s&p {sector.name} index", (f"s&p {sector.name}", f"the {sector.name} index")),
        (f"wexley {sector.name} peer group", ("the peer group", f"{sector.name} peers")),
    )[: rng.choice([3, 4, 4])]:
        values = [100.0]
        while len(values) < 5:
            values.append(round(values[-1] * rng.uniform(0.75, 1.4), 2))
        rows.append(Row(name, values, said))
    columns = tuple(str(year) for year in range(last - 4, last + 1))
    corner = rng.choice(["company / index", "", "company/index"])
    made = statement(rng, corner, columns, rows, 2, None, (0, 1, 2, 3, 4), "{}")
    header = (corner, *(f"12/31/{year[2:]}" for year in columns)) if rng.random() < 0.8 else made.cells[0]
    return Statement(**{**vars(made), "cells": (header, *made.cells[1:])})


def rollforward(rng: random.Random, sector: Sector, last: int, company: str) -> Statement:
    """A reserve from the beginning to the end of two or three years: additions, payments as negatives, balance."""
    years = rng.choice([2, 3])
    if rng.random() < 0.5:
        moves = [
            ("additions based on tax positions related to the current year", 1),
            ("additions for tax positions of prior years", 1),
            ("reductions for tax positions of prior years", -1),
            ("settlements with taxing authorities", -1),
            ("lapse of the statute of limitations", -1),
        ][: rng.choice([3, 4, 5])]
    else:
        moves = [
            ("additions charged to expense", 1),
            ("payments", -1),
            ("accruals assumed in acquisitions", 1),
            ("translation adjustments and other", -1),
        ][: rng.choice([2, 3, 4])]
    begin, columns = float(round(10 ** rng.uniform(2, 4))), []
    for _ in range(years):
        changes = [sign * float(max(1, round(begin * rng.uniform(0.02, 0.25)))) for _, sign in moves]
        columns.append([begin, *changes, begin + sum(changes)])
        begin = columns[-1][-1]
    columns.reverse()  # the latest year comes first
    names = ("balance at january 1", *(name for name, _ in moves), "balance at december 31")
    rows = [Row(name, [column[i] for column in columns]) for i, name in enumerate(names)]
    corner = rng.choice(["( in thousands )", "in thousands", ""])
    return statement(rng, corner, years_before(last, years), rows, 0, None, latest_first(years))


def balances(rng: random.Random, sector: Sector, last: int, company: str) -> Statement:
    """Assets and liabilities; both have a row "other", of which questions name the one that the executor takes."""
    columns = years_before(last, 2)

    def drawn() -> list[float]:
        return walk(rng, 10 ** rng.uniform(1.5, 3.5), 2, 0)

    assets = ["cash and cash equivalents", "accounts receivable , net", "inventories"][: rng.choice([2, 3])]
    debts = ["accounts payable", "accrued compensation", "deferred revenue"][: rng.choice([2, 3])]
    rows = [
        Row("current assets :"),
        *(Row(name, drawn()) for name in assets),
        Row("other", drawn(), asked=False),
        Row("current liabilities :"),
        *(Row(name, drawn()) for name in debts),
        Row("other", drawn(), ("other current liabilities", "other liabilities")),
    ]
    return statement(rng, rng.choice(UNITS), columns, rows, 0, None, (1, 0), rng.choice(["{}", "december 31 , {}"]))


def property_at_cost(rng: random.Random, sector: Sector, last: int, company: str) -> Statement:
    """Property by kind, less its depreciation."""
    names = ["land and land improvements", "buildings and improvements", "machinery and equipment"]
    names += ["furniture , fixtures and software", "construction in progress"][: rng.choice([0, 1, 2])]
    rows = [Row(name, walk(rng, 10 ** rng.uniform(1.5, 3.8), 2, 0)) for name in names]
    gross = [sum(row.values[i] for row in rows) for i in (0, 1)]
    less = [-float(round(rng.uniform(0.2, 0.6) * value)) for value in gross]
    rows.append(Row("less accumulated depreciation", less))
    net = [gross[i] + less[i] for i in (0, 1)]
    rows.append(
        Row(
            "property , plant and equipment , net", net, ("net property", "net pp&e", "fixed assets after depreciation")
        )
    )
    return statement(rng, rng.choice(UNITS), years_before(last, 2), rows, 0, None, (1, 0))


def sites(rng: random.Random, sector: Sector, last: int, company: str) -> Statement:
    """Floor space by place, owned and leased."""
    names = [f"{place} {rng.choice(['plant', 'campus', 'warehouse', 'depot', 'offices'])}" for place in places(rng, 8)]
    names = names[: rng.choice([3, 4, 5, 6])]
    parts = [[float(rng.randrange(4, 900)), float(rng.randrange(4, 900))] for _ in names]
    rows = [
        Row(name, [a, b, a + b], (name.split()[0], f"the site at {name.split()[0]}"))
        for name, (a, b) in zip(names, parts)
    ]
    total = [sum(row.values[i] for row in rows) for i in range(3)]
    rows.append(Row("total square feet", total, ("all floor space", "the area of all sites")))
    corner = rng.choice(["location", "( square feet in thousands )", "facility"])
    return statement(rng, corner, ("owned space", "leased space", "total"), rows, 0, len(names), (), "{}")


def leases(rng: random.Random, sector: Sector, last: int, company: str) -> Statement:
    """Minimum payments under leases by year: rows are years."""
    columns = ("operating leases", "capital leases")[: rng.choice([1, 2])]
    rows = [
        Row(str(year), [float(round(10 ** rng.uniform(1, 3))) for _ in columns], (f"the payments due in {year}",))
        for year in range(last + 1, last + 5)
    ]
    rows.append(Row("thereafter", [float(round(10 ** rng.uniform(1, 3))) for _ in columns], ("later years",)))
    total = [sum(row.values[i] for row in rows) for i in range(len(columns))]
    rows.append(Row("total minimum payments", total, ("all minimum payments", "the whole commitment")))
    return statement(rng, rng.choice(UNITS), columns, rows, 0, len(rows) - 1, (), "{}")


STATEMENTS: tuple[Callable[[random.Random, Sector, int, str], Statement], ...] = (
    income,
    income,
    segments,
    segments,
    segments,
    obligations,
    performance,
    rollforward,
    balances,
    property_at_cost,
    leases,
    sites,
)
"""Kinds of table, each as often as it is drawn."""
