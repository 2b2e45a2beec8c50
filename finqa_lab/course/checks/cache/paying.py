"""Checks of lab 02: bytes of a cache, the roofline, and what blocks waste."""

import math
import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def grouped_cases(rng: random.Random) -> Iterator[Case]:
    """Layers, key/value heads, head width, tokens, batch, bytes a number."""
    yield Case(1, 1, 1, 1, 1, 1, note="one number for the key, one for the value")
    yield Case(1, 2, 4, 3, 1, 2)
    yield Case(16, 8, 64, 8192, 1, 2, note="Llama 3.2 1B at 8,192 tokens in bfloat16")
    yield Case(80, 8, 128, 4096, 16, 2, note="a 70B model, 16 sequences")
    yield Case(*(rng.randrange(1, 50) for _ in range(5)), 4)


def _grouped(layers: int, kv_heads: int, head_dim: int, tokens: int, batch: int, element_bytes: int) -> int:
    return 2 * layers * kv_heads * head_dim * tokens * batch * element_bytes


register(
    Check(
        name="cache.cache_bytes",
        task="bytes of the keys and values of all layers",
        cases=grouped_cases,
        oracle=_grouped,
        why="this product decides how many requests fit beside the weights.",
        hint="how many numbers does one layer keep for one token? Then all tokens, sequences and layers.",
        wrong=[
            WrongAnswer(
                "keys only",
                lambda *case: _grouped(*case) // 2,
                "values are kept as well: a factor of 2.",
            ),
            WrongAnswer(
                "one layer",
                lambda layers, *rest: _grouped(1, *rest),
                "every layer has keys and values of its own.",
            ),
            WrongAnswer(
                "one sequence",
                lambda layers, heads, width, tokens, batch, size: _grouped(layers, heads, width, tokens, 1, size),
                "each sequence of the batch has its own cache.",
            ),
            WrongAnswer(
                "in bits",
                lambda *case: 8 * _grouped(*case),
                "the last argument is bytes a number already; 8 times too much is the figure in bits.",
            ),
        ],
    )
)


def latent_cases(rng: random.Random) -> Iterator[Case]:
    """Layers, latent width, rotary width, tokens, batch, bytes a number."""
    yield Case(1, 1, 1, 1, 1, 1)
    yield Case(60, 512, 64, 4096, 1, 2, note="DeepSeek-V2 at 4,096 tokens in bfloat16")
    yield Case(*(rng.randrange(1, 60) for _ in range(5)), 4)


def _latent(layers: int, latent: int, rotary: int, tokens: int, batch: int, element_bytes: int) -> int:
    return layers * (latent + rotary) * tokens * batch * element_bytes


register(
    Check(
        name="cache.latent_bytes",
        task="bytes of the cache of multi-head latent attention",
        cases=latent_cases,
        oracle=_latent,
        why="the latent replaces the keys and values of all heads, which is where the saving comes from.",
        hint="one latent and one rotary key a token and layer: their widths add up.",
        wrong=[
            WrongAnswer(
                "counted twice",
                lambda *case: 2 * _latent(*case),
                "keys and values come from the same latent: there is no factor of 2.",
            ),
            WrongAnswer(
                "rotary key forgotten",
                lambda layers, latent, rotary, *rest: _latent(layers, latent, 0, *rest),
                "the rotary key cannot be computed from the latent and is cached beside it.",
            ),
            WrongAnswer(
                "latent kept twice",
                lambda layers, latent, rotary, *rest: _latent(layers, 2 * latent, rotary, *rest),
                "the latent serves as key and as value: it is stored once.",
            ),
        ],
    )
)


def roof_cases(rng: random.Random) -> Iterator[Case]:
    """Operations and bytes of a pass, operations and bytes a second of a machine."""
    yield Case(10, 10, 1, 1)
    yield Case(100, 10, 1, 1, note="bound by arithmetic")
    yield Case(10, 100, 1, 1, note="bound by memory")
    yield Case(2e9, 4e9, 80e9, 20e9, note="a decode step")
    yield Case(5e11, 4e9, 80e9, 20e9, note="a prefill")
    yield Case(rng.uniform(1, 9) * 1e9, rng.uniform(1, 9) * 1e9, 50e9, 10e9)


register(
    Check(
        name="cache.least_seconds",
        task="least time of a pass that does some operations and moves some bytes",
        cases=roof_cases,
        oracle=lambda operations, moved, rate, bandwidth: max(operations / rate, moved / bandwidth),
        why="it says what a faster processor, or faster memory, would buy you.",
        hint="arithmetic and memory traffic overlap: the slower of the two decides.",
        wrong=[
            WrongAnswer(
                "one after the other",
                lambda operations, moved, rate, bandwidth: operations / rate + moved / bandwidth,
                "memory is read while the processor works: the times overlap, so take the larger.",
            ),
            WrongAnswer(
                "the faster of the two",
                lambda operations, moved, rate, bandwidth: min(operations / rate, moved / bandwidth),
                "a pass is over when both are done: the slower one decides.",
            ),
            WrongAnswer(
                "arithmetic only",
                lambda operations, moved, rate, bandwidth: operations / rate,
                "a decode step does little with each weight it reads: the bytes count as well.",
            ),
            WrongAnswer(
                "rates exchanged",
                lambda operations, moved, rate, bandwidth: max(operations / bandwidth, moved / rate),
                "operations are divided by operations a second, bytes by bytes a second.",
            ),
        ],
    )
)


def block_cases(rng: random.Random) -> Iterator[Case]:
    """Lengths of sequences, and the block size."""
    yield Case([4], 4, note="exactly one block")
    yield Case([5], 4, note="one position in the second block")
    yield Case([1, 1], 4, note="two short sequences do not share a block")
    yield Case([3, 8, 10], 4)
    yield Case([rng.randrange(1, 500) for _ in range(20)], rng.choice([8, 16, 32]))


def _waste(lengths: list[int], size: int, blocks=lambda length, size: math.ceil(length / size), of="reserved") -> float:
    reserved = sum(blocks(length, size) * size for length in lengths)
    return (reserved - sum(lengths)) / (reserved if of == "reserved" else sum(lengths))


def _rounded_total(lengths: list[int], size: int) -> float:
    reserved = math.ceil(sum(lengths) / size) * size
    return (reserved - sum(lengths)) / reserved


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
                _rounded_total,
                "sequences do not share a block: round each length up, not their sum.",
            ),
            WrongAnswer(
                "one block too many",
                lambda lengths, size: _waste(lengths, size, blocks=lambda length, size: length // size + 1),
                "a length that is a multiple of the block size fills its blocks exactly.",
            ),
            WrongAnswer(
                "share of what is used",
                lambda lengths, size: _waste(lengths, size, of="used"),
                "divide by the reserved positions: the question is how much of the memory is wasted.",
            ),
            WrongAnswer(
                "used share",
                lambda lengths, size: 1 - _waste(lengths, size),
                "that is the share that is used; the waste is the rest.",
            ),
        ],
    )
)
