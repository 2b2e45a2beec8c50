"""How an optimizer is driven: warm-up, decay of the rate, clipping, precision; nothing that belongs to the data."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from finqa_lab.errors import CourseError
from finqa_lab.nn.muon import MuonAdamW

Schedule = Literal["cosine", "linear", "constant"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Plan:
    """Settings of AdamW and its schedule.

    Attributes:
        steps: optimizer steps.
        lr: the highest learning rate.
        warmup: steps over which the rate rises from almost 0.
        schedule: of the rate behind the warm-up.
        floor: last rate of the schedule as a share of the highest.
        weight_decay: of matrices; vectors are not decayed.
        betas: of AdamW's two moments.
        clip: largest norm of the gradient; 0 for none.
        muon: rate of Muon for the matrices inside the blocks, or None for AdamW alone; ``lr`` is then of all else.
        embedding: rate of embeddings and head where it is not ``lr``, as for embeddings that start large; they then
            decay no faster than at ``lr``.
        precision: ``bfloat16`` computes the matrix products in 16 bits (autocast); weights and moments stay float32.
    """

    steps: int
    lr: float
    warmup: int = 0
    schedule: Schedule = "cosine"
    floor: float = 0.1
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0
    muon: float | None = None
    embedding: float | None = None
    precision: Precision = "float32"

    def __post_init__(self):
        if self.steps < 1 or not 0 <= self.warmup <= self.steps:
            raise CourseError(
                f"{self.steps} steps with a warm-up of {self.warmup} cannot be trained; give at least one step, and a "
                "warm-up that fits into them"
            )

    def share(self, step: int) -> float:
        """Share of the highest learning rate at a step, counted from 0.

        >>> plan = Plan(steps=11, lr=1.0, warmup=1, schedule="linear", floor=0.0)
        >>> [round(plan.share(step), 2) for step in (0, 1, 6, 10)]
        [1.0, 1.0, 0.5, 0.1]
        """
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        shape = {"cosine": (1 + math.cos(math.pi * done)) / 2, "linear": 1 - done, "constant": 1.0}[self.schedule]
        return self.floor + (1 - self.floor) * shape


def make_optimizer(model: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    """AdamW (I. Loshchilov and F. Hutter, 2019, arXiv:1711.05101) on what is trained, with Muon where the plan asks.

    Raises:
        CourseError: when nothing is trainable.
    """
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not named:
        raise CourseError("no parameter of the model is trainable; add an adapter, or unfreeze the model")
    inside = {name for name, p in named.items() if plan.muon is not None and p.ndim == 2 and name.startswith("blocks.")}
    tables = [p for name, p in named.items() if name not in inside and _is_table(name)]
    rest = [p for name, p in named.items() if name not in inside and not _is_table(name)]
    rate = plan.lr if plan.embedding is None else plan.embedding
    groups = [
        {"params": tables, "lr": rate, "weight_decay": plan.weight_decay * plan.lr / rate},
        {"params": [p for p in rest if p.ndim > 1], "lr": plan.lr, "weight_decay": plan.weight_decay},
        {"params": [p for p in rest if p.ndim < 2], "lr": plan.lr, "weight_decay": 0.0},
    ]
    groups = [{**group, "betas": plan.betas} for group in groups if group["params"]]
    if inside:
        matrices = [{"params": [named[name] for name in sorted(inside)]}]
        groups = matrices + [{**group, "adamw": True} for group in groups]
        optimizer = MuonAdamW(groups, lr=plan.muon, weight_decay=plan.weight_decay)
    else:
        optimizer = torch.optim.AdamW(groups, fused=True)
    for group in optimizer.param_groups:
        group["peak"] = group["lr"]
    return optimizer


def _is_table(name: str) -> bool:
    """Whether a parameter is an embedding or the head: read or written row by row, one for each token."""
    return name.endswith("embedding.weight") or name == "head.weight"


def set_rate(optimizer: torch.optim.Optimizer, share: float) -> None:
    """Set the learning rate of every group to a share of its highest."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share
