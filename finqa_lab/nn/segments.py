"""Several texts in one row: who sees whom, and where each position counts from.

Packing puts texts of different length into rows that are full. A text must not see its neighbours (M. M. Krell et al.,
"Efficient Sequence Packing without Cross-contamination", 2021, arXiv:2107.02027), so each token carries the number of
its text. Number 0 is special: it is a **prefix** that all other texts of the row share, such as the same system message
in front of every question. It stands there once; each text goes on behind it, as if it were alone with it.
"""

import torch
from torch import Tensor

PREFIX, PADDING = 0, -1
"""Numbers with a meaning; texts are numbered from 1."""


def segment_mask(segments: Tensor) -> Tensor:
    """Boolean (B, T, T), True where a query sees a key: not later, and of its own text or of the prefix.

    >>> segment_mask(torch.tensor([[0, 1, 1, 2]]))[0].int().tolist()
    [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 1]]
    """
    length = segments.shape[-1]
    query, key = segments[..., :, None], segments[..., None, :]
    return ((query == key) | (key == PREFIX)).tril(diagonal=0) if length else query == key


def segment_positions(segments: Tensor) -> Tensor:
    """(B, T) int64 positions: of the prefix from 0, of each text from the prefix's end.

    >>> segment_positions(torch.tensor([[0, 0, 1, 1, 2, -1]])).tolist()
    [[0, 1, 2, 3, 2, 2]]
    """
    same = (segments[..., :, None] == segments[..., None, :]).tril()
    inside = same.sum(dim=-1) - 1
    behind = (segments == PREFIX).sum(dim=-1, keepdim=True)
    return inside + torch.where(segments == PREFIX, 0, behind)
