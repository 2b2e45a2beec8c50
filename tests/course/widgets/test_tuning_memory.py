"""The calculator of training memory: the library's floors, activations counted on few layers, more for more."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finqa_lab.course.widgets import tuning_memory
from finqa_lab.course.widgets.tuning_memory import GB, METHODS, TARGETS, adapter_count, kept_a_token, tuning_use
from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.tune import memory
from finqa_lab.tune.recompute import recomputed_blocks

ADAMW, SEVEN = "AdamW, float32 moments", "all seven matrices"
SETTING = {"model": "Llama-2-7B", "rank": 16, "targets": SEVEN, "optimizer": ADAMW, "tokens": 1024}
SMALL = DecoderConfig.llama(96, 64, 5, 4, 128, 256, kv_heads=2)


def test_the_floors_are_those_of_the_chapter():
    floors = [tuning_use(method=method, **SETTING).floor for method in METHODS]
    assert [round(floor.total / GB, 1) for floor in floors] == [107.8, 14.1, 4.8, 4.5]
    assert floors[1] == memory.lora(6_738_415_616, 39_976_960)
    assert floors[3] == memory.qlora(memory.LLAMA_7B, 16)
    assert tuning_use(method=METHODS[0], **SETTING).trained == 6_738_415_616


def test_eight_bit_moments_take_a_quarter():
    eight = tuning_use(method=METHODS[1], **SETTING | {"optimizer": "AdamW, 8-bit moments"})
    assert tuning_use(method=METHODS[1], **SETTING).floor.optimizer == 4 * eight.floor.optimizer


@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("recompute", [False, True])
def test_activations_extrapolated_from_two_layers_are_those_of_all(rank, recompute):
    """Counted on all five layers, the squares that attention keeps on a shell taken off likewise."""
    model = tuning_memory._shell(SMALL, SMALL.layers, rank, TARGETS[SEVEN])
    with recomputed_blocks(model, recompute):
        short, long = (
            memory.kept_bytes(model, torch.zeros(1, length, dtype=torch.int64, device="meta")) for length in (64, 128)
        )
    counted = short / 64 - (long - 2 * short) / (128**2 - 2 * 64**2) * 64
    found = kept_a_token(SMALL, rank, TARGETS[SEVEN], recompute)
    if recompute:  # and one block in full while its turn lasts
        whole = kept_a_token(SMALL, rank, TARGETS[SEVEN], False)
        assert counted < found < whole
        found -= whole - kept_a_token(
            DecoderConfig.llama(96, 64, 4, 4, 128, 256, kv_heads=2), rank, TARGETS[SEVEN], False
        )
    assert found == pytest.approx(counted)


def test_a_token_of_seven_billion_keeps_what_the_chapter_says():
    assert kept_a_token(memory.LLAMA_7B, 0, (), False) / 1e6 == pytest.approx(6.8, abs=0.05)
    assert kept_a_token(memory.LLAMA_7B, 16, TARGETS[SEVEN], False) / 1e6 == pytest.approx(9.3, abs=0.05)
    assert kept_a_token(memory.LLAMA_7B, 16, TARGETS[SEVEN], True) / 1e6 == pytest.approx(0.57, abs=0.01)


def test_the_numbers_of_the_chapter():
    eight = SETTING | {"model": "Llama-3.1-8B", "tokens": 2048}
    kept, recomputed = (tuning_use(method=METHODS[3], recompute=how, **eight) for how in (False, True))
    assert [round(use.total / GB, 1) for use in (kept, recomputed)] == [27.6, 7.6]
    assert round(kept.floor.total / GB, 1) == 6.4


@settings(max_examples=15, deadline=None)
@given(
    method=st.sampled_from(METHODS[1:]),
    targets=st.sampled_from(sorted(TARGETS)),
    rank=st.sampled_from([1, 8]),
    tokens=st.integers(1, 10_000),
)
def test_more_rank_more_tokens_and_more_bits_take_more(method, targets, rank, tokens):
    setting = SETTING | {"targets": targets, "rank": rank, "tokens": tokens}
    use = tuning_use(method=method, **setting)
    assert tuning_use(method=method, **setting | {"rank": 2 * rank}).total > use.total
    assert tuning_use(method=method, **setting | {"tokens": tokens + 1}).total > use.total
    assert tuning_use(method=method, recompute=True, **setting).total < use.total
    totals = [tuning_use(method=one, **setting).total for one in METHODS[1:]]
    assert totals == sorted(totals, reverse=True)
    assert use.total == pytest.approx(sum(use.part(part) for part in tuning_memory.PARTS))


def test_fewer_targets_are_fewer_numbers():
    counts = [adapter_count(SMALL, 4, TARGETS[name]) for name in (SEVEN, "attention", "query and value")]
    assert counts == sorted(counts, reverse=True) and counts[2] == 5 * 4 * (64 + 64 + 64 + 32)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "GPT-9"}, "the model 'GPT-9' is unknown"),
        ({"targets": "some"}, "choose one of all seven"),
        ({"rank": 0}, "at least 1"),
        ({"card": 0}, "holds nothing"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_sentence(change, said):
    with pytest.raises(CourseError, match=said):
        tuning_memory.draw(**SETTING | change)
