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
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(parameter)
                buffer = state["momentum_buffer"]
                buffer.lerp_(parameter.grad, 1 - group["momentum"])
                update = orthogonalise(parameter.grad.lerp(buffer, group["momentum"]))
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * max(1.0, parameter.shape[0] / parameter.shape[1]) ** 0.5)
