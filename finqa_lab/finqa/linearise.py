"""A page as lines of text that a model reads, every line with the name of the unit that it came from.

A cell alone does not say what it is; the header above it and the row name beside it do. So every style puts them
together, so that a row can stand alone, far from its table:

=============  =======================================================================================
style          the row ``tools`` of a table with the columns 2018 and 2017
=============  =======================================================================================
``sentences``  the tools of 2018 is $ 384.3 ; the tools of 2017 is $ 306.7 ; (the data set's own)
``pairs``      tools: 2018 = $ 384.3; 2017 = $ 306.7
``markdown``   a table of its own: the header, the rule, the row
=============  =======================================================================================

For a whole page the Markdown header is written once. Sources: Z. Chen et al., "FinQA", EMNLP 2021, section 4.1, for the
sentences; Y. Sui et al., "Table Meets LLM", WSDM 2024, for what such choices do to a language model's answers.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from finqa_lab.errors import CourseError
from finqa_lab.finqa.pages import Page, row_sentences

_SOURCE = re.compile(r"(text|table)_(0|[1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True)
class Line:
    """A unit in words: its source id (``text_i`` or ``table_i``) and its text, which may have line breaks."""

    source: str
    text: str


def row_pairs(header: Sequence[str], row: Sequence[str]) -> str:
    """A row as its name and one "column = cell" a cell; empty cells are left out.

    >>> row_pairs(("( in millions )", "2018", "2017"), ("tools", "$ 384.3", ""))
    'tools ( in millions ): 2018 = $ 384.3'
    """
    name = " ".join(f"{row[0]} {header[0]}".split())
    pairs = "; ".join(f"{column} = {cell}" for column, cell in zip(header[1:], row[1:]) if cell.strip())
    return " ".join(f"{name}: {pairs}".split()) if name else " ".join(pairs.split())


def row_markdown(header: Sequence[str], row: Sequence[str]) -> str:
    """A table of one row under its header; bars in a cell are escaped.

    >>> print(row_markdown(("", "2018"), ("tools | parts", "5")))
    |  | 2018 |
    | --- | --- |
    | tools \\| parts | 5 |
    """
    return f"{markdown_header(header)}\n{markdown_cells(row)}"


def markdown_header(header: Sequence[str]) -> str:
    """The header and the rule below it, two lines."""
    return f"{markdown_cells(header)}\n{markdown_cells(['---'] * len(header))}"


def markdown_cells(row: Sequence[str]) -> str:
    """One line of a Markdown table."""
    cells = (" ".join(cell.split()).replace("\\", "\\\\").replace("|", "\\|") for cell in row)
    return "| " + " | ".join(cells) + " |"


ROW_STYLES = {"sentences": row_sentences, "pairs": row_pairs, "markdown": row_markdown}
"""Name of a style to its function of header and row."""


def row_style(style: str):
    """The function of a style.

    Raises:
        CourseError: for an unknown style.
    """
    if style not in ROW_STYLES:
        raise CourseError(f"the row style '{style}' is unknown; choose one of {', '.join(ROW_STYLES)}")
    return ROW_STYLES[style]


def unit_text(page: Page, source: str, style: str = "sentences") -> str:
    """One unit as it can stand alone.

    Raises:
        CourseError: when the page has no such unit, or for an unknown style.
    """
    as_row = row_style(style)
    match = _SOURCE.fullmatch(source)
    units = () if match is None else page.texts if match[1] == "text" else page.table
    if match is None or int(match[2]) >= len(units):
        raise CourseError(f"{page.filename} has no unit '{source}'; units are text_0, ... and table_0, ...")
    unit = units[int(match[2])]
    if match[1] == "text":
        return unit
    if match[2] == "0" and style == "markdown":
        return markdown_header(unit)
    return as_row(page.table[0], unit)


def linearise(page: Page, style: str = "sentences") -> list[Line]:
    """All units of a page in reading order: the texts before the table, the rows, the texts after it.

    In Markdown the rows are one table: the header's line has the rule below it, the others are single lines.

    Raises:
        CourseError: for an unknown style.
    """
    row_style(style)
    order = reading_order(page)
    if style != "markdown":
        return [Line(source, unit_text(page, source, style)) for source in order]
    rows = {f"table_{i}": markdown_cells(row) for i, row in enumerate(page.table)}
    rows["table_0"] = markdown_header(page.table[0])
    return [Line(source, rows[source] if source in rows else unit_text(page, source)) for source in order]


def reading_order(page: Page) -> list[str]:
    """Source ids from the top of the page to its end; ``page.source_ids`` has the table last instead."""
    before, sources = len(page.pre_text), page.source_ids
    texts, rows = sources[: len(page.texts)], sources[len(page.texts) :]
    return texts[:before] + rows + texts[before:]


def joined(lines: Sequence[Line]) -> tuple[str, list[str]]:
    """The text of some lines, and the source id of every line of it.

    Line breaks inside a unit of text become spaces, so that only a Markdown header takes two lines.

    >>> joined([Line("text_0", "a"), Line("table_0", "| b |\\n| --- |")])
    ('a\\n| b |\\n| --- |', ['text_0', 'table_0', 'table_0'])
    """
    pieces, sources = [], []
    for line in lines:
        whole = line.text if line.source.startswith("table_") else " ".join(line.text.splitlines())
        parts = whole.splitlines() or [""]
        pieces += parts
        sources += [line.source] * len(parts)
    return "\n".join(pieces), sources
