"""Checks of lab 02: what recomputation costs, and the contiguous cache of one layer."""

import random
from collections.abc import Iterator

import torch
from torch import Tensor

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def position_cases(rng: random.Random) -> Iterator[Case]:
    """Prompt lengths and numbers of new tokens, with and without a cache."""
    for prompt, new in ((1, 1), (3, 1), (3, 2), (4, 3), (64, 16), (rng.randrange(20, 90), rng.randrange(2, 40))):
        yield Case(prompt, new, True, note="cached")
        yield Case(prompt, new, False, note="recomputed")


def _positions(prompt: int, new: int, cached: bool) -> int:
    return prompt + new - 1 if cached else sum(prompt + step for step in range(new))


register(
    Check(
        name="cache.positions_computed",
        task="positions that go through the model to write `new` tokens behind a prompt",
        cases=position_cases,
        oracle=_positions,
        why="this count is the cost; it is what the lab observes to prove that a cache is used.",
        hint="list the passes for a prompt of 3 and 2 new tokens: which positions does each of them compute?",
        wrong=[
            WrongAnswer(
                "last token fed too",
                lambda prompt, new, cached: prompt + new if cached else sum(prompt + s for s in range(new + 1)),
                "the last new token is written, and never read again: it needs no pass.",
            ),
            WrongAnswer(
                "last token fed to the cache",
                lambda prompt, new, cached: prompt + new if cached else _positions(prompt, new, False),
                "the pass over the prompt gives the first new token already: new - 1 passes of one position follow.",
            ),
            WrongAnswer(
                "one pass too many without a cache",
                lambda prompt, new, cached: _positions(prompt, new + (not cached), cached),
                "n new tokens take n passes: the first runs over the prompt alone.",
            ),
            WrongAnswer(
                "prompt computed again for each token",
                lambda prompt, new, cached: prompt + new - 1 if cached else prompt * new,
                "without a cache each pass also computes the tokens written so far: the passes grow.",
            ),
            WrongAnswer(
                "same with and without",
                lambda prompt, new, cached: prompt + new - 1,
                "without a cache every pass starts from the first position again.",
            ),
            WrongAnswer(
                "new tokens only",
                lambda prompt, new, cached: new if cached else sum(prompt + s for s in range(new)),
                "the prompt has to be computed once, too.",
            ),
            WrongAnswer(
                "prompt only",
                lambda prompt, new, cached: prompt if cached else _positions(prompt, new, False),
                "the prompt's pass gives one token; each further one takes a pass over the token written before it.",
            ),
            WrongAnswer(
                "exchanged",
                lambda prompt, new, cached: _positions(prompt, new, not cached),
                "cached=True is the cheaper one: you have the two cases the other way round.",
            ),
        ],
    )
)


class _Right:
    """Storage for ``capacity`` positions, filled from the left."""

    def __init__(self, capacity: int, heads: int, width: int):
        self.keys, self.values = torch.zeros(heads, capacity, width), torch.zeros(heads, capacity, width)
        self.length = 0

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store behind what is there, return all that is filled."""
        self.store(key, value, self.length)
        self.length += key.shape[1]
        return self.filled(key, value)

    def store(self, key: Tensor, value: Tensor, begin: int) -> None:
        self.keys[:, begin : begin + key.shape[1]] = key
        self.values[:, begin : begin + key.shape[1]] = value

    def filled(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        return self.keys[:, : self.length], self.values[:, : self.length]


class _NeverRead(_Right):
    def filled(self, key, value):
        return key, value


class _WholeStorage(_Right):
    def filled(self, key, value):
        return self.keys, self.values


class _FirstLost(_Right):
    """Stores from the second call on."""

    def append(self, key, value):
        if not hasattr(self, "started"):
            self.started = True
            return key, value
        return super().append(key, value)


class _Overwrites(_Right):
    def store(self, key, value, begin):
        super().store(key, value, 0)


class _NeverMoves(_Right):
    def append(self, key, value):
        self.store(key, value, 0)
        return self.keys[:, : key.shape[1]], self.values[:, : key.shape[1]]


class _CountsCalls(_Right):
    def append(self, key, value):
        self.store(key, value, self.length)
        self.length += 1
        return self.filled(key, value)


class _CountsCallsReturnsMore(_Right):
    def append(self, key, value):
        self.store(key, value, self.length)
        end = self.length + key.shape[1]
        self.length += 1
        return self.keys[:, :end], self.values[:, :end]


class _OneShort(_Right):
    def filled(self, key, value):
        return self.keys[:, : self.length - 1], self.values[:, : self.length - 1]


class _NewestMissing(_Right):
    def filled(self, key, value):
        before = self.length - key.shape[1]
        return self.keys[:, :before], self.values[:, :before]


class _ValuesAsKeys(_Right):
    def filled(self, key, value):
        return self.keys[:, : self.length], self.keys[:, : self.length]


class _Exchanged(_Right):
    def filled(self, key, value):
        return self.values[:, : self.length], self.keys[:, : self.length]


class _FirstAxis(_Right):
    def store(self, key, value, begin):
        self.keys[begin : begin + key.shape[1]] = key
        self.values[begin : begin + key.shape[1]] = value

    def filled(self, key, value):
        return self.keys[: self.length], self.values[: self.length]


class _Joined(_Right):
    def store(self, key, value, begin):
        self.keys = torch.cat([self.keys[:, :begin], key], dim=1)
        self.values = torch.cat([self.values[:, :begin], value], dim=1)


class _JoinedBehindZeros(_Right):
    def store(self, key, value, begin):
        self.keys, self.values = torch.cat([self.keys, key], dim=1), torch.cat([self.values, value], dim=1)

    def filled(self, key, value):
        return self.keys, self.values


def _drive(made, capacity: int, heads: int, width: int, pieces: list[tuple[Tensor, Tensor]]) -> list:
    """What every append returned, copied at once: the storage goes on changing. Last, what the cache then is."""
    cache = made(capacity, heads, width)
    returned = []
    for key, value in pieces:
        keys, values = cache.append(key, value)
        returned.append((keys.clone(), values.clone()))
    return [*returned, f"length {cache.length}, capacity {cache.keys.shape[1]}"]


def storage_cases(rng: random.Random) -> Iterator[Case]:
    """A prompt and single positions behind it."""
    for heads, width, sizes in ((1, 1, (1,)), (1, 2, (2, 1)), (2, 3, (3, 1, 1)), (2, 4, (1, 2, 1, 3))):
        generator = torch.Generator().manual_seed(rng.randrange(2**31))
        pieces = [tuple(torch.randn(2, heads, size, width, generator=generator)) for size in sizes]
        note = f"{sizes[0]} at once" + (f", then {' and '.join(map(str, sizes[1:]))}" if len(sizes) > 1 else "")
        yield Case(sum(sizes) + 2, heads, width, pieces, note=note)


register(
    Check(
        name="cache.layer_cache",
        task="a cache of one layer that stores what comes and returns all that is filled",
        cases=storage_cases,
        oracle=lambda *case: _drive(_Right, *case),
        call=_drive,
        why="a cache that is written and not read, or read one position short, changes the text and not the speed.",
        hint="write at self.length, add the number of new positions to it, return the filled part of both tensors.",
        wrong=[
            WrongAnswer(
                "never read",
                _NeverRead,
                "append must return everything stored so far, not only what came in.",
            ),
            WrongAnswer(
                "length never moved",
                _NeverMoves,
                "self.length is still 0 after an append, so that the next one writes to the start again.",
            ),
            WrongAnswer(
                "length counts calls",
                _CountsCalls,
                "self.length counts positions: add key.shape[1] to it, not 1.",
            ),
            WrongAnswer(
                "length counts calls, the right part returned",
                _CountsCallsReturnsMore,
                "what you return is right, but self.length grew by 1 and not by the number of new positions.",
            ),
            WrongAnswer(
                "first token never cached",
                _FirstLost,
                "the first call must be stored like every other: its positions are missing later.",
            ),
            WrongAnswer(
                "written to the start again",
                _Overwrites,
                "new positions go behind the old ones: write at self.length and move it on.",
            ),
            WrongAnswer(
                "the whole storage returned",
                _WholeStorage,
                "positions that are not filled are zeros, and a zero key still gets weight: return the filled part.",
            ),
            WrongAnswer(
                "one position short",
                _OneShort,
                "a slice [:n] ends before n already: the newest position is missing, and it must see itself.",
            ),
            WrongAnswer(
                "the newest missing",
                _NewestMissing,
                "the newest positions must see themselves: move self.length on before you cut.",
            ),
            WrongAnswer("keys for values", _ValuesAsKeys, "the second tensor to return holds the values."),
            WrongAnswer("exchanged", _Exchanged, "the first tensor to return holds the keys, the second the values."),
            WrongAnswer(
                "stored along the heads",
                _FirstAxis,
                "the first axis is the heads, the second the positions: self.keys[:, begin:end].",
            ),
            WrongAnswer(
                "joined instead of stored",
                _Joined,
                "the numbers are right, but torch.cat copies the whole cache for each token: write into the reserved "
                "storage with self.keys[:, begin:end] = key.",
            ),
            WrongAnswer(
                "joined behind the empty storage",
                _JoinedBehindZeros,
                "the storage has room for all positions: write into it; torch.cat puts the new ones behind the zeros.",
            ),
        ],
    )
)
