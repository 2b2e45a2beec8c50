"""One adaptation from beginning to end: samples in, a trained adapter (or a trained model) and its cost out.

This is the loop that a comparison repeats with one setting changed: rank, targets, method, number of samples.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from finqa_lab.quantitative.scoring import Scorecard, score
from finqa_lab.quantitative.task import Sample, Target
from finqa_lab.tune.answering import replies
from finqa_lab.tune.base import Base
from finqa_lab.tune.layouts import Layout, lay_out, sft_batches
from finqa_lab.tune.lora import LoRAConfig, add_adapter
from finqa_lab.tune.memory import Floor, measured
from finqa_lab.tune.plan import Plan, Precision
from finqa_lab.tune.sft import Encoded, encode_all
from finqa_lab.tune.training import Run, mean_loss, start_run, train

ROOM = 20
"""Tokens that a reply may be longer than the longest of the training set."""


@dataclass(frozen=True)
class Settings:
    """What an adaptation is made of.

    Attributes:
        target: what the replies are: a number, a program, or worked reasoning.
        lora: the adapter, or None to train all parameters.
        lr: highest learning rate; None takes 3e-3 for an adapter and 5e-4 for all parameters, first guesses for the
            course's base model (``benchmarks/adaptation.py --only rates`` compares others).
        epochs: passes over the samples; need not be whole.
        per_step: samples of an optimizer step.
        micro_batches: that a step is cut into.
        layout, length: of the rows, see :mod:`finqa_lab.tune.layouts`.
        precision: of the matrix products.
        seed: of the adapter and of the order.
    """

    target: Target = "program"
    lora: LoRAConfig | None = LoRAConfig(rank=16, alpha=32)
    lr: float | None = None
    epochs: float = 4.0
    per_step: int = 16
    micro_batches: int = 1
    layout: Layout = "shared"
    length: int = 640
    precision: Precision = "float32"
    seed: int = 0

    def plan(self, samples: int) -> Plan:
        """Optimizer and schedule for a number of samples: a twentieth of the steps of warm-up, then a cosine."""
        steps = max(1, round(self.epochs * samples / self.per_step))
        lr = self.lr if self.lr is not None else (3e-3 if self.lora is not None else 5e-4)
        return Plan(steps, lr, warmup=max(1, steps // 20), floor=0.05, precision=self.precision)


@dataclass(frozen=True)
class Adapted:
    """What an adaptation made and cost.

    Attributes:
        run: with the model, its losses and CPU seconds.
        encoded: the samples as tokens.
        limit: tokens that a reply needs at most.
        floor: bytes of weights, adapter, gradients and optimizer, counted on the tensors.
        wall_seconds: of the training.
    """

    run: Run
    encoded: Encoded
    limit: int
    floor: Floor
    wall_seconds: float

    @property
    def trained_parameters(self) -> int:
        """Numbers that were trained."""
        return sum(parameter.numel() for parameter in self.run.model.parameters() if parameter.requires_grad)


def encode_samples(base: Base, samples: Sequence[Sample], target: Target) -> Encoded:
    """Samples as tokens of a base model; those that do not fit its context are counted and left out."""
    talks = [(sample.id, sample.messages(target)) for sample in samples]
    return encode_all(talks, base.tokenizer, base.template, base.model.config.context)


def adapt(
    base: Base,
    samples: Sequence[Sample],
    settings: Settings,
    *,
    validation: Sequence[Sample] = (),
    evaluate_every: int = 0,
    patience: int = 0,
    on_step: Callable[[Run], None] | None = None,
) -> Adapted:
    """Train on samples, in place; an adapter is added under the name ``default``.

    Args:
        base: its model is changed: load it anew for each adaptation.
        samples: to learn from.
        settings: see :class:`Settings`.
        validation: samples whose loss is measured every ``evaluate_every`` steps, if any.
        patience: of early stopping, see :func:`finqa_lab.tune.training.train`.
        on_step: called after every step.

    Raises:
        CourseError: when samples or settings do not fit.
    """
    if settings.lora is None:
        base.model.requires_grad_(True)
    else:
        add_adapter(base.model, settings.lora, seed=settings.seed)
    encoded = encode_samples(base, samples, settings.target)
    per_step = min(settings.per_step, len(encoded.examples))
    plan = settings.plan(len(encoded.examples))
    batches = sft_batches(
        encoded.examples,
        per_step,
        layout=settings.layout,
        length=settings.length,
        micro_batches=settings.micro_batches if per_step == settings.per_step else 1,
        seed=settings.seed,
    )
    evaluate = None
    if validation:
        held = encode_samples(base, validation, settings.target).examples
        rows = [lay_out(held[i : i + 32], settings.layout, settings.length) for i in range(0, len(held), 32)]
        evaluate = lambda: mean_loss(base.model, rows, settings.precision)  # noqa: E731
    run, began = start_run(base.model, plan), time.perf_counter()
    train(run, plan, batches, evaluate=evaluate, evaluate_every=evaluate_every, patience=patience, on_step=on_step)
    wall = time.perf_counter() - began
    limit = max(len(example.answer) for example in encoded.examples) + ROOM
    return Adapted(run, encoded, limit, measured(base.model, run.optimizer), wall)


def answer(
    base: Base,
    samples: Sequence[Sample],
    target: Target,
    limit: int,
    on_batch: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, str], Scorecard]:
    """Greedy replies of a model to samples, and their scores."""
    talks = {sample.id: sample.messages(target) for sample in samples}
    found = replies(base.model, base.tokenizer, base.template, talks, limit, end=base.end, on_batch=on_batch)
    return found, score(found, samples)
