"""BM25 over ``bm25s``: the scores of all documents are computed when the index is built, and added up for a query.

BM25 (S. Robertson, H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009) gives a document with
``tf`` occurrences of a term

    idf(term) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / mean length)).

The variants differ in ``idf``; with N documents, n of them with the term:

- ``lucene``: ``log(1 + (N - n + 0.5) / (n + 0.5))``, always positive; the constant factor k1 + 1 is left out;
- ``okapi``: ``log((N - n + 0.5) / (n + 0.5))``, as in ``rank-bm25``, where a negative value (a term in more than half
  of the documents) is replaced by a quarter of the mean over the vocabulary.

Source of the eager scores: X. H. Lu, "BM25S: Orders of magnitude faster lexical search via eager sparse scoring", 2024.
"""

import logging
from collections.abc import Sequence

import bm25s
import numpy as np

from finqa_lab.errors import CourseError
from finqa_lab.retrieve.hybrid import top_k

EPSILON = 0.25
logging.getLogger("bm25s").setLevel(logging.WARNING)  # it logs every index that is built


class BM25:
    """An index over documents given as lists of terms.

    >>> index = BM25([["net", "sales"], ["net", "income", "tax"], []])
    >>> index.search(["income"], 1)[0].tolist()
    [1]

    Args:
        documents: terms of each document; a document may be empty, not all of them.
        k1: how slowly repeated terms saturate.
        b: how much long documents are discounted, 0 to 1.
        variant: ``"lucene"`` or ``"okapi"``.

    Raises:
        CourseError: when there is no term to index, or the variant is unknown.
    """

    def __init__(self, documents: Sequence[Sequence[str]], k1: float = 1.5, b: float = 0.75, variant: str = "lucene"):
        if variant not in ("lucene", "okapi"):
            raise CourseError(f"the BM25 variant '{variant}' is unknown; choose lucene or okapi")
        self.vocabulary: dict[str, int] = {}
        terms = [[self.vocabulary.setdefault(term, len(self.vocabulary)) for term in text] for text in documents]
        if not self.vocabulary:
            raise CourseError("there is no term to index; give at least one document that is not empty")
        method = "lucene" if variant == "lucene" else "atire"
        index = bm25s.BM25(k1=k1, b=b, method=method, idf_method="lucene", dtype="float64")
        index.index((terms, dict(self.vocabulary)), create_empty_token=False, show_progress=False)
        self.documents = len(documents)
        self._weights, self._rows, self._starts = (index.scores[name] for name in ("data", "indices", "indptr"))
        if variant == "okapi":
            self._weights = self._weights * np.repeat(self._okapi_ratio(), np.diff(self._starts))

    def scores(self, query: Sequence[str]) -> np.ndarray:
        """Score of every document, float64; a term that occurs twice in the query counts twice, an unknown one not."""
        found = np.zeros(self.documents)
        for term in query:
            column = self.vocabulary.get(term)
            if column is not None:
                part = slice(self._starts[column], self._starts[column + 1])
                found[self._rows[part]] += self._weights[part]  # a document occurs once in a column
        return found

    def search(self, query: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions and scores of the k best documents, best first."""
        scores = self.scores(query)
        best = top_k(scores, k)
        return best, scores[best]

    def _okapi_ratio(self) -> np.ndarray:
        """By how much Okapi's idf is larger than Lucene's, for each term of the vocabulary."""
        having = np.diff(self._starts).astype(np.float64)
        odds = (self.documents - having + 0.5) / (having + 0.5)
        okapi = np.log(odds)
        okapi[okapi < 0] = EPSILON * okapi.mean()
        return okapi / np.log1p(odds)
