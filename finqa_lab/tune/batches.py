"""A batch for next-token training: tokens, which of them are learnt, and which belong together.

A step of the optimizer takes a list of batches (micro-batches): their gradients add up to that of one large batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Rows of tokens of one length.

    Attributes:
        tokens: (B, T) int64.
        learn: (B, T) bool, True where the token is a target of the loss. Column 0 has nothing before it and is never
            a target.
        segments: (B, T) int64, the number of the sample that a token is of where rows hold several (packing), or None.
        names: of the samples, to say which ones were in a batch that went wrong.
    """

    tokens: Tensor
    learn: Tensor
    segments: Tensor | None = None
    names: tuple[str, ...] = ()

    @property
    def learnt(self) -> int:
        """Tokens that are targets."""
        return int(self.learn[:, 1:].sum())

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        segments = None if self.segments is None else self.segments.to(device)
        return Batch(self.tokens.to(device), self.learn.to(device), segments, self.names)


Batches = Callable[[int], Sequence[Batch]]
"""Number of an optimizer step, from 0, to its micro-batches. The same number gives the same batches, so that a training
can be resumed at any step, and every rank of a distributed one can tell its own share."""


def windows(tokens: Tensor, length: int, rows: int, micro_batches: int = 1, seed: int = 0) -> Batches:
    """Batches of a long stream of tokens, cut into windows that are visited in a random order, each once an epoch.

    Args:
        tokens: (N,) of any integer type, N > length.
        length: predicted tokens a window; a row has one more.
        rows: windows a micro-batch.
        micro_batches: a step.
        seed: of the order.

    >>> windows(torch.arange(9), length=2, rows=2)(0)[0].tokens.shape
    torch.Size([2, 3])
    """
    count, each = (len(tokens) - 1) // length, rows * micro_batches
    steps_an_epoch = max(1, count // each)

    def batches(step: int) -> list[Batch]:
        epoch, place = divmod(step, steps_an_epoch)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
        found = []
        for chosen in order[place * each : (place + 1) * each].split(rows):
            block = torch.stack([tokens[int(i) * length : int(i) * length + length + 1] for i in chosen]).long()
            learn = torch.ones_like(block, dtype=torch.bool)
            learn[:, 0] = False
            found.append(Batch(block, learn))
        return found

    return batches
