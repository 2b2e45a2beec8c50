"""Small experiments of the lab: learning curves, what an answer digit depends on, and attention maps."""

import numpy as np
import torch

from finqa_lab.arithmetic import problems
from finqa_lab.arithmetic import vocabulary as voc
from finqa_lab.arithmetic.evaluation import evaluate
from finqa_lab.arithmetic.formats import Format
from finqa_lab.arithmetic.recipes import Recipe
from finqa_lab.arithmetic.sampling import draw
from finqa_lab.arithmetic.training import Run, start_run, train
from finqa_lab.nn.device import device_named
from finqa_lab.nn.transformer import Decoder


def probe(count: int, seed: int = 0) -> np.ndarray:
    """A sorted sample of different problems of the whole space, held out or not, int64 (count,)."""
    return np.sort(np.random.default_rng([seed, 7]).choice(problems.SPACE, count, replace=False))


def probe_by_length(count: int, seed: int = 0) -> np.ndarray:
    """A sorted sample in which every pair of operand lengths is equally frequent, int64 (count,), with repeats."""
    return np.sort(draw(np.random.default_rng([seed, 8]), count, "stratified", everything=True))


def learning_curve(
    recipe: Recipe, seed: int, ids: np.ndarray, points: int = 8, device: str = "cpu"
) -> tuple[Run, list[tuple[int, float]]]:
    """Train a recipe and ask it the problems ``ids`` at ``points`` evenly spaced steps.

    Returns:
        The finished run, and (step, share of right answers) for each point.
    """
    task = recipe.task(seed)
    model = Decoder(recipe.decoder(task), seed=seed).to(device_named(device))
    run = start_run(task, model, recipe.optimisation, seed)
    curve = []
    for point in range(1, points + 1):
        train(task, run, recipe.optimisation, until=recipe.optimisation.steps * point // points)
        result = evaluate(run.model, task.spelling, ids)
        curve.append((run.step, 1 - result.total_wrong / result.total))
    return run, curve


def influence(samples: int = 100_000, seed: int = 0) -> np.ndarray:
    """How often a changed digit of one operand changes a digit of the sum, float (4, 3).

    Row: place of the answer digit; column: place of the operand digit; units first. For a random sum, one digit of the
    first operand is replaced by another one.

    >>> table = influence(1000)
    >>> table[1, 1], table[0, 2], table[1, 0] > 0.2
    (np.float64(1.0), np.float64(0.0), np.True_)
    """
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 1000, samples), rng.integers(0, 1000, samples)
    table = np.zeros((4, 3))
    for column in range(3):
        digit = a // 10**column % 10
        other = (digit + rng.integers(1, 10, samples)) % 10
        changed = a + (other - digit) * 10**column
        table[:, column] = (voc.digits(a + b, 4) != voc.digits(changed + b, 4)).mean(axis=0)
    return table


@torch.inference_mode()
def attention_maps(model: Decoder, spelling: Format, problem: int) -> tuple[np.ndarray, list[str]]:
    """Where the model looks while it reads a problem and its correct answer.

    Returns:
        Two values. First the weights as a float array (layers, heads, T, T), whose rows are the positions that look and
        whose columns are the positions looked at; then the T characters. The last character of the row is left out,
        nothing is predicted from it.
    """
    ids = np.array([problem])
    prompts = spelling.encode_prompts(*problems.operands(ids))
    row = np.concatenate([prompts, spelling.encode_answers(problems.answers(ids))], axis=1)[:, :-1]
    places = spelling.digit_places(prompts)
    places = None if places is None else torch.from_numpy(places[:, :-1]).to(model.device)
    maps: list[torch.Tensor] = []
    model(torch.from_numpy(row).to(model.device), places, maps=maps)
    return torch.cat(maps).cpu().numpy(), list(voc.decode(row[0]))
