"""Dense retrieval: texts as vectors of unit length, compared by inner product in a FAISS index.

The light encoder is latent semantic analysis (S. Deerwester et al., "Indexing by Latent Semantic Analysis", 1990):
TF-IDF and a truncated singular value decomposition, fitted on the corpus itself in seconds. Encoders that need a
pretrained model are in :mod:`finqa_lab.retrieve.encoders`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from zipfile import BadZipFile

import faiss
import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, sha256_bytes, write_atomic
from finqa_lab.retrieve.analysis import Analyzer


class Encoder(Protocol):
    """Turns texts into vectors.

    Attributes:
        name: identifies the encoder with its weights; an index refuses another one.
        dimension: length of the vectors.
    """

    name: str
    dimension: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Float32 [texts, dimension], rows of unit length; zeros for a text that the encoder knows nothing of."""


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1 as float32; rows of zeros stay.

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).round(3).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)


class LSA:
    """TF-IDF (sublinear counts, smoothed idf) followed by the projection on the largest singular directions.

    Args:
        vocabulary: column of every term.
        idf: float [terms].
        components: float [dimension, terms].
        analyzer: how texts become terms.
    """

    def __init__(self, vocabulary: dict[str, int], idf: np.ndarray, components: np.ndarray, analyzer: Analyzer):
        self._vectorizer = TfidfVectorizer(analyzer=analyzer, sublinear_tf=True, vocabulary=vocabulary)
        self._vectorizer.idf_ = idf
        self._components = components
        self.analyzer = analyzer
        self.dimension = len(components)
        content = idf.astype("<f4").tobytes() + components.astype("<f4").tobytes()
        self.name = f"lsa-{self.dimension}-{sha256_bytes(content)[:12]}"

    @classmethod
    def fit(
        cls, texts: Sequence[str], dimension: int = 256, analyzer: Analyzer | None = None, seed: int = 0, least: int = 2
    ) -> "LSA":
        """Fit on a corpus.

        Args:
            texts: the corpus.
            dimension: number of singular directions; fewer when the corpus has fewer terms.
            analyzer: default :class:`~finqa_lab.retrieve.analysis.Analyzer` with stop words and stems.
            seed: of the randomised decomposition.
            least: leave out terms of fewer documents.

        Raises:
            CourseError: when no term is left.
        """
        analyzer = analyzer or Analyzer()
        vectorizer = TfidfVectorizer(analyzer=analyzer, sublinear_tf=True, min_df=least)
        try:
            weights = vectorizer.fit_transform(texts)
        except ValueError:
            raise CourseError(f"no term occurs in {least} of the {len(texts)} texts; fit on a larger corpus") from None
        svd = TruncatedSVD(min(dimension, weights.shape[1]), random_state=seed).fit(weights)
        vocabulary = {term: int(column) for term, column in vectorizer.vocabulary_.items()}
        return cls(vocabulary, vectorizer.idf_.astype(np.float32), svd.components_.astype(np.float32), analyzer)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Float32 [texts, dimension], rows of unit length or zero."""
        return unit_rows(self._vectorizer.transform(texts) @ self._components.T)

    def save(self, folder: Path) -> None:
        """Write ``lsa.json`` and ``lsa.npz`` into a folder."""
        terms = sorted(self._vectorizer.vocabulary_, key=self._vectorizer.vocabulary_.get)
        settings = {"stop_words": self.analyzer.stop_words, "stemming": self.analyzer.stemming, "terms": terms}
        write_atomic(folder / "lsa.json", json.dumps(settings, ensure_ascii=False))
        np.savez(folder / "lsa.npz", idf=self._vectorizer.idf_.astype(np.float32), components=self._components)

    @classmethod
    def load(cls, folder: Path) -> "LSA":
        """Read what :meth:`save` wrote.

        Raises:
            CourseError: when a file is missing or damaged.
        """
        settings = read_json(folder / "lsa.json", "the encoder")
        try:
            with np.load(folder / "lsa.npz", allow_pickle=False) as arrays:
                idf, components = arrays["idf"], arrays["components"]
            vocabulary = {term: column for column, term in enumerate(settings["terms"])}
            return cls(vocabulary, idf, components, Analyzer(settings["stop_words"], settings["stemming"]))
        except (OSError, KeyError, TypeError, ValueError, BadZipFile) as error:
            raise CourseError(f"the encoder in {folder} is damaged ({error}); fit it again") from error


class DenseIndex:
    """Exact inner-product search (``faiss.IndexFlatIP``) over the vectors of documents."""

    def __init__(self, vectors: np.ndarray):
        self.faiss = faiss.IndexFlatIP(vectors.shape[1])
        self.add(vectors)

    def __len__(self) -> int:
        return self.faiss.ntotal

    def add(self, vectors: np.ndarray) -> None:
        """Append documents; their positions follow the last one."""
        self.faiss.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def remove(self, positions: np.ndarray) -> None:
        """Delete documents; later ones move up."""
        self.faiss.remove_ids(np.asarray(positions, dtype=np.int64))

    def scores(self, vector: np.ndarray) -> np.ndarray:
        """Inner product of a vector [dimension] with every document, float32 [documents]."""
        size = self.faiss.ntotal * self.faiss.d
        stored = faiss.rev_swig_ptr(self.faiss.get_xb(), size).reshape(-1, self.faiss.d)  # a view, no copy
        return stored @ np.asarray(vector, dtype=np.float32)

    def search(self, vector: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions and scores of the k best documents, best first."""
        scores, positions = self.faiss.search(np.asarray(vector, dtype=np.float32)[None], min(k, len(self)))
        return positions[0], scores[0]
