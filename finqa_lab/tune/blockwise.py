"""Blockwise quantization: one scale for each block of consecutive weights, and the scales quantized again.

A weight ``x`` of a block with largest magnitude ``a`` is stored as the position of the table entry nearest to
``x / a`` and read back as ``entry * a``. Small blocks have tighter scales and cost more of them: 32 bits for 64 weights
are half a bit a weight. **Double quantization** stores the scales themselves in 8 bits, 256 to a block, after their
mean was taken off: 8/64 + 32/(64 * 256) = 0.127 bits a weight (QLoRA, section 3).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from finqa_lab.errors import CourseError
from finqa_lab.tune.codebooks import codebook

SCALE_BLOCK = 256
SMALLEST = 1e-38
"""Stands in for the scale of a block of zeros."""
PLACES = 65535
"""Steps of the grid on [-1, 1] to which bitsandbytes rounds on a CPU before it looks a scale's code up."""


@dataclass(frozen=True)
class Scales:
    """The scales of blocks in 8 bits.

    Attributes:
        codes: uint8, one for each block.
        scales: float32, one for each 256 blocks.
        mean: float32 scalar that was taken off.
    """

    codes: Tensor
    scales: Tensor
    mean: Tensor

    def values(self) -> Tensor:
        """Float32 scales, one for each block."""
        return _read(self.codes, self.scales, codebook("dynamic8"), SCALE_BLOCK) + self.mean


@dataclass(frozen=True)
class Quantized:
    """A tensor in few bits.

    Attributes:
        codes: uint8; with a table of at most 16 entries two to a byte, the first in the upper half.
        scales: float32, one for each block, or :class:`Scales`.
        shape: of the tensor.
        block: weights that share a scale.
        table: name of the code book.
    """

    codes: Tensor
    scales: Tensor | Scales
    shape: torch.Size
    block: int
    table: str

    @property
    def bytes(self) -> int:
        """Bytes of codes and scales."""
        parts = [self.codes]
        if isinstance(self.scales, Scales):
            parts += [self.scales.codes, self.scales.scales, self.scales.mean]
        else:
            parts.append(self.scales)
        return sum(part.nbytes for part in parts)

    @property
    def bits_a_weight(self) -> float:
        """Bits for each weight, scales included.

        >>> weights = torch.randn(1024, 1024)
        >>> quantize(weights).bits_a_weight, round(quantize(weights, double=True).bits_a_weight, 3)
        (4.5, 4.127)
        """
        return 8 * self.bytes / self.shape.numel()

    def dequantize(self) -> Tensor:
        """The tensor as float32."""
        table = codebook(self.table)
        codes = _unpacked(self.codes, self.shape.numel()) if len(table) <= 16 else self.codes
        scales = self.scales.values() if isinstance(self.scales, Scales) else self.scales
        return _read(codes, scales, table, self.block).reshape(self.shape)


def quantize(weights: Tensor, table: str = "nf4", block: int = 64, double: bool = False) -> Quantized:
    """Quantize a tensor block by block, in the order of its memory.

    With the table ``nf4`` codes and scales are those of ``bitsandbytes`` 0.50 on a CPU, bit for bit. For that, whole
    blocks are multiplied by the reciprocal of their scale and a last block that is shorter is divided by it, which
    decides about values in the middle of two entries.

    Args:
        weights: floating-point tensor of any shape; 16-bit types are read as float32.
        table: of :func:`finqa_lab.tune.codebooks.codebook`.
        block: weights that share a scale.
        double: quantize the scales, too.

    Raises:
        CourseError: when there is nothing to quantize, or a weight is not finite.
    """
    flat = weights.detach().reshape(-1).float()
    if not flat.numel() or block < 1:
        raise CourseError(f"{flat.numel()} weights in blocks of {block} cannot be quantized; give at least one of each")
    if not torch.isfinite(flat).all():
        raise CourseError("a weight is NaN or infinite, and so would be its whole block; mend the checkpoint first")
    entries = codebook(table)
    codes, scales = _nearest(flat, entries, block)
    if len(entries) <= 16:
        codes = _packed(codes)
    if not double:
        return Quantized(codes, scales, weights.shape, block, table)
    return Quantized(codes, quantize_scales(scales), weights.shape, block, table)


def quantize_scales(scales: Tensor) -> Scales:
    """Double quantization: the mean taken off, 256 to a block, codes in the table ``dynamic8``.

    The table has 1 and no -1, so the scale farthest below the mean is not exact:

    >>> kept = quantize_scales(torch.tensor([1.0, 2.0, 3.0]))
    >>> kept.mean, kept.scales, kept.values()
    (tensor(2.), tensor([1.]), tensor([1.0070, 2.0000, 3.0000]))

    Args:
        scales: (N,) float32.
    """
    mean = scales.mean()
    flat = scales - mean
    blocks = torch.nn.functional.pad(flat, (0, -len(flat) % SCALE_BLOCK)).reshape(-1, SCALE_BLOCK)
    outer = blocks.abs().amax(dim=1)
    scaled = (blocks * (1 / outer.clamp(min=SMALLEST))[:, None]).clamp(-1, 1).reshape(-1)[: len(flat)]
    return Scales(_positions(on_grid(scaled), codebook("dynamic8")), outer, mean)


def on_grid(scaled: Tensor) -> Tensor:
    """Values in [-1, 1] on the grid of :data:`PLACES` steps, which moves them by at most 1 / 65535.

    A value that lies that near to the middle of two entries may get the farther one, about one in 700. This is a
    property of bitsandbytes' CPU code, taken over so that codes can be compared bit for bit.

    >>> on_grid(torch.tensor([-1.0, 1.0, 0.5])).tolist()
    [-1.0, 1.0, 0.49999237060546875]
    """
    return torch.floor((scaled + 1) * (PLACES / 2) + 0.5) / (PLACES / 2) - 1


def _nearest(flat: Tensor, entries: Tensor, block: int) -> tuple[Tensor, Tensor]:
    whole = flat.numel() // block * block
    blocks = flat[:whole].reshape(-1, block)
    scales = blocks.abs().amax(dim=1) if whole else flat.new_zeros(0)
    scaled = (blocks * (1 / scales.clamp(min=SMALLEST))[:, None]).clamp(-1, 1).reshape(-1)
    if whole < flat.numel():
        last = flat[whole:].abs().max().clamp(min=SMALLEST)
        scales = torch.cat([scales, last[None]])
        scaled = torch.cat([scaled, (flat[whole:] / last).clamp(-1, 1)])
    return _positions(scaled, entries), scales


def _positions(scaled: Tensor, entries: Tensor) -> Tensor:
    """Of the nearest entries; in the middle of two the lower."""
    return torch.bucketize(scaled, (entries[:-1] + entries[1:]) / 2).to(torch.uint8)


def _read(codes: Tensor, scales: Tensor, entries: Tensor, block: int) -> Tensor:
    return entries[codes.long()] * scales.repeat_interleave(block)[: codes.numel()]


def _packed(codes: Tensor) -> Tensor:
    """Two codes to a byte; an odd last one is followed by the code of zero in the NF4 table, 7."""
    if codes.numel() % 2:
        codes = torch.cat([codes, codes.new_tensor([7])])
    return codes[::2] << 4 | codes[1::2]


def _unpacked(packed: Tensor, count: int) -> Tensor:
    return torch.stack([packed >> 4, packed & 15], dim=1).reshape(-1)[:count]
