"""RMSNorm: scale every vector to unit root-mean-square, then by a learned gain (Zhang and Sennrich 2019)."""

import torch
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """``y = x / sqrt(mean(x_i^2) + eps) * gain`` over the last axis; no mean is subtracted and there is no
    bias.

    Shapes: (..., width) -> (..., width), same dtype.

    >>> RMSNorm(2)(torch.tensor([3.0, 4.0])).tolist()  # rms is sqrt(12.5) = 3.5355
    [0.8485277891159058, 1.1313704252243042]
    """

    def __init__(self, width: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis; computed in float32 where x has fewer bits."""
        wide = x if x.dtype.itemsize >= 4 else x.float()
        normal = wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)
        return normal.to(x.dtype) * self.gain
