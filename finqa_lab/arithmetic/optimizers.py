"""Optimisers of a run and their learning-rate schedule."""

import math

import torch

from finqa_lab.arithmetic.recipes import Optimisation
from finqa_lab.nn.muon import Muon
from finqa_lab.nn.transformer import Decoder


def learning_rate_factor(step: int, plan: Optimisation) -> float:
    """Factor on the peak learning rate at ``step`` (counted from 0).

    >>> plan = Optimisation(steps=1100, warmup=100)
    >>> [round(learning_rate_factor(step, plan), 3) for step in (0, 99, 600, 1099)]
    [0.01, 1.0, 0.51, 0.02]
    """
    if step < plan.warmup:
        return (step + 1) / plan.warmup
    done = (step - plan.warmup) / max(1, plan.steps - plan.warmup)  # 0 at the end of the warm-up, towards 1
    if plan.schedule == "cosine":
        return 0.02 + 0.98 * (1 + math.cos(math.pi * done)) / 2
    if plan.schedule == "linear":
        return 1 - done
    return min(1.0, (1 - done) / 0.4)


def make_optimizers(model: Decoder, plan: Optimisation) -> dict[str, torch.optim.Optimizer]:
    """The optimisers by name, each parameter in exactly one; a group's peak rate is kept as ``group["peak"]``."""
    matrices, others, vectors = [], [], []
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            vectors.append(parameter)
        elif plan.optimizer == "muon" and name.startswith("blocks."):
            matrices.append(parameter)
        else:
            others.append(parameter)
    decay = 0.0 if plan.optimizer == "muon" else plan.weight_decay
    groups = [{"params": others, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizers = {"adamw": torch.optim.AdamW(groups, lr=plan.lr, betas=(0.9, 0.99), fused=True)}
    if matrices:
        optimizers["muon"] = Muon(matrices, lr=plan.muon_lr, weight_decay=plan.weight_decay)
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


def set_learning_rate(optimizers: dict[str, torch.optim.Optimizer], factor: float) -> None:
    """Set every group's rate to its peak times ``factor``."""
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * factor
