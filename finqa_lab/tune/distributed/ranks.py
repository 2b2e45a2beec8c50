"""The processes of one training: who this one is, and what all of them add up to.

``torchrun --nproc-per-node N script.py`` starts the same script N times and tells each its number in environment
variables (PyTorch documentation, "torchrun (Elastic Launch)"). Without them there is one rank, and nothing here opens a
connection. Ranks on CPUs talk through gloo, on NVIDIA GPUs through NCCL.
"""

import datetime
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from finqa_lab.errors import CourseError
from finqa_lab.nn.device import device_named

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun sets."""


@dataclass(frozen=True)
class Ranks:
    """This process among those of the training.

    Attributes:
        rank: its number, from 0; rank 0 writes files and speaks.
        ranks: how many there are.
        device: that it computes on.
    """

    rank: int = 0
    ranks: int = 1
    device: torch.device = torch.device("cpu")

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Sum over the ranks, of each number; all ranks call this with as many numbers.

        >>> Ranks().total([1.0, 2.0])
        [1.0, 2.0]
        """
        if self.ranks == 1:
            return list(numbers)
        tensor = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return tensor.tolist()

    def wait(self) -> None:
        """Return when all ranks are here."""
        self.total([0.0])


def torchrun_variables() -> tuple[int, int, int] | None:
    """Rank, ranks and number on this machine as torchrun says, or None without it.

    Raises:
        CourseError: when some of the variables are set and some are not.
    """
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if "RANK" in missing and "WORLD_SIZE" in missing:
        return None
    if missing:
        raise CourseError(
            f"the environment says that this is one of several processes, but {', '.join(missing)} is not set; start "
            "with torchrun, or unset RANK and WORLD_SIZE"
        )
    rank, ranks, local = (int(os.environ[name]) for name in VARIABLES[:3])
    return rank, ranks, local


@contextmanager
def open_ranks(device: str = "cpu", minutes: float = 10) -> Iterator[Ranks]:
    """The ranks that torchrun started, connected for as long as the ``with`` block lasts; one rank without it.

    Args:
        device: ``cpu`` or ``cuda``; on a machine with several GPUs each rank takes its own.
        minutes: after which a rank that waits in vain for another gives up. A rank that dies is noticed by torchrun,
            which stops the others, long before.

    Raises:
        CourseError: when there are more ranks than GPUs, or the variables are incomplete.
    """
    found, chosen = torchrun_variables(), device_named(device)
    if found is None:
        yield Ranks(device=chosen)
        return
    rank, ranks, local = found
    if chosen.type == "cuda":
        if local >= torch.cuda.device_count():
            raise CourseError(
                f"torchrun started rank {local} on a machine with {torch.cuda.device_count()} GPUs; start one rank a "
                "GPU with --nproc-per-node"
            )
        chosen = torch.device("cuda", local)
        torch.cuda.set_device(chosen)
    backend = "cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=datetime.timedelta(minutes=minutes))
    try:
        yield Ranks(rank, ranks, chosen)
    finally:
        # A rank that stops with an error does not wait for the others, which may be in the middle of an exchange.
        dist.destroy_process_group()
