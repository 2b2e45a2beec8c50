"""Cutting pages into the pieces that are searched; each piece knows which of the dataset's units it holds.

How a table row is turned into text is worth more than the choice of retriever (benchmarks/finqa_retrieval.py): the
cells alone do not say what they are, the header above them does, and a clause a cell says both together.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate

from finqa_lab.errors import CourseError
from finqa_lab.finqa.pages import Page, row_sentences
from finqa_lab.retrieve.analysis import numbers


@dataclass(frozen=True, slots=True)
class Chunk:
    """A searchable piece of a page.

    Attributes:
        page: id of the page.
        sources: ids of the units that it holds, ``text_i`` or ``table_i`` as in a record's gold facts.
        text: what is matched.
        name: first cell of a table row; "" for text and for the header row.
        numeric: whether it holds a number that a program could take: in a row, beside the name and below the header.
    """

    page: str
    sources: tuple[str, ...]
    text: str
    name: str
    numeric: bool


def plain_row(header: Sequence[str], row: Sequence[str]) -> str:
    """The cells alone."""
    return " ".join(row)


def header_row(header: Sequence[str], row: Sequence[str]) -> str:
    """The header's cells, then the row's."""
    return " ".join([*header, *row])


ROW_TEXTS = {"plain": plain_row, "header": header_row, "sentences": row_sentences}
"""Ways to turn a table row into text; ``sentences`` is the dataset's own: "the X of Y is Z ;" for each cell."""


@dataclass(frozen=True)
class Chunker:
    """How pages are cut; its fields go into an index's manifest.

    Attributes:
        text: ``"sentence"`` takes the dataset's own text units, ``"window"`` slides over the words of the texts before
            the table, and over those after it.
        rows: a key of :obj:`ROW_TEXTS`; every row is a chunk.
        words: length of a window.
        overlap: words that a window shares with the one before.
    """

    text: str = "sentence"
    rows: str = "sentences"
    words: int = 100
    overlap: int = 20

    def __post_init__(self):
        if self.text not in ("sentence", "window"):
            raise CourseError(f"the text chunker '{self.text}' is unknown; choose sentence or window")
        if self.rows not in ROW_TEXTS:
            raise CourseError(f"the row text '{self.rows}' is unknown; choose one of {', '.join(ROW_TEXTS)}")
        if not 0 <= self.overlap < self.words:
            raise CourseError(
                f"an overlap of {self.overlap} in windows of {self.words} words; it must be 0 to words - 1"
            )

    def chunks(self, page: Page) -> list[Chunk]:
        """The page's texts in reading order, then its table rows.

        With sentences, chunk i holds exactly unit i of ``page.source_ids``.
        """
        sources = page.source_ids
        texts = len(page.texts)
        if self.text == "sentence":
            found = [self._text(page.filename, (source,), text) for source, text in zip(sources, page.texts)]
        else:
            before = len(page.pre_text)
            found = self._windows(page.filename, sources[:before], page.pre_text)
            found += self._windows(page.filename, sources[before:texts], page.post_text)
        header, *rows = page.table
        found.append(Chunk(page.filename, (sources[texts],), self._row(header, header), "", False))
        for source, row in zip(sources[texts + 1 :], rows):
            numeric = any(numbers(cell) for cell in row[1:])
            found.append(Chunk(page.filename, (source,), self._row(header, row), row[0], numeric))
        return found

    def corpus(self, pages: Iterable[Page]) -> list[Chunk]:
        """The chunks of all pages, in order."""
        return [chunk for page in pages for chunk in self.chunks(page)]

    def settings(self) -> dict:
        """What a manifest records: two chunkers with equal settings cut alike."""
        fields = asdict(self)
        return fields if self.text == "window" else {name: fields[name] for name in ("text", "rows")}

    def _row(self, header: Sequence[str], row: Sequence[str]) -> str:
        return ROW_TEXTS[self.rows](header, row)

    def _text(self, page: str, sources: tuple[str, ...], text: str) -> Chunk:
        return Chunk(page, sources, text, "", bool(numbers(text)))

    def _windows(self, page: str, sources: Sequence[str], texts: Sequence[str]) -> list[Chunk]:
        words = [text.split() for text in texts]
        ends = list(accumulate(map(len, words)))
        line = [word for text in words for word in text]
        found = []
        for start in range(0, max(len(line) - self.overlap, 1) if line else 0, self.words - self.overlap):
            end = min(start + self.words, len(line))
            covered = [
                source
                for source, length, last in zip(sources, map(len, words), ends)
                if last - length < end and last > start
            ]
            found.append(self._text(page, tuple(covered), " ".join(line[start:end])))
        return found
