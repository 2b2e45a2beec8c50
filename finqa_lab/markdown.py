"""Pipe tables of Markdown, as cards, reports and the book's pages have them."""

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A pipe table that ends with a line break; a column whose name ends with a colon is set to the right.

    >>> print(table(("model", "tokens/s:"), [("a|b", "12")]), end="")
    | model | tokens/s |
    | --- | ---: |
    | a\\|b | 12 |
    """
    rule = ["---:" if name.endswith(":") else "---" for name in header]
    lines = [cells(name.removesuffix(":") for name in header), cells(rule), *map(cells, rows)]
    return "\n".join(lines) + "\n"


def figures(first: str, *others: str) -> list[str]:
    """A header whose columns are all set to the right but the first.

    >>> figures("task", "asked", "right")
    ['task', 'asked:', 'right:']
    """
    return [first, *(f"{name}:" for name in others)]


def cells(row: Iterable[str]) -> str:
    """One line of a table, its pipes escaped, without a line break."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
