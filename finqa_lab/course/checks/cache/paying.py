"""Checks of lab 02: bytes of a cache, and the least time of a pass."""

import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def grouped_cases(rng: random.Random) -> Iterator[Case]:
    """Layers, key/value heads, head width, tokens, batch, bytes a number."""
    yield Case(1, 1, 1, 1, 1, 1, note="one number for the key, one for the value")
    yield Case(1, 2, 4, 3, 1, 4)
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
                "one head",
                lambda layers, heads, *rest: _grouped(layers, 1, *rest),
                "every key/value head keeps a key and a value of its own.",
            ),
            WrongAnswer(
                "numbers for bytes",
                lambda *case: _grouped(*case[:-1], 1),
                "that is how many numbers are kept; each of them takes element_bytes bytes.",
            ),
            WrongAnswer(
                "in GiB",
                lambda *case: _grouped(*case) / 2**30,
                "the answer is asked for in bytes; divide by 2**30 only where you print it.",
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
            WrongAnswer(
                "one sequence",
                lambda layers, latent, rotary, tokens, batch, size: _latent(layers, latent, rotary, tokens, 1, size),
                "each sequence of the batch has latents of its own.",
            ),
            WrongAnswer(
                "widths multiplied",
                lambda layers, latent, rotary, *rest: _latent(layers, latent * rotary, 0, *rest),
                "the latent and the rotary key stand side by side: their widths are added.",
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
                "memory only",
                lambda operations, moved, rate, bandwidth: moved / bandwidth,
                "a prefill does many operations with each weight it reads: the arithmetic counts as well.",
            ),
            WrongAnswer(
                "a rate for a time",
                lambda operations, moved, rate, bandwidth: min(rate, bandwidth * operations / moved),
                "that is the operations a second that can be reached; the time is asked for.",
            ),
            WrongAnswer(
                "rates exchanged",
                lambda operations, moved, rate, bandwidth: max(operations / bandwidth, moved / rate),
                "operations are divided by operations a second, bytes by bytes a second.",
            ),
        ],
    )
)
