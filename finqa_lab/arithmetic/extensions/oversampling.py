"""Hard-case oversampling: long carry chains are rare, so show them more often.

Of all sums, 14% have a carry chain over all three places and 25% one over two; of the differences, 22% have a borrow
over two places and none over three (counted over the whole space). A batch drawn uniformly spends most of its rows on
problems that the model has long solved. Here a share of every batch is drawn among those whose longest chain has at
least two places.
"""

import numpy as np

from finqa_lab.arithmetic import problems, sampling
from finqa_lab.arithmetic.formats import Format
from finqa_lab.arithmetic.tasks import Arithmetic, Batch


class Oversampled(Arithmetic):
    """Sums and differences with a given share of hard cases in every batch.

    Args:
        spelling: how problems are written.
        hard_share: share of a batch drawn among the hard cases; 0 is the uniform sampler.

    >>> from finqa_lab.arithmetic.formats import FORMATS
    >>> Oversampled(FORMATS["reversed"], 0.5).batch(np.random.default_rng(0), 64).tokens.shape
    torch.Size([64, 12])
    """

    def __init__(self, spelling: Format, hard_share: float):
        super().__init__(spelling)
        self.hard_share = hard_share

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        """Problems drawn with replacement, never a held-out one."""
        hard = round(size * self.hard_share)
        kept = np.empty(0, dtype=np.int64)
        while len(kept) < hard:
            ids = sampling.draw(rng, 4 * hard)
            kept = np.concatenate([kept, ids[is_hard(ids)]])
        return self.rows_of(np.concatenate([kept[:hard], sampling.draw(rng, size - hard)]))

    def describe(self) -> dict:
        """Facts for the checkpoint."""
        return super().describe() | {"hard_share": self.hard_share}


def is_hard(ids: np.ndarray) -> np.ndarray:
    """Whether a carry or borrow travels over at least two neighbouring places, boolean (N,).

    >>> is_hard(problems.problem_ids([999, 123], [problems.PLUS] * 2, [1, 456])).tolist()
    [True, False]
    """
    return problems.carry_chain(ids) >= 2
