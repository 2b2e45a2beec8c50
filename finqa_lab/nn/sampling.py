"""From logits to the next token: temperature, top-k, top-p (Holtzman et al. 2020), and a draw.

The filters are applied in that order, as `transformers` does, and treat ties as it does: top-k keeps every token that
ties with the k-th; top-p cuts where the sort happens to put equal tokens.

Every row of a batch draws from a generator of its own, seeded by (seed, row). What a row draws does not depend on how
many other rows there are, on what they hold, or on when they end.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from finqa_lab.errors import CourseError

LEAST_TEMPERATURE = 1e-6  # logits divided by less leave the range of float32


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen.

    Args:
        temperature: the logits are divided by it; 0 takes the most likely token (the first of equals).
        top_k: keep the ``top_k`` most likely tokens; 0 keeps all.
        top_p: keep the fewest most likely tokens whose probabilities, after top-k, sum to ``top_p`` or more.
        seed: of the draws.

    Raises:
        CourseError: naming the field that does not fit.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self):
        if not _is_number(self.temperature) or not (
            self.temperature == 0 or LEAST_TEMPERATURE <= self.temperature < math.inf
        ):
            raise CourseError(
                f"sampling temperature is {self.temperature!r}; it must be 0 (the most likely token) or a finite "
                f"number of at least {LEAST_TEMPERATURE}"
            )
        if not _is_number(self.top_p) or not 0 < self.top_p <= 1:
            raise CourseError(f"sampling top_p is {self.top_p!r}; it must be a number above 0 and at most 1 (keep all)")
        for name in ("top_k", "seed"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise CourseError(f"sampling {name} is {value!r}; it must be a whole number of at least 0")


GREEDY = Sampling(temperature=0)


def probabilities(logits: Tensor, sampling: Sampling) -> Tensor:
    """The distribution that is drawn from; tokens that were filtered out have probability 0.

    Args:
        logits: (B, V), any floating dtype.
        sampling: its seed is not used.

    Returns:
        (B, V) float32, each row with sum 1.

    >>> logits = torch.tensor([[4.0, 2.0, 2.0, 1.0]]).log()
    >>> probabilities(logits, Sampling(top_k=2))  # the third token ties with the second
    tensor([[0.5000, 0.2500, 0.2500, 0.0000]])
    >>> probabilities(logits, Sampling(temperature=0))
    tensor([[1., 0., 0., 0.]])
    """
    scores = logits.float()
    if sampling.temperature == 0:
        return torch.zeros_like(scores).scatter_(1, scores.argmax(dim=1, keepdim=True), 1.0)
    scores = scores / sampling.temperature
    if sampling.top_k:
        least = scores.topk(min(sampling.top_k, scores.shape[1]), dim=1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -math.inf)
    if sampling.top_p < 1:
        ascending, order = scores.sort(dim=1)
        rest = ascending.softmax(dim=1).cumsum(dim=1) <= 1 - sampling.top_p  # all up to here can go together
        rest[:, -1] = False
        scores = scores.masked_fill(torch.zeros_like(rest).scatter_(1, order, rest), -math.inf)
    return scores.softmax(dim=1)


def row_generators(seed: int, rows: int, device: torch.device | str = "cpu") -> list[torch.Generator]:
    """One generator a row, seeded by a hash of (seed, row): neighbouring seeds and rows have nothing in common.

    Devices have different generators: a seed gives other tokens on a GPU than on the CPU.

    >>> a, b = (torch.rand(1, generator=row_generators(seed=5, rows=rows)[1]) for rows in (2, 3))
    >>> bool(a == b)
    True
    """
    seeds = (np.random.SeedSequence(seed, spawn_key=(row,)).generate_state(1, np.uint64) for row in range(rows))
    return [torch.Generator(device).manual_seed(int(state[0])) for state in seeds]


def draw(logits: Tensor, sampling: Sampling, generators: Sequence[torch.Generator]) -> Tensor:
    """The next token of every row.

    Args:
        logits: (B, V).
        sampling: its seed is not used.
        generators: one a row, on the device of the logits; each is advanced by one draw, or by none at temperature 0.

    Returns:
        (B,) int64.
    """
    if sampling.temperature == 0:
        return logits.argmax(dim=1)
    rows = zip(probabilities(logits, sampling), generators, strict=True)
    return torch.cat([torch.multinomial(row, 1, generator=generator) for row, generator in rows])
