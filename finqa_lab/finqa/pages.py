"""A page of a report: text before the table, the table, text after it, and the names FinQA gives to their units.

Source: Z. Chen et al., "FinQA: A Dataset of Numerical Reasoning over Financial Data", EMNLP 2021, section 3.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json


@dataclass(frozen=True)
class Page:
    """One page of a report.

    Attributes:
        filename: page id as the dataset writes it, ``"AAPL/2004/page_44.pdf"``.
        pre_text: sentences before the table, tokenised and lower-cased.
        post_text: sentences after it.
        table: rows of cells; row 0 is the header, cell 0 of a row its name. All rows have the same length.
    """

    filename: str
    pre_text: tuple[str, ...]
    post_text: tuple[str, ...]
    table: tuple[tuple[str, ...], ...]

    @property
    def company(self) -> str:
        """Ticker symbol, the first part of the page id."""
        return self.filename.split("/")[0]

    @property
    def texts(self) -> tuple[str, ...]:
        """Sentences in reading order; gold fact ``text_i`` is ``texts[i]``."""
        return self.pre_text + self.post_text

    @property
    def source_ids(self) -> list[str]:
        """Names of the units that can be gold facts, ``text_0``, ..., ``table_0``, ..."""
        return [f"text_{i}" for i in range(len(self.texts))] + [f"table_{i}" for i in range(len(self.table))]

    def facts(self) -> dict[str, str]:
        """Source id to text of every unit, a table row in words."""
        rows = (row_sentences(self.table[0], row) for row in self.table)
        return dict(zip(self.source_ids, (*self.texts, *rows)))


def row_sentences(header: tuple[str, ...], row: tuple[str, ...]) -> str:
    """A table row in words, one clause a cell, as the dataset spells its gold facts (its section 4.1).

    >>> row_sentences(("", "2004", "2003"), ("inventory", "$ 101", "$ 56"))
    'the inventory of 2004 is $ 101 ; the inventory of 2003 is $ 56 ;'
    """
    clauses = [f"the {row[0]} of {column} is {cell} ;" for column, cell in zip(header[1:], row[1:])]
    return " ".join(" ".join([header[0], *clauses]).split())


class Invalid(Exception):
    """A value that is not what the schema says; carries the field's path and the reason."""

    def __init__(self, field: str, reason: str):
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


def parse_page(raw: Mapping, filename: str) -> Page:
    """The page part of an official record; texts may be missing (lists of programs have none), the table may not.

    Raises:
        Invalid: naming the field.
    """
    return Page(filename, _texts(raw, "pre_text"), _texts(raw, "post_text"), _table(raw))


def read_pages(path: str | os.PathLike) -> dict[str, Page]:
    """Pages without questions, from a JSON object ``{page id: {"pre_text", "post_text", "table"}}``.

    Raises:
        CourseError: when the file is missing or a page is not what the schema says, naming the page and the field.
    """
    raw = read_json(existing(path), "the page file")
    if not isinstance(raw, dict):
        raise CourseError(f"{path} holds {kind(raw)}, not an object of pages by page id")
    pages = {}
    for filename, page in raw.items():
        try:
            pages[filename] = parse_page(as_object(page, "page"), filename)
        except Invalid as problem:
            raise CourseError(f"{path}, page {filename}: {problem}; mend the page or remove it") from None
    return pages


def existing(path: str | os.PathLike) -> Path:
    """The path of a dataset file.

    Raises:
        CourseError: when there is no such file, with the command that fetches the public release.
    """
    path = Path(path)
    if not path.is_file():
        raise CourseError(f"{path} is not a file; `finqa-lab data fetch finqa` downloads the public release of FinQA")
    return path


def kind(value: object) -> str:
    """What a JSON value is, for messages.

    >>> kind(float("nan")), kind(None), kind([1])
    ('NaN', 'null', 'a list')
    """
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    names = {dict: "an object", list: "a list", str: "text", bool: "a truth value", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def as_object(value: object, field: str) -> dict:
    """``value`` when it is a JSON object; otherwise :class:`Invalid` with the field's name."""
    if not isinstance(value, dict):
        raise Invalid(field, f"is {kind(value)}, not an object")
    return value


def _texts(raw: Mapping, field: str) -> tuple[str, ...]:
    texts = raw.get(field, [])
    if not isinstance(texts, list):
        raise Invalid(field, f"is {kind(texts)}, not a list of sentences")
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise Invalid(f"{field}[{number}]", f"is {kind(text)}, not text")
    return tuple(texts)


def _table(raw: Mapping) -> tuple[tuple[str, ...], ...]:
    table = raw.get("table")
    if not isinstance(table, list) or not table:
        raise Invalid("table", "is empty" if table == [] else f"is {kind(table)}, not a list of rows")
    for number, row in enumerate(table):
        if not isinstance(row, list) or not row:
            raise Invalid(
                f"table[{number}]", "is an empty row" if row == [] else f"is {kind(row)}, not a list of cells"
            )
        if len(row) != len(table[0]):
            raise Invalid(f"table[{number}]", f"has {len(row)} cells, the header has {len(table[0])}")
        for column, cell in enumerate(row):
            if not isinstance(cell, str):
                raise Invalid(f"table[{number}][{column}]", f"is {kind(cell)}, not text")
    return tuple(tuple(row) for row in table)
