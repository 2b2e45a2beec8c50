"""What a trained model answers: a greedy decode of every problem, counted by kind, and kinds of wrong answer.

Every wrong answer is exactly one of

- **malformed**: no number in the format (a symbol among the digits, no digits, a leading zero in unpadded text);
- **endless**: no end token within the longest correct answer, in a format that has one ("infinite generation");
- **out of range**: a number that answers no problem of that operation (above 1998; above 999 for a difference);
- **hallucinated**: a well-formed number in range that is not the answer. Nothing about it looks wrong.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from finqa_lab.arithmetic import problems
from finqa_lab.arithmetic.formats import ENDLESS, MALFORMED, Format
from finqa_lab.arithmetic.tasks import Task
from finqa_lab.nn.shared_prefix import greedy_shared
from finqa_lab.nn.transformer import Decoder

CHUNK = 2000  # rows decoded together: the key/value cache of a small model then stays in the processor's cache
KINDS = ("malformed", "endless", "out_of_range", "hallucinated")
AXES = ("operation", "first_length", "second_length", "carry_chain", "held_out")
_SHAPE = (2, 3, 3, 4, 2)


def predict(model: Decoder, spelling: Format, ids: np.ndarray) -> np.ndarray:
    """Answer tokens the model generates greedily, int64 (N, steps); fastest when the ids are sorted."""
    prompts = spelling.encode_prompts(*problems.operands(ids))
    places = spelling.digit_places(prompts)
    places = None if places is None else torch.from_numpy(places)
    return greedy_shared(model, torch.from_numpy(prompts), spelling.steps, places).cpu().numpy()


def exact_match(model: Decoder, task: Task, ids: np.ndarray) -> np.ndarray:
    """Which problems of any task are answered exactly, boolean (N,), by greedy decode.

    The model writes its own working steps; only the columns of the final answer are compared.
    """
    right = np.zeros(len(ids), dtype=bool)
    skip, steps = task.final - task.prompt, task.length - task.prompt
    for begin in range(0, len(ids), CHUNK):
        rows = task.rows_of(ids[begin : begin + CHUNK]).to(model.device)
        written = greedy_shared(model, rows.tokens[:, : task.prompt], steps, rows.places)[:, skip:]
        agrees = (written == rows.tokens[:, task.final :]) | ~rows.mask[:, skip:]
        right[begin : begin + CHUNK] = agrees.all(dim=1).cpu().numpy()
    return right


def classify(ids: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Index into ``KINDS`` of every wrong answer, -1 for a correct one, int64 (N,).

    Args:
        ids: the problems.
        values: what was answered, as ``Format.decode_answers`` gives it.

    >>> ids = problems.problem_ids([2, 2, 2], [0, 0, 0], [2, 2, 2])
    >>> classify(ids, np.array([4, 5, 1999])).tolist()
    [-1, 3, 2]
    """
    _, operation, _ = problems.operands(ids)
    largest = np.where(operation == problems.PLUS, 1998, 999)
    kind = np.where(values > largest, KINDS.index("out_of_range"), KINDS.index("hallucinated"))
    kind[values == MALFORMED] = KINDS.index("malformed")
    kind[values == ENDLESS] = KINDS.index("endless")
    kind[values == problems.answers(ids)] = -1
    return kind


@dataclass
class Evaluation:
    """Counts over the problems asked so far.

    Attributes:
        asked, wrong: int64 of shape (2, 3, 3, 4, 2), by ``AXES``: operation, digits of the first and of the second
            operand (minus one), longest carry chain, held out of training or not.
        kinds: wrong answers by kind, in the order of ``KINDS``.
        wrong_ids: the problems answered wrongly, in the order asked.
        cpu_seconds: process time spent, decoding and counting together.
    """

    asked: np.ndarray = field(default_factory=lambda: np.zeros(_SHAPE, dtype=np.int64))
    wrong: np.ndarray = field(default_factory=lambda: np.zeros(_SHAPE, dtype=np.int64))
    kinds: np.ndarray = field(default_factory=lambda: np.zeros(len(KINDS), dtype=np.int64))
    wrong_ids: list[int] = field(default_factory=list)
    cpu_seconds: float = 0.0

    def count(self, ids: np.ndarray, values: np.ndarray) -> None:
        """Add the answers ``values`` to the problems ``ids``."""
        kind = classify(ids, values)
        a, operation, b = problems.operands(ids)
        cell = (
            operation,
            problems.digit_count(a) - 1,
            problems.digit_count(b) - 1,
            problems.carry_chain(ids),
            problems.held_out(ids).astype(np.int64),
        )
        np.add.at(self.asked, cell, 1)
        np.add.at(self.wrong, cell, kind >= 0)
        self.kinds += np.bincount(kind[kind >= 0], minlength=len(KINDS))
        self.wrong_ids += ids[kind >= 0].tolist()

    @property
    def total(self) -> int:
        """Problems asked."""
        return int(self.asked.sum())

    @property
    def total_wrong(self) -> int:
        """Problems answered wrongly."""
        return int(self.wrong.sum())

    @property
    def held_out_asked(self) -> int:
        """Problems asked that were held out of training."""
        return int(self.asked[..., 1].sum())

    @property
    def held_out_wrong(self) -> int:
        """Held-out problems answered wrongly."""
        return int(self.wrong[..., 1].sum())

    def error_rate(self, *axes: str) -> np.ndarray:
        """Share of wrong answers by the named axes, float; NaN where nothing was asked.

        ``error_rate("first_length", "second_length")`` is the 3 x 3 table of operand lengths.
        """
        rest = tuple(index for index, name in enumerate(AXES) if name not in axes)
        order = [name for name in AXES if name in axes]
        asked, wrong = self.asked.sum(axis=rest), self.wrong.sum(axis=rest)
        table = np.divide(wrong, asked, out=np.full(asked.shape, np.nan), where=asked > 0)
        return table.transpose([order.index(name) for name in axes])

    def rates(self) -> dict[str, float]:
        """Share of all answers that is of each kind of wrong."""
        return {kind: float(count) / max(self.total, 1) for kind, count in zip(KINDS, self.kinds, strict=True)}

    def describe(self) -> dict:
        """The main figures, JSON-ready."""
        return {
            "asked": self.total,
            "wrong": self.total_wrong,
            "held_out_asked": self.held_out_asked,
            "held_out_wrong": self.held_out_wrong,
            "cpu_seconds": round(self.cpu_seconds, 2),
            **{f"rate_{kind}": rate for kind, rate in self.rates().items()},
        }


def evaluate_in_pieces(model: Decoder, spelling: Format, ids: np.ndarray | None = None) -> Iterator[Evaluation]:
    """The evaluation of :func:`evaluate`, yielded after every chunk, so that a reader sees it grow."""
    ids = np.arange(problems.SPACE) if ids is None else np.asarray(ids, dtype=np.int64)
    result = Evaluation()
    for begin in range(0, len(ids), CHUNK):
        clock = time.process_time()
        chunk = ids[begin : begin + CHUNK]
        result.count(chunk, spelling.decode_answers(predict(model, spelling, chunk)))
        result.cpu_seconds += time.process_time() - clock
        yield result


def evaluate(
    model: Decoder,
    spelling: Format,
    ids: np.ndarray | None = None,
    on_chunk: Callable[[Evaluation], None] | None = None,
) -> Evaluation:
    """Greedy decode of the given problems (default: all 1,500,500) and count.

    Args:
        model: a decoder trained on ``spelling``.
        spelling: the format.
        ids: problems to ask, at least one; sorted ids share prefixes and decode faster.
        on_chunk: called with the counts so far after every 2,000 problems.

    Raises:
        ValueError: when there is no problem to ask.
    """
    result = None
    for result in evaluate_in_pieces(model, spelling, ids):
        if on_chunk is not None:
            on_chunk(result)
    if result is None:
        raise ValueError("there is no problem to ask")
    return result
