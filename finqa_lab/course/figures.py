"""Figures: one style, one colour-blind-safe palette, and no picture without caption and alt text."""

import base64
import html
import io
import re

import matplotlib.pyplot as plt
from cycler import cycler

# Okabe and Ito's palette ("Color Universal Design", 2008): distinguishable with the common colour-vision deficiencies.
# Yellow comes last, it is too light for lines on white.
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442"]
_MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]  # a second cue beside colour
_STYLE = {
    "axes.prop_cycle": cycler(color=PALETTE, marker=_MARKERS),
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "image.cmap": "cividis",  # perceptually uniform, readable in greyscale
    "legend.frameon": False,
}


def axes(rows: int = 1, cols: int = 1, width: float = 7.0, height: float = 3.2, **options):
    """A matplotlib figure and its axes in the course's style.

    Args:
        rows, cols: grid of axes, as in ``plt.subplots``.
        width, height: size of the whole figure in inches.
        options: passed to ``plt.subplots`` (``sharey=True``, ...).
    """
    plt.rcParams.update(_STYLE)  # for the rest of the notebook: legends and labels are drawn after this call
    return plt.subplots(rows, cols, figsize=(width, height), layout="constrained", **options)


def figure(fig, *, caption: str, alt: str) -> None:
    """Show ``fig`` as an HTML figure with a caption and alternative text, and close it.

    Args:
        fig: a matplotlib figure.
        caption: what the figure shows and under which conditions; one to three sentences.
        alt: what a sighted reader sees: the kind of plot, the trend, the key values. At least 40 characters, and
            not the caption again.

    Raises:
        ValueError: when either text is missing or the alt text is not a description.
    """
    png, width = picture(fig)
    show_picture(png, caption=caption, alt=alt, width=width)


def picture(fig) -> tuple[bytes, int]:
    """``fig`` as PNG bytes, the same for the same drawing, and its width in CSS pixels; closes it."""
    content = io.BytesIO()
    fig.savefig(content, format="png", metadata={"Software": None})
    plt.close(fig)
    return content.getvalue(), round(100 * fig.get_figwidth())


def show_picture(png: bytes, *, caption: str, alt: str, width: int) -> None:
    """Display PNG bytes ``width`` CSS pixels wide, with caption and alt text; :func:`figure` has the rules on both."""
    from IPython.display import display

    markup = picture_markup(png, caption=caption, alt=alt, width=width)
    caption, alt = " ".join(caption.split()), " ".join(alt.split())
    display({"text/html": markup, "text/plain": f"[figure] {caption}\n[alt] {alt}"}, raw=True)


def picture_markup(png: bytes, *, caption: str, alt: str, width: int) -> str:
    """The HTML of :func:`show_picture`, for a page that is no notebook; the same rules on caption and alt text."""
    caption, alt = " ".join(caption.split()), " ".join(alt.split())
    problem = alt_problem(alt) or ("the caption is empty" if not caption else "")
    if not problem and alt == caption:
        problem = "the alt text repeats the caption; it must say what a sighted reader sees"
    if problem:
        raise ValueError(f"figure: {problem}")
    source = base64.b64encode(png).decode("ascii")
    return (
        '<figure style="margin: 1em 0">'
        f'<img src="data:image/png;base64,{source}" alt="{html.escape(alt)}" '
        f'style="width: {width}px; max-width: 100%; background: white">'
        f'<figcaption style="color: inherit">{html.escape(caption)}</figcaption></figure>'
    )


def alt_problem(alt: str) -> str:
    """Why ``alt`` is no meaningful alternative text, or "" when it is; the book's test uses the same rule.

    >>> alt_problem("../_images/4f2a.png")
    "the alt text '../_images/4f2a.png' is a file name"
    """
    if re.search(r"_images/|\.(png|svg|jpe?g|gif)\b", alt):
        return f"the alt text {alt!r} is a file name"
    if len(alt) < 40:
        return f"the alt text {alt!r} is too short to describe a figure (40 characters at least)"
    return ""
