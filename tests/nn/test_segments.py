"""Texts that share a row do not see each other, and a shared prefix is seen by all."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.generate import cache_like
from finqa_lab.nn.segments import segment_mask, segment_positions
from finqa_lab.nn.transformer import Decoder


def decoder(**changes) -> Decoder:
    settings = {"kv_heads": 2, **changes}
    return Decoder(DecoderConfig.llama(50, 32, 2, 4, 64, 24, **settings), seed=1)


@settings(max_examples=15, deadline=None)
@given(prefix=st.integers(0, 5), sizes=st.lists(st.integers(1, 8), min_size=1, max_size=4), padding=st.integers(0, 3))
def test_every_text_gets_the_logits_that_it_gets_alone(prefix, sizes, padding):
    model, generator = decoder(), torch.Generator().manual_seed(prefix + 10 * len(sizes))
    texts = [torch.randint(0, 50, (size,), generator=generator) for size in sizes]
    head = torch.randint(0, 50, (prefix,), generator=generator)
    numbers = [0] * prefix + [n for n, size in enumerate(sizes, 1) for _ in range(size)] + [-1] * padding
    row = torch.cat([head, *texts, torch.zeros(padding, dtype=torch.int64)])
    packed = model(row[None], segments=torch.tensor([numbers]))[0]
    place = prefix
    for text in texts:
        alone = model(torch.cat([head, text])[None])[0, prefix:]
        assert (packed[place : place + len(text)] - alone).abs().max() < 1e-5
        place += len(text)
    assert packed.isfinite().all()


def test_a_row_may_be_longer_than_the_context_but_a_text_may_not():
    model = decoder()
    assert model(torch.zeros(1, 40, dtype=torch.int64), segments=torch.tensor([[1] * 20 + [2] * 20])).shape[1] == 40
    with pytest.raises(CourseError, match="25 positions does not fit the context of 24"):
        model(torch.zeros(1, 25, dtype=torch.int64), segments=torch.tensor([[0] * 5 + [1] * 20]))


def test_learned_positions_are_counted_by_text_too():
    model = Decoder(DecoderConfig(50, 32, 2, 4, 64, 24), seed=0)
    text = torch.randint(0, 50, (1, 6))
    both = model(torch.cat([text, text], 1), segments=torch.tensor([[1] * 6 + [2] * 6]))
    assert (both[:, 6:] - model(text)).abs().max() < 1e-5


def test_segments_are_refused_with_a_cache_or_a_window():
    tokens, segments = torch.zeros(1, 4, dtype=torch.int64), torch.ones(1, 4, dtype=torch.int64)
    model = decoder()
    with pytest.raises(ValueError, match="without a cache"):
        model(tokens, cache=cache_like(model)(model.config, 1, 8), segments=segments)
    with pytest.raises(ValueError, match="window"):
        decoder(window=3)(tokens, segments=segments)


def test_masks_and_positions_of_a_batch_are_those_of_its_rows():
    rows = torch.tensor([[0, 0, 1, 2, 2], [1, 1, 2, 3, -1]])
    for row in range(2):
        assert segment_mask(rows)[row].equal(segment_mask(rows[row : row + 1])[0])
        assert segment_positions(rows)[row].equal(segment_positions(rows[row : row + 1])[0])
