"""Checks of lab 02: what recomputation costs, the contiguous cache, and which prefix can be reused."""

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
    def append(self, key, value):
        self.store(key, value, 0)
        self.length = max(self.length, key.shape[1])
        return self.filled(key, value)


class _OneShort(_Right):
    def filled(self, key, value):
        return self.keys[:, : self.length - 1], self.values[:, : self.length - 1]


class _ValuesAsKeys(_Right):
    def filled(self, key, value):
        return self.keys[:, : self.length], self.keys[:, : self.length]


def _drive(made, capacity: int, heads: int, width: int, pieces: list[tuple[Tensor, Tensor]]) -> list:
    """What every append returned, copied at once: the storage goes on changing."""
    cache = made(capacity, heads, width)
    returned = []
    for key, value in pieces:
        keys, values = cache.append(key, value)
        returned.append((keys.clone(), values.clone()))
    return returned


def storage_cases(rng: random.Random) -> Iterator[Case]:
    """A prompt and single positions behind it."""
    for heads, width, sizes in ((1, 1, (1,)), (1, 2, (2, 1)), (2, 3, (3, 1, 1)), (2, 4, (1, 2, 1, 3))):
        generator = torch.Generator().manual_seed(rng.randrange(2**31))
        pieces = [tuple(torch.randn(2, heads, size, width, generator=generator)) for size in sizes]
        note = f"{sizes[0]} positions" + (f", then {' and '.join(map(str, sizes[1:]))}" if len(sizes) > 1 else "")
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
                "never read", _NeverRead, "append must return everything stored so far, not only what came in."
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
                "the newest position must see itself: move self.length on before you cut.",
            ),
            WrongAnswer("keys for values", _ValuesAsKeys, "the second tensor to return holds the values."),
        ],
    )
)


def _reusable(cached: list[list[int]], prompt: list[int], size: int, whole=False, partial=False, leave=1) -> int:
    longest = 0
    for tokens in cached:
        common = 0
        while common < min(len(tokens), len(prompt)) and tokens[common] == prompt[common]:
            common += 1
        full = len(tokens) // size * size
        longest = max(longest, common if partial else min(common, full) // size * size)
    if whole:
        return longest
    limit = len(prompt) - leave
    return min(longest, limit if partial else limit // size * size)


def _anywhere(cached: list[list[int]], prompt: list[int], size: int) -> int:
    blocks = {tuple(t[i : i + size]) for t in cached for i in range(0, len(t) - size + 1, size)}
    found = [tuple(prompt[i : i + size]) in blocks for i in range(0, len(prompt) - size + 1, size)]
    return min(sum(found) * size, (len(prompt) - 1) // size * size)


def prefix_cases(rng: random.Random) -> Iterator[Case]:
    """Token sequences in the cache, a new prompt, and the block size."""
    yield Case([], [1, 2, 3], 2, note="nothing cached")
    yield Case([[1, 2, 3, 4]], [1, 2, 3, 4, 5], 2, note="two full blocks")
    yield Case([[1, 2, 3, 4]], [1, 2, 3, 9, 5], 2, note="the second block differs")
    yield Case([[1, 2, 3, 4]], [1, 2, 3, 4], 2, note="the same prompt again: its last token must be computed")
    yield Case([[1, 2, 3]], [1, 2, 3, 4, 5], 2, note="the cached text ends inside a block")
    yield Case([[1, 2, 3, 4]], [9, 9, 3, 4, 5], 2, note="a block alike, at the same place, behind another beginning")
    yield Case([[1, 2, 9, 9], [1, 2, 3, 4, 5, 6]], [1, 2, 3, 4, 7], 2, note="the longer of two matches")
    for _ in range(6):
        system = [rng.randrange(3) for _ in range(rng.randrange(6, 16))]
        cached = [system[: rng.randrange(len(system))] + [rng.randrange(3) for _ in range(5)] for _ in range(3)]
        yield Case(cached, system + [rng.randrange(3) for _ in range(3)], rng.choice([2, 4]))


register(
    Check(
        name="cache.reusable_tokens",
        task="tokens of a prompt whose keys and values can be taken over from cached sequences",
        cases=prefix_cases,
        oracle=_reusable,
        why="a key depends on every token before it, so only an unbroken run from the first token can be reused.",
        hint="compare block by block from the start; stop at the first that differs; leave one token to compute.",
        wrong=[
            WrongAnswer(
                "partly filled blocks too",
                lambda cached, prompt, size: _reusable(cached, prompt, size, partial=True),
                "only full blocks are shared: round the common run down to a multiple of the block size.",
            ),
            WrongAnswer(
                "the whole prompt",
                lambda cached, prompt, size: _reusable(cached, prompt, size, whole=True),
                "the next token comes from the logits of the last one, which no cache keeps: leave a token to compute.",
            ),
            WrongAnswer(
                "equal blocks anywhere",
                _anywhere,
                "equal tokens behind another beginning have other keys: stop at the first block that differs.",
            ),
            WrongAnswer(
                "first sequence only",
                lambda cached, prompt, size: _reusable(cached[:1], prompt, size),
                "look at every cached sequence and take the longest match.",
            ),
        ],
    )
)
