"""Checks of lab 02: attention of one head, shared heads, and a layer that attends through a cache."""

import math
import random
from collections.abc import Iterator
from types import SimpleNamespace

import torch
from torch import Tensor

from finqa_lab.course.checking import Case, Check, WrongAnswer, register
from finqa_lab.nn.rope import turn


def _draw(rng: random.Random, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(rng.randrange(2**31)))


def _attention(query, key, value, scale=math.sqrt, offset=True, mask=True, dim=-1) -> Tensor:
    scores = query @ key.transpose(-2, -1) / scale(query.shape[-1])
    if mask:
        behind = key.shape[-2] - query.shape[-2] if offset else 0
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool).tril(behind)
        scores = scores.masked_fill(~seen, float("-inf"))
    return scores.softmax(dim=dim) @ value


def attention_cases(rng: random.Random) -> Iterator[Case]:
    """One position, then four; then fewer queries than keys, as with a cache."""
    yield Case(_draw(rng, 1, 2), _draw(rng, 1, 2), _draw(rng, 1, 2), note="one position sees itself")
    yield Case(_draw(rng, 4, 2), _draw(rng, 4, 2), _draw(rng, 4, 3), note="four positions")
    yield Case(_draw(rng, 1, 4), _draw(rng, 5, 4), _draw(rng, 5, 4), note="one query, five keys: it is the fifth")
    yield Case(_draw(rng, 2, 4), _draw(rng, 6, 4), _draw(rng, 6, 4), note="the queries are the last two of six")
    for _ in range(3):
        queries, width = rng.randrange(1, 5), rng.randrange(2, 9)
        keys = queries + rng.randrange(4)
        yield Case(_draw(rng, queries, width), _draw(rng, keys, width), _draw(rng, keys, width))


register(
    Check(
        name="cache.attention",
        task="causal attention of one head, the last query standing at the last key",
        cases=attention_cases,
        oracle=_attention,
        why="everything in this lab is this function, called with fewer queries than keys.",
        hint="scores = query @ key.T / sqrt(width); forbid the future; softmax over the keys; mix the values.",
        wrong=[
            WrongAnswer(
                "not scaled",
                lambda query, key, value: _attention(query, key, value, scale=lambda width: 1.0),
                "divide the scores by the square root of the width, or their spread grows with it.",
            ),
            WrongAnswer(
                "divided by the width",
                lambda query, key, value: _attention(query, key, value, scale=float),
                "the scale is the square root of the width: a sum of w products has that standard deviation.",
            ),
            WrongAnswer(
                "no mask",
                lambda query, key, value: _attention(query, key, value, mask=False),
                "a position must not see the ones behind it: set those scores to -inf before the softmax.",
            ),
            WrongAnswer(
                "mask ignores the cached keys",
                lambda query, key, value: _attention(query, key, value, offset=False),
                "with T_q queries and T_k keys the first query stands at position T_k - T_q, not at 0: shift the "
                "mask by that.",
            ),
            WrongAnswer(
                "softmax over the queries",
                lambda query, key, value: torch.nan_to_num(_attention(query, key, value, dim=-2)),
                "each query's weights over the keys add up to 1: the softmax goes along the last axis.",
            ),
        ],
    )
)


def head_cases(rng: random.Random) -> Iterator[Case]:
    """Key heads to be shared by more query heads."""
    yield Case(torch.arange(4.0).view(2, 1, 2), 4, note="two key heads, four query heads")
    yield Case(_draw(rng, 1, 3, 2), 3, note="one key head for all: multi-query")
    yield Case(_draw(rng, 3, 2, 2), 3, note="as many as query heads: nothing to repeat")
    yield Case(_draw(rng, 2, 2, 4), 6)


register(
    Check(
        name="cache.shared_heads",
        task="give every query head its key head: (H_kv, T, w) -> (H, T, w)",
        cases=head_cases,
        oracle=lambda key, heads: key.repeat_interleave(heads // key.shape[0], dim=0),
        why="a checkpoint was trained with one order; with the other, every head looks at keys made for another.",
        hint="query heads 0 and 1 share key head 0, query heads 2 and 3 share key head 1.",
        wrong=[
            WrongAnswer(
                "heads repeated in the wrong order",
                lambda key, heads: key.repeat(heads // key.shape[0], 1, 1),
                "that gives key heads 0, 1, 0, 1; neighbours share a head: 0, 0, 1, 1. See repeat_interleave.",
            ),
            WrongAnswer(
                "positions repeated",
                lambda key, heads: key.repeat_interleave(heads // key.shape[0], dim=1),
                "the heads are axis 0; you repeated the positions.",
            ),
            WrongAnswer(
                "first head for all",
                lambda key, heads: key[:1].expand(heads, -1, -1),
                "that is right for one key head only; with more of them, each serves heads / H_kv query heads.",
            ),
        ],
    )
)


class _Cache:
    """What the lab hands to a step: it keeps keys and values of one layer, and nothing else."""

    def __init__(self):
        self.length, self.keys, self.values = 0, None, None

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Put (H_kv, T, w) behind what is there and return all."""
        self.keys = key if self.keys is None else torch.cat([self.keys, key], dim=1)
        self.values = value if self.values is None else torch.cat([self.values, value], dim=1)
        self.length += key.shape[1]
        return self.keys, self.values


def _step(x, layer, cache, first=None, read=True, again=False, offset=True, tiled=False, still=False) -> Tensor:
    """The right step, and its mistakes by switch."""
    first = cache.length if first is None else first(cache.length)
    positions = torch.arange(first, first + len(x))
    query, key, value = (
        (x @ weight).view(len(x), -1, layer.width).transpose(0, 1) for weight in (layer.query, layer.key, layer.value)
    )
    fresh, own = turn(key, positions), value
    key, value = cache.append(fresh, own)
    if not read:
        key, value = fresh, own
    if again:
        key = turn(key, torch.arange(key.shape[1]))
    groups = query.shape[0] // key.shape[0]
    if tiled:
        key, value = key.repeat(groups, 1, 1), value.repeat(groups, 1, 1)
    else:
        key, value = key.repeat_interleave(groups, dim=0), value.repeat_interleave(groups, dim=0)
    query = query if still else turn(query, positions)
    return _attention(query, key, value, offset=offset).transpose(0, 1).flatten(1)


def _feed(answer, layer: SimpleNamespace, pieces: list[Tensor]) -> list[Tensor]:
    """A prompt and what follows it, through one cache; the outputs of every piece."""
    cache = _Cache()
    return [answer(piece, layer, cache) for piece in pieces]


def _without_cache(layer: SimpleNamespace, pieces: list[Tensor]) -> list[Tensor]:
    """All positions at once: what the pieces must reproduce."""
    whole = _step(torch.cat(pieces), layer, _Cache())
    return list(whole.split([len(piece) for piece in pieces]))


def _close(expected: list[Tensor], got: list[Tensor]) -> bool:
    """Equal up to the rounding of sums that are taken in another order."""
    return len(expected) == len(got) and all(
        left.shape == right.shape and torch.allclose(left, right, rtol=1e-4, atol=1e-4)
        for left, right in zip(expected, got)
    )


def step_cases(rng: random.Random) -> Iterator[Case]:
    """A layer, and a text cut into a prompt and single positions, or into chunks."""
    for heads, kv_heads, sizes, note in (
        (1, 1, (1,), "one position"),
        (1, 1, (3, 1), "a prompt of three, then one token"),
        (2, 1, (3, 1, 1), "two query heads on one key head"),
        (4, 2, (4, 1, 1), "four query heads on two key heads"),
        (4, 2, (2, 3, 2), "a prompt that arrives in chunks"),
    ):
        width, inputs = 4, 6
        layer = SimpleNamespace(
            width=width,
            query=_draw(rng, inputs, heads * width),
            key=_draw(rng, inputs, kv_heads * width),
            value=_draw(rng, inputs, kv_heads * width),
        )
        yield Case(layer, [_draw(rng, size, inputs) for size in sizes], note=note)


register(
    Check(
        name="cache.cached_step",
        task="attend from new positions through a cache, with rotary positions and shared heads",
        cases=step_cases,
        oracle=_without_cache,
        call=_feed,
        same=_close,
        why="each of these mistakes still writes fluent text; only the comparison with the uncached result shows it.",
        hint="positions start at cache.length; turn query and key; append; share the heads; attend with shifted mask.",
        wrong=[
            WrongAnswer(
                "cache never read",
                lambda x, layer, cache: _step(x, layer, cache, read=False),
                "attend to what cache.append returned, not to the new keys alone.",
            ),
            WrongAnswer(
                "positions start anew",
                lambda x, layer, cache: _step(x, layer, cache, first=lambda length: 0),
                "the first new position is cache.length; every piece was turned as if it began the text.",
            ),
            WrongAnswer(
                "positions off by one after the prompt",
                lambda x, layer, cache: _step(x, layer, cache, first=lambda length: length + (length > 0)),
                "behind a prompt of 3 the next position is 3, because counting starts at 0.",
            ),
            WrongAnswer(
                "positions one too low after the prompt",
                lambda x, layer, cache: _step(x, layer, cache, first=lambda length: max(length - 1, 0)),
                "the last prompt token and the first new one got the same position; start at cache.length.",
            ),
            WrongAnswer(
                "keys turned twice",
                lambda x, layer, cache: _step(x, layer, cache, again=True),
                "the cache holds keys that are turned already; turn only the new ones, before they are appended.",
            ),
            WrongAnswer(
                "mask ignores the cached keys",
                lambda x, layer, cache: _step(x, layer, cache, offset=False),
                "the first new query stands behind all cached keys: shift the mask's diagonal by their number.",
            ),
            WrongAnswer(
                "heads repeated in the wrong order",
                lambda x, layer, cache: _step(x, layer, cache, tiled=True),
                "neighbouring query heads share a key head: 0, 0, 1, 1 and not 0, 1, 0, 1.",
            ),
            WrongAnswer(
                "queries not turned",
                lambda x, layer, cache: _step(x, layer, cache, still=True),
                "the product of query and key depends on their distance only if both are turned.",
            ),
        ],
    )
)
