"""Blocks, block tables, the index of prefixes: every row equals its own run without a cache, and no block is lost."""

from collections import Counter

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from finqa_lab.errors import CourseError
from finqa_lab.nn.cache.blocks import BlockPool
from finqa_lab.nn.cache.contiguous import ContiguousCache
from finqa_lab.nn.cache.paged import PagedCache
from finqa_lab.nn.cache.prefix import PrefixIndex, prefill
from tests.nn.cached import GROUPED, LATENT, SHAPES, assert_same_logits, in_pieces, model_of, tokens

RAGGED = {name: SHAPES[name] for name in SHAPES if name != "window of one"}


def paged(shape=GROUPED, rows=2, blocks=20, block_size=4):
    return PagedCache(BlockPool(shape, blocks, block_size), rows)


def fill(cache, texts, shape=GROUPED):
    """Run a text into each row, alone."""
    for row, text in enumerate(texts):
        model_of(shape)(text[None], cache=cache.batch([row]))


def used(cache):
    return len(cache.pool.references) - cache.pool.free


# Blocks


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


# Block tables


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
    with pytest.raises(ValueError, match="2 rows of keys, 1 of values; the cache has 2 rows"):
        model_of(GROUPED)(tokens(1, 1), cache=cache)
    with pytest.raises(CourseError, match="65 positions does not fit the context of 64"):
        model_of(GROUPED)(tokens(2, 56), cache=cache)


# Prefixes


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


# Everything at random


class Rows(RuleBasedStateMachine):
    """Sequences come, grow, fork, go back and end over one small pool; a list of tokens for each says what is right."""

    shape, size, rows = GROUPED, 4, st.integers(0, 5)

    @initialize(blocks=st.integers(6, 24))
    def begin(self, blocks):
        self.model = model_of(self.shape)
        self.cache = paged(self.shape, rows=2, blocks=blocks, block_size=self.size)
        self.index = PrefixIndex(self.cache.pool)
        self.texts = [[], []]
        self.generator = torch.Generator().manual_seed(blocks)

    def ids(self, count):
        """Of a vocabulary of two, so that beginnings repeat."""
        return torch.randint(0, 2, (count,), generator=self.generator).tolist()

    def check(self, row, logits):
        expected = self.model(torch.tensor([self.texts[row]]))[0, -len(logits) :]
        assert_same_logits(logits, expected)

    @rule(chosen=st.sets(rows, min_size=1), new=st.integers(1, 6))
    def append(self, chosen, new):
        chosen = sorted({row % len(self.texts) for row in chosen})
        if max(len(self.texts[row]) for row in chosen) + new > self.shape.context:
            return
        more = [self.ids(new) for _ in chosen]
        try:
            logits = self.model(torch.tensor(more), cache=self.cache.batch(chosen))
        except CourseError as error:
            assert "out of blocks" in str(error)
            return
        for row, tail, ours in zip(chosen, more, logits, strict=True):
            self.texts[row] = self.texts[row] + tail
            self.check(row, ours)

    @rule(row=rows, count=st.integers(1, 20))
    def admit(self, row, count):
        row %= len(self.texts)
        self.finish(row)
        text = self.ids(count)
        try:
            logits = prefill(self.model, text, self.cache, row, self.index)
        except CourseError as error:
            assert "out of blocks" in str(error)
            return
        self.texts[row] = text
        self.check(row, logits[None])

    @precondition(lambda self: len(self.texts) < 6)
    @rule(row=rows)
    def fork(self, row):
        row %= len(self.texts)
        assert self.cache.fork(row) == len(self.texts)
        self.texts.append(self.texts[row])

    @rule(row=rows, length=st.integers(0, 20))
    def truncate(self, row, length):
        row %= len(self.texts)
        self.cache.truncate(length, row)
        self.texts[row] = self.texts[row][:length]

    @rule(row=rows)
    def finish(self, row):
        row %= len(self.texts)
        self.cache.finish(row)
        self.texts[row] = []

    @rule(row=rows)
    def remember(self, row):
        row %= len(self.texts)
        self.index.insert(self.texts[row], self.cache.rows[row].blocks)

    @rule(count=st.integers(1, 3))
    def evict(self, count):
        free = self.cache.pool.free
        freed = self.index.evict(count)
        assert self.cache.pool.free == free + freed

    @invariant()
    def no_block_is_lost(self):
        """Every reference belongs to a row or to the index, and a block is free exactly when it has none."""
        pool = self.cache.pool
        held = Counter(block for row in self.cache.rows for block in row.blocks)
        assert sum(pool.references) - held.total() == len(self.index)
        assert all(0 <= pool.references[block] - held[block] <= 1 for block in range(len(pool.references)))
        assert pool.free == pool.references.count(0) == len(set(pool._free))
        assert [row.length for row in self.cache.rows] == [len(text) for text in self.texts]
        assert all(len(row.blocks) == pool.blocks_for(row.length) for row in self.cache.rows)

    def teardown(self):
        self.cache.truncate(0)
        assert self.cache.pool.free + len(self.index) == len(self.cache.pool.references)
        self.index.evict(len(self.index))
        assert self.cache.pool.free == len(self.cache.pool.references)


class LatentRows(Rows):
    shape, size = SHAPES["latent, window and sinks"], 3


for machine in (Rows, LatentRows):
    machine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestRows, TestLatentRows = Rows.TestCase, LatentRows.TestCase
