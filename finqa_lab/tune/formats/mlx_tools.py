"""MLX itself, where it is installed: converting a model folder, and the logits that it computes from one.

MLX runs on the GPU of Apple's computers and, as a CPU build, on Linux (https://github.com/ml-explore/mlx). Reading its
files needs neither: see :mod:`finqa_lab.tune.formats.mlx_layout`.
"""

import contextlib
import importlib
import io
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from finqa_lab.errors import CourseError
from finqa_lab.nn.hub import CONFIG_FILE


def mlx_lm():
    """The package, imported when first needed.

    Raises:
        CourseError: when it or MLX is not installed.
    """
    try:
        importlib.import_module("mlx.core")
        return importlib.import_module("mlx_lm")
    except ImportError:
        raise CourseError(
            "this needs MLX, which is not installed and exists for macOS and Linux; run "
            '`pip install "finqa-lab[mlx]"`, or read its files with finqa_lab.tune.formats.mlx_layout'
        ) from None


def convert(source: str | os.PathLike, target: str | os.PathLike, bits: int = 4, group: int = 64) -> Path:
    """``mlx_lm.convert -q``: a Hugging Face folder as an MLX folder with packed matrices, embedding and head included.

    Args:
        source: of a model that MLX knows. A matrix without whole groups in a row stays as it is, without a word.
        target: new.
        bits: of a code.
        group: weights of a row that share scale and bias.

    Raises:
        CourseError: when the source is no model folder, the target exists, or MLX is missing or refuses.
    """
    source, target = Path(source), Path(target)
    library = mlx_lm()
    if not (source / CONFIG_FILE).is_file():  # a name that is no folder would be looked up on a model hub
        raise CourseError(f"{source} has no {CONFIG_FILE}; give a model folder in the Hugging Face layout")
    if target.exists():
        raise CourseError(f"{target} exists; give a new folder")
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
            library.convert(str(source), str(target), quantize=True, q_bits=bits, q_group_size=group)
    except (OSError, ValueError) as error:
        raise CourseError(f"MLX does not convert {source}: {error}; look at the model's config") from None
    return target


def logits(folder: str | os.PathLike, tokens: Sequence[int]) -> Tensor:
    """Logits (T, V) in float32 that MLX computes from a folder, packed or not, for one sequence of ids.

    Raises:
        CourseError: when the folder is no model, or MLX is missing.
    """
    folder = Path(folder)
    library, core = mlx_lm(), importlib.import_module("mlx.core")
    if not (folder / CONFIG_FILE).is_file():
        raise CourseError(f"{folder} has no {CONFIG_FILE}; give a folder of `mlx_lm.convert`")
    model, _ = library.load(str(folder))
    return torch.tensor(model(core.array([list(tokens)]))[0].astype(core.float32).tolist())
