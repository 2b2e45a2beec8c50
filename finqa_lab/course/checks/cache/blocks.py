"""Checks of lab 02: what blocks waste, and which blocks of a prompt can be reused."""

import math
import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def block_cases(rng: random.Random) -> Iterator[Case]:
    """Lengths of sequences, and the block size."""
    yield Case([4], 4, note="exactly one block")
    yield Case([5], 4, note="one position in the second block")
    yield Case([1, 1], 4, note="two short sequences do not share a block")
    yield Case([3, 8, 10], 4)
    yield Case([rng.randrange(1, 500) for _ in range(20)], rng.choice([8, 16, 32]))


def _reserved(lengths: list[int], size: int) -> int:
    return sum(math.ceil(length / size) * size for length in lengths)


def _unused(lengths: list[int], reserved: int) -> float:
    return (reserved - sum(lengths)) / reserved


def _waste(lengths: list[int], size: int) -> float:
    return _unused(lengths, _reserved(lengths, size))


register(
    Check(
        name="cache.block_waste",
        task="share of the reserved positions that stay unused when every sequence takes whole blocks",
        cases=block_cases,
        oracle=_waste,
        why="what is reserved and unused is memory that another request could have had.",
        hint="round every length up to whole blocks, add up, compare with the positions that are used.",
        wrong=[
            WrongAnswer(
                "rounded once for all",
                lambda lengths, size: _unused(lengths, _reserved([sum(lengths)], size)),
                "sequences do not share a block: round each length up, not their sum.",
            ),
            WrongAnswer(
                "one block too many",
                lambda lengths, size: _unused(lengths, sum(length // size * size + size for length in lengths)),
                "a length that is a multiple of the block size fills its blocks exactly.",
            ),
            WrongAnswer(
                "share of what is used",
                lambda lengths, size: _reserved(lengths, size) / sum(lengths) - 1,
                "divide by the reserved positions: the question is how much of the memory is wasted.",
            ),
            WrongAnswer(
                "used share",
                lambda lengths, size: 1 - _waste(lengths, size),
                "that is the share that is used; the waste is the rest.",
            ),
            WrongAnswer(
                "positions counted",
                lambda lengths, size: sum(-length % size for length in lengths),
                "that is how many positions are wasted; divide by those that are reserved.",
            ),
            WrongAnswer(
                "mean over the sequences",
                lambda lengths, size: sum(_waste([length], size) for length in lengths) / len(lengths),
                "one share of all reserved positions is asked for, not the mean of each sequence's share.",
            ),
            WrongAnswer(
                "rounded down",
                lambda lengths, size: 1 - sum(lengths) / sum(length // size * size for length in lengths),
                "a block that is begun is reserved whole: round up, -(-length // block_size).",
            ),
            WrongAnswer(
                "the used end of the last block",
                lambda lengths, size: sum(length % size for length in lengths) / _reserved(lengths, size),
                "length % block_size is what the last block holds; wasted is what it lacks to be full.",
            ),
            WrongAnswer(
                "a full block counted as empty",
                lambda lengths, size: sum(size - length % size for length in lengths) / _reserved(lengths, size),
                "when length is a multiple of block_size its last block is full, and nothing is wasted.",
            ),
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


def _runs(cached: list[list[int]], prompt: list[int], size: int) -> list[int]:
    return [_reusable([tokens], prompt, size) for tokens in cached]


def _going_on(cached: list[list[int]], prompt: list[int], size: int) -> int:
    starts = range(0, len(prompt) - size, size)
    alike = [sum(tokens[i : i + size] == prompt[i : i + size] for i in starts) for tokens in cached]
    return max(alike, default=0) * size


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
            WrongAnswer(
                "last sequence only",
                lambda cached, prompt, size: _reusable(cached[-1:], prompt, size),
                "a later, shorter match replaced a longer one: keep the longest.",
            ),
            WrongAnswer(
                "first match taken",
                lambda cached, prompt, size: next(filter(None, _runs(cached, prompt, size)), 0),
                "you stopped at the first sequence that matches; a later one may match further.",
            ),
            WrongAnswer(
                "matches added up",
                lambda cached, prompt, size: sum(_runs(cached, prompt, size)),
                "two sequences that begin alike hold the same tokens twice: take the longest match, not the sum.",
            ),
            WrongAnswer(
                "counted on behind a difference",
                _going_on,
                "a block behind one that differs has another beginning: stop at the first difference.",
            ),
            WrongAnswer(
                "blocks counted",
                lambda cached, prompt, size: _reusable(cached, prompt, size) // size,
                "tokens are asked for: multiply the number of blocks by block_size.",
            ),
            WrongAnswer(
                "cut to all but one token",
                lambda cached, prompt, size: min(_reusable(cached, prompt, size, whole=True), len(prompt) - 1),
                "when the last token is left out, its block is not full: what is reused is a number of whole blocks.",
            ),
        ],
    )
)
