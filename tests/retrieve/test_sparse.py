import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from finqa_lab.errors import CourseError
from finqa_lab.finqa.splits import read_split
from finqa_lab.retrieve.analysis import Analyzer
from finqa_lab.retrieve.chunks import Chunker
from finqa_lab.retrieve.sparse import BM25
from tests.finqa_data import finqa_folder

documents = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=8), min_size=1, max_size=9).filter(any)
queries = st.lists(st.sampled_from("abcdefghxy"), max_size=5)


@settings(deadline=None)
@given(documents, queries, st.floats(0.2, 3), st.floats(0, 0.99))  # at b = 1 the peer divides an empty text by zero
def test_okapi_scores_equal_rank_bm25_on_random_documents(texts, query, k1, b):
    theirs = BM25Okapi(texts, k1=k1, b=b).get_scores(query)
    assert BM25(texts, k1, b, "okapi").scores(query) == pytest.approx(theirs, abs=1e-9)


def test_okapi_scores_equal_rank_bm25_on_real_reports():
    folder = finqa_folder("train.json")
    split = read_split(folder, "train")
    analyzer = Analyzer(stop_words=False, stemming=False)
    pages = {record.page.filename: record.page for record in split.records[:150]}
    texts = [analyzer(chunk.text) for chunk in Chunker().corpus(pages.values())]
    ours, theirs = BM25(texts, variant="okapi"), BM25Okapi(texts)
    for record in split.records[:20]:
        query = analyzer(record.question)
        assert np.abs(ours.scores(query) - theirs.get_scores(query)).max() < 1e-9


def test_lucene_scores_worked_by_hand():
    index = BM25([["a", "b"], ["a", "a", "c", "c"]], k1=1.5, b=0.75)
    idf = np.log(1 + 0.5 / 2.5)  # both documents have a
    lengths = 1.5 * (0.25 + 0.75 * np.array([2, 4]) / 3)
    assert index.scores(["a"]) == pytest.approx(idf * np.array([1 / (1 + lengths[0]), 2 / (2 + lengths[1])]))


def test_a_repeated_query_term_counts_twice_and_an_unknown_one_not():
    index = BM25([["a", "b"], ["b", "c"]])
    assert index.scores(["a", "a", "zzz"]) == pytest.approx(2 * index.scores(["a"]))
    assert index.scores([]).tolist() == index.scores(["売上"]).tolist() == [0.0, 0.0]


def test_empty_documents_score_zero_and_k_may_exceed_the_corpus():
    index = BM25([[], ["a"], []])
    positions, scores = index.search(["a"], 10)
    assert positions.tolist() == [1, 0, 2] and scores[0] > 0 and scores[1:].tolist() == [0, 0]


@pytest.mark.parametrize("texts", [[], [[], []]])
def test_a_corpus_without_terms_is_refused(texts):
    with pytest.raises(CourseError, match="no term to index"):
        BM25(texts)


def test_an_unknown_variant_is_refused():
    with pytest.raises(CourseError, match="'plus' is unknown"):
        BM25([["a"]], variant="plus")
