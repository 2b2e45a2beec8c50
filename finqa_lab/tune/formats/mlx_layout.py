"""The 4-bit layout of MLX, packed and read without MLX.

``mlx_lm.convert -q`` writes safetensors in which a matrix (out, in) has become three tensors: ``weight``, uint32
(out, in * bits / 32), and ``scales`` and ``biases`` (out, in / group). A group of weights of one row shares a scale s
and a bias b, and a code q stands for ``q * s + b``: the **affine** mode of ``mlx.core.quantize``
(https://ml-explore.github.io/mlx, "quantize"). Codes fill the bits of a row from the lowest bit of its first byte on.

The file is valid safetensors, and its names are those of Hugging Face. What makes it another format is nowhere but in
``config.json``: a reader that does not know the key ``quantization`` sees matrices of the wrong shape. Embedding and
output head are packed too, unlike in QLoRA.

MLX's page describes codes ``round((w - min) / s)``; the library moves the scale so that one end of the range is a
whole number of steps from zero, which then has a code of its own. :func:`quantize` does what the library does.
"""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, write_atomic
from finqa_lab.nn.hub import CONFIG_FILE, GENERATION_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE
from finqa_lab.nn.hub_config import decoder_config

BITS, GROUPS = (2, 3, 4, 5, 6, 8), (32, 64, 128)
SMALLEST = 1e-7
"""Stands in for the scale of a group of equal weights."""
KEYS = ("quantization", "quantization_config")
"""What ``mlx_lm.convert`` adds to ``config.json``, the same object twice."""
COPIED = (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, GENERATION_FILE, "special_tokens_map.json", "chat_template.jinja")


@dataclass(frozen=True)
class Packed:
    """A matrix in MLX's affine layout.

    Attributes:
        weight: uint32 (rows, columns * bits / 32).
        scales: (rows, columns / group), in the dtype of the matrix.
        biases: like ``scales``.
        bits: of a code.
    """

    weight: Tensor
    scales: Tensor
    biases: Tensor
    bits: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the matrix."""
        return self.weight.shape[0], self.weight.shape[1] * 32 // self.bits

    @property
    def bytes(self) -> int:
        """Bytes of the three tensors."""
        return self.weight.nbytes + self.scales.nbytes + self.biases.nbytes

    @property
    def bits_a_weight(self) -> float:
        """Bits for each weight, with its share of scale and bias.

        >>> quantize(torch.randn(8, 128)).bits_a_weight, quantize(torch.randn(8, 128).bfloat16()).bits_a_weight
        (5.0, 4.5)
        """
        return 8 * self.bytes / (self.shape[0] * self.shape[1])

    def dequantize(self) -> Tensor:
        """(rows, columns), bit for bit what ``mlx.core.dequantize`` gives on a CPU: two rounded operations."""
        codes = unpack(self.weight, self.bits).reshape(*self.scales.shape, -1).to(self.scales.dtype)
        return (codes * self.scales[..., None] + self.biases[..., None]).reshape(self.shape)


def pack(codes: Tensor, bits: int) -> Tensor:
    """Codes (rows, columns), each below ``2 ** bits``, as uint32 (rows, columns * bits / 32).

    >>> [hex(word) for word in pack(torch.arange(8)[None], 4)[0].tolist()]
    ['0x76543210']
    """
    values = codes.cpu().numpy().astype(np.uint8)
    stream = np.unpackbits(values[..., None], axis=-1, count=bits, bitorder="little")
    rows = np.packbits(stream.reshape(len(values), -1), axis=-1, bitorder="little")
    return torch.from_numpy(rows.view("<u4").astype(np.uint32))


def unpack(packed: Tensor, bits: int) -> Tensor:
    """The inverse of :func:`pack`: uint8 (rows, columns)."""
    data = packed.cpu().numpy().astype("<u4").view(np.uint8)
    stream = np.unpackbits(data, axis=-1, bitorder="little").reshape(len(data), -1, bits)
    return torch.from_numpy(np.packbits(stream, axis=-1, bitorder="little")[..., 0])


def quantize(weights: Tensor, group: int = 64, bits: int = 4) -> Packed:
    """Pack a matrix, bit for bit as ``mlx.core.quantize`` 0.32 does on a CPU.

    Args:
        weights: floating-point (rows, columns).
        group: weights of a row that share scale and bias.
        bits: of a code. One bit, which MLX has too, follows another rule and is left out.

    Raises:
        CourseError: when a setting is unknown or a row does not hold whole groups.
    """
    if bits not in BITS or group not in GROUPS or weights.ndim != 2 or weights.shape[1] % group:
        raise CourseError(
            f"a tensor of shape {tuple(weights.shape)} cannot be packed with {bits} bits in groups of {group}; give a "
            f"matrix with whole groups in a row, bits of {', '.join(map(str, BITS))}, groups of "
            f"{', '.join(map(str, GROUPS))}"
        )
    steps = 2**bits - 1
    values = weights.detach().float().reshape(-1, group)
    low, high = values.amin(1), values.amax(1)
    scale = ((high - low) / steps).clamp(min=SMALLEST)
    # The end of the range that is farther from zero becomes exact, and zero a whole number of steps away from it.
    scale, edge = torch.where(low.abs() > high.abs(), scale, -scale), torch.where(low.abs() > high.abs(), low, high)
    whole = (edge / scale).round()
    scale, bias = torch.where(whole == 0, scale, edge / whole), torch.where(whole == 0, 0, edge)
    codes = ((values - bias[:, None]) / scale[:, None]).round().clamp(0, steps)
    grouped = (len(weights), -1)
    return Packed(
        pack(codes.reshape(weights.shape), bits),
        scale.to(weights.dtype).reshape(grouped),
        bias.to(weights.dtype).reshape(grouped),
        bits,
    )


def read_mlx(folder: str | os.PathLike) -> dict[str, Tensor]:
    """All tensors of a folder that ``mlx_lm.convert`` wrote, dense, by their names in the Hugging Face layout.

    Raises:
        CourseError: when the folder is no MLX model in the affine mode, or a file is missing or does not fit.
    """
    folder = Path(folder)
    settings = _settings(folder)
    found = _tensors(folder)
    dense = {}
    for name, tensor in found.items():
        path, _, part = name.rpartition(".")
        if f"{path}.scales" not in found:
            dense[name] = tensor
        elif part == "weight":
            dense[name] = _packed(folder, path, found, settings).dequantize()
    return dense


def write_dense(source: str | os.PathLike, target: str | os.PathLike, dtype: torch.dtype | None = None) -> Path:
    """Write an MLX folder as a Hugging Face folder with ordinary weights; no bit that MLX dropped comes back.

    Args:
        source: of a Llama or Mistral model; of others the names would have to be translated as well.
        target: new or empty; it appears complete or not at all.
        dtype: of the written weights; None keeps that of the scales.

    Raises:
        CourseError: as :func:`read_mlx`, and when the target is not empty or cannot be written.
    """
    source, target = Path(source), Path(target)
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise CourseError(f"{target} exists and is not empty; give a new folder")
    tensors = read_mlx(source)
    values = {key: value for key, value in read_json(source / CONFIG_FILE).items() if key not in KEYS}
    try:
        decoder_config(values)
    except CourseError as error:
        raise CourseError(f"{source / CONFIG_FILE}: {error}") from None
    if dtype is not None:
        tensors = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    written = {str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()}
    values.pop("torch_dtype", None)
    values["dtype"] = written.pop() if len(written) == 1 else "float32"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
            draft = Path(temporary) / "model"
            draft.mkdir()
            save_file(tensors, draft / "model.safetensors", metadata={"format": "pt"})
            write_atomic(draft / CONFIG_FILE, json.dumps(values, indent=2, sort_keys=True) + "\n")
            for name in COPIED:
                if (source / name).is_file():
                    shutil.copyfile(source / name, draft / name)
            if target.exists():  # empty; Windows renames onto no folder
                target.rmdir()
            draft.rename(target)
    except (OSError, SafetensorError) as error:
        raise CourseError(f"cannot write {target}: {error}; free some space or choose a writable folder") from error
    return target


def _settings(folder: Path) -> dict:
    values = read_json(folder / CONFIG_FILE, "the model's config")
    settings = values.get("quantization") if isinstance(values, dict) else None
    if not isinstance(settings, dict):
        raise CourseError(f"{folder / CONFIG_FILE} has no quantization of MLX; give a folder of `mlx_lm.convert -q`")
    if settings.get("mode", "affine") != "affine":
        raise CourseError(f"{folder} is in MLX's mode {settings['mode']!r}, of which only 'affine' is read here")
    return settings


def _tensors(folder: Path) -> dict[str, Tensor]:
    paths = sorted(folder.glob("model*.safetensors"))
    if not paths:
        raise CourseError(f"{folder} has no model.safetensors; copy the folder again")
    found = {}
    for path in paths:
        try:
            with safe_open(path, framework="pt") as file:
                found |= {name: file.get_tensor(name) for name in file.keys()}
        except (OSError, SafetensorError) as error:
            raise CourseError(f"weights {path} cannot be read: {error}; copy the folder again") from None
    return found


def _packed(folder: Path, path: str, found: dict[str, Tensor], settings: dict) -> Packed:
    """One matrix; ``quantization`` may have settings of its own for it."""
    own = settings.get(path)
    settings = settings | own if isinstance(own, dict) else settings
    bits, group = settings.get("bits"), settings.get("group_size")
    weight, scales, biases = (found.get(f"{path}.{part}") for part in ("weight", "scales", "biases"))
    if bits not in BITS or group not in GROUPS or weight is None or biases is None or weight.dtype != torch.uint32:
        raise CourseError(f"'{path}' in {folder} is not packed as its config says; convert the model again")
    if weight.shape[1] * 32 != scales.shape[1] * group * bits or scales.shape != biases.shape:
        raise CourseError(
            f"'{path}' in {folder} has shape {tuple(weight.shape)} and scales {tuple(scales.shape)}, which {bits} bits "
            f"in groups of {group} do not give; the config is of another model"
        )
    return Packed(weight, scales, biases, bits)
