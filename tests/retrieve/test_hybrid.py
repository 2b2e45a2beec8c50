import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finqa_lab.retrieve.hybrid import min_max, ranks, reciprocal_rank, top_k, weighted

scores = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, -1.0]), max_size=12).map(np.array)


@given(scores, st.integers(0, 14))
def test_top_k_is_the_head_of_a_stable_sort(values, k):
    assert top_k(values, k).tolist() == sorted(range(len(values)), key=lambda i: (-values[i], i))[:k]


def test_min_max_and_the_weighted_sum_worked_by_hand():
    sparse, dense = np.array([10.0, 0.0, 5.0]), np.array([0.2, 0.4, 0.3])
    assert min_max(sparse).tolist() == [1.0, 0.0, 0.5]
    assert weighted([sparse, dense], [0.5, 1.5]) == pytest.approx([0.5, 1.5, 1.0])


def test_reciprocal_rank_fusion_worked_by_hand():
    sparse, dense = np.array([9.0, 7.0, 8.0]), np.array([0.1, 0.9, 0.5])  # ranks 1 3 2 and 3 1 2
    fused = reciprocal_rank([sparse, dense])
    assert fused == pytest.approx([1 / 61 + 1 / 63, 1 / 63 + 1 / 61, 2 / 62])
    assert top_k(fused, 1).tolist() == [0]  # 1/61 + 1/63 is a little more than 2/62


def test_equal_scores_become_zeros_and_no_score_stays_none():
    assert min_max(np.array([3.0, 3.0])).tolist() == [0.0, 0.0]
    assert min_max(np.array([])).tolist() == []
    assert ranks(np.array([])).tolist() == []


def test_a_missing_weight_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="2 score arrays and 1 weights"):
        weighted([np.zeros(2), np.zeros(2)], [1.0])


@given(scores)
def test_ranks_and_top_k_are_inverse(values):
    order = top_k(values, len(values))
    assert ranks(values)[order].tolist() == list(range(len(values)))
