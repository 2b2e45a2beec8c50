"""A task given by two functions of a problem's number: what is asked, and what is written in reply.

The reply may hold a scratchpad (Nye et al. 2021, arXiv 2112.00114): intermediate results that the model writes before
the result. Only the result decides whether an answer is right; the scratchpad is allowed to be wrong, although a wrong
scratchpad hardly ever leads to a right result.
"""

from dataclasses import dataclass

import numpy as np
import torch

from finqa_lab.arithmetic import vocabulary as voc
from finqa_lab.arithmetic.evaluation import exact_match
from finqa_lab.arithmetic.hashing import chosen_by_hash
from finqa_lab.arithmetic.tasks import Batch
from finqa_lab.nn.transformer import Decoder

HELD_OUT_SHARE = 0.1
SLASH = voc.SIZE  # the division sign, one more token than the vocabulary of sums and differences has


class WrittenTask:
    """Base of the extension tasks; a subclass sets the attributes and writes :meth:`prompts` and :meth:`replies`.

    Attributes:
        name: for reports.
        space: problems are numbered 0..space-1.
        prompt: columns of a prompt.
        reply: columns of a reply.
        result_columns: how many of its last columns hold the result.
    """

    name: str
    space: int
    prompt: int
    reply: int
    result_columns: int
    vocabulary = voc.SIZE + 1
    place_rows = 0

    @property
    def length(self) -> int:
        """Columns of a row."""
        return self.prompt + self.reply

    @property
    def final(self) -> int:
        """First column of the result."""
        return self.length - self.result_columns

    def prompts(self, ids: np.ndarray) -> np.ndarray:
        """Tokens of the questions, int64 (N, prompt)."""
        raise NotImplementedError

    def replies(self, ids: np.ndarray) -> np.ndarray:
        """Tokens of the right replies, int64 (N, reply)."""
        raise NotImplementedError

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Problem numbers to train on, before the held-out ones are dropped; uniform unless a task knows better."""
        return rng.integers(0, self.space, count)

    def held_out(self, ids: np.ndarray) -> np.ndarray:
        """Which problems never enter training, boolean (N,)."""
        return chosen_by_hash(ids, HELD_OUT_SHARE)

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        """A training batch without held-out problems."""
        kept = np.empty(0, dtype=np.int64)
        while len(kept) < size:
            ids = self.draw(rng, int(1.25 * (size - len(kept))) + 8)
            kept = np.concatenate([kept, ids[~self.held_out(ids)]])
        return self.rows_of(kept[:size])

    def rows_of(self, ids: np.ndarray) -> Batch:
        """The rows of given problems with their right replies."""
        reply = self.replies(ids)
        tokens = np.concatenate([self.prompts(ids), reply], axis=1)
        return Batch(torch.from_numpy(tokens), torch.from_numpy(reply != voc.PAD))

    def describe(self) -> dict:
        """Facts for the checkpoint."""
        return {"task": self.name, "held_out_share": HELD_OUT_SHARE}


@dataclass(frozen=True)
class Score:
    """Right results among the problems asked, held-out ones apart."""

    asked: int
    wrong: int
    held_out_asked: int
    held_out_wrong: int

    @property
    def held_out_exact(self) -> float:
        """Share of right results among the held-out problems."""
        return 1 - self.held_out_wrong / self.held_out_asked


def score(model: Decoder, task: WrittenTask, ids: np.ndarray) -> Score:
    """Greedy decode of the given problems, compared on the result's columns.

    Args:
        ids: problem numbers, at least one of them held out.
    """
    wrong = ~exact_match(model, task, ids)
    apart = task.held_out(ids)
    return Score(len(ids), int(wrong.sum()), int(apart.sum()), int((wrong & apart).sum()))
