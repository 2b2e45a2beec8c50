"""Padded, packed and shared rows: the same samples, the same loss, the same gradient."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.transformer import Decoder
from finqa_lab.tune.layouts import LAYOUTS, common_prefix, epoch_order, first_fit, lay_out, sft_batches, use
from finqa_lab.tune.sft import Example
from finqa_lab.tune.training import loss_sum


def examples(count: int, seed: int = 0, prefix: int = 5) -> list[Example]:
    rng, head = random.Random(seed), tuple(range(prefix))
    found = []
    for number in range(count):
        asked, reply = rng.randint(1, 12), rng.randint(1, 9)
        ids = head + tuple(rng.randrange(40) for _ in range(asked + reply))
        found.append(Example(ids, (False,) * (prefix + asked) + (True,) * reply, f"s{number}"))
    return found


def model(seed: int = 0) -> Decoder:
    return Decoder(DecoderConfig.llama(40, 32, 2, 4, 64, 64, kv_heads=2), seed=seed)


def loss_and_gradient(layout: str, chosen: list[Example], length: int) -> tuple[float, torch.Tensor]:
    decoder = model()
    batch = lay_out(chosen, layout, length)
    loss = loss_sum(decoder, batch) / batch.learnt
    loss.backward()
    return loss.item(), torch.cat([parameter.grad.flatten() for parameter in decoder.parameters()])


@settings(max_examples=10, deadline=None)
@given(count=st.integers(1, 9), seed=st.integers(0, 99), prefix=st.integers(0, 6), length=st.integers(10, 80))
def test_all_layouts_give_the_loss_and_gradient_of_padded_rows(count, seed, prefix, length):
    chosen = examples(count, seed, prefix)
    loss, gradient = loss_and_gradient("padded", chosen, length)
    for layout in ("packed", "shared"):
        other, other_gradient = loss_and_gradient(layout, chosen, length)
        assert abs(other - loss) < 1e-5
        assert (other_gradient - gradient).abs().max() < 1e-5 * max(1.0, gradient.abs().max().item())


def test_all_layouts_have_the_same_targets():
    chosen = examples(12)
    batches = [lay_out(chosen, layout, 40) for layout in LAYOUTS]
    wanted = sorted(token for example in chosen for token in example.answer)
    for batch in batches:
        assert sorted(batch.tokens[batch.learn].tolist()) == wanted
        assert batch.names == tuple(example.name for example in chosen)


def test_sharing_the_prefix_saves_positions_and_packing_saves_padding():
    chosen = examples(40, prefix=20)
    padded, packed, shared = (use([lay_out(chosen, layout, 128)]) for layout in LAYOUTS)
    assert packed.padding < padded.padding
    assert shared.positions < 0.6 * padded.positions
    assert shared.learnt > packed.learnt > padded.learnt
    assert padded.rows == 40


def test_the_prefix_never_reaches_a_target_or_the_token_before_it():
    same = Example((1, 2, 3, 4), (False, False, True, True))
    assert common_prefix([same, same]) == 1
    assert common_prefix([Example((1, 2), (False, True))]) == 0
    assert common_prefix([Example((1, 2, 3), (True, True, True)), same]) == 0


@given(sizes=st.lists(st.integers(1, 30), max_size=40), room=st.integers(10, 40))
def test_bins_hold_every_item_once_and_overflow_only_with_one(sizes, room):
    bins = first_fit(sizes, room)
    assert sorted(index for one in bins for index in one) == list(range(len(sizes)))
    assert all(sum(sizes[i] for i in one) <= room or len(one) == 1 for one in bins)


def test_an_epoch_takes_every_sample_once_in_either_order():
    chosen = examples(103)
    for order in ("shuffled", "grouped"):
        assert sorted(epoch_order(chosen, 10, order, 3)) == list(range(103))
        batches = sft_batches(chosen, 10, layout="padded", order=order, seed=1)
        seen = [name for step in range(10) for batch in batches(step) for name in batch.names]
        assert len(set(seen)) == 100
        assert [b.names for b in batches(4)] == [b.names for b in batches(4)]
        assert [b.names for b in batches(4)] != [b.names for b in batches(14)]


def test_grouping_by_length_saves_padding():
    chosen = examples(200)
    padding = {
        order: use(
            [b for step in range(20) for b in sft_batches(chosen, 10, layout="padded", order=order)(step)]
        ).padding
        for order in ("shuffled", "grouped")
    }
    assert padding["grouped"] < 0.6 * padding["shuffled"]


@pytest.mark.parametrize("per_step, parts", [(0, 1), (10, 3), (50, 1)])
def test_steps_that_cannot_be_made_are_refused(per_step, parts):
    with pytest.raises(CourseError, match="cannot be taken"):
        sft_batches(examples(20), per_step, micro_batches=parts)


def test_unknown_names_are_refused():
    with pytest.raises(CourseError, match="no layout 'loose'"):
        lay_out(examples(2), "loose")
    with pytest.raises(CourseError, match="no order 'random'"):
        sft_batches(examples(4), 2, order="random")(0)
    with pytest.raises(CourseError, match="no sample"):
        lay_out([])
