"""How tall the parts of a slide will be, estimated from their text, so that making slides needs no browser."""

import re

from docutils import nodes

LINES = {"paragraph": (78, 37, 14), "table": (100, 28, 13), "code": (100, 25, 30), "caption": (112, 27, 16)}
"""Characters a line, pixels a line, pixels around it."""


def of_text(characters: int, kind: str) -> int:
    """Pixels that so many characters take, of a kind of :data:`LINES`."""
    width, line, around = LINES[kind]
    return -(-max(characters, 1) // width) * line + around


def length(node: nodes.Node) -> int:
    """About how many characters wide the text of a node is, formulas as they are set."""
    if isinstance(node, (nodes.math, nodes.math_block)):
        return visible(node.astext())
    if isinstance(node, nodes.Text):
        return len(node.astext())
    return sum(map(length, node.children))


def visible(latex: str) -> int:
    r"""About how many characters wide a formula is.

    >>> visible(r"\frac{1}{2} \alpha_{ij}"), visible(r"a \qquad b")
    (5, 6)
    """
    text = re.sub(r"\\qquad", "xxxx", latex)
    text = re.sub(r"\\(?:text|mathrm|operatorname)\*?", "", text)
    text = re.sub(r"\\(?:[dt]?frac|left|right|[bB]igg?[lr]?|mathbb|mathcal|sqrt)", "", text)
    return len(re.sub(r"[{}^_&\s]", "", re.sub(r"\\(?:[A-Za-z]+|.)", "x", text)))


def of_equation(latex: str) -> int:
    """Pixels that a displayed equation takes."""
    rows = 1 + latex.count(r"\\")
    tall = re.search(r"\\(d?frac|sum|prod|binom|int|underbrace)|\\begin\{", latex)
    return rows * (74 if tall else 46) + 26


def column_widths(rows: list[nodes.row]) -> list[int]:
    """Characters that a line of each column holds when all share the width of the slide by their contents."""
    columns = list(zip(*(row.children for row in rows)))
    wanted = [max(max(map(length, column)), 3) for column in columns]
    words = [max((len(word) for one in column for word in one.astext().split()), default=3) for column in columns]
    free = LINES["table"][0] - 2 * len(columns)
    if sum(wanted) <= free:
        return wanted
    fixed = [min(word, free // len(columns)) for word in words]
    spare, over = free - sum(fixed), [want - least for want, least in zip(wanted, fixed)]
    return [least + max(0, spare) * more // max(sum(over), 1) for least, more in zip(fixed, over)]


def of_row(row: nodes.row, widths: list[int]) -> int:
    """Pixels that a row of a table takes whose columns hold so many characters a line."""
    _, line, around = LINES["table"]
    return around + line * max(-(-length(cell) // max(width, 1)) for cell, width in zip(row.children, widths))
