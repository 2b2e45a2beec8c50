"""The ring all-reduce: sums for any length, and the bytes of the formula."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.tune.distributed.ring import Ring, ring_all_reduce
from finqa_lab.tune.distributed.volume import all_reduce_bytes


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 7), st.integers(1, 40), st.integers(0, 2**31))
def test_every_rank_gets_the_sum_and_nobody_loses_its_own(ranks, length, seed):
    draw = torch.Generator().manual_seed(seed)
    tensors = [torch.randint(-9, 10, (length,), generator=draw).float() for _ in range(ranks)]
    before, ring = [tensor.clone() for tensor in tensors], Ring(ranks)
    for total in ring_all_reduce(tensors, ring):
        assert torch.equal(total, sum(before))
    assert all(torch.equal(tensor, old) for tensor, old in zip(tensors, before))
    assert ring.rounds == 2 * (ranks - 1)
    assert sum(ring.sent) == 2 * (ranks - 1) * length * 4


@pytest.mark.parametrize("ranks", [2, 3, 4, 8])
def test_a_rank_sends_what_the_formula_says(ranks):
    ring = Ring(ranks)
    ring_all_reduce([torch.ones(240) for _ in range(ranks)], ring)
    assert ring.sent == [all_reduce_bytes(240 * 4, ranks)] * ranks


def test_what_is_received_is_a_copy():
    ring, mine = Ring(2), [torch.zeros(2), torch.ones(2)]
    received = ring.pass_on(mine)
    received[1] += 5
    assert mine[0].tolist() == [0, 0] and received[0].tolist() == [1, 1]


def test_a_round_needs_a_piece_of_every_rank():
    with pytest.raises(CourseError, match="1 pieces for 2 ranks"):
        Ring(2).pass_on([torch.ones(1)])
