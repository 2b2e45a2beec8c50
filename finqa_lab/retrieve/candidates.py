"""What a reranker knows of a page before any question: its units cut, counted, indexed and placed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from finqa_lab.finqa.pages import Page
from finqa_lab.retrieve.analysis import Analyzer, numbers, years
from finqa_lab.retrieve.chunks import Chunker
from finqa_lab.retrieve.dense import Encoder, unit_rows
from finqa_lab.retrieve.pages import NameScores
from finqa_lab.retrieve.sparse import BM25

TERMS = Analyzer()
WORDS = Analyzer(stop_words=False, stemming=False)
_CAPTION = re.compile(r"follow|below|summar|schedule|in millions|in thousands|present|reconcil|table|graph|set forth")
_UNIT = re.compile(r"million|billion|thousand")


def pairs(terms: Sequence[str]) -> list[str]:
    """Neighbouring terms as one.

    >>> pairs(["net", "sale", "2008"])
    ['net sale', 'sale 2008']
    """
    return [f"{first} {second}" for first, second in zip(terms, terms[1:])]


class PageTfidf:
    """Cosine of TF-IDF vectors fitted on one page: a word is rare when it is rare on this page."""

    def __init__(self, texts: Sequence[str]):
        self._vectorizer = TfidfVectorizer(analyzer=TERMS, sublinear_tf=True)
        try:
            self._matrix = self._vectorizer.fit_transform(texts)
        except ValueError:  # no term on the page
            self._matrix = None
        self._zero = np.zeros(len(texts))

    def scores(self, question: str) -> np.ndarray:
        """One cosine a text, float64."""
        if self._matrix is None:
            return self._zero
        return (self._matrix @ self._vectorizer.transform([question]).T).toarray()[:, 0]


class EmptyIndex:
    """Stands in for an index over texts without a term."""

    def __init__(self, count: int):
        self._zero = np.zeros(count)

    def scores(self, query: Sequence[str]) -> np.ndarray:
        """Zero for every text."""
        return self._zero


@dataclass(frozen=True, eq=False)
class Candidates:
    """The units of a page in the order of its ``source_ids``; every list and array has one entry a unit.

    Attributes:
        page: the page.
        rows: whether it is a table row.
        terms: stems without stop words.
        names: terms of the row name, empty for text and the header row.
        name_texts: the row name as written.
        years: years in it.
        name_years: years in the row name.
        numbers: numbers as written.
        header_terms: terms of the table's header row.
        header_years: its years.
        bm25: over stems.
        words: BM25 over all words as written.
        pairs: BM25 over neighbouring stems.
        tfidf: cosines fitted on the page.
        name_scores: how much of the row name is quoted.
        vectors: the encoder's, float32 [units, dimension].
        fixed: features that no question changes, by name.
    """

    page: Page
    rows: np.ndarray
    terms: list[list[str]]
    names: list[frozenset[str]]
    name_texts: list[str]
    years: list[set[str]]
    name_years: list[set[str]]
    numbers: list[set[str]]
    header_terms: set[str]
    header_years: set[str]
    bm25: BM25 | EmptyIndex
    words: BM25 | EmptyIndex
    pairs: BM25 | EmptyIndex
    tfidf: PageTfidf
    name_scores: NameScores
    vectors: np.ndarray
    fixed: dict[str, np.ndarray]

    @property
    def kinds(self) -> list[np.ndarray]:
        """Positions of the texts, then of the rows."""
        return [np.flatnonzero(~self.rows), np.flatnonzero(self.rows)]


def candidates(page: Page, encoder: Encoder) -> Candidates:
    """Cut a page into its units and compute what needs no question."""
    chunks = Chunker().chunks(page)
    texts = [chunk.text for chunk in chunks]
    terms = [TERMS(text) for text in texts]
    names = [TERMS(chunk.name) for chunk in chunks]
    rows = np.arange(len(texts)) >= len(page.texts)
    vectors = encoder.encode(texts)
    header = " ".join(page.table[0])
    fixed = _places(page, rows) | _counts(texts, terms)
    fixed |= {
        "numeric": [chunk.numeric for chunk in chunks],
        "total_row": ["total" in chunk.name for chunk in chunks],
        "name_terms": [len(name) for name in names],
        "row_gaps": [0] * len(page.texts) + [sum(not numbers(cell) for cell in row[1:]) for row in page.table],
        "to_table_middle": vectors @ unit_rows(vectors[rows].sum(axis=0, keepdims=True))[0],
    }
    return Candidates(
        page=page,
        rows=rows,
        terms=terms,
        names=[frozenset(name) for name in names],
        name_texts=[chunk.name for chunk in chunks],
        years=[years(text) for text in texts],
        name_years=[years(chunk.name) for chunk in chunks],
        numbers=[set(numbers(text)) for text in texts],
        header_terms=set(TERMS(header)),
        header_years=years(header),
        bm25=_index(terms),
        words=_index([WORDS(text) for text in texts]),
        pairs=_index([pairs(found) for found in terms]),
        tfidf=PageTfidf(texts),
        name_scores=NameScores(names),
        vectors=vectors,
        fixed={name: np.asarray(values, dtype=np.float64) for name, values in fixed.items()},
    )


def _index(documents: Sequence[Sequence[str]]) -> BM25 | EmptyIndex:
    return BM25(documents) if any(documents) else EmptyIndex(len(documents))


def _places(page: Page, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Where a unit stands among those of its kind, and how far a text is from the table."""
    total, texts, before = len(rows), len(page.texts), len(page.pre_text)
    place = np.arange(total)
    return {
        "is_row": rows,
        "place": np.where(rows, place - texts, place),
        "place_share": np.where(rows, (place - texts) / (total - texts), place / max(texts, 1)),
        "place_from_end": np.where(rows, total - place, texts - place),
        "to_table": np.where(rows, 0, np.where(place < before, before - place, before - place - 1)),
        "is_header": place == texts,
        "units": np.full(total, total),
        "table_rows": np.full(total, total - texts),
        "table_columns": np.full(total, len(page.table[0])),
    }


def _counts(texts: Sequence[str], terms: Sequence[Sequence[str]]) -> dict[str, list]:
    """Words, amounts and marks in a unit."""
    colons = [text.rstrip(" .").endswith(":") for text in texts]
    return {
        "words": [len(text.split()) for text in texts],
        "terms": [len(set(found)) for found in terms],
        "amounts": [len(numbers(text)) for text in texts],
        "amounts_but_years": [sum(number not in years(text) for number in numbers(text)) for text in texts],
        "years": [len(years(text)) for text in texts],
        "dollars": [text.count("$") for text in texts],
        "percents": [text.count("%") for text in texts],
        "scales": [len(_UNIT.findall(text)) for text in texts],
        "captions": [len(_CAPTION.findall(text)) for text in texts],
        "colon": colons,
        "after_colon": [False, *colons[:-1]],
        "repeated": [texts[:position].count(text) for position, text in enumerate(texts)],
    }
