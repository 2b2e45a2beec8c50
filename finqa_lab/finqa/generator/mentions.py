"""What can fill a blank of a program: the numbers and the row names that the facts state, and where they stand."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from finqa_lab.finqa.execute import Table
from finqa_lab.finqa.literals import cell_number, read_number
from finqa_lab.finqa.records import Record

WINDOW = 8
"""Words on either side of a number in a sentence that describe it."""

_COPY = r"(?:\s\(\s*[\d.,]+\s*%?\s*\))?"  # the data repeat "6.5% ( 6.5 % )" and "-3 ( 3 )" as accountants print them
_NUMBER = re.compile(rf"(?<![\w.])(-?(?:\d[\d,]*\d|\d)?(?:\.?\d+)%?){_COPY}(?![\w])", re.ASCII)
_WORD = re.compile(r"[a-z]+|\d+(?:[.,]\d+)*")
_YEAR = re.compile(r"(?<![\w.,$])(?:19|20)\d\d(?![\w,])")


@dataclass(frozen=True)
class Evidence:
    """A question and what it is to be answered from.

    Attributes:
        question: its text.
        facts: source id (``text_i`` or ``table_i``) to text, the most relevant first.
        table: the page's rows of cells, row 0 the header; facts ``table_i`` are read from it, and programs executed.
        relevance: source id to what a retriever thinks of the fact, about 0 to 1; a fact without it counts as 1.
    """

    question: str
    facts: Mapping[str, str]
    table: Table
    relevance: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def gold(cls, record: Record) -> "Evidence":
        """The record's gold facts."""
        return cls(record.question, record.gold_facts, record.table)


@dataclass(frozen=True, slots=True)
class Mention:
    """A number or a row name of the facts or the question.

    Attributes:
        text: as a program writes it.
        source: ``"table"``, ``"text"`` or ``"question"``.
        fact: position of its fact in the facts; -1 for the question.
        column: column of its cell, or how many numbers stand before it in its sentence.
        year: year of its column, or the one its sentence gives it; None without any.
        names: words of the row name, or those around the number.
        heads: words of the column header; empty for text.
        is_bare: a minus or percent sign was left out.
        relevance: of its fact; 1 for the question.
    """

    text: str
    source: Literal["table", "text", "question"]
    fact: int
    column: int
    year: int | None
    names: frozenset[str]
    heads: frozenset[str] = frozenset()
    is_bare: bool = False
    relevance: float = 1.0

    @property
    def bare(self) -> "Mention | None":
        """The same without minus and percent sign, as annotators often write it; None where it has neither."""
        text = self.text.strip("-%").strip()
        return None if text == self.text else replace(self, text=text, is_bare=True)


def words(text: str) -> list[str]:
    """Lower-case words and numbers of a text, in order.

    >>> words("Net sales ( 2004 ) of $ 1,200")
    ['net', 'sales', '2004', 'of', '1,200']
    """
    return _WORD.findall(text.lower())


def years(text: str) -> list[int]:
    """The years that a text names, in order.

    >>> years("from 2004 to 2003 , $ 2004 , 12.2005")
    [2004, 2003]
    """
    return [int(m[0]) for m in _YEAR.finditer(text) if not text[: m.start()].rstrip().endswith("$")]


def number_mentions(evidence: Evidence) -> list[Mention]:
    """Every number of the facts, then those of the question; each followed by its bare form where that differs.

    A fact ``table_i`` that the table does not have is read as a sentence.

    >>> table = [["", "2004", "2003"], ["loss", "$ -3 ( 3 )", "6.5%"]]
    >>> found = number_mentions(Evidence("and 2003 ?", {"table_1": ""}, table))
    >>> [(mention.text, mention.year) for mention in found]
    [('-3', 2004), ('3', 2004), ('6.5%', 2003), ('6.5', 2003), ('2003', None)]
    """
    found: list[Mention] = []
    for position, (source, text) in enumerate(evidence.facts.items()):
        row = _row(source, evidence.table)
        of_fact = _of_sentence(text, "text", position) if row is None else _of_cells(row, evidence.table[0], position)
        relevance = evidence.relevance.get(source, 1.0)
        found += [replace(mention, relevance=relevance) for mention in of_fact]
    found += _of_sentence(evidence.question, "question", -1)
    return [form for mention in found for form in (mention, mention.bare) if form]


def row_mentions(evidence: Evidence) -> list[Mention]:
    """The names of the table rows among the facts."""
    found = []
    for position, source in enumerate(evidence.facts):
        row = _row(source, evidence.table)
        if row and row[0]:
            names, relevance = frozenset(words(row[0])), evidence.relevance.get(source, 1.0)
            found.append(Mention(row[0], "table", position, 0, None, names, relevance=relevance))
    return found


def _row(source: str, table: Table) -> Sequence[str] | None:
    kind, _, index = source.partition("_")
    return table[int(index)] if kind == "table" and index.isdecimal() and int(index) < len(table) else None


def _of_cells(row: Sequence[str], header: Sequence[str], position: int) -> list[Mention]:
    names = frozenset(words(row[0]))
    found = []
    for column, (head, cell) in enumerate(zip(header, row)):
        text = cell_number(cell)
        if column and read_number(text) is not None:
            year = next(iter(years(head)), None)
            found.append(Mention(text, "table", position, column, year, names, frozenset(words(head))))
    return found


def _of_sentence(text: str, source: Literal["text", "question"], position: int) -> list[Mention]:
    matches = [m for m in _NUMBER.finditer(text) if read_number(m[1]) is not None]
    dates = [m for m in matches if years(m[1])]
    amounts = [m for m in matches if m not in dates]
    in_turn = len(dates) == len(amounts) and len(dates) > 1  # "in 2004 and 2003 , $ 5 and $ 4 , respectively"
    found = []
    for order, match in enumerate(matches):
        year = None
        if match not in dates and dates:
            near = min(dates, key=lambda date: abs(date.start() - match.start()))
            year = int((dates[amounts.index(match)] if in_turn else near)[1])
        around = words(text[: match.start()])[-WINDOW:] + words(text[match.end() :])[:WINDOW]
        found.append(Mention(match[1], source, position, order, year, frozenset(around)))
    return found
