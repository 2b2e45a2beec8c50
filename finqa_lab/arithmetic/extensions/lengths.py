"""Length generalisation: train on sums of short numbers, test on longer ones.

Absolute positions cannot work for a length that was never seen. Here every digit carries the embedding of its *place*
instead (units, tens, ...), as in abacus embeddings (McLeish et al. 2024, arXiv 2405.17399), and in training a random
offset is added to all places of a row, so that high places are trained although no number is that long. All numbers are
written units first: ``951+11=`` becomes ``159+11=269$``.
"""

import numpy as np
import torch

from finqa_lab.arithmetic import vocabulary as voc
from finqa_lab.arithmetic.tasks import Batch
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.generate import greedy
from finqa_lab.nn.transformer import Decoder

LARGEST_OFFSET = 20
TESTED_DIGITS = 10
PLACES = 1 + LARGEST_OFFSET + TESTED_DIGITS + 3  # row 0 is for what is no digit


class LongSums:
    """Sums of two operands of 1..``digits`` digits, both lengths uniform; every row is filled on the left to one width.

    >>> task = LongSums(3)
    >>> voc.decode(task.rows(np.array([951]), np.array([11]), 3, 2)[0][0])
    '159+11=269$_'
    """

    vocabulary = voc.SIZE
    place_rows = PLACES

    def __init__(self, digits: int):
        self.digits = digits
        self.prompt = 2 * digits + 2
        self.length = self.prompt + digits + 2

    def rows(self, a: np.ndarray, b: np.ndarray, a_digits: int, b_digits: int, offset=0):
        """Tokens and places of sums whose operands have the given lengths, without filling on the left.

        Args:
            offset: added to the places, one number or (N,).

        Returns:
            Tokens and places, both int64 (N, T). The answer has ``max(a_digits, b_digits) + 2`` columns, of
            which the ones behind the end token are padding. ``=`` stands one place below the units, the operator
            nowhere.
        """
        count, longest = len(a), max(a_digits, b_digits)
        total = a + b
        answer = np.concatenate([voc.digits(total, longest + 1), np.full((count, 1), voc.PAD)], axis=1)
        end = longest + (total >= 10**longest)
        answer[np.arange(count), end] = voc.END
        answer[end == longest, longest + 1] = voc.PAD
        one = np.ones((count, 1), dtype=np.int64)
        tokens = [voc.digits(a, a_digits), one * voc.TOKEN["+"], voc.digits(b, b_digits), one * voc.EQUALS, answer]
        place = [np.arange(a_digits) + 1, [-1], np.arange(b_digits) + 1, [0], np.arange(longest + 2) + 1]
        places = np.concatenate(place)[None, :] + np.broadcast_to(np.asarray(offset), (count,))[:, None] + 1
        places[:, a_digits] = 0
        return np.concatenate(tokens, axis=1), places

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        """A training batch; the operands' lengths and the offset differ from row to row."""
        lengths = rng.integers(1, self.digits + 1, (size, 2))
        tokens = np.full((size, self.length), voc.PAD, dtype=np.int64)
        places = np.zeros((size, self.length), dtype=np.int64)
        offset = rng.integers(0, LARGEST_OFFSET + 1, size)
        for m, n in np.unique(lengths, axis=0):
            here = np.flatnonzero((lengths == (m, n)).all(axis=1))
            a, b = _operands(rng, m, len(here)), _operands(rng, n, len(here))
            row, place = self.rows(a, b, m, n, offset[here])
            first = self.prompt - (m + n + 2)
            tokens[here, first : first + row.shape[1]] = row
            places[here, first : first + row.shape[1]] = place
        mask = tokens[:, self.prompt :] != voc.PAD
        return Batch(torch.from_numpy(tokens), torch.from_numpy(mask), torch.from_numpy(places))

    def describe(self) -> dict:
        """Facts for the checkpoint."""
        return {"task": "long sums", "digits": self.digits, "largest_offset": LARGEST_OFFSET}

    def decoder(self, width: int = 64, layers: int = 2, heads: int = 4) -> DecoderConfig:
        """A decoder without absolute positions, wide enough in context for the longest test."""
        context = 3 * TESTED_DIGITS + 4
        return DecoderConfig(
            self.vocabulary, width, layers, heads, 4 * width, context, positions="none", places=self.place_rows
        )


def _operands(rng: np.random.Generator, digits: int, count: int) -> np.ndarray:
    return rng.integers(10 ** (digits - 1) if digits > 1 else 0, 10**digits, count)


def exact_by_length(
    model: Decoder, task: LongSums, count: int, seed: int, lengths=range(1, TESTED_DIGITS + 1)
) -> dict[int, float]:
    """Share of right sums of two ``n``-digit operands for each n, ``count`` random sums a length, greedy.

    Prompts shorter than those of training are filled on the left as there. An answer is right when the digits and the
    end token are: writing one digit too many is wrong.
    """
    rng, found = np.random.default_rng([seed, 2]), {}
    for n in lengths:
        a, b = _operands(rng, n, count), _operands(rng, n, count)
        tokens, places = task.rows(a, b, n, n)
        fill = ((0, 0), (max(0, task.prompt - (2 * n + 2)), 0))
        tokens, places = np.pad(tokens, fill, constant_values=voc.PAD), np.pad(places, fill)
        prompt = tokens.shape[1] - (n + 2)
        written = greedy(model, torch.from_numpy(tokens[:, :prompt]), n + 2, torch.from_numpy(places), stop=voc.END)
        written = written.cpu().numpy()
        expected = np.where(tokens[:, prompt:] == voc.PAD, voc.END, tokens[:, prompt:])
        found[n] = float((written == expected).all(axis=1).mean())
    return found
