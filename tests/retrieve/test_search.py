from dataclasses import replace

import numpy as np
import pytest

from finqa_lab.errors import CourseError
from finqa_lab.finqa.pages import Page
from finqa_lab.retrieve.analysis import Analyzer
from finqa_lab.retrieve.chunks import Chunker
from finqa_lab.retrieve.dense import LSA
from finqa_lab.retrieve.hybrid import min_max
from finqa_lab.retrieve.pages import NameScores, PageScores
from finqa_lab.retrieve.search import CORPUS, PLAIN, REPORT, HybridSearch, Weights
from tests.retrieve.pages import acme, page

PAGES = [page(number) for number in range(10)]
PAGES[4] = replace(PAGES[4], pre_text=("net sales are described below .", *PAGES[4].pre_text))
CHUNKS = Chunker().corpus(PAGES)
ENCODER = LSA.fit([chunk.text for chunk in CHUNKS], 16)


def search(chunks=CHUNKS) -> HybridSearch:
    return HybridSearch(chunks, ENCODER)


def test_a_quoted_row_name_is_found_first_within_its_report():
    hits = search(Chunker().chunks(acme())).search("what was the change in total net sales from 2017 to 2018?", 2)
    assert hits[0].chunk.sources == ("table_3",)
    assert hits[0].score > hits[1].score


def test_the_plain_hybrid_is_the_sum_of_both_normalised_scores():
    found = search()
    question = "total net sales of the lease in 2012"
    sparse = found.sparse.scores(Analyzer()(question))
    dense = found.dense.scores(ENCODER.encode([question])[0])
    assert found.scores(question, PLAIN) == pytest.approx(min_max(sparse) + min_max(dense))


def test_the_page_weight_moves_all_chunks_of_a_page_together():
    found = search()
    question = "what was the deferred tax in 2012?"
    without = found.scores(question, Weights(name=0, numeric=False))
    moved = found.scores(question, Weights(name=0, numeric=False, page=1)) - without
    of_page = {}
    for chunk, change in zip(CHUNKS, moved):
        of_page.setdefault(chunk.page, set()).add(round(change, 9))
    assert all(len(changes) == 1 for changes in of_page.values())
    assert len(set.union(*of_page.values())) > 1


def test_chunks_without_a_number_come_last_with_the_numeric_rule():
    found = search()
    ranked = [hit.chunk.numeric for hit in found.search("net sales", len(CHUNKS))]
    assert ranked == sorted(ranked, reverse=True)
    free = [hit.chunk.numeric for hit in found.search("net sales", len(CHUNKS), Weights(numeric=False))]
    assert free != sorted(free, reverse=True)


def test_page_scores_are_those_of_the_whole_page_as_one_document():
    scores = PageScores(["p", "q", "p"], [["net"], ["tax", "cash"], ["sales", "tax"]]).scores(["net", "tax"])
    assert scores[0] == scores[2] > scores[1] > 0


def test_name_scores_worked_by_hand():
    names = NameScores([["net", "sales"], ["net", "sales", "tools", "europe"], ["net"], []])
    assert names.scores(["net", "sales", "sales"]) == pytest.approx([2 / 2**0.5, 2 / 4**0.5, 1, 0])


@pytest.mark.parametrize("weights", [REPORT, CORPUS, PLAIN])
@pytest.mark.parametrize("question", ["売上高はいくらですか", "zzz qqq", "what was the"])
def test_a_question_without_a_known_term_gives_the_first_chunks_in_order(question, weights):
    found = search()
    assert np.isfinite(found.scores(question, weights)).all()
    order = [hit.chunk for hit in found.search(question, 5, weights)]
    kept = [chunk for chunk in CHUNKS if chunk.numeric or not weights.numeric]
    assert order == kept[:5]


@pytest.mark.parametrize("question", ["", "  \n"])
def test_an_empty_question_is_refused(question):
    with pytest.raises(CourseError, match="the question is empty"):
        search().search(question)


def test_k_beyond_the_corpus_returns_everything_once():
    hits = search().search("net sales", 10_000)
    assert len(hits) == len(CHUNKS)
    assert {hit.chunk for hit in hits} == set(CHUNKS)


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(k):
    with pytest.raises(CourseError, match="k is"):
        search().search("net sales", k)


def test_a_page_with_empty_texts_is_searched_and_one_without_any_term_is_refused():
    empty = Page("p", ("", "  ", "net sales were $ 5 ."), (), (("", "x"), ("", "")))
    assert search(Chunker().chunks(empty)).search("net sales", 1)[0].chunk.sources == ("text_2",)
    with pytest.raises(CourseError, match="no term to index"):
        search(Chunker().chunks(Page("p", ("", "."), (), (("",), ("",)))))


def test_no_chunk_at_all_is_refused():
    with pytest.raises(CourseError, match="no term to index"):
        search([])


def test_duplicate_pages_are_refused():
    with pytest.raises(CourseError, match="P3/2016/page_1.pdf is there twice"):
        search(Chunker().corpus([*PAGES, PAGES[3]]))
