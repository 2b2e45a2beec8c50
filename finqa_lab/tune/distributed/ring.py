"""Summing a tensor over ranks that talk to one neighbour only, with the bytes counted.

The ring algorithm (P. Patarasuk and X. Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations",
2009) in lists, all ranks in one process: gloo and NCCL run it between processes. Every rank cuts its tensor into n
pieces. For n - 1 rounds each rank passes one piece to the right and adds what comes from the left: then it has a piece
of the whole sum (this half is a reduce-scatter). For n - 1 more rounds the finished pieces go round (an all-gather).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from finqa_lab.errors import CourseError


class Ring:
    """Ranks in a circle; a round is one call of :meth:`pass_on`.

    Attributes:
        ranks: how many there are.
        sent: bytes that each rank has sent so far.
        rounds: calls so far.

    >>> ring = Ring(3)
    >>> [int(t) for t in ring.pass_on([torch.tensor([10]), torch.tensor([11]), torch.tensor([12])])]
    [12, 10, 11]
    >>> ring.sent, ring.rounds
    ([8, 8, 8], 1)
    """

    def __init__(self, ranks: int):
        self.ranks, self.rounds = ranks, 0
        self.sent = [0] * ranks

    def pass_on(self, pieces: Sequence[Tensor]) -> list[Tensor]:
        """Every rank sends to the next one; the last sends to rank 0.

        Args:
            pieces: what each rank sends, in the order of the ranks.

        Returns:
            What each rank received, in copies of which nobody else holds the memory.

        Raises:
            CourseError: when there is not one piece for every rank.
        """
        if len(pieces) != self.ranks:
            raise CourseError(f"{len(pieces)} pieces for {self.ranks} ranks; give one for every rank")
        for rank, piece in enumerate(pieces):
            self.sent[rank] += piece.nbytes
        self.rounds += 1
        return [pieces[rank - 1].clone() for rank in range(self.ranks)]


def ring_all_reduce(tensors: Sequence[Tensor], ring: Ring) -> list[Tensor]:
    """The sum of one-dimensional tensors, for every rank; the tensors are left as they are.

    >>> ring = Ring(2)
    >>> ring_all_reduce([torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0])], ring)
    [tensor([11., 22.]), tensor([11., 22.])]
    >>> ring.sent, ring.rounds  # 2 (n - 1) / n of 8 bytes each
    ([8, 8], 2)
    """
    n = ring.ranks
    pieces = [[piece.clone() for piece in tensor.tensor_split(n)] for tensor in tensors]
    for turn in range(n - 1):  # rank r adds to piece r - turn - 1, which it passes on in the next round
        received = ring.pass_on([pieces[rank][(rank - turn) % n] for rank in range(n)])
        for rank in range(n):
            pieces[rank][(rank - turn - 1) % n] += received[rank]
    for turn in range(n - 1):  # rank r starts with piece r + 1, which is finished
        received = ring.pass_on([pieces[rank][(rank + 1 - turn) % n] for rank in range(n)])
        for rank in range(n):
            pieces[rank][(rank - turn) % n] = received[rank]
    return [torch.cat(own) for own in pieces]
