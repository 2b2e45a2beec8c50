"""Checks of lab 02: one layer that attends through a cache, with rotary positions and shared heads."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from finqa_lab.course.checking import Case, Check, WrongAnswer, register
from finqa_lab.course.checks.cache.attending import attend, draw
from finqa_lab.nn.rope import turn


@dataclass(frozen=True, repr=False)
class _Layer:
    """What the lab calls ``layer``: matrices (d, heads * w), and the width w of a head."""

    width: int
    query: Tensor
    key: Tensor
    value: Tensor

    def __repr__(self) -> str:  # short: a failing example would begin with twelve lines of weights
        heads, kv_heads = (matrix.shape[1] // self.width for matrix in (self.query, self.key))
        return f"layer(H={heads}, H_kv={kv_heads}, w={self.width})"


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


def _following(length: int, new: int) -> Tensor:
    return torch.arange(length, length + new)


def _neighbours(key: Tensor, groups: int) -> Tensor:
    return key.repeat_interleave(groups, dim=0)


def _side_by_side(heads: Tensor) -> Tensor:
    return heads.transpose(0, 1).flatten(1)


def _step(
    x: Tensor,
    layer: _Layer,
    cache: _Cache,
    positions: Callable[[int, int], Tensor] = _following,
    turned: str = "qk",
    share: Callable[[Tensor, int], Tensor] = _neighbours,
    join: Callable[[Tensor], Tensor] = _side_by_side,
    early: bool = False,
    read: bool = True,
    again: bool = False,
    offset: bool = True,
) -> Tensor:
    """The right step, and its mistakes by switch."""
    where = positions(cache.length, len(x))

    def part(name: str, weight: Tensor) -> Tensor:
        split = (x @ weight).view(len(x), -1, layer.width).transpose(0, 1)
        return turn(split, where) if name in turned else split

    query, key, value = part("q", layer.query), part("k", layer.key), part("v", layer.value)
    groups = len(query) // len(key)
    if early:
        key, value = share(key, groups), share(value, groups)
    stored = cache.append(key, value)
    key, value = stored if read else (key, value)
    if again:
        key = turn(key, torch.arange(key.shape[1]))
    if not early:
        key, value = share(key, groups), share(value, groups)
    return join(attend(query, key, value, offset=offset))


def _kept(heads: int, length: int) -> str:
    return f"positions cached: {length}, key heads: {heads}"


def _feed(answer, layer: _Layer, pieces: list[Tensor]) -> list:
    """A prompt and what follows it, through one cache; the outputs of every piece, and what the cache then holds."""
    cache = _Cache()
    outputs = [answer(piece, layer, cache) for piece in pieces]
    return [*outputs, _kept(0 if cache.keys is None else len(cache.keys), cache.length)]


def _without_cache(layer: _Layer, pieces: list[Tensor]) -> list:
    """All positions at once: what the pieces must reproduce."""
    sizes = [len(piece) for piece in pieces]
    whole = _step(torch.cat(pieces), layer, _Cache())
    return [*whole.split(sizes), _kept(layer.key.shape[1] // layer.width, sum(sizes))]


def _close(expected: list, got: list) -> bool:
    """Equal up to the rounding of sums that are taken in another order."""
    return expected[-1] == got[-1] and all(
        left.shape == right.shape and torch.allclose(left, right, rtol=1e-4, atol=1e-4)
        for left, right in zip(expected[:-1], got[:-1])
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
        layer = _Layer(width, *(draw(rng, inputs, count * width) for count in (heads, kv_heads, kv_heads)))
        yield Case(layer, [draw(rng, size, inputs) for size in sizes], note=note)


def _wrong(name: str, hint: str, **switch) -> WrongAnswer:
    return WrongAnswer(name, lambda x, layer, cache: _step(x, layer, cache, **switch), hint)


register(
    Check(
        name="cache.cached_step",
        task="attend from new positions through a cache, with rotary positions and shared heads",
        cases=step_cases,
        oracle=_without_cache,
        call=_feed,
        same=_close,
        why="most of these mistakes raise no error; the comparison with the result without a cache shows them.",
        hint="positions start at cache.length; turn query and key; append; share the heads; attend with shifted mask; "
        "join the heads of a position side by side.",
        wrong=[
            _wrong("cache never read", "attend to what cache.append returned, not to the new keys alone.", read=False),
            WrongAnswer(
                "nothing appended",
                lambda x, layer, cache: _step(x, layer, _Cache()),
                "the cache stays empty: call cache.append with the new keys and values, and attend to what it returns.",
            ),
            _wrong(
                "positions start anew",
                "the first new position is cache.length; every piece was turned as if it began the text.",
                positions=lambda length, new: torch.arange(new),
            ),
            _wrong(
                "positions off by one after the prompt",
                "behind a prompt of 3 the next position is 3, because counting starts at 0.",
                positions=lambda length, new: _following(length + (length > 0), new),
            ),
            _wrong(
                "positions one too low after the prompt",
                "the last prompt token and the first new one got the same position; start at cache.length.",
                positions=lambda length, new: _following(max(length - 1, 0), new),
            ),
            _wrong(
                "one position for all",
                "each new token has a position of its own: cache.length, cache.length + 1, and so on.",
                positions=lambda length, new: torch.full((new,), length),
            ),
            _wrong(
                "keys turned twice",
                "the cache holds keys that are turned already; turn only the new ones, before they are appended.",
                again=True,
            ),
            _wrong(
                "mask ignores the cached keys",
                "the first new query stands behind all cached keys: shift the mask's diagonal by their number.",
                offset=False,
            ),
            _wrong(
                "heads repeated in the wrong order",
                "neighbouring query heads share a key head: 0, 0, 1, 1 and not 0, 1, 0, 1.",
                share=lambda key, groups: key.repeat(groups, 1, 1),
            ),
            _wrong(
                "heads repeated before they are stored",
                "the result is right, but the cache is H / H_kv times too large: append the H_kv heads and repeat what "
                "append returns.",
                early=True,
            ),
            _wrong(
                "queries not turned",
                "the product of query and key depends on their distance only if both are turned.",
                turned="k",
            ),
            _wrong("keys not turned", "turn the new keys as well, before they are appended.", turned="q"),
            _wrong(
                "nothing turned",
                "without a turn attention does not know the order: turn queries and keys to their positions.",
                turned="",
            ),
            _wrong(
                "values turned",
                "only queries and keys are turned, because only their product has to know the distance.",
                turned="qkv",
            ),
            _wrong(
                "heads not joined",
                "you return one matrix for each head, (H, T_new, w); set the heads of a position side by side.",
                join=lambda heads: heads,
            ),
            _wrong(
                "heads joined one below the other",
                "the rows of the result are positions: join the heads along the last axis.",
                join=lambda heads: heads.flatten(0, 1),
            ),
            _wrong(
                "positions and heads mixed up in the join",
                "reshaping (H, T_new, w) puts several positions of one head in a row: swap the first two axes before.",
                join=lambda heads: heads.reshape(heads.shape[1], -1),
            ),
        ],
    )
)
