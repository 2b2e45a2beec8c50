"""The two scores that a chunk gets from around it: its page's, and its row name's.

In a corpus of many reports the words of a question are spread over its page: one sentence names the subject, a row has
the figure. A page scored as one document finds the page; its score is then added to that of its chunks
(page-then-chunk). The name of a row is what questions quote, so words in it count more than words in the cells.
"""

import math
from collections.abc import Sequence

import numpy as np

from finqa_lab.retrieve.sparse import BM25


class PageScores:
    """BM25 over pages, a page being all its chunks.

    Args:
        pages: page id of every chunk.
        terms: terms of every chunk.
    """

    def __init__(self, pages: Sequence[str], terms: Sequence[Sequence[str]]):
        numbers: dict[str, int] = {}
        self._of_chunk = np.array([numbers.setdefault(page, len(numbers)) for page in pages])
        documents: list[list[str]] = [[] for _ in numbers]
        for number, chunk in zip(self._of_chunk, terms):
            documents[number].extend(chunk)
        self._index = BM25(documents)

    def scores(self, query: Sequence[str]) -> np.ndarray:
        """The score of its page, for every chunk."""
        return self._index.scores(query)[self._of_chunk]


class NameScores:
    """How much of a row's name a question quotes: shared terms divided by the square root of the name's terms.

    A long name must be quoted at length to beat a short one that is quoted whole.

    >>> names = NameScores([["net", "sales"], ["net", "sales", "of", "tools"], []])
    >>> names.scores(["net", "sales", "2008"]).round(2).tolist()
    [1.41, 1.0, 0.0]

    Args:
        names: terms of the row name of every chunk, [] for text.
    """

    def __init__(self, names: Sequence[Sequence[str]]):
        self._rows: dict[str, list[int]] = {}
        self._scale = np.zeros(len(names))
        for row, name in enumerate(names):
            distinct = set(name)
            self._scale[row] = 1 / math.sqrt(len(distinct)) if distinct else 0.0
            for term in distinct:
                self._rows.setdefault(term, []).append(row)

    def scores(self, query: Sequence[str]) -> np.ndarray:
        """One score a chunk, 0 for text; repeated query terms count once."""
        shared = np.zeros(len(self._scale))
        for term in set(query):
            shared[self._rows.get(term, [])] += 1
        return shared * self._scale
