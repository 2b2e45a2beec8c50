"""Checks of lab 08: the ring all-reduce, its sums and what it sends."""

import random
from collections.abc import Iterator

import torch
from torch import Tensor

from finqa_lab.course.checking import Case, Check, WrongAnswer, register
from finqa_lab.tune.distributed.ring import Ring, ring_all_reduce


def ring_cases(rng: random.Random) -> Iterator[Case]:
    """A tensor of every rank, all of one length; whole numbers, so that sums are exact in any order."""

    def tensors(ranks: int, length: int) -> list[Tensor]:
        return [torch.tensor([float(rng.randrange(-9, 10)) for _ in range(length)]) for _ in range(ranks)]

    yield Case(tensors(2, 2), note="two ranks, a piece of one number each")
    yield Case(tensors(3, 3))
    yield Case(tensors(4, 4))
    yield Case(tensors(3, 7), note="seven numbers in three pieces")
    yield Case(tensors(1, 3), note="nobody to talk to")
    for _ in range(3):
        ranks = rng.randrange(2, 6)
        yield Case(tensors(ranks, rng.randrange(ranks, 20)))


def run(answer, tensors: list[Tensor]) -> dict:
    """Sums, bytes and rounds of an answer."""
    ring = Ring(len(tensors))
    sums = answer(tensors, ring)
    return {"sums": sums, "bytes sent by all ranks": sum(ring.sent), "rounds": ring.rounds}


def _oracle(tensors: list[Tensor]) -> dict:
    return run(ring_all_reduce, tensors)


def _whole_tensors(tensors, ring):
    sums, passing = [tensor.clone() for tensor in tensors], list(tensors)
    for _ in range(ring.ranks - 1):
        passing = ring.pass_on(passing)
        sums = [one + received for one, received in zip(sums, passing)]
    return sums


def _first_half(tensors, ring, second=None, mean=False):
    n = ring.ranks
    pieces = [[piece.clone() for piece in tensor.tensor_split(n)] for tensor in tensors]
    for turn in range(n - 1):
        received = ring.pass_on([pieces[rank][(rank - turn) % n] for rank in range(n)])
        for rank in range(n):
            pieces[rank][(rank - turn - 1) % n] += received[rank]
    for turn in range(n - 1 if second else 0):
        received = ring.pass_on([pieces[rank][(rank + 1 - turn) % n] for rank in range(n)])
        for rank in range(n):
            if second == "add":
                pieces[rank][(rank - turn) % n] += received[rank]
            else:
                pieces[rank][(rank - turn) % n] = received[rank]
    return [torch.cat(own) / (n if mean else 1) for own in pieces]


def _without_talking(tensors, ring):
    return [sum(tensors) for _ in tensors]


def _collected_at_zero(tensors, ring):
    n, total = ring.ranks, tensors[0].clone()
    passing = list(tensors)
    for _ in range(n - 1):
        passing = ring.pass_on(passing)
        total = total + passing[0]
    everyone = [total.clone() for _ in range(n)]
    for _ in range(n - 1):
        everyone = ring.pass_on(everyone)
    return everyone


register(
    Check(
        name="distributed.ring_all_reduce",
        task="the sum of all ranks' tensors for every rank, in 2 (n - 1) rounds of pieces",
        cases=ring_cases,
        oracle=_oracle,
        call=run,
        why="the bytes of a rank then hardly grow with the number of ranks, which is why thousands can train together.",
        hint="cut every tensor with tensor_split(n). In round t rank r sends piece (r - t) mod n and adds what it gets "
        "to piece (r - t - 1) mod n; after n - 1 rounds piece (r + 1) mod n is finished, and goes round.",
        wrong=[
            WrongAnswer(
                "whole tensors passed round",
                _whole_tensors,
                "the sums are right, but each rank sends n - 1 whole tensors: cut them, and pass pieces.",
            ),
            WrongAnswer(
                "collected at rank 0 first",
                _collected_at_zero,
                "the sums are right, but whole tensors go round twice: a rank sends pieces of 1/n only.",
            ),
            WrongAnswer(
                "first half only",
                lambda tensors, ring: _first_half(tensors, ring),
                "after n - 1 rounds each rank has the sum of one piece only: the finished pieces must still go round.",
            ),
            WrongAnswer(
                "added again in the second half",
                lambda tensors, ring: _first_half(tensors, ring, second="add"),
                "in the second half a finished piece comes in: put it in the place of yours, do not add it.",
            ),
            WrongAnswer(
                "averaged",
                lambda tensors, ring: _first_half(tensors, ring, second="put", mean=True),
                "the sum is asked for; the division by the number of ranks is for the caller.",
            ),
            WrongAnswer(
                "nothing sent",
                _without_talking,
                "a rank cannot see the tensors of the others: what it does not have must come through ring.pass_on.",
            ),
        ],
    )
)
