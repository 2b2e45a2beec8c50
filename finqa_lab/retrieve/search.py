"""Hybrid search over chunks, of one report or of many: sparse, dense, page and row name, one score."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finqa_lab.errors import CourseError
from finqa_lab.retrieve.analysis import Analyzer
from finqa_lab.retrieve.chunks import Chunk
from finqa_lab.retrieve.dense import DenseIndex, Encoder
from finqa_lab.retrieve.hybrid import top_k, weighted
from finqa_lab.retrieve.pages import NameScores, PageScores
from finqa_lab.retrieve.sparse import BM25


@dataclass(frozen=True)
class Weights:
    """What each part adds. Sparse, dense and page scores are min-max normalised first.

    Attributes:
        sparse: BM25 of the chunk.
        dense: inner product with the encoder's vector.
        page: BM25 of the chunk's page; of use when there are several.
        name: overlap with the row's name, see :class:`~finqa_lab.retrieve.pages.NameScores`.
        numeric: rank chunks without a number last: a program takes numbers.
    """

    sparse: float = 1.0
    dense: float = 1.0
    page: float = 0.0
    name: float = 0.5
    numeric: bool = True


REPORT = Weights()
"""Within one report; chosen on the train portion (benchmarks/finqa_retrieval.py)."""
CORPUS = Weights(page=2.0)
"""Over many reports; chosen likewise."""
PLAIN = Weights(name=0.0, numeric=False)
"""The textbook hybrid, half sparse and half dense, for comparison."""
_NO_NUMBER = -1.0  # all other scores are at least 0


@dataclass(frozen=True)
class Hit:
    """A found chunk and its score."""

    chunk: Chunk
    score: float


class HybridSearch:
    """Chunks made searchable in memory.

    Args:
        chunks: what is searched; at least one must hold a term.
        encoder: for the dense part.
        analyzer: for the sparse parts.
        dense: the encoder's vectors of the chunks, when they are known already.

    Raises:
        CourseError: when no chunk holds a term, or a page is there twice.
    """

    def __init__(
        self,
        chunks: Sequence[Chunk],
        encoder: Encoder,
        analyzer: Analyzer | None = None,
        dense: DenseIndex | None = None,
    ):
        self.chunks = list(chunks)
        headers = Counter(chunk.page for chunk in self.chunks if chunk.sources == ("table_0",))
        if headers and max(headers.values()) > 1:
            raise CourseError(f"page {headers.most_common(1)[0][0]} is there twice; give every page once")
        self.encoder = encoder
        self.analyzer = analyzer or Analyzer()
        terms = [self.analyzer(chunk.text) for chunk in self.chunks]
        self.sparse = BM25(terms)
        self.dense = dense or DenseIndex(encoder.encode([chunk.text for chunk in self.chunks]))
        self.pages = PageScores([chunk.page for chunk in self.chunks], terms)
        self.names = NameScores([self.analyzer(chunk.name) for chunk in self.chunks])
        self.numeric = np.array([chunk.numeric for chunk in self.chunks])

    def scores(self, question: str, weights: Weights = REPORT) -> np.ndarray:
        """Score of every chunk, float64.

        A question without a known term (another script, say) gives every chunk the same score.

        Raises:
            CourseError: when the question is blank.
        """
        if not question.strip():
            raise CourseError("the question is empty; ask something about the reports")
        query = self.analyzer(question)
        parts = [
            (weights.sparse, lambda: self.sparse.scores(query)),
            (weights.dense, lambda: self.dense.scores(self.encoder.encode([question])[0])),
            (weights.page, lambda: self.pages.scores(query)),
        ]
        used = [(weight, score()) for weight, score in parts if weight]
        total = np.zeros(len(self.chunks))
        if used:
            total = weighted([score for _, score in used], [weight for weight, _ in used])
        if weights.name:
            total = total + weights.name * self.names.scores(query)
        return np.where(self.numeric, total, _NO_NUMBER) if weights.numeric else total

    def search(self, question: str, k: int = 5, weights: Weights = REPORT) -> list[Hit]:
        """The k best chunks, best first; all of them when there are fewer, the earlier one first among equals.

        Raises:
            CourseError: when the question is blank or k < 1.
        """
        if k < 1:
            raise CourseError(f"k is {k}; ask for at least one chunk")
        scores = self.scores(question, weights)
        return [Hit(self.chunks[position], float(scores[position])) for position in top_k(scores, k)]
