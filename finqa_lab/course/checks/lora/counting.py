"""Checks of lab 06: how many numbers are trained, and the bytes that training keeps for them."""

import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register
from finqa_lab.tune.lora import parameter_count


def count_cases(rng: random.Random) -> Iterator[Case]:
    """Shapes (out, in) of the adapted matrices, and the rank."""
    yield Case([(3, 2)], 1)
    yield Case([(4, 4), (2, 4)], 2)
    yield Case([(4096, 4096)], 16, note="one projection of a 7B model")
    for _ in range(3):
        shapes = [(rng.randrange(2, 90), rng.randrange(2, 90)) for _ in range(rng.randrange(1, 5))]
        yield Case(shapes, rng.randrange(2, 9))


register(
    Check(
        name="lora.adapter_count",
        task="numbers of an adapter of one rank on matrices (out, in)",
        cases=count_cases,
        oracle=parameter_count,
        why="this count times 16 bytes is all that training adds to the frozen weights.",
        hint="A is (rank, in) and B is (out, rank); add up both over all matrices.",
        wrong=[
            WrongAnswer(
                "the whole matrices",
                lambda shapes, rank: sum(rows * columns for rows, columns in shapes),
                "that is full fine-tuning: an adapter has two thin matrices in place of each.",
            ),
            WrongAnswer(
                "one of the two",
                lambda shapes, rank: sum(rank * columns for _, columns in shapes),
                "that is A alone; B has rank times out numbers.",
            ),
            WrongAnswer(
                "first matrix only",
                lambda shapes, rank: rank * sum(shapes[0]),
                "every adapted matrix has an adapter of its own: add them up.",
            ),
            WrongAnswer(
                "rank squared",
                lambda shapes, rank: sum(rank * rank * (rows + columns) for rows, columns in shapes),
                "the rank is a side of both A and B, so it is a factor once, not twice.",
            ),
            WrongAnswer(
                "rank left out",
                lambda shapes, rank: sum(rows + columns for rows, columns in shapes),
                "that is an adapter of rank 1: multiply by the rank.",
            ),
        ],
    )
)


def floor_cases(rng: random.Random) -> Iterator[Case]:
    """Frozen numbers, trained numbers, bytes of a frozen number; trained ones are float32."""
    yield Case(0, 1, 4, note="one number, trained")
    yield Case(10, 0, 2, note="nothing is trained")
    yield Case(6_738_415_616, 39_976_960, 2, note="a 7B model in bfloat16 with an adapter of rank 16")
    for _ in range(3):
        yield Case(rng.randrange(100, 9999), rng.randrange(10, 99), rng.choice([2, 4]))


def _floor(frozen, trained, frozen_bytes, graded=None, moments=2, trained_bytes=4):
    graded = trained if graded is None else graded
    return {
        "weights": frozen * frozen_bytes + trained * trained_bytes,
        "gradients": graded * trained_bytes,
        "optimizer": moments * graded * trained_bytes,
    }


register(
    Check(
        name="lora.training_bytes",
        task="bytes of weights, gradients and AdamW's two moments; trained numbers are float32",
        cases=floor_cases,
        oracle=_floor,
        why="it says before the first run whether a training can fit a machine at all.",
        hint="a gradient and two moments are kept for what is trained, and for nothing else; 4 bytes each.",
        wrong=[
            WrongAnswer(
                "gradients of frozen weights",
                lambda frozen, trained, size: _floor(frozen, trained, size, graded=frozen + trained),
                "a frozen number has no gradient and no moments: that is where the saving comes from.",
            ),
            WrongAnswer(
                "one moment",
                lambda frozen, trained, size: _floor(frozen, trained, size, moments=1),
                "AdamW keeps two moments of every trained number: the mean gradient and the mean square.",
            ),
            WrongAnswer(
                "no frozen weights",
                lambda frozen, trained, size: _floor(0, trained, size),
                "the frozen weights are read in every pass: they stay in memory.",
            ),
            WrongAnswer(
                "all of one size",
                lambda frozen, trained, size: _floor(frozen, trained, size, trained_bytes=size),
                "the trained numbers, their gradients and moments are float32: 4 bytes, whatever the frozen ones take.",
            ),
            WrongAnswer(
                "the moments' count only",
                lambda frozen, trained, size: {**_floor(frozen, trained, size), "optimizer": 2 * trained},
                "that is how many numbers the optimizer keeps; each of them has 4 bytes.",
            ),
        ],
    )
)
