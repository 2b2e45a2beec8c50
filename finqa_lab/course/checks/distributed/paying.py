"""Checks of lab 08: bytes that a rank sends in a step, and bytes that it keeps."""

import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def reduce_cases(rng: random.Random) -> Iterator[Case]:
    """Bytes of the gradients, and the ranks."""
    yield Case(100, 1, note="one rank sends nothing")
    yield Case(100, 2)
    yield Case(100, 4)
    yield Case(159_907_840, 8, note="a 7B model's adapter of rank 16 in float32")
    for _ in range(3):
        yield Case(rng.randrange(10, 9999), rng.randrange(2, 17))


def _ddp(gradient_bytes, ranks):
    return 2 * (ranks - 1) / ranks * gradient_bytes


register(
    Check(
        name="distributed.ddp_bytes",
        task="bytes that a rank sends in a step of DDP",
        cases=reduce_cases,
        oracle=_ddp,
        why="it is the only traffic of DDP, and with an adapter it is small: DDP is then hard to beat where it fits.",
        hint="2 (n - 1) rounds of the ring, in each of which a rank sends 1/n of the gradients.",
        wrong=[
            WrongAnswer(
                "one half of the ring",
                lambda size, ranks: _ddp(size, ranks) / 2,
                "n - 1 rounds make the sums; n - 1 more bring them to everybody: a factor of 2.",
            ),
            WrongAnswer(
                "everything to everybody",
                lambda size, ranks: (ranks - 1) * size,
                "that is each rank sending its gradients to all others; in the ring a round carries 1/n of them.",
            ),
            WrongAnswer(
                "of all ranks together",
                lambda size, ranks: 2 * (ranks - 1) * size,
                "that is what all ranks send together; one rank sends 1/n of it.",
            ),
            WrongAnswer(
                "for many ranks",
                lambda size, ranks: 2 * size,
                "that is the limit for many ranks; for n of them it is smaller by the factor (n - 1) / n.",
            ),
            WrongAnswer(
                "the gradients once",
                lambda size, ranks: size,
                "that happens to be right for two ranks: 2 (n - 1) / n is 1 there, and 0 for one rank.",
            ),
        ],
    )
)


def shard_cases(rng: random.Random) -> Iterator[Case]:
    """Bytes of the blocks' parameters, of the root's, of the trained ones; ranks; micro-batches of a rank."""
    yield Case(100, 0, 0, 2, 1, note="frozen blocks")
    yield Case(0, 100, 0, 2, 1, note="a frozen root")
    yield Case(100, 20, 120, 2, 1, note="all is trained")
    yield Case(100, 20, 4, 4, 1, note="an adapter is trained")
    yield Case(100, 20, 120, 4, 3, note="three micro-batches a rank")
    yield Case(100, 20, 4, 1, 2, note="one rank sends nothing")
    for _ in range(3):
        blocks, root = rng.randrange(100, 999), rng.randrange(10, 99)
        yield Case(blocks, root, rng.randrange(5, blocks), rng.randrange(2, 9), rng.randrange(2, 5))


def _fsdp(blocks, root, trained, ranks, micro_batches, block_passes=2, root_passes=1, reduced=1.0, each=False):
    gathered = micro_batches * (block_passes * blocks + root_passes * root)
    return (ranks - 1) / ranks * (gathered + reduced * trained * (micro_batches if each else 1))


register(
    Check(
        name="distributed.fsdp_bytes",
        task="bytes that a rank sends in a step of FSDP2",
        cases=shard_cases,
        oracle=_fsdp,
        why="frozen parameters are sent as well: sharding a large base beside a small adapter is paid for on the link.",
        hint="an all-gather and a reduce-scatter each send (n - 1) / n of the whole tensor; blocks are gathered twice "
        "in every micro-batch, the root once; gradients are reduced once a step.",
        wrong=[
            WrongAnswer(
                "blocks gathered once",
                lambda *case: _fsdp(*case, block_passes=1),
                "a block is dropped behind its forward pass: it is gathered again for the backward pass.",
            ),
            WrongAnswer(
                "root gathered twice",
                lambda *case: _fsdp(*case, root_passes=2),
                "the root stays gathered between forward and backward pass: once in a micro-batch.",
            ),
            WrongAnswer(
                "gradients all-reduced",
                lambda *case: _fsdp(*case, reduced=2.0),
                "a rank needs the gradients of its own shard only: a reduce-scatter, half of an all-reduce.",
            ),
            WrongAnswer(
                "gradients in every micro-batch",
                lambda *case: _fsdp(*case, each=True),
                "gradients wait until the last micro-batch of the step, and are reduced once.",
            ),
            WrongAnswer(
                "one micro-batch",
                lambda blocks, root, trained, ranks, micro_batches: _fsdp(blocks, root, trained, ranks, 1),
                "every micro-batch is a forward and a backward pass: its parameters are gathered anew.",
            ),
            WrongAnswer(
                "trained parameters only",
                lambda blocks, root, trained, ranks, micro_batches: _fsdp(trained, 0, trained, ranks, micro_batches),
                "frozen parameters are sharded too, so they are gathered too.",
            ),
            WrongAnswer(
                "gradients forgotten",
                lambda *case: _fsdp(*case, reduced=0.0),
                "that is the parameters; the gradients of what is trained are reduced and scattered, once a step.",
            ),
            WrongAnswer(
                "the whole tensors",
                lambda blocks, root, trained, ranks, micro_batches: micro_batches * (2 * blocks + root) + trained,
                "a rank has 1/n of them already, and sends the factor (n - 1) / n.",
            ),
        ],
    )
)


def floor_cases(rng: random.Random) -> Iterator[Case]:
    """Frozen numbers, trained numbers, bytes of a frozen number, ranks, and whether all is sharded."""
    yield Case(0, 8, 4, 2, False, note="all is trained, every rank holds all")
    yield Case(0, 8, 4, 2, True, note="all is trained, sharded")
    yield Case(100, 8, 2, 4, True, note="a frozen base in 16 bits")
    yield Case(6_738_415_616, 39_976_960, 2, 4, False, note="a 7B model with an adapter of rank 16, DDP")
    yield Case(6_738_415_616, 39_976_960, 2, 4, True, note="the same, sharded")
    for _ in range(3):
        yield Case(rng.randrange(100, 9999), rng.randrange(10, 99), rng.choice([2, 4]), rng.randrange(2, 9), True)


def _kept(frozen, trained, frozen_bytes, ranks, sharded, parts=("weights", "gradients", "optimizer"), graded=None):
    graded = trained if graded is None else graded
    bytes_of = {
        "weights": frozen * frozen_bytes + trained * 4,
        "gradients": graded * 4,
        "optimizer": graded * 8,
    }
    return {name: size / (ranks if sharded and name in parts else 1) for name, size in bytes_of.items()}


register(
    Check(
        name="distributed.rank_bytes",
        task="bytes of weights, gradients and AdamW's moments on one rank",
        cases=floor_cases,
        oracle=_kept,
        why="it says which strategy can fit a GPU at all, before an hour of it is paid for.",
        hint="the floor of one process: 4 bytes for a trained weight, 4 for its gradient, 8 for its moments; FSDP2 "
        "divides all of it by the ranks, DDP nothing.",
        wrong=[
            WrongAnswer(
                "the optimizer sharded",
                lambda *case: _kept(*case, parts=("optimizer",)),
                "that is stage 1 of ZeRO: FSDP2 shards weights and gradients as well.",
            ),
            WrongAnswer(
                "weights not sharded",
                lambda *case: _kept(*case, parts=("gradients", "optimizer")),
                "that is stage 2 of ZeRO: with FSDP2 the weights are shards, too.",
            ),
            WrongAnswer(
                "the weights sharded",
                lambda *case: _kept(*case, parts=("weights",)),
                "the gradients and moments of a shard are all that its rank needs: they are divided as well.",
            ),
            WrongAnswer(
                "DDP divided",
                lambda frozen, trained, size, ranks, sharded: _kept(frozen, trained, size, ranks, True),
                "with DDP every rank holds everything: more ranks save no memory.",
            ),
            WrongAnswer(
                "nothing divided",
                lambda frozen, trained, size, ranks, sharded: _kept(frozen, trained, size, ranks, False),
                "sharded means that a rank holds 1/n of everything.",
            ),
            WrongAnswer(
                "frozen numbers have gradients",
                lambda frozen, trained, size, ranks, sharded: _kept(
                    frozen, trained, size, ranks, sharded, graded=frozen + trained
                ),
                "a frozen number has no gradient and no moments.",
            ),
        ],
    )
)
