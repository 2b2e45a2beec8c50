"""The retrieval ladder: the same questions under three texts of a table row and several retrievers, within a report.

Each rung differs from another by one thing, so that the reader sees what a step is worth. ``compare`` says whether two
data sets put the rungs in the same order (M. Kendall, "A New Measure of Rank Correlation", 1938): a made-up data set
that ranks methods otherwise would teach the wrong lesson.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np

from finqa_lab.finqa.pages import Page
from finqa_lab.finqa.records import Record
from finqa_lab.retrieve.analysis import Analyzer
from finqa_lab.retrieve.chunks import ROW_TEXTS, Chunker
from finqa_lab.retrieve.dense import LSA
from finqa_lab.retrieve.hybrid import reciprocal_rank, top_k
from finqa_lab.retrieve.metrics import KS, measure
from finqa_lab.retrieve.search import PLAIN, REPORT, HybridSearch
from finqa_lab.retrieve.sparse import BM25

Ranker = Callable[[str, Page], list[str]]
"""Question and page to source ids, best first."""


def measured(rank: Ranker, records: Sequence[Record], ks: Sequence[int] = KS) -> dict[str, dict[str, float]]:
    """All measures of every question with gold facts, by question id."""
    return {
        record.id: measure(rank(record.question, record.page), record.gold_facts, ks)
        for record in records
        if record.gold_facts
    }


def rankers(rows: str, encoder: LSA) -> dict[str, Ranker]:
    """The retrievers that need no training, over one text of a row.

    Args:
        rows: a key of :obj:`~finqa_lab.retrieve.chunks.ROW_TEXTS`.
        encoder: for the dense part.

    Returns:
        ``words``: BM25 as ``rank-bm25`` has it, over words as written; ``sparse``: BM25 over stems without stop words;
        ``dense``; ``hybrid``: half and half of the two; ``fusion``: their reciprocal ranks; ``names``: the hybrid with
        the row's name, chunks without a number last.
    """
    chunker, words = Chunker(rows=rows), Analyzer(stop_words=False, stemming=False)
    searches: dict[str, HybridSearch] = {}

    def search(page: Page) -> HybridSearch:
        if page.filename not in searches:
            searches[page.filename] = HybridSearch(chunker.chunks(page), encoder)
        return searches[page.filename]

    def sparse(question: str, page: Page) -> np.ndarray:
        found = search(page)
        return found.sparse.scores(found.analyzer(question))

    def dense(question: str, page: Page) -> np.ndarray:
        return search(page).dense.scores(encoder.encode([question])[0])

    scores = {
        "words": lambda question, page: BM25(
            [words(chunk.text) for chunk in search(page).chunks], variant="okapi"
        ).scores(words(question)),
        "sparse": sparse,
        "dense": dense,
        "hybrid": lambda question, page: search(page).scores(question, PLAIN),
        "fusion": lambda question, page: reciprocal_rank([sparse(question, page), dense(question, page)]),
        "names": lambda question, page: search(page).scores(question, REPORT),
    }  # fmt: skip
    return {name: _ranker(score) for name, score in scores.items()}


def _ranker(score: Callable[[str, Page], np.ndarray]) -> Ranker:
    def rank(question: str, page: Page) -> list[str]:
        scores, sources = score(question, page), page.source_ids
        return [sources[position] for position in top_k(scores, len(scores))]

    return rank


def all_rungs(
    records: Sequence[Record], pages: Mapping[str, Page], reranker: Ranker | None = None, dimension: int = 256
) -> dict[tuple[str, str], dict[str, dict[str, float]]]:
    """Every rung measured: (text of a row, retriever) to the measures of every question.

    Args:
        records: questions; those without gold facts are left out.
        pages: the corpus that the dense encoder is fitted on, for each text of a row anew.
        reranker: the last rung; it must not be trained on these questions.
        dimension: of the encoder.
    """
    rungs = {}
    for rows in ROW_TEXTS:
        encoder = LSA.fit([chunk.text for chunk in Chunker(rows=rows).corpus(pages.values())], dimension)
        for name, rank in rankers(rows, encoder).items():
            rungs[rows, name] = measured(rank, records)
    if reranker is not None:
        rungs["sentences", "reranker"] = measured(reranker, records)
    return rungs


def compare(first: Mapping[tuple, float], second: Mapping[tuple, float], margin: float = 0.0) -> dict:
    """Whether two data sets put the same rungs in the same order.

    >>> compare({"a": 0.5, "b": 0.6, "c": 0.7}, {"a": 0.1, "b": 0.3, "c": 0.2})
    {'tau': 0.3333333333333333, 'pairs': 3, 'inversions': [('b', 'c')]}

    Args:
        first: rung to its mean.
        second: the same rungs.
        margin: pairs that differ by no more than this in either data set count as equal and are left out.

    Returns:
        ``tau``: Kendall's, agreeing minus disagreeing pairs, divided by their number; 1 without any pair.
        ``pairs``: how many are compared. ``inversions``: those in the opposite order, the worse in ``first`` named
        first.
    """
    agreeing, inversions = 0, []
    for one, other in combinations(first, 2):
        a, b = first[other] - first[one], second[other] - second[one]
        if min(abs(a), abs(b)) <= margin:
            continue
        if a * b > 0:
            agreeing += 1
        else:
            inversions.append((one, other) if a > 0 else (other, one))
    pairs = agreeing + len(inversions)
    return {"tau": (agreeing - len(inversions)) / pairs if pairs else 1.0, "pairs": pairs, "inversions": inversions}
