"""The position-wise network of a block: ReLU with biases, or SwiGLU."""

import torch.nn.functional as F
from torch import Tensor, nn

from finqa_lab.nn.config import DecoderConfig


class ReluMLP(nn.Module):
    """``down(relu(up(x)))`` with biases, as in Vaswani et al. (2017), equation 2. (..., d) -> (..., d)."""

    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.up = nn.Linear(config.width, config.hidden)
        self.down = nn.Linear(config.hidden, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the network to every position alone."""
        return self.down(F.relu(self.up(x)))


class SwiGLU(nn.Module):
    """``down(silu(gate(x)) * up(x))`` without biases (Shazeer 2020), the layout of Llama. (..., d) -> (...,
    d)."""

    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.gate = nn.Linear(config.width, config.hidden, bias=False)
        self.up = nn.Linear(config.width, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the network to every position alone."""
        return self.down(F.silu(self.gate(x)) * self.up(x))


def make_mlp(config: DecoderConfig) -> nn.Module:
    """The network that ``config.mlp`` names."""
    return {"relu": ReluMLP, "swiglu": SwiGLU}[config.mlp](config)
