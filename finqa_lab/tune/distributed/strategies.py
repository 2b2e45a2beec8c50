"""Two ways to train one model on several ranks: every rank holds all of it, or every rank holds a part.

**DDP** (S. Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training", VLDB 2020,
arXiv:2006.15704): all parameters on all ranks; the gradients are averaged, bucket by bucket, while the backward pass is
still running.

**FSDP2** (``torch.distributed.fsdp.fully_shard``, PyTorch documentation; the idea is stage 3 of S. Rajbhandari et al.,
"ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", 2020, arXiv:1910.02054): each rank keeps 1/n of
the rows of every parameter, gradient and moment. A block's parameters are gathered before its forward and again before
its backward pass, and dropped behind each.

Both average gradients over the ranks, so :func:`finqa_lab.tune.training.train` scales a rank's loss by their number
over the learnt tokens of the *whole* step: the average is then the gradient that one process would have computed, also
when ranks have different numbers of learnt tokens.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Literal

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel

from finqa_lab.errors import CourseError
from finqa_lab.nn.transformer import Decoder
from finqa_lab.tune.batches import Batch
from finqa_lab.tune.distributed.ranks import Ranks
from finqa_lab.tune.training import loss_sum, mean_loss

Strategy = Literal["ddp", "fsdp"]
STRATEGIES: tuple[Strategy, ...] = ("ddp", "fsdp")


class Group:
    """A model as several ranks train it: give it to :func:`finqa_lab.tune.training.train` as ``together``.

    Args:
        ranks: of the training; may be one, and then nothing is wrapped.
        model: on the device; ``fsdp`` changes it in place, so call this before the optimizer is made.
        strategy: ``ddp`` or ``fsdp``.
        seed: of dropout. It is drawn anew for every micro-batch, from the seed, the step and its place: masks are then
            the same however many ranks there are and wherever a run was resumed. None leaves torch's state alone.
        gather: dtype in which parameters are gathered and computed with (``fsdp``); None keeps their own. bfloat16
            halves the traffic of float32 parameters, and computes norms and sums in 16 bits too, which autocast
            (:attr:`finqa_lab.tune.plan.Plan.precision`) does not.

    Raises:
        CourseError: for another strategy.
    """

    def __init__(
        self,
        ranks: Ranks,
        model: Decoder,
        strategy: Strategy = "ddp",
        seed: int | None = None,
        gather: torch.dtype | None = None,
    ):
        if strategy not in STRATEGIES:
            raise CourseError(f"there is no strategy '{strategy}' for several ranks; choose {' or '.join(STRATEGIES)}")
        self.group, self.rank, self.ranks, self._seed = ranks, ranks.rank, ranks.ranks, seed
        self.sharded = strategy == "fsdp" and ranks.ranks > 1
        self._module: nn.Module = model
        if self.sharded:
            shard(model, ranks, gather)
        elif ranks.ranks > 1:
            self._module = DistributedDataParallel(
                model, device_ids=[ranks.device] if ranks.device.type == "cuda" else None
            )

    def module(self, model: nn.Module) -> nn.Module:
        """The model, or DDP's wrapper of it."""
        return self._module

    @contextmanager
    def micro_batch(self, step: int, place: int, last: bool) -> Iterator[None]:
        """Seeds dropout, and leaves averaging to the rank's last micro-batch of the step.

        Gradients then wait unsharded (``fsdp``): less traffic for more memory, the usual choice.
        """
        if self._seed is not None:
            torch.manual_seed(((self._seed * 1_000_003 + step) * 1_009 + place) % 2**63)
        if self.sharded:
            self._module.set_requires_gradient_sync(last)
        waiting = isinstance(self._module, DistributedDataParallel) and not last
        with self._module.no_sync() if waiting else nullcontext():
            yield

    def total(self, numbers: list[float]) -> list[float]:
        """Sum over the ranks, of each number."""
        return self.group.total(numbers)


def shard(model: Decoder, ranks: Ranks, gather: torch.dtype | None = None) -> None:
    """Shard a decoder in place: each block by itself, then what is left (embeddings, last norm, head) as the root.

    Parameters become ``DTensor``; the optimizer is to be made afterwards, or it would hold the whole ones. Frozen and
    trained parameters, also of different dtypes, may be in one block.

    Args:
        model: with its adapters.
        ranks: all of the training; call it on all.
        gather: see :class:`Group`.
    """
    mesh = init_device_mesh(ranks.device.type, (ranks.ranks,))
    policy = MixedPrecisionPolicy(param_dtype=gather, reduce_dtype=torch.float32 if gather else None)
    for block in model.blocks:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)


def shared_mean_loss(model: nn.Module, batches: Sequence[Batch], ranks: Ranks, precision: str = "float32") -> float:
    """:func:`finqa_lab.tune.training.mean_loss` with the batches shared out by rank; all ranks get the mean of all.

    Every rank makes as many passes, because a pass of a sharded model needs all of them: a rank without a batch left
    takes the last one again and counts it for nothing.
    """
    if ranks.ranks == 1:
        return mean_loss(model, batches, precision)
    was_training, total = model.training, 0.0
    model.eval()
    with torch.no_grad():
        for begin in range(0, len(batches), ranks.ranks):
            place = begin + ranks.rank
            value = float(loss_sum(model, batches[min(place, len(batches) - 1)].to(ranks.device), precision))
            total += value if place < len(batches) else 0.0
    if isinstance(model, FSDPModule):
        model.reshard()  # the root stays gathered behind a forward pass: its parameters would not be the shards
    model.train(was_training)
    return ranks.total([total])[0] / sum(batch.learnt for batch in batches)
