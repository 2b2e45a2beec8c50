"""MLX itself, where it is installed: converting a model folder, training an adapter on it, fusing, and its logits.

MLX runs on the GPU of Apple's computers and, as a CPU build, on Linux (https://github.com/ml-explore/mlx). Reading its
files needs neither: see :mod:`finqa_lab.tune.formats.mlx_layout`.
"""

import contextlib
import importlib
import io
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import torch
from torch import Tensor

from finqa_lab.errors import CourseError
from finqa_lab.nn.hub import CONFIG_FILE
from finqa_lab.text.chat import Messages


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


def convert(
    source: str | os.PathLike, target: str | os.PathLike, bits: int = 4, group: int = 64, dtype: str | None = None
) -> Path:
    """``mlx_lm.convert -q``: a Hugging Face folder as an MLX folder with packed matrices, embedding and head included.

    Args:
        source: of a model that MLX knows. A matrix without whole groups in a row stays as it is, without a word.
        target: new.
        bits: of a code.
        group: weights of a row that share scale and bias.
        dtype: of scales, biases and what is not packed: "float32", "float16" or "bfloat16"; None keeps the source's.

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
            library.convert(str(source), str(target), quantize=True, q_bits=bits, q_group_size=group, dtype=dtype)
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


def train_adapter(
    source: str | os.PathLike,
    target: str | os.PathLike,
    conversations: Sequence[Messages],
    steps: int,
    lr: float = 1e-3,
    rank: int = 8,
    batch: int = 1,
    seed: int = 0,
) -> list[float]:
    """``mlx_lm.lora --train --mask-prompt`` on all layers of an MLX folder; writes an adapter in MLX's own layout.

    Args:
        source: packed or not.
        target: folder of the adapter, new.
        conversations: to learn from, rendered with the model's chat template; the last turn is learnt.
        steps: of Adam.
        lr: its rate.
        rank: of the adapter.
        batch: conversations a step; at most as many as there are.
        seed: of adapter and order.

    Returns:
        The loss of every step, in nats a token.

    Raises:
        CourseError: when the source is no model folder, the target exists, or MLX is missing or refuses.
    """
    source, target = _existing(source), _new(target)
    mlx_lm()
    lora = importlib.import_module("mlx_lm.lora")
    losses: list[float] = []
    callback = SimpleNamespace(
        on_train_loss_report=lambda facts: losses.append(facts["train_loss"]), on_val_loss_report=lambda facts: None
    )
    lines = "".join(json.dumps({"messages": list(talk)}) + "\n" for talk in conversations)
    with tempfile.TemporaryDirectory() as data, contextlib.redirect_stdout(io.StringIO()):
        for part in ("train", "valid"):  # it insists on both
            Path(data, f"{part}.jsonl").write_text(lines, encoding="utf-8")
        own = {"model": str(source), "data": data, "adapter_path": str(target), "train": True, "mask_prompt": True}
        own |= {"iters": steps, "learning_rate": lr, "batch_size": batch, "num_layers": -1, "seed": seed}
        own |= {"steps_per_report": 1, "val_batches": 1, "steps_per_eval": steps + 1}
        own["lora_parameters"] = {"rank": rank, "dropout": 0.0, "scale": 2.0}
        # Its reports would replace the callback's, and in a notebook its console does not print to stdout.
        with (
            mock.patch.object(lora, "get_reporting_callbacks", lambda *args, **named: callback),
            mock.patch("rich.console._is_jupyter", lambda: False),
        ):
            try:
                lora.run(SimpleNamespace(**lora.CONFIG_DEFAULTS | own))
            except (OSError, ValueError) as error:
                raise CourseError(f"MLX does not train on {source}: {error}; look at the conversations") from None
    return losses


def fuse(
    source: str | os.PathLike,
    adapter: str | os.PathLike,
    target: str | os.PathLike,
    dequantize: bool = False,
    gguf: bool = False,
) -> Path:
    """``mlx_lm.fuse``: an MLX folder with an adapter's update in its weights.

    Args:
        source, adapter: what :func:`train_adapter` took and wrote.
        target: new.
        dequantize: write ordinary weights; else packed ones are packed again, and the update is rounded with them.
        gguf: also write ``ggml-model-f16.gguf``. MLX refuses that for packed weights with a ``NotImplementedError``,
            which is passed on, after it has written the folder.

    Raises:
        CourseError: when the source is no model folder, the target exists, or MLX is missing.
    """
    source, target = _existing(source), _new(target)
    mlx_lm()
    main = importlib.import_module("mlx_lm.fuse").main
    words = ["fuse", "--model", str(source), "--adapter-path", str(adapter), "--save-path", str(target)]
    words += ["--dequantize"] * dequantize + ["--export-gguf"] * gguf
    with mock.patch("sys.argv", words), contextlib.redirect_stdout(io.StringIO()):
        main()
    return target


def _existing(folder: str | os.PathLike) -> Path:
    if not (Path(folder) / CONFIG_FILE).is_file():  # a name that is no folder would be looked up on a model hub
        raise CourseError(f"{folder} has no {CONFIG_FILE}; give a model folder")
    return Path(folder)


def _new(folder: str | os.PathLike) -> Path:
    if Path(folder).exists():
        raise CourseError(f"{folder} exists; give a new folder")
    return Path(folder)
