"""What few bits cost: the error of the weights, and the perplexity and size of a model, as rows of tables.

The formats are those of :mod:`finqa_lab.tune.blockwise` (NF4 and FP4 as ``bitsandbytes`` stores them, QLoRA,
arXiv:2305.14314; equally spaced steps, "absmax") and MLX's affine one (:mod:`finqa_lab.tune.formats.mlx_layout`). A
model is measured with the values that the codes stand for, in its own dtype: what a program that multiplies the codes
directly computes can differ by the rounding of its products.
"""

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from finqa_lab.errors import CourseError
from finqa_lab.nn.language import bits_per_token
from finqa_lab.nn.transformer import Decoder
from finqa_lab.tune import blockwise
from finqa_lab.tune.formats import mlx_layout
from finqa_lab.tune.linear4bit import dense, is_quantized, stored

FORMATS = {
    "nf4": lambda matrix: blockwise.quantize(matrix, "nf4"),
    "nf4, scales in 8 bits": lambda matrix: blockwise.quantize(matrix, "nf4", double=True),
    "fp4": lambda matrix: blockwise.quantize(matrix, "fp4"),
    "int4": lambda matrix: blockwise.quantize(matrix, "int4"),
    "int4, one scale a matrix": lambda matrix: blockwise.quantize(matrix, "int4", block=matrix.numel()),
    "affine 4 bits": lambda matrix: mlx_layout.quantize(matrix),
    "int8": lambda matrix: blockwise.quantize(matrix, "int8"),
}
"""By name, what quantizes a matrix; blocks are 64 weights but where the name says otherwise. Scales are float32; those
of "affine 4 bits" have the dtype of the matrix, so that it takes 5 bits for float32 weights and 4.5 for bfloat16."""


@dataclass(frozen=True)
class Error:
    """How far weights move in one format.

    Attributes:
        format: its name.
        bits: of a weight, scales included.
        rmse: root of the mean squared error, in the unit of the weights.
        mean_absolute: mean of the absolute error.
        relative: ``rmse`` over the root mean square of the weights.
    """

    format: str
    bits: float
    rmse: float
    mean_absolute: float
    relative: float


@dataclass(frozen=True)
class Quality:
    """A model in one format.

    Attributes:
        format: its name.
        bytes: of all parameters with their scales.
        bits: of a parameter, over all parameters.
        loss: bits a token, the mean of ``-log2 p(next token)``.
    """

    format: str
    bytes: int
    bits: float
    loss: float

    @property
    def perplexity(self) -> float:
        """Two to the power of the loss, as uncertain as among so many equally likely tokens."""
        return 2**self.loss


def errors(matrices: Iterable[Tensor], formats: Sequence[str] = tuple(FORMATS)) -> list[Error]:
    """The error table of some matrices, taken together.

    >>> normal = torch.randn(256, 1024, generator=torch.Generator().manual_seed(0))
    >>> [(row.format, row.bits, round(row.rmse, 2)) for row in errors([normal], ["nf4", "int4", "int8"])]
    [('nf4', 4.5, 0.09), ('int4', 4.5, 0.11), ('int8', 8.5, 0.01)]

    Args:
        matrices: floating-point (rows, columns); for "affine 4 bits" with columns in multiples of 64.
        formats: of :data:`FORMATS`.

    Raises:
        CourseError: for an unknown format, or a matrix that does not fit it.
    """
    matrices, rows = [matrix.detach() for matrix in matrices], []
    count = sum(matrix.numel() for matrix in matrices)
    power = sum(matrix.double().square().sum().item() for matrix in matrices)
    for name in formats:
        size, squared, absolute = 0, 0.0, 0.0
        for matrix in matrices:
            packed = _format(name)(matrix)
            error = (packed.dequantize().double() - matrix.double()).abs()
            size += packed.bytes
            squared += error.square().sum().item()
            absolute += error.sum().item()
        rmse = math.sqrt(squared / count)
        rows.append(Error(name, 8 * size / count, rmse, absolute / count, rmse / math.sqrt(power / count)))
    return rows


def block_matrices(model: Decoder) -> dict[str, Tensor]:
    """The weights of all linear layers of the blocks by the layers' names; those in four bits are read back."""
    return {
        path: dense(layer.weight)
        for path, layer in model.blocks.named_modules(prefix="blocks")
        if isinstance(layer, nn.Linear)
    }


def rounded(model: Decoder, format: str) -> Decoder:
    """A copy whose block matrices hold the values that a format's codes stand for, in their own dtype.

    Raises:
        CourseError: for an unknown format, a model that is quantized already, or a matrix that does not fit.
    """
    return _rounded(model, format)[0]


def qualities(
    model: Decoder, tokens: Tensor, formats: Sequence[str] = tuple(FORMATS), length: int = 96
) -> list[Quality]:
    """A model as it is ("none", first) and with its block matrices in some formats, all measured on one text.

    Args:
        model: in evaluation mode, with floating-point weights.
        tokens: (N,) int64.
        formats: of :data:`FORMATS`.
        length: predicted tokens a window; a rest of the text shorter than a window is left out.

    Raises:
        CourseError: as :func:`rounded`, and when the text is shorter than a window.
    """
    rows = [quality("none", model, tokens, length)]
    for name in formats:
        copied, saved = _rounded(model, name)
        size = rows[0].bytes - saved
        loss = bits_per_token(copied, tokens, length)
        rows.append(Quality(name, size, 8 * size / model.parameter_count(), loss))
    return rows


def quality(name: str, model: Decoder, tokens: Tensor, length: int = 96) -> Quality:
    """One row for a model as it is in memory, be its layers in four bits or not, adapters included.

    Args:
        name: for the row.
        model: in evaluation mode.
        tokens: (N,) int64.
        length: predicted tokens a window.

    Raises:
        CourseError: when the text is shorter than a window.
    """
    if len(tokens) <= length:
        raise CourseError(f"the text has {len(tokens)} tokens; a window takes {length + 1}: shorten it or add text")
    count = sum(_numbers(parameter) for parameter in model.parameters())
    size = sum(part.nbytes for parameter in model.parameters() for part in stored(parameter))
    return Quality(name, size, 8 * size / count, bits_per_token(model, tokens, length))


def _format(name: str):
    if name not in FORMATS:
        raise CourseError(f"there is no format '{name}'; choose among {', '.join(FORMATS)}")
    return FORMATS[name]


def _rounded(model: Decoder, name: str) -> tuple[Decoder, int]:
    """The copy, and the bytes that the format saves."""
    make, new, saved = _format(name), copy.deepcopy(model), 0
    if any(map(is_quantized, model.blocks.modules())):
        raise CourseError("the model's blocks are quantized already; give the model that they were made from")
    for path in block_matrices(model):
        weight = new.get_submodule(path).weight
        packed = make(weight)
        saved += weight.nbytes - packed.bytes
        with torch.no_grad():
            weight.copy_(packed.dequantize())
    return new, saved


def _numbers(parameter: Tensor) -> int:
    state = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else state.shape.numel()
