"""The scratchpad of a product against the written method, and the task seam it passes through."""

import numpy as np
import pytest
import torch

from finqa_lab.arithmetic import vocabulary as voc
from finqa_lab.arithmetic.evaluation import exact_match
from finqa_lab.arithmetic.multiplication import Multiplication
from finqa_lab.arithmetic.recipes import Optimisation
from finqa_lab.arithmetic.training import start_run, train
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.transformer import Decoder

SHAPES = [(1, 1), (2, 1), (2, 2), (3, 2), (3, 3)]


@pytest.mark.parametrize(("first", "second"), SHAPES)
@pytest.mark.parametrize("scratchpad", [True, False])
def test_rows_are_the_written_method(first, second, scratchpad):
    task = Multiplication(first, second, scratchpad)
    ids = np.random.default_rng(0).integers(0, task.size, 200)
    rows = task.rows_of(ids)
    assert (
        rows.tokens.shape == (200, task.length) and rows.mask.all() and rows.mask.shape[1] == task.length - task.prompt
    )
    for problem, row in zip(ids.tolist(), rows.tokens, strict=True):
        a, b = divmod(problem, 10**second)
        prompt, answer = voc.decode(row).split("=")
        assert prompt == f"{a:0{first}d}*{b:0{second}d}"
        *steps, final = [int(part[::-1]) for part in answer.split(",")]
        assert final == a * b and int(voc.decode(row[task.final :])[::-1]) == a * b
        partial = [a * int(digit) for digit in reversed(f"{b:0{second}d}")]
        if scratchpad:
            expected = [partial[0]]
            for place in range(1, second):
                expected.append(partial[place])
                if place < second - 1:
                    expected.append(sum(p * 10**i for i, p in enumerate(partial[: place + 1])))
            assert steps == expected
        else:
            assert steps == []


def test_split_and_batches():
    task = Multiplication(2, 2, scratchpad=True)
    ids = np.arange(task.size)
    out = task.held_out(ids)
    assert 0.08 < out.mean() < 0.13
    assert np.array_equal(out, out[ids % 100 * 100 + ids // 100])
    drawn = task.batch(np.random.default_rng(0), 4000).tokens.numpy()
    a, b = drawn[:, 0] * 10 + drawn[:, 1], drawn[:, 3] * 10 + drawn[:, 4]
    assert not task.held_out(a * 100 + b).any()
    with pytest.raises(ValueError, match="1 to 3 digits"):
        Multiplication(4, 1, scratchpad=False)


def test_training_and_exact_match_go_through_the_seam():
    task = Multiplication(1, 1, scratchpad=False)
    shape = DecoderConfig(task.vocabulary, 32, 1, 2, 64, task.length)
    plan = Optimisation(steps=300, batch=64, lr=8e-3, warmup=20)
    run = train(task, start_run(task, Decoder(shape), plan, 0), plan)
    ids = np.arange(task.size)
    known = ids[~task.held_out(ids)]
    assert exact_match(run.model, task, known).mean() > 0.95
    assert exact_match(Decoder(shape, seed=9).eval(), task, known).mean() < 0.2


def test_exact_match_reads_the_final_answer_only(monkeypatch):
    task = Multiplication(2, 2, scratchpad=True)
    ids = np.arange(50)

    def spoiled(model, prompts, steps, places=None):
        rows = task.rows_of(ids).tokens[:, task.prompt :].clone()
        rows[:10, 0] = (rows[:10, 0] + 1) % 10  # a wrong step
        rows[40:, -1] = (rows[40:, -1] + 1) % 10  # a wrong result
        return rows

    import finqa_lab.arithmetic.evaluation as evaluation

    monkeypatch.setattr(evaluation, "greedy_shared", spoiled)
    assert (
        exact_match(Decoder(DecoderConfig(task.vocabulary, 8, 1, 1, 8, task.length)), task, ids).tolist()
        == [True] * 40 + [False] * 10
    )
    assert torch.equal(task.rows_of(ids).mask, torch.ones(50, task.length - task.prompt, dtype=torch.bool))
