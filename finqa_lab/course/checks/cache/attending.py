"""Checks of lab 02: attention of one head, and key heads that several query heads share."""

import math
import random
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def draw(rng: random.Random, *shape: int) -> Tensor:
    """Standard normal numbers that only ``rng`` decides."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(rng.randrange(2**31)))


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: Callable[[int], float] = math.sqrt,
    offset: bool = True,
    ahead: int = 0,
    inverted: bool = False,
    forbidden: float = float("-inf"),
    dim: int = -1,
) -> Tensor:
    """Causal attention of (..., T, w) heads, and its mistakes by switch; with the defaults it is right."""
    scores = query @ key.transpose(-2, -1) / scale(query.shape[-1])
    behind = key.shape[-2] - query.shape[-2] if offset else 0
    seen = torch.ones(scores.shape[-2:], dtype=torch.bool).tril(behind + ahead)
    return scores.masked_fill(seen if inverted else ~seen, forbidden).softmax(dim=dim) @ value


def _masked_late(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    weights = (query @ key.T / math.sqrt(query.shape[-1])).softmax(dim=-1)
    return weights.tril(len(key) - len(query)) @ value


def attention_cases(rng: random.Random) -> Iterator[Case]:
    """One position, then four; then fewer queries than keys, as with a cache."""
    yield Case(draw(rng, 1, 2), draw(rng, 1, 2), draw(rng, 1, 2), note="one position sees itself")
    yield Case(draw(rng, 4, 2), draw(rng, 4, 2), draw(rng, 4, 3), note="four positions")
    yield Case(draw(rng, 1, 4), draw(rng, 5, 4), draw(rng, 5, 4), note="one query, five keys: it is the fifth")
    yield Case(draw(rng, 2, 4), draw(rng, 6, 4), draw(rng, 6, 4), note="the queries are the last two of six")
    for _ in range(3):
        queries, width = rng.randrange(1, 5), rng.randrange(2, 9)
        keys = queries + rng.randrange(4)
        yield Case(draw(rng, queries, width), draw(rng, keys, width), draw(rng, keys, width))


register(
    Check(
        name="cache.attention",
        task="causal attention of one head, the last query standing at the last key",
        cases=attention_cases,
        oracle=attend,
        why="everything in this lab is this function, called with fewer queries than keys.",
        hint="scores = query @ key.T / sqrt(width); forbid the future; softmax over the keys; mix the values.",
        wrong=[
            WrongAnswer(
                "not scaled",
                lambda query, key, value: attend(query, key, value, scale=lambda width: 1.0),
                "divide the scores by the square root of the width, or their spread grows with it.",
            ),
            WrongAnswer(
                "divided by the width",
                lambda query, key, value: attend(query, key, value, scale=float),
                "the scale is the square root of the width: a sum of w products has that standard deviation.",
            ),
            WrongAnswer(
                "no mask",
                lambda query, key, value: attend(query, key, value, ahead=len(key)),
                "a position must not see the ones behind it: set those scores to -inf before the softmax.",
            ),
            WrongAnswer(
                "mask ignores the cached keys",
                lambda query, key, value: attend(query, key, value, offset=False),
                "with T_q queries and T_k keys the first query stands at position T_k - T_q, not at 0: shift the "
                "mask by that.",
            ),
            WrongAnswer(
                "softmax over the queries",
                lambda query, key, value: attend(query, key, value, dim=-2),
                "each query's weights over the keys add up to 1: the softmax goes along the last axis.",
            ),
            WrongAnswer(
                "multiplied by the root",
                lambda query, key, value: attend(query, key, value, scale=lambda width: width**-0.5),
                "the scores are divided by the square root of the width, not multiplied by it.",
            ),
            WrongAnswer(
                "scaled by the number of keys",
                lambda query, key, value: attend(query, key, value, scale=lambda width: len(key) ** 0.5),
                "w is the width of a key, its last axis; you took the number of keys.",
            ),
            WrongAnswer(
                "future scores are zero",
                lambda query, key, value: attend(query, key, value, forbidden=0.0),
                "a score of 0 still gets the weight e^0 = 1 before normalising: a forbidden score is -inf.",
            ),
            WrongAnswer(
                "mask after the softmax",
                _masked_late,
                "what is left of the weights adds up to less than 1: forbid the scores before the softmax.",
            ),
            WrongAnswer(
                "a position does not see itself",
                lambda query, key, value: attend(query, key, value, ahead=-1),
                "your diagonal is one too low: a position sees itself, and the first of all would see nothing (nan).",
            ),
            WrongAnswer(
                "a position sees the next one",
                lambda query, key, value: attend(query, key, value, ahead=1),
                "your diagonal is one too high: each query sees one key of the future.",
            ),
            WrongAnswer(
                "mask inverted",
                lambda query, key, value: attend(query, key, value, inverted=True),
                "you kept the future and forbade the past: masked_fill writes where its mask is True.",
            ),
            WrongAnswer(
                "weights returned",
                lambda query, key, value: attend(query, key, torch.eye(len(key))),
                "those are the weights; the result is their mixture of the values, weights @ value.",
            ),
        ],
    )
)


def head_cases(rng: random.Random) -> Iterator[Case]:
    """Key heads to be shared by more query heads."""
    yield Case(torch.arange(4.0).view(2, 1, 2), 4, note="two key heads, four query heads")
    yield Case(draw(rng, 1, 3, 2), 3, note="one key head for all: multi-query")
    yield Case(draw(rng, 3, 2, 2), 3, note="as many as query heads: nothing to repeat")
    yield Case(draw(rng, 2, 2, 4), 6)


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
            WrongAnswer(
                "heads and positions in one axis",
                lambda key, heads: key.repeat_interleave(heads // key.shape[0]),
                "without an axis repeat_interleave flattens first: pass dim=0, the axis of the heads.",
            ),
            WrongAnswer(
                "repeated H times",
                lambda key, heads: key.repeat_interleave(heads, dim=0),
                "there are H heads in all: each key head is needed H / H_kv times.",
            ),
            WrongAnswer(
                "repeated H_kv times",
                lambda key, heads: key.repeat_interleave(key.shape[0], dim=0),
                "H_kv is the number of key heads; how many query heads are there for each of them?",
            ),
        ],
    )
)
