"""The training loop of language models: any trainable parameters, any batches; exact to resume, exact to accumulate.

The loss of a step is the mean of ``-log p(token)`` over all learnt tokens of all its micro-batches, however they are
cut: each micro-batch contributes its sum divided by the count of the whole step. (The mean of means, which many loops
take, weighs the tokens of a short batch more.)
"""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from finqa_lab.errors import CourseError
from finqa_lab.tune.batches import Batch, Batches
from finqa_lab.tune.plan import Plan, make_optimizer, set_rate


@dataclass
class Run:
    """A training: all that must survive an interruption, and what was measured.

    Attributes:
        model: being trained.
        optimizer: over its trainable parameters.
        step: steps done.
        tokens: read so far, all positions of all batches.
        cpu_seconds: process time inside the steps.
        losses: of every step, in nats a token.
        validation: (step, loss) of every evaluation.
        best: the lowest of them, and the trainable parameters that reached it.
        whole: whether it stands between two steps; an update that was interrupted half way is not to be saved.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    tokens: int = 0
    cpu_seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)
    best: tuple[float, dict[str, Tensor]] | None = None
    whole: bool = True


class Together(Protocol):
    """What the loop asks of the processes that train one model: :mod:`finqa_lab.tune.distributed.strategies`.

    Attributes:
        rank: number of this process, from 0.
        ranks: how many there are.
    """

    rank: int
    ranks: int

    def module(self, model: nn.Module) -> nn.Module:
        """What is called for a loss, so that the gradients are averaged over the ranks."""

    def micro_batch(self, step: int, place: int, last: bool) -> AbstractContextManager:
        """Held around forward and backward of a micro-batch; gradients are averaged behind this rank's last."""

    def total(self, numbers: list[float]) -> list[float]:
        """Sum over the ranks, of each number."""


def start_run(model: nn.Module, plan: Plan) -> Run:
    """A run at step 0; what has ``requires_grad`` is trained."""
    return Run(model, make_optimizer(model, plan))


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The trainable parameters by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def loss_sum(model: nn.Module, batch: Batch, precision: str = "float32") -> Tensor:
    """Sum of ``-log p`` over the learnt tokens, a float32 scalar.

    Logits are computed from the first learnt column on only.

    Raises:
        CourseError: when nothing in the batch is to be learnt.
    """
    columns = batch.learn[:, 1:].any(dim=0).nonzero()
    if not len(columns):
        raise CourseError(f"no token is to be learnt in a batch{_named(batch)}; look at the mask of its samples")
    start = int(columns[0])
    more = {} if batch.segments is None else {"segments": batch.segments[:, :-1]}
    with torch.autocast(batch.tokens.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        logits = model(batch.tokens[:, :-1], start=start, **more)
    targets = batch.tokens[:, start + 1 :].masked_fill(~batch.learn[:, start + 1 :], -100)
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-100, reduction="sum")


@torch.no_grad()
def mean_loss(model: nn.Module, batches: Sequence[Batch], precision: str = "float32") -> float:
    """Mean of ``-log p`` in nats over the learnt tokens of batches that the model does not train on."""
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    total = sum(float(loss_sum(model, batch.to(device), precision)) for batch in batches)
    model.train(was_training)
    return total / sum(batch.learnt for batch in batches)


def train(
    run: Run,
    plan: Plan,
    batches: Batches,
    *,
    until: int | None = None,
    evaluate: Callable[[], float] | None = None,
    evaluate_every: int = 0,
    patience: int = 0,
    on_step: Callable[[Run], None] | None = None,
    save: Callable[[Run], None] | None = None,
    save_every: int = 0,
    together: Together | None = None,
) -> Run:
    """Train until step ``until`` (default: the plan's last), in place.

    Args:
        run: new, or read back with :func:`finqa_lab.tune.resume.load_run`.
        plan: its rates are those of the whole plan, also when ``until`` stops earlier.
        batches: of a step.
        evaluate: gives a validation loss; called every ``evaluate_every`` steps and behind the last.
        patience: evaluations without a new lowest loss after which training stops; 0 never stops early. With it, the
            parameters of the lowest validation loss are put back at the end.
        on_step: called after every step.
        save: called every ``save_every`` steps, and when the reader interrupts.
        together: the ranks that train one model: each takes its part of a step's micro-batches and scales its loss by
            their number, because their gradients are averaged; the run's losses are then those of all ranks.

    Returns:
        The run; its model is in evaluation mode.

    Raises:
        CourseError: when a loss is not finite (step and samples are named), or the micro-batches of a step cannot be
            shared among the ranks.
        KeyboardInterrupt: passed on, after ``save``; nothing is saved inside an update, or by several ranks, which may
            stand at different steps: the last checkpoint stays.
    """
    until = plan.steps if until is None else min(until, plan.steps)
    run.model.train()
    try:
        while run.step < until and not _exhausted(run, patience):
            began = time.process_time()
            _one_step(run, plan, batches(run.step), together)
            run.cpu_seconds += time.process_time() - began
            if on_step is not None:
                on_step(run)
            if evaluate is not None and (run.step == until or evaluate_every and run.step % evaluate_every == 0):
                _evaluate(run, evaluate(), keep=patience > 0)
            if save is not None and save_every and run.step % save_every == 0:
                save(run)
    except KeyboardInterrupt:
        if save is not None and run.whole and (together is None or together.ranks == 1):
            save(run)
        raise
    if patience and run.best is not None and (run.step == plan.steps or _exhausted(run, patience)):
        with torch.no_grad():
            for name, parameter in trained(run.model).items():
                parameter.copy_(run.best[1][name])
    run.model.eval()
    return run


def _one_step(run: Run, plan: Plan, parts: Sequence[Batch], together: Together | None) -> None:
    rank, ranks = (0, 1) if together is None else (together.rank, together.ranks)
    if len(parts) % ranks:
        raise CourseError(
            f"step {run.step} has {len(parts)} micro-batches, which {ranks} ranks cannot share; choose a multiple"
        )
    learnt = sum(part.learnt for part in parts)
    device = next(run.model.parameters()).device
    module = run.model if together is None else together.module(run.model)
    run.optimizer.zero_grad(set_to_none=True)
    losses = [0.0] * len(parts)
    for place in range(rank, len(parts), ranks):
        last = place + ranks >= len(parts)
        with nullcontext() if together is None else together.micro_batch(run.step, place, last):
            loss = loss_sum(module, parts[place].to(device), plan.precision) * (ranks / learnt)
            loss.backward()
        losses[place] = float(loss.detach())
    if together is not None:  # all ranks know all losses, so that all stop at a bad one and name it
        losses = [loss / ranks for loss in together.total(losses)]
    for part, value in zip(parts, losses):
        if not math.isfinite(value):
            raise CourseError(
                f"training diverged: the loss is {value} at step {run.step}{_named(part)}; lower the learning rate, or "
                "look at these samples"
            )
    if plan.clip:
        torch.nn.utils.clip_grad_norm_(trained(run.model).values(), plan.clip)
    set_rate(run.optimizer, plan.share(run.step))
    run.whole = False
    run.optimizer.step()
    run.step += 1
    run.tokens += sum(part.tokens.numel() for part in parts)
    run.losses.append(sum(losses))
    run.whole = True


def _evaluate(run: Run, loss: float, keep: bool) -> None:
    run.validation.append((run.step, loss))
    if run.best is None or loss < run.best[0]:
        kept = {name: p.detach().clone() for name, p in trained(run.model).items()} if keep else {}
        run.best = (loss, kept)


def _exhausted(run: Run, patience: int) -> bool:
    """Whether the last ``patience`` evaluations brought no new lowest loss."""
    if not patience or len(run.validation) <= patience:
        return False
    losses = [loss for _, loss in run.validation]
    return min(losses[-patience:]) >= min(losses[:-patience])


def _named(batch: Batch) -> str:
    return f" (samples {', '.join(batch.names[:8])})" if batch.names else ""
