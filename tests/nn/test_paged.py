"""Blocks and block tables: every row equals its own run without a cache, and a shared block is never written."""

import pytest
import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.cache.blocks import BlockPool
from finqa_lab.nn.cache.contiguous import ContiguousCache
from tests.nn.cached import (
    GROUPED,
    LATENT,
    SHAPES,
    assert_same_logits,
    fill,
    in_pieces,
    model_of,
    paged,
    tokens,
    used,
)

RAGGED = {name: SHAPES[name] for name in SHAPES if name != "window of one"}


def test_a_pool_counts_holders():
    pool = BlockPool(GROUPED, blocks=3, block_size=4)
    a, b = pool.allocate(2)
    pool.retain(a)
    assert a != b and pool.free == 1 and [pool.references[a], pool.references[b]] == [2, 1]
    for block in (a, a, b):
        pool.release(block)
    assert pool.free == 3 and set(pool.allocate(3)) == {0, 1, 2}


def test_a_pool_gives_all_or_nothing():
    pool = BlockPool(GROUPED, blocks=3)
    pool.allocate(1)
    with pytest.raises(CourseError, match="out of blocks: 3 wanted, 2 of 3 free"):
        pool.allocate(3)
    assert pool.free == 2


def test_a_free_block_has_no_holder_to_add_or_take_away():
    pool = BlockPool(GROUPED, blocks=2)
    (block,) = pool.allocate(1)
    pool.release(block)
    for act in (pool.release, pool.retain):
        with pytest.raises(ValueError, match=f"block {block} is free"):
            act(block)
    assert pool.free == 2


def test_a_pool_of_nothing_is_refused():
    for blocks, size in ((0, 4), (4, 0)):
        with pytest.raises(CourseError, match="holds nothing"):
            BlockPool(GROUPED, blocks, size)


def test_a_replaced_block_is_copied_in_all_layers_and_left_alone():
    pool = BlockPool(LATENT, blocks=3, block_size=4)
    assert not pool.keys.any() and not pool.values.any()  # what is never written is read, masked, and must be finite
    pool.keys.normal_()
    pool.values.normal_()
    a, b = pool.allocate(2)
    pool.retain(a)
    before = pool.keys[:, a].clone()
    assert pool.replace(a, by=b) == b and pool.references[a] == 1
    assert torch.equal(pool.keys[:, b], before) and torch.equal(pool.keys[:, a], before)
    assert torch.equal(pool.values[:, b], pool.values[:, a])


@pytest.mark.parametrize("shape", RAGGED.values(), ids=RAGGED)
def test_rows_of_different_lengths_equal_their_own_runs(shape):
    model, cache = model_of(shape), paged(shape, rows=3, blocks=40)
    texts = [tokens(1, length, seed)[0] for seed, length in enumerate((3, 11, 8))]
    fill(cache, texts, shape)
    assert cache.length == 11 and [row.length for row in cache.rows] == [3, 11, 8]
    for step, new in enumerate((1, 1, 5, 1)):
        more = tokens(3, new, seed=10 + step)
        texts = [torch.cat([text, tail]) for text, tail in zip(texts, more, strict=True)]
        ours = model(more, cache=cache)
        for row, text in enumerate(texts):
            assert_same_logits(ours[row], model(text[None])[0, -new:])


@pytest.mark.parametrize("shape", RAGGED.values(), ids=RAGGED)
def test_paged_and_contiguous_give_the_same_keys_values_and_logits(shape):
    model, x, lengths = model_of(shape), tokens(3, 20), [9, 1, 1, 4, 1, 4]
    contiguous, pages = ContiguousCache(shape, batch=3), paged(shape, rows=3)
    assert torch.equal(in_pieces(model, x, pages, lengths), in_pieces(model, x, contiguous, lengths))
    assert pages.query_positions(1) is None and pages.key_positions(1) is None  # equal rows need no mask
    new = torch.zeros(3, shape.cache_shape[0], 1, 1)
    key, value = (new.expand(-1, -1, -1, width) for width in shape.cache_shape[1:])
    for ours, theirs in zip(pages.append(0, key, value), contiguous.append(0, key, value), strict=True):
        assert torch.equal(ours, theirs)


def test_prompts_of_different_lengths_share_a_pass():
    """Padded on the right, then cut back: nothing behind a token reaches it."""
    model, cache, x = model_of(GROUPED), paged(rows=3), tokens(3, 12)
    lengths = (5, 12, 8)
    logits = model(x, cache=cache)
    for row, length in enumerate(lengths):
        cache.truncate(length, row)
        assert_same_logits(logits[row, :length], model(x[row : row + 1, :length])[0])
    assert used(cache) == 2 + 3 + 2
    step = tokens(3, 1, seed=3)
    ours = model(step, cache=cache)
    for row, length in enumerate(lengths):
        assert_same_logits(ours[row], model(torch.cat([x[row, :length], step[row]])[None])[0, -1:])


@pytest.mark.parametrize("length", [6, 8], ids=["within a block", "at the end of a block"])
@pytest.mark.parametrize("shape", [GROUPED, LATENT], ids=["grouped", "latent"])
def test_a_fork_shares_blocks_until_one_of_the_two_writes(shape, length):
    model, cache, prompt = model_of(shape), paged(shape, rows=1), tokens(1, length)[0]
    fill(cache, [prompt], shape)
    assert cache.fork(0) == 1 and used(cache) == 2 and cache.nbytes == 2 * cache.pool.block_bytes
    alone = {name: getattr(cache.pool, name)[:, cache.rows[0].blocks].clone() for name in ("keys", "values")}
    model(tokens(1, 3, seed=1), cache=cache.batch([1]))
    assert cache.rows[0].blocks[0] == cache.rows[1].blocks[0]
    assert (cache.rows[0].blocks[1] == cache.rows[1].blocks[1]) == (length == 8)
    for name, before in alone.items():  # the other row has not moved
        assert torch.equal(getattr(cache.pool, name)[:, cache.rows[0].blocks], before)
    ours = model(tokens(2, 1, seed=2), cache=cache)
    other = torch.cat([prompt, *tokens(1, 3, seed=1), tokens(2, 1, seed=2)[1]])
    assert_same_logits(ours[0], model(torch.cat([prompt, tokens(2, 1, seed=2)[0]])[None])[0, -1:])
    assert_same_logits(ours[1], model(other[None])[0, -1:])


def test_forks_in_one_pass_copy_one_block_fewer_than_there_are_rows():
    model, cache, prompt = model_of(GROUPED), paged(rows=1, blocks=4), tokens(1, 6)[0]
    fill(cache, [prompt])
    cache.fork(0)
    cache.fork(0)
    assert cache.pool.free == 2  # exactly the two copies that three writers of one block need
    endings = tokens(3, 1, seed=1)
    ours = model(endings, cache=cache)
    assert cache.pool.free == 0 and len({row.blocks[1] for row in cache.rows}) == 3
    assert_same_logits(ours, model(torch.cat([prompt.expand(3, -1), endings], dim=1))[:, -1:])


def test_a_pass_that_finds_no_blocks_changes_nothing():
    model, cache, texts = model_of(GROUPED), paged(rows=2, blocks=4), tokens(2, 8)
    fill(cache, texts)
    tables = [list(row.blocks) for row in cache.rows]
    cache.truncate(7, 1)
    with pytest.raises(CourseError, match="out of blocks: 1 wanted, 0 of 4 free"):
        model(tokens(2, 1, seed=1), cache=cache)
    assert [row.blocks for row in cache.rows] == tables and [row.length for row in cache.rows] == [8, 7]
    cache.finish(0)
    ours = model(tokens(1, 1, seed=1), cache=cache.batch([1]))
    assert_same_logits(ours[0], model(torch.cat([texts[1, :7], tokens(1, 1, seed=1)[0]])[None])[0, -1:])


def test_a_pass_broken_off_leaves_no_trace():
    model, cache, texts = model_of(GROUPED), paged(rows=1, blocks=8), tokens(1, 6)
    fill(cache, texts)
    key = torch.full((1, 2, 7, 4), torch.nan)
    cache.append(0, key, key)  # and the other layer never comes
    assert used(cache) == 4
    cache.fork(0)
    assert used(cache) == 2  # what it had reserved is not shared
    cache.append(0, key.zero_().expand(2, 2, 7, 4), key.expand(2, 2, 7, 4))
    endings = tokens(2, 1, seed=1)
    ours = model(endings, cache=cache)
    assert used(cache) == 3
    assert_same_logits(ours, model(torch.cat([texts.expand(2, -1), endings], dim=1))[:, -1:])


def test_the_cache_of_rows_is_used():
    model, cache, texts = model_of(GROUPED), paged(), tokens(2, 9)
    fill(cache, [texts[0], texts[1, :5]])
    cache.pool.values.zero_()
    ours = model(tokens(2, 1, seed=1), cache=cache)
    expected = model(torch.cat([texts[:1], tokens(2, 1, seed=1)[:1]], dim=1))[0, -1:]
    assert not torch.allclose(ours[0], expected, atol=1e-3)


def test_waste_counts_a_shared_block_once():
    cache = paged(rows=2)
    assert cache.waste() == cache.nbytes == cache.length == 0
    fill(cache, [tokens(1, 6)[0], tokens(1, 1)[0]])
    assert cache.waste() == 2 + 3
    cache.truncate(5, cache.fork(0))
    assert cache.waste() == 2 + 3 and cache.nbytes == 3 * cache.pool.block_bytes
    cache.finish(0)
    assert cache.waste() == 3 + 3


def test_a_finished_row_begins_anew():
    model, cache = model_of(GROUPED), paged(rows=2)
    fill(cache, tokens(2, 9))
    cache.finish(0)
    assert used(cache) == 3 and cache.rows[0].blocks == []
    text = tokens(1, 6, seed=5)
    assert_same_logits(model(text, cache=cache.batch([0])), model(text))
    cache.truncate(0)
    assert used(cache) == 0 and cache.length == 0


def test_a_row_can_begin_inside_a_shared_block():
    model, cache, text = model_of(GROUPED), paged(rows=2), tokens(1, 9)
    fill(cache, text)
    cache.adopt(1, cache.rows[0].blocks[:2], tokens=6)
    ours = model(text[:, 6:], cache=cache.batch([1]))
    assert_same_logits(ours, model(text)[:, 6:])
    assert cache.rows[0].blocks[1] != cache.rows[1].blocks[1]
    cache.finish(1)
    cache.adopt(1, cache.rows[0].blocks, tokens=9)
    cache.finish(1)
    assert len(cache.rows[0].blocks) == used(cache) == 3  # the table itself is not shared


def test_wrong_use_of_rows_is_refused():
    cache = paged(rows=2)
    fill(cache, tokens(1, 9))
    with pytest.raises(ValueError, match="row 0 holds 9 positions"):
        cache.adopt(0, [], tokens=0)
    with pytest.raises(ValueError, match="9 positions do not stand in 2 blocks of 4"):
        cache.adopt(1, cache.rows[0].blocks[:2], tokens=9)
    with pytest.raises(ValueError, match="twice"):
        cache.batch([1, 1])
    with pytest.raises(ValueError, match="1 rows of tokens were given to a cache of 2 sequences"):
        model_of(GROUPED)(tokens(1, 1), cache=cache)
    with pytest.raises(CourseError, match="65 positions does not fit the context of 64"):
        model_of(GROUPED)(tokens(2, 56), cache=cache)
