import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finqa_lab.retrieve.metrics import all_gold, first_gold, measure, ndcg, recall

RANKED = ["a", "b", "c", "d", "e", "f"]


def test_a_question_with_gold_at_ranks_two_and_five_worked_by_hand():
    found = measure(RANKED, {"b", "e"}, ks=(1, 3, 5))
    assert found["mrr"] == 1 / 2
    assert [found[f"recall@{k}"] for k in (1, 3, 5)] == [0, 0.5, 1]
    assert [found[f"all@{k}"] for k in (1, 3, 5)] == [0, 0, 1]
    ideal = 1 + 1 / math.log2(3)  # both gold units first
    assert found["ndcg@1"] == 0
    assert found["ndcg@3"] == pytest.approx((1 / math.log2(3)) / ideal)
    assert found["ndcg@5"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(6)) / ideal)


def test_a_missing_gold_unit_lowers_recall_and_all_gold():
    assert recall(RANKED, {"a", "x"}, 6) == 0.5
    assert all_gold(RANKED, {"a", "x"}, 6) == 0
    assert first_gold(RANKED, {"x"}) == 0


def test_more_gold_units_than_k_cannot_all_be_found_but_the_gain_can_be_ideal():
    gold = {"a", "b", "c"}
    assert recall(RANKED, gold, 2) == pytest.approx(2 / 3)
    assert all_gold(RANKED, gold, 2) == 0
    assert ndcg(RANKED, gold, 2) == 1


def test_a_repeated_unit_counts_once_at_its_first_place():
    assert recall(["a", "a", "b"], {"a", "b"}, 2) == 1
    assert ndcg(["a", "a", "b"], {"a", "b"}, 2) == 1
    assert measure(["x", "x", "a"], {"a"})["mrr"] == 1 / 2


def test_an_empty_ranking_scores_zero_and_a_k_beyond_it_changes_nothing():
    assert set(measure([], {"a"}, ks=(5,)).values()) == {0.0}
    assert measure(["b", "a"], {"a"}, ks=(2,))["ndcg@2"] == ndcg(["b", "a"], {"a"}, 100)


@pytest.mark.parametrize("gold, k", [(set(), 3), ({"a"}, 0)])
def test_no_gold_unit_or_no_place_is_refused(gold, k):
    with pytest.raises(ValueError, match="must be at least 1"):
        recall(RANKED, gold, k)


@given(st.permutations(RANKED), st.sets(st.sampled_from(RANKED), min_size=1), st.integers(1, 7))
def test_every_measure_lies_between_zero_and_one_and_agrees_on_perfection(ranked, gold, k):
    assert 0 <= ndcg(ranked, gold, k) <= 1 + 1e-12
    assert (all_gold(ranked, gold, k) == 1) == (recall(ranked, gold, k) == 1)
    assert recall(ranked, gold, k) <= recall(ranked, gold, k + 1)
