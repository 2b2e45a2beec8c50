"""Paged sequences and the index of prefixes under random use: every row stays right, and no block is lost."""

from collections import Counter

import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from finqa_lab.errors import CourseError
from finqa_lab.nn.cache.prefix import PrefixIndex, prefill
from tests.nn.cached import GROUPED, SHAPES, assert_same_logits, model_of, paged


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
