"""The retrieval explorer: scores of the library, gold units of shipped questions, settings that matter."""

import numpy as np
import pytest

from finqa_lab.course.widgets import retrieval
from finqa_lab.course.widgets.retrieval import ALL, EXAMPLE, questions, rank_units
from finqa_lab.errors import CourseError
from finqa_lab.retrieve.search import Weights

PAGE = questions()[EXAMPLE].page.filename


def test_the_fused_scores_are_those_of_the_hybrid_search():
    found = rank_units(EXAMPLE, PAGE, weight=0.3)
    search = retrieval._search(PAGE, "sentences", retrieval.Analyzer())
    wanted = search.scores(EXAMPLE, Weights(sparse=0.3, dense=0.7, name=0, numeric=False))
    assert found.scores["fused"] == pytest.approx(wanted)


def test_the_numbers_of_the_chapter():
    ranks = {rows: rank_units(EXAMPLE, PAGE, rows).gold_ranks("BM25") for rows in ("plain", "header", "sentences")}
    assert ranks == {"plain": [31], "header": [2], "sentences": [3]}
    assert len(rank_units(EXAMPLE, PAGE).chunks) == 38


@pytest.mark.parametrize(("weight", "kind"), [(1.0, "BM25"), (0.0, "dense")])
def test_with_all_the_weight_the_fused_ranks_are_those_of_one_retriever(weight, kind):
    found = rank_units(EXAMPLE, PAGE, weight=weight)
    assert np.array_equal(found.rank("fused"), found.rank(kind))


def test_over_all_pages_there_are_more_units_and_the_needed_one_is_found_later():
    one, every = rank_units(EXAMPLE, PAGE), rank_units(EXAMPLE, ALL)
    assert len(every.chunks) > 9000 and sum(every.gold) == sum(one.gold) == 1
    assert every.gold_ranks("fused") > one.gold_ranks("fused")


def test_a_question_of_one_s_own_has_no_gold():
    found = rank_units("what was the net income?", PAGE)
    assert not any(found.gold)
    assert "your own" in retrieval.draw(question="what was the net income?", page=PAGE).above


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"question": " "}, "is empty"),
        ({"question": "xyzzy 多少"}, "no word of the question"),
        ({"page": "NONE/1"}, "there is no page"),
        ({"fusion": "best"}, "choose from the lists"),
        ({"weight": 1.5}, "from 0 to 1"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_sentence(change, said):
    with pytest.raises(CourseError, match=said):
        retrieval.draw(**{"question": EXAMPLE, "page": PAGE} | change)


def test_a_question_from_the_list_brings_its_page():
    panel = retrieval.widget()
    fields = {child.description: child for child in panel.children[:-1]}
    other = next(text for text, record in questions().items() if record.page.filename != PAGE)
    fields["question from the list"].value = other
    assert (fields["or your own"].value, fields["search in"].value) == (other, questions()[other].page.filename)
    assert "needed: " in panel.children[-1].value or "later" in panel.children[-1].value
