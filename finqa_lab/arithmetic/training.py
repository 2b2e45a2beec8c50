"""The training loop: generic over a task, exact to resume, and honest about its cost.

Command line: ``python -m finqa_lab.arithmetic.training --recipe main --seed 0 --out runs/main-0``.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from finqa_lab.arithmetic.optimizers import learning_rate_factor, make_optimizers, set_learning_rate
from finqa_lab.arithmetic.recipes import Optimisation, Recipe
from finqa_lab.arithmetic.resume import save_state
from finqa_lab.arithmetic.tasks import Batch, Task
from finqa_lab.errors import CourseError
from finqa_lab.nn.device import device_named
from finqa_lab.nn.transformer import Decoder


def answer_loss(model: Decoder, batch: Batch, prompt: int) -> Tensor:
    """Mean cross-entropy, in nats, of the answer tokens that the mask marks.

    ``L = -(1 / sum m_tj) * sum_tj m_tj * log p(x_tj | x_t,<j)`` over rows t and columns j behind the prompt. The
    logits at column j - 1 predict column j, so they are asked for from the prompt's last column on.
    """
    places = None if batch.places is None else batch.places[:, :-1]
    logits = model(batch.tokens[:, :-1], places, start=prompt - 1)
    targets = batch.tokens[:, prompt:].masked_fill(~batch.mask, -100)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)


@dataclass
class Run:
    """A training run: everything that must survive an interruption, and what was measured.

    Attributes:
        model: the decoder being trained.
        step: steps done.
        cpu_seconds: process time spent inside the loop, evaluation and checkpoints excluded.
        losses: mean loss of every step.
        average: the averaged weights by name, when the plan asks for them.
    """

    model: Decoder
    optimizers: dict[str, torch.optim.Optimizer]
    rng: np.random.Generator
    step: int = 0
    cpu_seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    average: dict[str, Tensor] = field(default_factory=dict)


def start_run(task: Task, model: Decoder, plan: Optimisation, seed: int) -> Run:
    """A fresh run; ``seed`` seeds the order of the data (the model brings its own weights)."""
    average = {n: p.detach().clone() for n, p in model.named_parameters()} if plan.average else {}
    return Run(model, make_optimizers(model, plan), np.random.default_rng([seed, 1]), average=average)


def train(
    task: Task,
    run: Run,
    plan: Optimisation,
    *,
    until: int | None = None,
    on_step: Callable[[Run], None] | None = None,
    state: Path | None = None,
    owner: dict | None = None,
    save_every: int = 250,
) -> Run:
    """Train until step ``until`` (default: the plan's last), in place.

    Args:
        task: gives the batches.
        run: from :func:`start_run` or :func:`finqa_lab.arithmetic.resume.load_state`.
        plan: learning rates are those of the whole plan, also when ``until`` stops earlier.
        until: stop after this many steps in all.
        on_step: called after every step (a progress bar, a curve); its time is not counted.
        state: folder for the resumable state, written whole every ``save_every`` steps and when the reader interrupts.
        owner: JSON-ready facts stored with the state: whose it is.

    Raises:
        CourseError: when the loss is no longer finite.
        KeyboardInterrupt: passed on, after the state was saved.
    """
    until = plan.steps if until is None else min(until, plan.steps)
    run.model.train()
    try:
        while run.step < until:
            began = time.process_time()
            loss = _one_step(task, run, plan)
            run.cpu_seconds += time.process_time() - began
            if not np.isfinite(loss):
                raise CourseError(f"training diverged: the loss is {loss} at step {run.step}; lower the learning rate")
            if on_step is not None:
                on_step(run)
            if state is not None and run.step % save_every == 0:
                save_state(state, run, owner)
    except KeyboardInterrupt:
        if state is not None:
            save_state(state, run, owner)
        raise
    if run.average and run.step == plan.steps:
        with torch.no_grad():
            for name, parameter in run.model.named_parameters():
                parameter.copy_(run.average[name])
    run.model.eval()
    return run


def _one_step(task: Task, run: Run, plan: Optimisation) -> float:
    batch = task.batch(run.rng, plan.batch)
    loss = answer_loss(run.model, batch.to(run.model.device), task.prompt)
    run.model.zero_grad(set_to_none=True)
    loss.backward()
    if plan.clip:
        torch.nn.utils.clip_grad_norm_(run.model.parameters(), plan.clip)
    set_learning_rate(run.optimizers, learning_rate_factor(run.step, plan))
    for optimizer in run.optimizers.values():
        optimizer.step()
    if run.average:
        with torch.no_grad():
            for name, parameter in run.model.named_parameters():
                run.average[name].lerp_(parameter, 1 - min(plan.average, (run.step + 1) / (run.step + 10)))
    run.step += 1
    run.losses.append(loss.item())
    return run.losses[-1]


def train_recipe(
    recipe: Recipe, seed: int, on_step: Callable[[Run], None] | None = None, device: str = "cpu", **options
) -> Run:
    """Train a recipe from nothing; the weights, the order of the data and a fixed set come from ``seed``."""
    task = recipe.task(seed)
    model = Decoder(recipe.decoder(task), seed=seed).to(device_named(device))
    return train(
        task, start_run(task, model, recipe.optimisation, seed), recipe.optimisation, on_step=on_step, **options
    )


if __name__ == "__main__":
    import sys

    from finqa_lab.arithmetic.command import main

    sys.exit(main())
