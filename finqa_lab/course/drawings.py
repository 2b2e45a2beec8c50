"""A drawing with everything that a reader may need of it: the figure, its caption, what it shows in words, a table.

The same object fills the answer of a widget (:func:`finqa_lab.course.exploring.explore`) and a page of the built book,
which has no kernel.
"""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from finqa_lab.course.figures import picture, picture_markup


@dataclass(frozen=True)
class Drawing:
    """A figure in words and picture.

    Attributes:
        figure: of matplotlib; it is closed when the markup is made.
        caption: what is shown and under which conditions.
        alt: what a sighted reader sees.
        above: HTML that stands over the figure, such as the answer in one sentence.
        below: HTML that follows the figure, such as a :func:`table`.
    """

    figure: Figure
    caption: str
    alt: str
    above: str = ""
    below: str = ""

    def markup(self) -> str:
        """HTML: the text above, the figure with caption and alternative text, the text below.

        Raises:
            ValueError: when caption or alternative text break the rules of :mod:`finqa_lab.course.figures`.
        """
        png, width = picture(self.figure)
        return self.above + picture_markup(png, caption=self.caption, alt=self.alt, width=width) + self.below

    def show(self) -> None:
        """Display it in a notebook."""
        from IPython.display import display

        text = f"[figure] {self.caption}\n[alt] {self.alt}"
        display({"text/html": self.markup(), "text/plain": text}, raw=True)


def paragraph(text: str) -> str:
    """Plain text as an HTML paragraph.

    >>> paragraph("a < b")
    '<p>a &lt; b</p>'
    """
    return f"<p>{html.escape(text)}</p>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """An HTML table of plain texts; the first cell of a row names it, and a column ending with a colon is set right.

    >>> table(("card", "GiB:"), [("<a>", "24")]).count("&lt;a&gt;")
    1
    """
    sides = ["right" if name.endswith(":") else "left" for name in header]
    head = "".join(
        f'<th scope="col" style="text-align: {side}; padding: 0 0.6em">{html.escape(name.removesuffix(":"))}</th>'
        for name, side in zip(header, sides)
    )
    body = ""
    for row in rows:
        opened = ["th scope='row'", *["td"] * (len(row) - 1)]
        style = "font-weight: normal; padding: 0 0.6em; text-align:"
        cells = (
            f'<{tag} style="{style} {side}">{html.escape(cell)}</{tag.split()[0]}>'
            for tag, side, cell in zip(opened, sides, row)
        )
        body += f"<tr>{''.join(cells)}</tr>"
    return f'<table class="table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
