"""Muon: momentum whose update is made (nearly) orthogonal, for the matrices inside a network (Jordan et al. 2024).

The momentum of a weight matrix is dominated by a few directions. Replacing its singular values by about one, through
five Newton-Schulz steps (only matrix products), lets the rare directions learn at the same speed.
"""

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of Jordan's quintic: steepest at 0, keeps [0, 1] within about [0.7, 1.2]


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """A matrix with the singular vectors of ``matrix`` and singular values between about 0.7 and 1.2.

    Args:
        matrix: (rows, columns) float32, not zero.
        steps: Newton-Schulz steps, each ``X <- aX + (bA + cA^2) X`` with ``A = X X^T``.

    >>> [round(x, 1) for x in orthogonalise(torch.diag(torch.tensor([100.0, 1.0]))).diagonal().tolist()]
    [0.7, 0.7]
    """
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, scaled by ``sqrt(max(1, rows / columns))``; decoupled weight decay.

    Args:
        params: 2-D parameters.
        lr: learning rate (the size of every singular value of an update).
        momentum: decay of the running gradient.
        weight_decay: each step first multiplies the weights by ``1 - lr * weight_decay``.
    """

    def __init__(self, params, lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.01):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        if any(parameter.ndim != 2 for group in self.param_groups for parameter in group["params"]):
            raise ValueError("Muon takes matrices only; give vectors and embeddings to AdamW")

    @torch.no_grad()
    def step(self, closure=None):
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: Tensor, group: dict) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer = state["momentum_buffer"]
        buffer.lerp_(parameter.grad, 1 - group["momentum"])
        update = orthogonalise(parameter.grad.lerp(buffer, group["momentum"]))
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(update, alpha=-group["lr"] * max(1.0, parameter.shape[0] / parameter.shape[1]) ** 0.5)


class MuonAdamW(Muon):
    """One optimizer with two kinds of groups: those with ``"adamw": True`` are updated by AdamW, the others by Muon.

    Muon is for the matrices inside a network only; embeddings, the head and vectors take AdamW. One object with one
    state is simpler to save, resume and schedule than two.

    Args:
        groups: each with ``params`` and, for AdamW, ``"adamw": True`` and its own ``lr``, ``betas`` and
            ``weight_decay``.
        lr, momentum, weight_decay: of Muon's groups.
    """

    def __init__(self, groups: list[dict], lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.01):
        ours = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "adamw": False, "betas": (0.9, 0.95)}
        torch.optim.Optimizer.__init__(self, groups, {**ours, "eps": 1e-8})
        if any(p.ndim != 2 for group in self.param_groups if not group["adamw"] for p in group["params"]):
            raise ValueError("Muon takes matrices only; give vectors and embeddings to AdamW")

    def _update(self, parameter: Tensor, group: dict) -> None:
        (self._adamw if group["adamw"] else super()._update)(parameter, group)

    def _adamw(self, parameter: Tensor, group: dict) -> None:
        state, (first, second) = self.state[parameter], group["betas"]
        if not state:
            state.update(step=torch.tensor(0.0), mean=torch.zeros_like(parameter), square=torch.zeros_like(parameter))
        state["step"] += 1
        state["mean"].lerp_(parameter.grad, 1 - first)
        state["square"].mul_(second).addcmul_(parameter.grad, parameter.grad, value=1 - second)
        count = float(state["step"])
        scale = (state["square"] / (1 - second**count)).sqrt_().add_(group["eps"])
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.addcdiv_(state["mean"], scale, value=-group["lr"] / (1 - first**count))
