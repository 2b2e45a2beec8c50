"""The index of prefixes: what it finds is exact and not computed again; what it gives back is held by nobody else."""

import pytest
import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.cache.blocks import BlockPool
from finqa_lab.nn.cache.prefix import PrefixIndex, prefill
from tests.nn.cached import GROUPED, LATENT, assert_same_logits, model_of, paged, tokens, used


def projections(model):
    """Counts the positions whose keys the first layer computes."""
    counted = []
    handle = model.blocks[0].attention.key.register_forward_hook(lambda _, given, __: counted.append(given[0].shape[1]))
    return counted, handle


def test_a_prompt_seen_before_is_not_computed_again():
    model, cache = model_of(GROUPED), paged(rows=3)
    index, text = PrefixIndex(cache.pool), tokens(1, 11)[0].tolist()
    counted, handle = projections(model)
    first = prefill(model, text, cache, 0, index)
    other = text[:9] + [(token + 1) % 31 for token in text[9:]]
    second = prefill(model, other, cache, 1, index)
    again = prefill(model, text[:8], cache, 2, index)
    handle.remove()
    assert counted == [11, 11 - 8, 8 - 4]  # of 8 tokens in two full blocks one block is left, so that there is a query
    for ours, prompt in ((first, text), (second, other), (again, text[:8])):
        assert_same_logits(ours, model(torch.tensor([prompt]))[0, -1])
    assert (index.hits, index.asked) == (8 + 4, 11 + 11 + 8) and index.hit_rate == 12 / 30
    assert len(index) == 2 and cache.rows[0].blocks[:2] == cache.rows[1].blocks[:2]


def test_reused_blocks_are_what_is_read():
    model, cache = model_of(GROUPED), paged(rows=2)
    index, text = PrefixIndex(cache.pool), tokens(1, 9)[0].tolist()
    expected = prefill(model, text, cache, 0, index)
    cache.pool.values.zero_()
    assert not torch.allclose(prefill(model, text, cache, 1, index), expected, atol=1e-3)


def test_the_index_outlives_the_sequence_and_continues_it():
    model, cache = model_of(LATENT), paged(LATENT, rows=1)
    index, text = PrefixIndex(cache.pool), tokens(1, 9)[0].tolist()
    logits = prefill(model, text, cache, 0, index)
    for _ in range(6):
        text.append(int(logits.argmax()))
        logits = model(torch.tensor([text[-1:]]), cache=cache)[0, -1]
    index.insert(text, cache.rows[0].blocks)
    cache.finish(0)
    assert used(cache) == len(index) == 3
    longer = text + [1, 2]
    assert_same_logits(prefill(model, longer, cache, 0, index), model(torch.tensor([longer]))[0, -1])
    assert index.hits == 12


def held_index(blocks=8):
    pool = BlockPool(GROUPED, blocks, block_size=2)
    index = PrefixIndex(pool)

    def remember(*text):
        taken = pool.allocate(len(text) // 2)
        index.insert(text, taken)
        for block in taken:
            pool.release(block)
        return taken

    return pool, index, remember


def test_matches_are_exact_and_leave_a_token():
    pool, index, remember = held_index()
    a, b = remember(1, 2, 3, 4)
    (c,) = remember(3, 4)
    assert index.match([1, 2, 3, 4, 5]) == [a, b]
    assert index.match([1, 2, 3, 4]) == [a] and index.match([1, 2, 3]) == [a] and index.match([1, 2]) == []
    assert index.match([1, 2, 4, 3, 5]) == [a]
    assert index.match([3, 4, 1, 2, 9]) == [c] and index.match([2, 1, 1]) == index.match([]) == []
    assert index.match(torch.tensor([1, 2, 3, 4, 5])) == [a, b]  # ids of any kind
    assert (index.hits, index.asked) == (2 * 8, 5 + 4 + 3 + 2 + 5 + 5 + 3 + 0 + 5)


def test_a_known_beginning_keeps_its_block():
    pool, index, remember = held_index()
    a, _ = remember(1, 2, 3, 4)
    mine = pool.allocate(2)
    index.insert([1, 2, 5, 6, 7], mine)
    assert index.match([1, 2, 5, 6, 0]) == [a, mine[1]]
    assert [pool.references[block] for block in (a, *mine)] == [1, 1, 2]
    with pytest.raises(ValueError, match="4 tokens fill 2 blocks; 1 were given"):
        index.insert([1, 2, 3, 4], mine[:1])


def test_the_least_recently_used_leaf_goes_first():
    pool, index, remember = held_index(blocks=5)
    a, b = remember(1, 2, 3, 4)
    c, d = remember(5, 6, 7, 8)
    (e,) = remember(9, 9)
    index.match([1, 2, 3, 4, 0])  # now c, d are the oldest
    assert pool.free == 0 and pool.allocate(1) == [d] and len(index) == 4
    assert index.match([5, 6, 7, 8, 0]) == [c]
    assert pool.allocate(1) == [e]
    assert index.match([1, 2, 0]) == [a]  # keeps a, not its leaf b
    assert sorted(pool.allocate(2)) == sorted([b, c])
    assert index.match([1, 2, 3, 4, 0]) == [a] and len(index) == 1
    assert pool.allocate(1) == [a] and len(index) == 0 and index.match([1, 2, 3]) == []


def test_a_block_that_a_sequence_holds_is_not_given_back():
    pool, index, remember = held_index(blocks=3)
    a, b = remember(1, 2, 3, 4)
    pool.retain(a)
    pool.retain(b)
    with pytest.raises(CourseError, match="2 wanted, 1 of 3 free"):
        pool.allocate(2)
    pool.release(b)
    assert b in pool.allocate(2) and index.match([1, 2, 3, 4, 0]) == [a]
    assert index.evict(5) == 0


def test_a_known_beginning_is_not_given_back_before_what_follows_it():
    """A sequence that computed the beginning itself holds the second block of the path, and not the first."""
    pool, index, remember = held_index()
    a, b = remember(1, 2, 3, 4)
    pool.retain(b)
    assert index.evict(5) == 0 and index.match([1, 2, 3, 4, 0]) == [a, b]


def test_no_more_is_given_back_than_is_missing():
    pool, index, remember = held_index(blocks=4)
    remember(1, 2, 3, 4, 5, 6)
    pool.allocate(3)
    assert len(index) == 1 and index.match([1, 2, 3, 4, 0]) != []


def test_a_prompt_that_cannot_be_run_leaves_the_row_empty():
    model, cache = model_of(GROUPED), paged(rows=2, blocks=3)
    index, text = PrefixIndex(cache.pool), tokens(1, 30)[0].tolist()
    prefill(model, text[:9], cache, 0, index)
    for wrong, error in ((text, CourseError), (text[:8] + [99], IndexError)):
        with pytest.raises(error):
            prefill(model, wrong, cache, 1, index)
        assert cache.rows[1].blocks == [] and [cache.pool.references[b] for b in cache.rows[0].blocks] == [2, 2, 1]
