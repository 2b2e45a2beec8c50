"""Multiplication, written directly or with its working steps (a scratchpad, Nye et al. 2021).

====================  ===============================================  ==========================================
spelling              12 * 34 is written                               read
====================  ===============================================  ==========================================
direct                ``12*34=8040``                                   408, units first, 4 digits
scratchpad            ``12*34=840,630,8040``                           12*4 = 048; 12*3 = 036; the sum 0408
====================  ===============================================  ==========================================

Every number behind ``=`` is written units first and padded. With three digits in the second operand the running sum
is written between the partial products: a*b0, a*b1, their sum, a*b2, the result.
"""

import numpy as np
import torch

from finqa_lab.arithmetic import vocabulary as voc
from finqa_lab.arithmetic.problems import hashed_out
from finqa_lab.arithmetic.tasks import Batch


class Multiplication:
    """Products of a number of up to ``first`` digits and one of up to ``second`` digits; id = a * 10^second + b.

    Args:
        first, second: digits of the operands, 1 to 3.
        scratchpad: write the working steps.

    >>> task = Multiplication(2, 2, scratchpad=True)
    >>> voc.decode(task.rows_of(np.array([1234])).tokens[0])
    '12*34=840,630,8040'
    """

    vocabulary = voc.SIZE
    place_rows = 0

    def __init__(self, first: int, second: int, scratchpad: bool):
        if not (1 <= first <= 3 and 1 <= second <= 3):
            raise ValueError(f"operands have 1 to 3 digits, not {first} and {second}")
        self.first, self.second, self.scratchpad = first, second, scratchpad
        self.size = 10 ** (first + second)
        self.prompt = first + second + 2
        tokens = self.rows_of(np.zeros(1, dtype=np.int64)).tokens
        self.length = tokens.shape[1]
        self.final = self.length - first - second

    def rows_of(self, ids: np.ndarray) -> Batch:
        """The rows of given problems; all rows have the same length, so nothing is masked."""
        a, b = ids // 10**self.second, ids % 10**self.second
        column = np.ones((len(ids), 1), dtype=np.int64)
        parts = [voc.digits(a, self.first)[:, ::-1], column * voc.TOKEN["*"]]
        parts += [voc.digits(b, self.second)[:, ::-1], column * voc.EQUALS]
        running = np.zeros(len(ids), dtype=np.int64)
        for place in range(self.second if self.scratchpad else 0):
            partial = a * (b // 10**place % 10)
            running = running + partial * 10**place
            parts += [voc.digits(partial, self.first + 1), column * voc.TOKEN[","]]
            if 0 < place < self.second - 1:
                parts += [voc.digits(running, self.first + place + 1), column * voc.TOKEN[","]]
        parts.append(voc.digits(a * b, self.first + self.second))
        tokens = torch.from_numpy(np.concatenate(parts, axis=1))
        return Batch(tokens, torch.ones(len(ids), tokens.shape[1] - self.prompt, dtype=torch.bool))

    def held_out(self, ids: np.ndarray) -> np.ndarray:
        """A tenth by hash; a product and its swapped twin share their side when both operands have as many digits."""
        a, b = ids // 10**self.second, ids % 10**self.second
        if self.first != self.second:
            return hashed_out(ids)
        return hashed_out(np.minimum(a, b) * 10**self.second + np.maximum(a, b))

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        """Uniform over the problems, with replacement, never a held-out one."""
        kept = np.empty(0, dtype=np.int64)
        while len(kept) < size:
            ids = rng.integers(0, self.size, int(1.25 * (size - len(kept))) + 8)
            kept = np.concatenate([kept, ids[~self.held_out(ids)]])
        return self.rows_of(kept[:size])

    def describe(self) -> dict:
        """Facts for the checkpoint."""
        return {
            "task": "multiplication",
            "first_digits": self.first,
            "second_digits": self.second,
            "scratchpad": self.scratchpad,
            "characters": voc.CHARACTERS,
        }
