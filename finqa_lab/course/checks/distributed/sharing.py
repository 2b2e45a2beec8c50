"""Checks of lab 08: which micro-batches a rank takes and how its loss is scaled; shards for another number of ranks."""

import random
from collections.abc import Iterator

import torch
from torch import Tensor

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def share_cases(rng: random.Random) -> Iterator[Case]:
    """Learnt tokens of every micro-batch of a step, the rank, and the number of ranks."""
    yield Case([10], 0, 1, note="one rank takes all")
    yield Case([10, 30], 0, 2)
    yield Case([10, 30], 1, 2)
    yield Case([10, 30, 20, 40], 1, 2, note="two micro-batches a rank")
    for _ in range(4):
        ranks = rng.choice([2, 3, 4])
        yield Case([rng.randrange(5, 90) for _ in range(ranks * rng.choice([2, 3]))], rng.randrange(ranks), ranks)


def _share(learnt, rank, ranks, scale=None, places=None):
    chosen = list(range(rank, len(learnt), ranks)) if places is None else places
    return chosen, ranks / sum(learnt) if scale is None else scale


def _in_halves(learnt, rank, ranks):
    each = len(learnt) // ranks
    return _share(learnt, rank, ranks, places=list(range(rank * each, (rank + 1) * each)))


register(
    Check(
        name="distributed.my_share",
        task="the micro-batches of a rank, and the factor on their summed losses",
        cases=share_cases,
        oracle=_share,
        why="with another factor two ranks train another model than one, and no message says so.",
        hint="rank, rank + ranks, rank + 2 ranks, ...; the average over the ranks divides by their number, so multiply "
        "by it, and divide by the learnt tokens of the whole step.",
        wrong=[
            WrongAnswer(
                "mean over the rank's own tokens",
                lambda learnt, rank, ranks: _share(learnt, rank, ranks, scale=1 / sum(learnt[rank::ranks])),
                "that gives every rank the same weight: a token of a rank with few learnt tokens counts more. Divide "
                "by the learnt tokens of the whole step.",
            ),
            WrongAnswer(
                "the average forgotten",
                lambda learnt, rank, ranks: _share(learnt, rank, ranks, scale=1 / sum(learnt)),
                "DDP and FSDP average the gradients, they do not add them up: without the factor ranks the step is "
                "ranks times too small.",
            ),
            WrongAnswer(
                "divided by micro-batches",
                lambda learnt, rank, ranks: _share(learnt, rank, ranks, scale=ranks / len(learnt)),
                "the losses are sums over tokens: divide by learnt tokens, not by the number of micro-batches.",
            ),
            WrongAnswer(
                "one block after the other",
                _in_halves,
                "the ranks take turns: rank r takes the places r, r + ranks, r + 2 ranks, ...",
            ),
            WrongAnswer(
                "everything",
                lambda learnt, rank, ranks: _share(learnt, rank, ranks, places=list(range(len(learnt)))),
                "every rank would then do all of the work: each micro-batch belongs to one rank.",
            ),
            WrongAnswer(
                "ranks divided",
                lambda learnt, rank, ranks: _share(learnt, rank, ranks, scale=1 / (ranks * sum(learnt))),
                "the average divides by the number of ranks already: multiply by it to undo that.",
            ),
        ],
    )
)


def cut_cases(rng: random.Random) -> Iterator[Case]:
    """Shards of a matrix (rows, columns), in the order of the ranks that wrote them, and the new number of ranks."""

    def shards(*rows: int, columns: int = 2) -> list[Tensor]:
        numbers = torch.arange(float(sum(rows) * columns)).view(-1, columns)
        return list(numbers.split(list(rows)))

    yield Case(shards(1, 1), 1, note="two ranks wrote, one goes on")
    yield Case(shards(2, 2), 4)
    yield Case(shards(4), 3, note="four rows for three ranks: 2, 2 and none")
    yield Case(shards(3, 2), 3, note="five rows for three ranks")
    yield Case(shards(1, 0), 2, note="a matrix of one row: an adapter of rank 1")
    for _ in range(3):
        each = rng.randrange(2, 5)
        yield Case(shards(*[each] * rng.randrange(1, 4), columns=3), rng.randrange(2, 6))


def _cut(shards, ranks) -> list[Tensor]:
    whole = torch.cat(shards)
    each = -(-len(whole) // ranks)
    return [whole[rank * each : (rank + 1) * each] for rank in range(ranks)]


def _padded(shards, ranks) -> list[Tensor]:
    cut = _cut(shards, ranks)
    return [torch.cat([piece, piece.new_zeros(len(cut[0]) - len(piece), piece.shape[1])]) for piece in cut]


register(
    Check(
        name="distributed.cut_again",
        task="the shards of a matrix, cut anew for another number of ranks",
        cases=cut_cases,
        oracle=_cut,
        same=lambda expected, got: (
            len(expected) == len(got) and all(e.shape == g.shape and torch.equal(e, g) for e, g in zip(expected, got))
        ),
        why="a machine with fewer GPUs than the last one should still be able to go on with the work.",
        hint="put the rows together; every rank takes the next ceil(rows / ranks) of them, as long as there are any.",
        wrong=[
            WrongAnswer(
                "spread evenly",
                lambda shards, ranks: list(torch.cat(shards).tensor_split(ranks)),
                "these pieces differ by at most one row; FSDP2 gives ceil(rows / ranks) rows to every rank until none "
                "are left.",
            ),
            WrongAnswer(
                "ranks without rows left out",
                lambda shards, ranks: [piece for piece in _cut(shards, ranks) if len(piece)],
                "every rank needs its shard, if an empty one: a list as long as there are ranks.",
            ),
            WrongAnswer(
                "rows taken in turns",
                lambda shards, ranks: [torch.cat(shards)[rank::ranks] for rank in range(ranks)],
                "a shard is a run of neighbouring rows, so that joining the shards gives the matrix.",
            ),
            WrongAnswer(
                "columns cut",
                lambda shards, ranks: [piece.contiguous() for piece in torch.cat(shards).tensor_split(ranks, dim=1)],
                "shards are cut along the first dimension: rows.",
            ),
            WrongAnswer(
                "filled up",
                _padded,
                "the missing rows are filled up on the wire only; a shard has the rows that exist.",
            ),
            WrongAnswer(
                "first shard only",
                lambda shards, ranks: _cut(shards[:1], ranks),
                "the matrix is all shards together: join them first.",
            ),
        ],
    )
)
