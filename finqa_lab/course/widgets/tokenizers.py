"""Tokenizer explorer: one text cut by three tokenizers, tokens per word, and how its numbers are cut.

The tokenizers: the general one that the course ships (English prose, digits in groups of three from the left), one that
is trained on the course's filings when it is first used (groups of three from the right), and that of the shipped model
``finqa-tiny`` (single digits).
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import ipywidgets
from matplotlib.patches import Rectangle

from finqa_lab.course.drawings import Drawing, table
from finqa_lab.course.exploring import explore
from finqa_lab.course.figures import PALETTE, axes
from finqa_lab.course.widgets.controls import choice, text_field
from finqa_lab.errors import CourseError
from finqa_lab.files import data_path
from finqa_lab.text.bpe import ByteLevelBPE
from finqa_lab.text.bpe_training import train_bpe
from finqa_lab.text.corpus import TRAIN, read_documents
from finqa_lab.text.general import general_tokenizer
from finqa_lab.text.huggingface import load_tokenizer
from finqa_lab.text.pretokenize import PreSplit

LONGEST = 400
"""Characters that are cut at most, so that the picture stays small."""
LINE = 64
"""Characters on a line of the picture."""
NAMES = ("general", "filings", "finqa-tiny")
_NUMBER = re.compile(rb"\d+(?:[.,]\d+)*")


@dataclass(frozen=True)
class Cut:
    """A text as one tokenizer cuts it.

    Attributes:
        pieces: the bytes of each token; joined they are the text.
        words: words between white space.
    """

    pieces: tuple[bytes, ...]
    words: int

    @property
    def tokens_per_word(self) -> float:
        """The fertility, which is tokens divided by words."""
        return len(self.pieces) / self.words

    @property
    def numbers(self) -> list[str]:
        """Each number of the text with a bar at every cut.

        >>> Cut((b"up ", b"1", b"2.", b"5"), 2).numbers
        ['1|2.|5']
        """
        text, ends, place = b"".join(self.pieces), set(), 0
        for piece in self.pieces:
            place += len(piece)
            ends.add(place)
        found = []
        for match in _NUMBER.finditer(text):
            cuts = [place for place in range(match.start() + 1, match.end()) if place in ends]
            borders = [match.start(), *cuts, match.end()]
            found.append("|".join(text[a:b].decode() for a, b in zip(borders, borders[1:])))
        return found


@lru_cache
def tokenizer(name: str) -> ByteLevelBPE:
    """One of ``NAMES``; that of the filings has 2,048 tokens and is trained in about a second.

    Raises:
        CourseError: for another name.
    """
    if name == "general":
        return general_tokenizer()
    if name == "filings":
        documents = read_documents(data_path(TRAIN).read_text(encoding="utf-8"))
        return train_bpe(documents, 2048, PreSplit("right"))
    if name == "finqa-tiny":
        return load_tokenizer(data_path("models/finqa-tiny/tokenizer.json"))
    raise CourseError(f"the tokenizer '{name}' is unknown; choose one of {', '.join(NAMES)}")


def cut(text: str, name: str) -> Cut:
    """Cut a text by one of the tokenizers.

    Raises:
        CourseError: when the text has no word, is longer than :obj:`LONGEST`, or cannot be written in UTF-8.

    >>> cut("1234567", "filings").numbers, cut("1234567", "finqa-tiny").numbers
    (['1|234|567'], ['1|2|3|4|5|6|7'])
    """
    if not text.split():
        raise CourseError("there is no word in the text; type one")
    if len(text) > LONGEST:
        raise CourseError(f"the text has {len(text):,} characters; shorten it to {LONGEST}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise CourseError("the text holds half a character, which has no UTF-8 form; delete it") from None
    own = tokenizer(name)
    return Cut(tuple(own.pieces[index] for index in own.encode(text)), len(text.split()))


def visible(piece: bytes) -> str:
    """A piece as it is drawn: a space as an open box, bytes that are no whole character as hexadecimal numbers.

    >>> visible(b" in"), visible("é".encode()[:1])
    ('␣in', '<C3>')
    """
    try:
        text = piece.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(f"<{byte:02X}>" for byte in piece)
    return "".join("␣" if sign == " " else sign if sign.isprintable() else f"<{ord(sign):02X}>" for sign in text)


def _placed(found: Cut, line: int) -> tuple[list[tuple[int, int, str]], int]:
    """Line, column and text of every token, from a line on, and the first line behind them."""
    boxes, column = [], 0
    for text in map(visible, found.pieces):
        if column and column + len(text) > LINE:
            line, column = line + 1, 0
        boxes.append((line, column, text))
        column += len(text)
    return boxes, line + 1


def _figure(cut_texts: list[dict[str, Cut]]):
    """Every token as a box: a block for each text, in it a heading and lines of boxes for each tokenizer."""
    headings, rows, line = [], [], 0
    for cuts in cut_texts:
        for name, found in cuts.items():
            headings.append((line, f"{name}: {len(found.pieces)} tokens, {found.tokens_per_word:.2f} a word"))
            boxes, line = _placed(found, line + 1)
            rows.append(boxes)
        line += 1  # an empty line between texts
    fig, ax = axes(width=7.6, height=0.24 * (line - 1) + 0.1)
    for place, heading in headings:
        ax.text(0, place + 0.55, heading, fontsize=9, fontweight="bold", va="center")
    for number, (place, column, text) in ((n, one) for boxes in rows for n, one in enumerate(boxes)):
        # Left out of the layout, which would measure hundreds of texts again and again; they lie inside the axes.
        look = {"facecolor": ("#D6EAF8", "#FFF3D6")[number % 2], "edgecolor": PALETTE[6], "linewidth": 0.5}
        ax.add_patch(Rectangle((column + 0.05, place + 0.08), len(text) - 0.1, 0.84, in_layout=False, **look))
        style = {"family": "monospace", "fontsize": 8, "ha": "center", "va": "center", "in_layout": False}
        ax.text(column + len(text) / 2, place + 0.52, text.replace("$", r"\$"), **style)
    ax.set(xlim=(0, LINE), ylim=(line - 1, 0))
    ax.axis("off")
    return fig


def _words(cuts: dict[str, Cut]) -> str:
    return "; ".join(
        f"{name} {len(found.pieces)} tokens, {found.tokens_per_word:.2f} a word" for name, found in cuts.items()
    )


def draw(text: str, first: str = "general", second: str = "filings", third: str = "finqa-tiny") -> Drawing:
    """The text cut by up to three tokenizers.

    Args:
        text: what is cut.
        first, second, third: of ``NAMES``; one that is named twice is shown once.
    """
    cuts = {name: cut(text, name) for name in dict.fromkeys((first, second, third))}
    rows = [
        (name, str(len(found.pieces)), f"{found.tokens_per_word:.2f}", "; ".join(found.numbers) or "none")
        for name, found in cuts.items()
    ]
    pieces = "; ".join(f"{name}: {' '.join(map(visible, found.pieces))}" for name, found in cuts.items())
    return Drawing(
        _figure([cuts]),
        caption="Every box is a token; an open box below the line stands for a space.",
        alt=f"Rows of boxes, one box a token, for each tokenizer. {pieces}.",
        below=table(("tokenizer", "tokens:", "tokens per word:", "numbers, cut at the bars"), rows),
    )


STILL = (
    "Net revenues rose 12.5% to $1,234,567 in 2013.",
    "what was the change in operating income from 2012 to 2013?",
    "1234567 + 89012 = 1323579",
)


def still() -> Drawing:
    """A sentence of a report, a question and a sum, each cut by all three tokenizers."""
    texts = {text: {name: cut(text, name) for name in NAMES} for text in STILL}
    said = " ".join(f'"{text}": {_words(cuts)}.' for text, cuts in texts.items())
    sums = texts[STILL[2]]
    return Drawing(
        _figure(list(texts.values())),
        caption="A sentence, a question and a sum, cut by three tokenizers: general prose with digits in threes from "
        "the left, filings with digits in threes from the right, and the shipped model's with single digits.",
        alt=f"Rows of boxes, one box a token. {said} The first number of the sum is cut "
        f"{', '.join(f'{name} {found.numbers[0]}' for name, found in sums.items())}.",
    )


def widget() -> ipywidgets.VBox:
    """A field to type in, three lists of tokenizers, and the drawing of their values."""
    names = list(NAMES)
    return explore(
        draw,
        text=text_field("text", STILL[0], at_once=True),
        first=choice("first tokenizer", names, names[0]),
        second=choice("second tokenizer", names, names[1]),
        third=choice("third tokenizer", names, names[2]),
    )
