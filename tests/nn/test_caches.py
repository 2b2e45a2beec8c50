"""Every cache against the decoder without one; the ring's order of slots; what eight bits cost."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.nn.cache.blocks import BlockPool
from finqa_lab.nn.cache.contiguous import ContiguousCache
from finqa_lab.nn.cache.paged import PagedCache
from finqa_lab.nn.cache.quantised import Int8Cache, dequantise, quantise
from finqa_lab.nn.cache.sliding import SlidingCache
from finqa_lab.nn.transformer import Decoder
from tests.nn.cached import GROUPED, LATENT, SHAPES, WINDOWED, assert_same_logits, in_pieces, model_of, paged, tokens

EXACT = {"contiguous": ContiguousCache, "paged": paged, "sliding": SlidingCache}
CASES = [
    pytest.param(make, shape, id=f"{name}-{label}")
    for name, make in EXACT.items()
    for label, shape in (WINDOWED if name == "sliding" else SHAPES).items()
]
SCHEDULES = {
    "short prompt, then steps": [3] + [1] * 27,
    "prompt longer than the window": [17] + [1] * 13,
    "chunked prefill": [4, 4, 11, 2, 1, 8],
    "steps only": [1] * 30,
}


@pytest.mark.parametrize("lengths", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("make, shape", CASES)
def test_logits_equal_those_without_a_cache(make, shape, lengths):
    """At every position: of the prompt, its last, the window's edge, after wrapping around, between chunks."""
    model, x, cache = model_of(shape), tokens(2, 30), make(shape, 2)
    assert_same_logits(in_pieces(model, x, cache, lengths), model(x))
    assert cache.length == 30


@pytest.mark.parametrize("make, shape", CASES)
def test_the_cache_is_used(make, shape):
    model, x, cache = model_of(shape), tokens(2, 13), make(shape, 2)
    in_pieces(model, x[:, :12], cache, [12])
    (cache.pool if make is paged else cache).keys.zero_()
    if shape.window == 1 and not shape.sinks:  # it sees itself only, so the old keys must not matter
        assert_same_logits(model(x[:, 12:], cache=cache), model(x)[:, 12:])
    else:
        assert (model(x[:, 12:], cache=cache) - model(x)[:, 12:]).abs().max() > 1e-3


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(0, 3), st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_the_ring_returns_what_it_says_and_all_that_is_visible(window, sinks, lengths):
    """Keys that hold their own position tell which came back; no decoder involved."""
    config = dataclasses.replace(GROUPED, window=window, sinks=sinks, context=200)
    cache = SlidingCache(config, batch=1)
    addresses, held = (cache.keys.data_ptr(), cache.values.data_ptr()), cache.nbytes
    for new in lengths:
        end = cache.length + new
        own = torch.arange(cache.length, end).float()[:, None]
        claimed = cache.key_positions(new)
        claimed = list(range(end)) if claimed is None else claimed.tolist()
        for layer in range(config.layers):
            keys, values = cache.append(layer, own.expand(1, 2, new, 4), -own.expand(1, 2, new, 4))
            assert keys[0, 1, :, 3].tolist() == claimed == (-values[0, 0, :, 0]).tolist()
        cache.advance(new)
        assert len(set(claimed)) == len(claimed) <= sinks + window + (new if new > 1 else 0)
        for query in range(end - new, end):
            assert {p for p in range(query + 1) if query - p < window or p < sinks} <= set(claimed)
    assert (cache.keys.data_ptr(), cache.values.data_ptr()) == addresses and cache.nbytes == held


@pytest.mark.parametrize("length", [4, 20], ids=["before", "after wrapping around"])
def test_a_selected_ring_continues_each_sequence(length):
    shape = SHAPES["window and sinks"]
    model, x = model_of(shape), tokens(2, length)
    cache = SlidingCache(shape, batch=2)
    model(x, cache=cache)
    rows, endings = torch.tensor([1, 0, 1]), tokens(3, 2, seed=4)
    chosen = cache.select(rows)
    assert isinstance(chosen, SlidingCache) and chosen.length == length
    ours = in_pieces(model, endings, chosen, [1, 1])
    assert_same_logits(ours, model(torch.cat([x[rows], endings], dim=1))[:, length:])
    assert_same_logits(model(endings[:2, :1], cache=cache), model(torch.cat([x, endings[:2, :1]], dim=1))[:, length:])


def test_a_ring_goes_back_until_it_has_overwritten():
    shape = SHAPES["window and sinks"]
    model, x, cache = model_of(shape), tokens(1, 12), SlidingCache(shape, batch=1)
    in_pieces(model, x[:, :8], cache, [5, 3])
    cache.truncate(3)
    assert_same_logits(in_pieces(model, x[:, 3:9], cache, [1, 2, 3]), model(x)[:, 3:9])  # 9 positions in 8 slots
    cache.truncate(9)  # nothing to forget
    with pytest.raises(NotImplementedError, match="overwritten"):
        cache.truncate(8)
    assert_same_logits(in_pieces(model, x[:, 9:], cache, [3]), model(x)[:, 9:])


def test_a_ring_takes_padded_rows_but_no_padding_for_sinks():
    model, x, padding = model_of(SHAPES["window"]), tokens(2, 20), torch.tensor([0, 7])
    cache = SlidingCache(model.config, batch=2)
    pieces = [model(piece, cache=cache, padding=padding) for piece in x.split([9, 1, 4, 1, 5], dim=1)]
    ours = torch.cat(pieces, dim=1)
    assert_same_logits(ours[:1], model(x[:1]))
    assert_same_logits(ours[1:, 7:], model(x[1:, 7:]))
    model = model_of(SHAPES["window and sinks"])
    cache = SlidingCache(model.config, batch=2)
    model(x, cache=cache, padding=padding)
    with pytest.raises(CourseError, match="sinks and padding do not go together"):
        model(x[:, :1], cache=cache, padding=padding)


def test_no_cache_leaves_its_device():
    """On a device without memory, which refuses arithmetic with tensors of another one."""
    shape = SHAPES["latent, window and sinks"]
    model, x = Decoder(shape).to("meta"), tokens(2, 30).to("meta")
    pages = PagedCache(BlockPool(shape, blocks=40, block_size=4, device="meta"), 2)
    caches = [make(shape, batch=2, device="meta") for make in (ContiguousCache, SlidingCache, Int8Cache)]
    for cache in (*caches, pages):
        assert in_pieces(model, x, cache, [3, 1, 17, 1, 8]).is_meta
    pages.truncate(9, pages.fork(0))
    assert model(tokens(3, 2).to("meta"), cache=pages).is_meta


def test_a_sliding_cache_needs_a_window():
    with pytest.raises(CourseError, match="set window"):
        SlidingCache(GROUPED, batch=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_eight_bits_move_no_number_by_more_than_half_a_scale(dtype):
    generator = torch.Generator().manual_seed(0)
    sizes = torch.logspace(-6, 4, 200)[:, None]
    x = (torch.randn(200, 64, generator=generator) * sizes).to(dtype)
    x[17] = 0
    codes, scales = quantise(x)
    assert codes.dtype == torch.int8 and scales.shape == (200, 1) and scales.dtype == torch.float32
    moved = (x.float() - dequantise(codes, scales, torch.float32)).abs() / scales
    assert moved.max() <= 0.5 * (1 + 1e-4)  # the product itself is rounded, too
    assert moved.max() > 0.49  # and the bound is met
    assert codes.abs().amax(dim=1).unique().tolist() == [0, 127] and codes[17].eq(0).all()
    assert dequantise(codes, scales, dtype).dtype == dtype


@pytest.mark.parametrize("shape", [GROUPED, LATENT, SHAPES["window and sinks"]], ids=["grouped", "latent", "window"])
def test_eight_bits_change_logits_by_less_than_one_percent(shape):
    """Measured are 0.4 to 0.5%, and 99% of the tokens that a greedy decoder would choose."""
    model, x = model_of(shape), tokens(8, 60)
    ours, exact = in_pieces(model, x, Int8Cache(shape, batch=8), [20, 5] + [1] * 35), model(x)
    error = ((ours - exact).norm() / exact.norm()).item()
    assert 1e-4 < error < 0.01
    assert (ours.argmax(dim=-1) == exact.argmax(dim=-1)).float().mean() >= 0.98


def test_eight_bits_return_the_dtype_they_were_given_and_are_all_there_is():
    model, x = Decoder(GROUPED).to(torch.bfloat16).eval(), tokens(2, 12)
    cache = Int8Cache(GROUPED, batch=2)
    with torch.no_grad():
        assert in_pieces(model, x, cache, [11, 1]).dtype == torch.bfloat16
    assert {getattr(cache, name).dtype for name in cache.stored} == {torch.int8, torch.float32}


def test_a_selected_or_truncated_int8_cache_keeps_its_scales():
    model, x = model_of(GROUPED), tokens(2, 12)
    straight, cache = Int8Cache(GROUPED, batch=2), Int8Cache(GROUPED, batch=2)
    expected = in_pieces(model, x, straight, [9, 1, 1, 1])[:, 9:]
    in_pieces(model, torch.cat([x[:, :9], tokens(2, 3, seed=8)], dim=1), cache, [9, 3])
    cache.truncate(9)
    turned = torch.tensor([1, 0])
    torch.testing.assert_close(in_pieces(model, x[turned, 9:], cache.select(turned), [1, 1, 1]), expected[turned])
    assert straight.select(turned).nbytes == straight.nbytes


def test_a_full_int8_cache_says_so():
    with pytest.raises(CourseError, match="holds 4 positions; 5"):
        model_of(GROUPED)(tokens(1, 5), cache=Int8Cache(GROUPED, batch=1, capacity=4))
