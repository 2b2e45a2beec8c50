"""Checks of lab 07: the memory that stands before the first token."""

import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def floor_cases(rng: random.Random) -> Iterator[Case]:
    """Frozen (numbers, bits) pairs, trained numbers, bytes of one, whether there is a master copy."""
    yield Case([], 1, 4, False, note="one trained float32 number: itself, its gradient, two moments")
    yield Case([], 10, 2, True, note="bfloat16 with a float32 master copy")
    yield Case([(100, 16)], 0, 4, False, note="frozen numbers have no gradient")
    yield Case([(1000, 4.5), (100, 16)], 10, 4, False, note="a base in two formats, and an adapter")
    yield Case([], 6_738_415_616, 2, False, note="LLaMA-7B, all of it in bfloat16")
    yield Case([(rng.randrange(1, 10**6) * 8, 4.125)], rng.randrange(1, 10**5), 4, False)


def _floor(frozen, trained, weight_bytes, master, states=8, gradients=True, bits=8) -> float:
    base = sum(count * size / bits for count, size in frozen)
    each = weight_bytes * (2 if gradients else 1) + states + (4 if master else 0)
    return base + trained * each


register(
    Check(
        name="qlora.floor_bytes",
        task="bytes of frozen numbers, and of trained ones with gradient, two float32 moments and a master copy",
        cases=floor_cases,
        oracle=_floor,
        why="a floor above the memory of the GPU cannot be trained there, whatever the batch is.",
        hint="a frozen number costs its bits; a trained one itself, a gradient as large, and 8 bytes of moments.",
        wrong=[
            WrongAnswer(
                "no gradients",
                lambda *case: _floor(*case, gradients=False),
                "every trained number has a gradient, of the size of the number.",
            ),
            WrongAnswer(
                "one moment",
                lambda *case: _floor(*case, states=4),
                "AdamW keeps two moments of each trained number, four bytes each.",
            ),
            WrongAnswer(
                "no moments",
                lambda *case: _floor(*case, states=0),
                "the optimizer remembers two moments of each trained number: 8 bytes.",
            ),
            WrongAnswer(
                "moments in the type of the weights",
                lambda frozen, trained, size, master: _floor(frozen, trained, size, master, states=2 * size),
                "the moments are float32, also where the weights have 2 bytes.",
            ),
            WrongAnswer(
                "always a master copy",
                lambda frozen, trained, size, master: _floor(frozen, trained, size, True),
                "the master copy is there only when `master` says so.",
            ),
            WrongAnswer(
                "master copy forgotten",
                lambda frozen, trained, size, master: _floor(frozen, trained, size, False),
                "with a master copy every trained number is kept once more, in 4 bytes.",
            ),
            WrongAnswer(
                "bits for bytes",
                lambda *case: _floor(*case, bits=1),
                "the frozen numbers are given in bits: divide by 8.",
            ),
            WrongAnswer(
                "everything trained",
                lambda frozen, trained, size, master: _floor(
                    frozen, trained + sum(count for count, _ in frozen), size, master
                ) - sum(count * size for count, _ in frozen),
                "frozen numbers have neither gradients nor moments: that is what an adapter saves.",
            ),
        ],
    )
)  # fmt: skip
