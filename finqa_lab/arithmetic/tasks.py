"""What is trained: a task gives batches of rows, and says which of their tokens the model must predict.

Everything after this (loss, optimiser, checkpoints, decoding) sees only :class:`Batch` and :class:`Task`; another kind
of arithmetic is another class with the same attributes and methods.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from finqa_lab.arithmetic import problems, sampling
from finqa_lab.arithmetic import vocabulary as voc
from finqa_lab.arithmetic.formats import PLACE_ROWS, PROMPT, Format


@dataclass
class Batch:
    """Rows of a training step.

    Attributes:
        tokens: (B, T) int64, prompt and answer.
        mask: (B, T - prompt) bool: which tokens behind the prompt count in the loss (padding behind an end does not).
        places: (B, T) int64 digit places, or None.
    """

    tokens: Tensor
    mask: Tensor
    places: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        places = None if self.places is None else self.places.to(device)
        return Batch(self.tokens.to(device), self.mask.to(device), places)


class Task(Protocol):
    """What training and evaluation need to know.

    Attributes:
        vocabulary: number of token ids.
        prompt: columns of the prompt; the answer starts at column ``prompt`` in every row.
        length: columns of a row, T.
        final: first column of the final answer; the columns between ``prompt`` and ``final`` are working steps.
        place_rows: rows of the place table, 0 for none.
        size: number of problems; their ids are 0..size - 1.
    """

    vocabulary: int
    prompt: int
    length: int
    final: int
    place_rows: int
    size: int

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        """Draw a training batch, never a held-out problem; all randomness comes from ``rng``."""
        ...

    def rows_of(self, ids: np.ndarray) -> Batch:
        """The rows of given problems, (N,) int64, with their correct answers."""
        ...

    def held_out(self, ids: np.ndarray) -> np.ndarray:
        """Which of the problems never enter training, boolean (N,)."""
        ...

    def describe(self) -> dict:
        """JSON-ready facts for the checkpoint: enough to make the same batches again."""
        ...


class Arithmetic:
    """Sums and differences of operands 0..999.

    Args:
        spelling: how problems are written.
        sampler: see :func:`finqa_lab.arithmetic.sampling.draw`.
        rows: 0 draws new problems for every batch; otherwise the size of a fixed training set.
        seed: seed of the fixed training set.

    >>> from finqa_lab.arithmetic.formats import FORMATS
    >>> Arithmetic(FORMATS["reversed"]).batch(np.random.default_rng(0), 256).tokens.shape
    torch.Size([256, 12])
    """

    vocabulary = voc.SIZE
    prompt = final = PROMPT
    size = problems.SPACE

    def __init__(self, spelling: Format, sampler: str = "uniform", rows: int = 0, seed: int = 0):
        self.spelling, self.sampler, self.rows, self.seed = spelling, sampler, rows, seed
        self.length = spelling.length
        self.place_rows = PLACE_ROWS if spelling.places else 0
        self.training_ids = sampling.fixed_set(rows, seed, sampler) if rows else None

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        """Problems drawn with replacement, never a held-out one."""
        if self.training_ids is None:
            ids = sampling.draw(rng, size, self.sampler)
        else:
            ids = self.training_ids[rng.integers(0, len(self.training_ids), size)]
        return self.rows_of(ids)

    def rows_of(self, ids: np.ndarray) -> Batch:
        """The rows of given problems with their correct answers."""
        prompts = self.spelling.encode_prompts(*problems.operands(ids))
        answer = self.spelling.encode_answers(problems.answers(ids))
        places = self.spelling.digit_places(prompts)
        return Batch(
            torch.from_numpy(np.concatenate([prompts, answer], axis=1)),
            torch.from_numpy(answer != voc.PAD),
            None if places is None else torch.from_numpy(places),
        )

    def held_out(self, ids: np.ndarray) -> np.ndarray:
        """The hash split of the problem space."""
        return problems.held_out(ids)

    def describe(self) -> dict:
        """Facts for the checkpoint."""
        return {
            "task": "arithmetic",
            "format": self.spelling.name,
            "sampler": self.sampler,
            "fixed_rows": self.rows,
            "data_seed": self.seed,
            "characters": voc.CHARACTERS,
        }
