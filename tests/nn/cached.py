"""What the cache tests share: small decoders of every kind of attention, and running one in pieces through a cache."""

import dataclasses
import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from finqa_lab.nn.cache.blocks import BlockPool
from finqa_lab.nn.cache.interface import Cache
from finqa_lab.nn.cache.paged import PagedCache
from finqa_lab.nn.config import DecoderConfig, LatentConfig
from finqa_lab.nn.transformer import Decoder

GROUPED = DecoderConfig(
    31, width=16, layers=2, heads=4, hidden=24, context=64, kv_heads=2, mlp="swiglu", positions="rotary"
)
LATENT = dataclasses.replace(GROUPED, kv_heads=0, latent=LatentConfig(8, 4))
SHAPES = {
    "all heads, learned positions": dataclasses.replace(GROUPED, kv_heads=0, positions="learned"),
    "grouped": GROUPED,
    "one key/value head": dataclasses.replace(GROUPED, kv_heads=1),
    "latent": LATENT,
    "window": dataclasses.replace(GROUPED, window=6),
    "window of one": dataclasses.replace(GROUPED, window=1),
    "window and sinks": dataclasses.replace(GROUPED, window=5, sinks=3),
    "latent, window and sinks": dataclasses.replace(LATENT, window=5, sinks=2),
    "learned positions, window and sinks": dataclasses.replace(GROUPED, positions="learned", window=7, sinks=1),
}
WINDOWED = {name: shape for name, shape in SHAPES.items() if shape.window}


@functools.cache
def model_of(shape: DecoderConfig) -> Decoder:
    return Decoder(shape).eval().requires_grad_(False)


def tokens(batch: int, length: int, seed: int = 0) -> Tensor:
    return torch.randint(0, GROUPED.vocabulary, (batch, length), generator=torch.Generator().manual_seed(seed))


def in_pieces(model: Decoder, x: Tensor, cache: Cache, lengths: Sequence[int]) -> Tensor:
    """Logits of all positions, computed pass by pass; ``lengths`` must add up to those of ``x``."""
    return torch.cat([model(piece, cache=cache) for piece in x.split(list(lengths), dim=1)], dim=1)


def assert_same_logits(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


def paged(shape: DecoderConfig = GROUPED, rows: int = 2, blocks: int = 40, block_size: int = 4) -> PagedCache:
    return PagedCache(BlockPool(shape, blocks, block_size), rows)


def fill(cache: PagedCache, texts: Sequence[Tensor], shape: DecoderConfig = GROUPED) -> None:
    """Run a text into each row, alone."""
    for row, text in enumerate(texts):
        model_of(shape)(text[None], cache=cache.batch([row]))


def used(cache: PagedCache) -> int:
    """Blocks of the pool that somebody holds."""
    return len(cache.pool.references) - cache.pool.free
