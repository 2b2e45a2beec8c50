"""Rotary position embedding (Su et al. 2021): queries and keys are turned by an angle that grows with the position.

The product of a turned query and a turned key depends on the distance between them only, so a key can be turned once,
when it is computed, and be cached turned. The two numbers of pair i are the columns i and i + w/2 of a head, the layout
of Llama checkpoints in the Hugging Face format (not neighbouring columns, as in the paper).
"""

import torch
from torch import Tensor

from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.rope_scaling import plain_frequencies, rope_frequencies


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn every pair of the last axis; lengths do not change.

    Args:
        x: (..., w).
        cos, sin: broadcastable to x; column i holds the angle of pair i in both halves, and the first half of ``sin``
            is negated (see :meth:`Rotary.tables`).

    >>> cos, sin = torch.tensor([0.0, 0.0]), torch.tensor([-1.0, 1.0])   # one pair, a quarter turn
    >>> rotate(torch.tensor([3.0, 4.0]), cos, sin).tolist()
    [-4.0, 3.0]
    """
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)


def turn(x: Tensor, positions: Tensor, theta: float = 10_000.0) -> Tensor:
    """Turn (..., T, w) queries or keys to the given positions, (T,) int64: the plain rotation in one call.

    >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> [[round(v, 3) for v in row] for row in turn(x, torch.tensor([0, 1])).tolist()]   # by 0 and by 1 radian
    [[1.0, 0.0], [0.54, 0.841]]
    """
    angles = positions[:, None] * plain_frequencies(x.shape[-1], theta)
    cos, sin = angles.cos(), angles.sin()
    return rotate(x, torch.cat([cos, cos], dim=1), torch.cat([-sin, sin], dim=1))


class Rotary:
    """Tables of cosines and sines, grown as longer sequences come; holds no weights.

    Args:
        config: ``rope_theta``, ``rope_scaling`` and ``context`` are read.
        width: numbers of a head that are turned (even).
    """

    def __init__(self, config: DecoderConfig, width: int):
        self.width, self.theta = width, config.rope_theta
        self.scaling, self.context = config.rope_scaling, config.context
        self._tables: dict[tuple, tuple[Tensor, Tensor]] = {}

    def tables(self, end: int, device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines of the positions 0..end-1 at least, (positions, w) each.

        Angles are computed in float32 and then cast. Under ``dynamic`` scaling the frequencies depend on ``end`` once
        it exceeds the original context; keys that were cached before keep the angles they had, as in ``transformers``.
        """
        original = (self.scaling.original_context or self.context) if self.scaling else 0
        length = max(end, original) if self.scaling and self.scaling.kind == "dynamic" else 0
        held = self._tables.get((length, device, dtype))
        if held is None or len(held[0]) < end:
            if length > original:
                self._tables.clear()  # every length has frequencies of its own: keep the latest
            held = self._tables[length, device, dtype] = self._compute(max(end, 64), length, device, dtype)
        return held

    @torch.inference_mode(False)  # tables made while generating must still serve training
    def _compute(self, end: int, length: int, device, dtype) -> tuple[Tensor, Tensor]:
        positions = 1 << (end - 1).bit_length()
        frequencies, factor = rope_frequencies(self.width, self.theta, self.scaling, self.context, length)
        angles = torch.arange(positions).float()[:, None] * frequencies
        cos, sin = angles.cos() * factor, angles.sin() * factor
        cos, sin = torch.cat([cos, cos], dim=1), torch.cat([-sin, sin], dim=1)
        return cos.to(device=device, dtype=dtype), sin.to(device=device, dtype=dtype)

    def at(self, behind: int, new: int, positions: Tensor | None, device, dtype) -> tuple[Tensor, Tensor]:
        """The rows for ``new`` positions from ``behind`` on, (new, w), or for given ``positions``, (B, 1, new, w).

        Args:
            behind: positions before the first new one.
            new: how many.
            positions: (B, new) int64 when the rows of a batch stand at different positions; negative ones (padding)
                are turned as position 0. ``behind + new`` must then exceed the largest.
        """
        end = behind + new
        if positions is not None and self.scaling is not None and self.scaling.kind == "dynamic":
            end = int(positions.max()) + 1  # padding does not make the text longer
        cos, sin = self.tables(end, device, dtype)
        if positions is None:
            return cos[behind : behind + new], sin[behind : behind + new]
        positions = positions.clamp(min=0)
        return cos[positions][:, None], sin[positions][:, None]
