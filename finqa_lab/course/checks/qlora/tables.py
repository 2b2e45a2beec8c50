"""Checks of lab 07: the code book from quantiles, the entry nearest to a value, and two codes to a byte."""

import random
from collections.abc import Iterator
from statistics import NormalDist

import torch
from torch import Tensor

from finqa_lab.course.checking import Case, Check, WrongAnswer, register
from finqa_lab.tune.codebooks import OUTERMOST, codebook

_QUANTILE = NormalDist().inv_cdf


def table_cases(rng: random.Random) -> Iterator[Case]:
    """Values below zero, above zero, and the probability of the outermost one."""
    yield Case(1, 1, 0.9, note="one value on each side, and zero")
    yield Case(1, 2, 0.9, note="one more above zero")
    yield Case(2, 3, 0.95)
    yield Case(7, 8, OUTERMOST, note="NF4")
    yield Case(rng.randrange(2, 6), rng.randrange(6, 9), rng.uniform(0.9, 0.99))


def _half(count: int, outermost: float, first: int = 1) -> list[float]:
    return [_QUANTILE(0.5 + (outermost - 0.5) * step / count) for step in range(first, count + 1)]


def _table(below: int, above: int, outermost: float) -> list[float]:
    values = [-value for value in reversed(_half(below, outermost))] + [0.0] + _half(above, outermost)
    return [value / values[-1] for value in values]


def _without_zero(below: int, above: int, outermost: float) -> list[float]:
    return [value for value in _table(below, above, outermost) if value]


def _zero_twice(below: int, above: int, outermost: float) -> list[float]:
    return sorted([*_table(below, above, outermost), 0.0])


def _unscaled(below: int, above: int, outermost: float) -> list[float]:
    return [value * _QUANTILE(outermost) for value in _table(below, above, outermost)]


def _equal_steps(below: int, above: int, outermost: float) -> list[float]:
    return [step / below for step in range(-below, 0)] + [step / above for step in range(above + 1)]


def _unsorted(below: int, above: int, outermost: float) -> list[float]:
    values = _table(below, above, outermost)
    return [*values[below + 1 :], *values[: below + 1]]


def _from_the_outside(below: int, above: int, outermost: float) -> list[float]:
    values = _table(below, above, outermost)
    return [*values[:below][::-1], *values[below:]]


def _straight_through(below: int, above: int, outermost: float) -> list[float]:
    count = below + above
    values = [_QUANTILE(1 - outermost + (2 * outermost - 1) * step / count) for step in range(count + 1)]
    return [value / values[-1] for value in values]


register(
    Check(
        name="qlora.quantile_table",
        task="a sorted table of quantiles of a normal distribution, with an exact zero, scaled to end at 1",
        cases=table_cases,
        oracle=_table,
        why="where entries lie decides which weights are kept well: densely where weights are frequent.",
        hint="make each half by itself, from its innermost value to the outermost, then mirror the lower one.",
        wrong=[
            WrongAnswer(
                "no zero",
                _without_zero,
                "zero has an entry of its own, between the two halves: a weight of zero must come back as zero.",
            ),
            WrongAnswer(
                "zero twice",
                _zero_twice,
                "zero is in the table twice: let the steps of each half begin at 1, and add zero once.",
            ),
            WrongAnswer(
                "both halves as long",
                lambda below, above, outermost: _table(above, above, outermost),
                "the lower half has `below` values, at steps of 1 / below; you took `above` for both halves.",
            ),
            WrongAnswer(
                "halves exchanged",
                lambda below, above, outermost: _table(above, below, outermost),
                "`below` values lie below zero and `above` values above it; yours are exchanged.",
            ),
            WrongAnswer(
                "not scaled",
                _unscaled,
                "these are the quantiles themselves; divide all of them by the largest, so that the table ends at 1.",
            ),
            WrongAnswer(
                "equal steps",
                _equal_steps,
                "these are equal steps, an integer format; take the normal quantile of each probability.",
            ),
            WrongAnswer(
                "not sorted",
                _unsorted,
                "the values are right, but their order is not: a code is a position in the sorted table.",
            ),
            WrongAnswer(
                "lower half from the inside",
                _from_the_outside,
                "the lower half runs from the smallest value up to zero; yours begins at the one next to zero.",
            ),
            WrongAnswer(
                "one run of quantiles",
                _straight_through,
                "one run of equally spaced probabilities meets 1/2 only when the halves are as long; make each half.",
            ),
        ],
    )
)


def nearest_cases(rng: random.Random) -> Iterator[Case]:
    """Scaled values and a sorted table."""
    small = torch.tensor([-1.0, 0.0, 1.0])
    yield Case(torch.tensor([-1.0, 0.0, 1.0]), small, note="the entries themselves")
    yield Case(torch.tensor([0.2, 0.8, -0.7]), small)
    yield Case(torch.tensor([0.5, -0.5]), small, note="in the middle of two entries: the lower")
    yield Case(torch.tensor([0.6, -0.3, 0.05]), torch.tensor([-1.0, -0.2, 0.0, 0.1, 1.0]), note="unequal steps")
    values = [rng.uniform(-1, 1) for _ in range(50)]
    yield Case(torch.tensor(values), codebook("nf4"), note="NF4")


def _nearest(scaled: Tensor, entries: Tensor, right: bool = False) -> Tensor:
    return torch.bucketize(scaled, (entries[:-1] + entries[1:]) / 2, right=right)


def _below(scaled: Tensor, entries: Tensor) -> Tensor:
    return (torch.bucketize(scaled, entries, right=True) - 1).clamp(min=0)


def _steps(scaled: Tensor, entries: Tensor) -> Tensor:
    return ((scaled + 1) / 2 * (len(entries) - 1)).round().long()


register(
    Check(
        name="qlora.nearest",
        task="the position of the entry nearest to each value, in the middle of two the lower one",
        cases=nearest_cases,
        oracle=_nearest,
        why="every stored weight goes through this line; one wrong rule and no code agrees with another library's.",
        hint="count how many of the middles between neighbouring entries a value exceeds.",
        wrong=[
            WrongAnswer(
                "upper at a tie",
                lambda scaled, entries: _nearest(scaled, entries, right=True),
                "a value in the middle of two entries gets the lower one: it must exceed the middle to go up.",
            ),
            WrongAnswer(
                "rounded down",
                _below,
                "you took the next entry below; the nearest may be the one above.",
            ),
            WrongAnswer(
                "rounded up",
                lambda scaled, entries: torch.bucketize(scaled, entries),
                "you took the next entry above; compare with the middles between entries, not with the entries.",
            ),
            WrongAnswer(
                "the entry itself",
                lambda scaled, entries: entries[_nearest(scaled, entries)],
                "that is the value of the entry; stored is its position in the table.",
            ),
            WrongAnswer(
                "equal steps",
                _steps,
                "this rounds to equal steps; the entries of this table are not equally far apart.",
            ),
            WrongAnswer(
                "counted from one",
                lambda scaled, entries: _nearest(scaled, entries) + 1,
                "positions begin at 0: four bits hold 0 to 15.",
            ),
        ],
    )
)


def pack_cases(rng: random.Random) -> Iterator[Case]:
    """Codes below 16."""
    yield Case(torch.tensor([1, 2], dtype=torch.uint8), note="1 in the upper half of the byte: 16 + 2")
    yield Case(torch.tensor([15, 0, 3, 12], dtype=torch.uint8))
    yield Case(torch.tensor([9, 4, 5], dtype=torch.uint8), note="an odd last one, with the code of zero behind it")
    yield Case(torch.tensor([rng.randrange(16) for _ in range(31)], dtype=torch.uint8))


def _pack(codes: Tensor, rest: int = 7) -> Tensor:
    if len(codes) % 2:
        codes = torch.cat([codes, codes.new_tensor([rest])])
    return codes[::2] << 4 | codes[1::2]


def _halves(codes: Tensor) -> Tensor:
    if len(codes) % 2:
        codes = torch.cat([codes, codes.new_tensor([7])])
    middle = len(codes) // 2
    return codes[:middle] << 4 | codes[middle:]


def _low_first(codes: Tensor) -> Tensor:
    packed = _pack(codes)
    return packed >> 4 | (packed & 15) << 4


def _decimal(codes: Tensor) -> Tensor:
    packed = _pack(codes)
    return (packed >> 4) * 10 + (packed & 15)


register(
    Check(
        name="qlora.pack",
        task="two codes to a byte, the first in the upper half; an odd last one is followed by 7",
        cases=pack_cases,
        oracle=_pack,
        why="a byte is the smallest thing a file has: whoever reads it must know which half came first.",
        hint="shift the codes at even places by four bits, and put those at odd places beside them.",
        wrong=[
            WrongAnswer(
                "first in the lower half",
                _low_first,
                "the first code of a pair goes to the upper four bits; MLX does it your way, bitsandbytes does not.",
            ),
            WrongAnswer(
                "first half with second half",
                _halves,
                "neighbours share a byte; you put codes of the first half beside codes of the second.",
            ),
            WrongAnswer(
                "last one dropped",
                lambda codes: _pack(codes[: len(codes) // 2 * 2]),
                "with an odd number of codes the last one still needs a byte; put a 7 behind it.",
            ),
            WrongAnswer(
                "filled with 0",
                lambda codes: _pack(codes, rest=0),
                "the filler is the code of the value zero, 7 in this table; code 0 is the value -1.",
            ),
            WrongAnswer(
                "one to a byte",
                lambda codes: codes,
                "one code a byte is eight bits a weight; two of them fit.",
            ),
            WrongAnswer(
                "decimal places",
                _decimal,
                "the upper half of a byte is worth 16, not 10: shift by four bits.",
            ),
        ],
    )
)
