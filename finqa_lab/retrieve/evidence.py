"""What a generator answers from when it stands behind a retriever: the best facts, each with its relevance.

A generator that was trained on gold facts only has never seen a fact that does not belong. It is trained on what the
retriever finds instead, with the gold facts that it missed put in (``retriever_aligned`` in
:mod:`finqa_lab.finqa.contexts`). The retriever must not have seen the question either, or its scores would be better in
training than in use: each part of the training pages is searched with a reranker that was trained on the other parts.
"""

from collections.abc import Collection, Sequence
from random import Random

import numpy as np

from finqa_lab.finqa.generator.mentions import Evidence
from finqa_lab.finqa.records import Record
from finqa_lab.retrieve.reranker import Reranker, train_reranker

FOLDS = 4


def retrieved_evidence(record: Record, reranker: Reranker, k: int = 5) -> Evidence:
    """The k best facts of the record's page, best first; its gold facts are not looked at."""
    return _evidence(record, reranker, k, ())


def training_evidence(records: Sequence[Record], k: int = 5, seed: int = 0) -> list[Evidence]:
    """For each record the k best facts and the gold facts among them, found by a reranker that did not see its page.

    Raises:
        CourseError: when a part of the pages cannot train a reranker.
    """
    pages = sorted({record.page.filename for record in records})
    Random(seed).shuffle(pages)
    part = {page: number % FOLDS for number, page in enumerate(pages)}
    found: dict[str, Evidence] = {}
    for fold in range(FOLDS):
        reranker = train_reranker([record for record in records if part[record.page.filename] != fold], seed=seed)
        for record in records:
            if part[record.page.filename] == fold:
                found[record.id] = _evidence(record, reranker, k, record.gold_facts)
    return [found[record.id] for record in records]


def _evidence(record: Record, reranker: Reranker, k: int, needed: Collection[str]) -> Evidence:
    page = record.page
    facts, order = page.facts(), reranker.rank(record.question, page)
    kept = set(order[:k])
    # A missed gold fact takes the place of the worst of the others, so that the number of facts stays k.
    for source in order[k:]:
        if source in needed:
            kept -= set([one for one in order if one in kept and one not in needed][-1:])
            kept.add(source)
    chances = 1 / (1 + np.exp(-reranker.scores(record.question, page)))
    relevance = dict(zip(page.source_ids, map(float, chances)))
    return Evidence(
        record.question, {source: facts[source] for source in order if source in kept}, record.table, relevance
    )
