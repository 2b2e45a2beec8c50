"""Evidence behind a retriever: how many facts, which, in what order, and that nothing is peeked at."""

import math
from dataclasses import replace

import pytest

from finqa_lab.finqa.synthetic.reports import load_reports
from finqa_lab.retrieve.evidence import retrieved_evidence, training_evidence
from finqa_lab.retrieve.reranker import train_reranker

RECORDS = load_reports("train")[:60]


@pytest.fixture(scope="module")
def reranker():
    return train_reranker(RECORDS)


def test_the_best_facts_in_order_with_their_chances(reranker):
    record = load_reports("dev")[0]
    found = retrieved_evidence(record, reranker, 4)
    assert list(found.facts) == reranker.rank(record.question, record.page)[:4]
    assert all(found.facts[source] == record.page.facts()[source] for source in found.facts)
    odds = dict(zip(record.page.source_ids, reranker.scores(record.question, record.page)))
    for source in found.facts:
        assert found.relevance[source] == pytest.approx(1 / (1 + math.exp(-odds[source])))


def test_gold_facts_are_not_looked_at_in_use(reranker):
    record = load_reports("dev")[1]
    assert retrieved_evidence(record, reranker) == retrieved_evidence(replace(record, gold_facts={}), reranker)


def test_training_facts_hold_the_gold_ones_and_no_more_than_k():
    found = training_evidence(RECORDS, 3)
    assert [one.question for one in found] == [record.question for record in RECORDS]
    for one, record in zip(found, RECORDS):
        assert len(one.facts) == 3 and set(record.gold_facts) <= set(one.facts)


def test_training_facts_come_from_rerankers_that_did_not_see_the_page(reranker):
    """Scores of a reranker on its own training pages are too good; those used for training are not."""
    seen = [retrieved_evidence(record, reranker, 3) for record in RECORDS]
    fair = training_evidence(RECORDS, 3)
    chance = [
        sum(one.relevance[source] for one, record in zip(found, RECORDS) for source in record.gold_facts)
        for found in (seen, fair)
    ]
    assert chance[0] > chance[1]
