"""Checks of lab 06: what padding costs, and samples packed into rows."""

import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register
from finqa_lab.tune.layouts import first_fit


def padding_cases(rng: random.Random) -> Iterator[Case]:
    """Lengths of samples in the order of training, and samples a batch."""
    yield Case([3, 1], 2, note="1 is filled up to 3")
    yield Case([3, 1, 2, 2], 2, note="each batch has its own longest sample")
    yield Case([5, 5, 2], 2, note="the last batch is not full")
    yield Case([4], 8)
    for _ in range(4):
        yield Case([rng.randrange(5, 60) for _ in range(rng.randrange(5, 20))], rng.randrange(2, 6))


def _padding(lengths, per_batch, everywhere=False, of="positions", grouped=False, cut=False) -> float:
    lengths = sorted(lengths) if grouped else lengths
    positions = real = 0
    for begin in range(0, len(lengths), per_batch):
        batch = lengths[begin : begin + per_batch]
        if cut and len(batch) < per_batch:
            continue
        positions += len(batch) * max(lengths if everywhere else batch)
        real += sum(batch)
    return (positions - real) / ({"positions": positions, "real": real}[of] or 1)


register(
    Check(
        name="lora.padding_share",
        task="share of the positions of padded batches that hold no token",
        cases=padding_cases,
        oracle=_padding,
        why="a filled position costs as much time as a token and teaches nothing.",
        hint="a batch of n samples takes n times its longest; add up positions and tokens over all batches.",
        wrong=[
            WrongAnswer(
                "filled up to the longest of all",
                lambda lengths, per_batch: _padding(lengths, per_batch, everywhere=True),
                "each batch is filled up to its own longest sample only.",
            ),
            WrongAnswer(
                "relative to the tokens",
                lambda lengths, per_batch: _padding(lengths, per_batch, of="real"),
                "a share of the positions: divide by all of them, not by the tokens.",
            ),
            WrongAnswer(
                "sorted first",
                lambda lengths, per_batch: _padding(lengths, per_batch, grouped=True),
                "the samples come in the order given; sorting them is the cure, measured below.",
            ),
            WrongAnswer(
                "last batch dropped",
                lambda lengths, per_batch: _padding(lengths, per_batch, cut=True),
                "the last batch counts as well, with as many samples as are left.",
            ),
        ],
    )
)


def packing_cases(rng: random.Random) -> Iterator[Case]:
    """Lengths of samples, and the room of a row."""
    yield Case([4, 6], 10, note="both fit one row exactly")
    yield Case([4, 3, 6, 2, 5], 10)
    yield Case([2, 2, 2], 3)
    yield Case([7, 12, 3], 10, note="12 is longer than a row: it gets one of its own")
    yield Case([5, 5, 5, 5], 10, note="equal lengths stay in order")
    for _ in range(4):
        yield Case([rng.randrange(1, 10) for _ in range(rng.randrange(6, 14))], 12)


def _fit(lengths, room, order=True, looking="first", strict=False, short=False, ids=True):
    bins, left = [], []
    sign = 1 if short else -1
    for index in sorted(range(len(lengths)), key=lambda i: sign * lengths[i]) if order else range(len(lengths)):
        size = lengths[index]
        fits = [i for i, free in enumerate(left) if (size < free if strict else size <= free)]
        if looking == "last":
            fits = [i for i in fits if i == len(left) - 1]
        if fits:
            bins[fits[0]].append(index if ids else size)
            left[fits[0]] -= size
        else:
            bins.append([index if ids else size])
            left.append(room - size)
    return bins


register(
    Check(
        name="lora.pack",
        task="indices of the samples in each row: the longest first, each into the first row with room",
        cases=packing_cases,
        oracle=first_fit,
        why="packed rows compute almost nothing but tokens; padded ones, often, mostly nothing.",
        hint="sort the indices by length, longest first; keep the room that each row has left.",
        wrong=[
            WrongAnswer(
                "in the given order",
                lambda lengths, room: _fit(lengths, room, order=False),
                "take the longest sample first: the short ones then fill the gaps.",
            ),
            WrongAnswer(
                "last row only",
                lambda lengths, room: _fit(lengths, room, looking="last"),
                "look at every row, from the first one on, not only at the row that was opened last.",
            ),
            WrongAnswer(
                "never full",
                lambda lengths, room: _fit(lengths, room, strict=True),
                "a sample that takes exactly what is left fits: compare with <=.",
            ),
            WrongAnswer(
                "shortest first",
                lambda lengths, room: _fit(lengths, room, short=True),
                "the longest first; the shortest first leaves the long ones without a partner.",
            ),
            WrongAnswer(
                "lengths returned",
                lambda lengths, room: _fit(lengths, room, ids=False),
                "return which samples are in a row, their indices, not their lengths.",
            ),
        ],
    )
)
