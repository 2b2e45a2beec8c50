"""A checkpoint folder: ``config.json`` (shape, metadata, hash of the weights) and ``model.safetensors``.

Safetensors hold plain numbers and no code, so a checkpoint from a stranger cannot run anything when it is
opened.
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, sha256_bytes, write_atomic
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.transformer import Decoder

FORMAT = 1
CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"


def encode_checkpoint(model: Decoder, metadata: dict | None = None) -> dict[str, bytes]:
    """The files of a checkpoint as bytes, by name: the config (JSON) and the weights; deterministic."""
    weights = save({name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()})
    record = {
        "format": FORMAT,
        "decoder": model.config.to_json(),
        "sha256": sha256_bytes(weights),
        "metadata": metadata or {},
    }
    return {CONFIG_FILE: (json.dumps(record, indent=1, sort_keys=True) + "\n").encode(), WEIGHTS_FILE: weights}


def save_checkpoint(folder: str | Path, model: Decoder, metadata: dict | None = None) -> Path:
    """Write the two files, the config last: a folder without ``config.json`` is no checkpoint.

    Args:
        folder: made when missing.
        model: the decoder; weights are stored as they are (float32).
        metadata: JSON-ready facts about the training (recipe, seed, data, metrics).

    Raises:
        CourseError: when a file cannot be written.
    """
    folder = Path(folder)
    files = encode_checkpoint(model, metadata)
    write_atomic(folder / WEIGHTS_FILE, files[WEIGHTS_FILE])
    write_atomic(folder / CONFIG_FILE, files[CONFIG_FILE])
    return folder


def load_checkpoint(folder: str | Path) -> tuple[Decoder, dict]:
    """Read a checkpoint back.

    Returns:
        The decoder in evaluation mode (float32, CPU) and its metadata.

    Raises:
        CourseError: one sentence, when a file is missing, the weights' hash differs from the recorded one,
            or a tensor is missing, misshaped, of another dtype or unknown (it is named).
    """
    folder = Path(folder)
    record = read_json(folder / CONFIG_FILE, "the checkpoint's config")
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise CourseError(f"{folder / CONFIG_FILE} is not a decoder checkpoint of format {FORMAT}; save it again")
    try:
        config = DecoderConfig.from_json(record.get("decoder"))
    except CourseError as error:
        raise CourseError(f"{folder / CONFIG_FILE}: {error}") from None
    path = folder / WEIGHTS_FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CourseError(
            f"checkpoint weights {path} cannot be read: {error.strerror}; copy the folder again"
        ) from None
    found, stated = sha256_bytes(content), record.get("sha256")
    if found != stated:
        raise CourseError(
            f"checkpoint weights {path} have sha256 {found[:12]}..., but {CONFIG_FILE} says {str(stated)[:12]}...; "
            "the file was changed or damaged: copy the folder again"
        )
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise CourseError(f"checkpoint weights {path} are not in safetensors format: {error}") from None
    model = Decoder(config)
    _compare_tensors(path, model.state_dict(), tensors)
    model.load_state_dict(tensors)
    return model.eval(), record.get("metadata", {})


def _compare_tensors(path: Path, expected: dict[str, torch.Tensor], found: dict[str, torch.Tensor]) -> None:
    for name, tensor in expected.items():
        if name not in found:
            raise CourseError(f"checkpoint weights {path} lack the tensor '{name}' that the config asks for")
        if found[name].shape != tensor.shape:
            raise CourseError(
                f"tensor '{name}' in {path} has shape {list(found[name].shape)}, "
                f"the config asks for {list(tensor.shape)}"
            )
        if found[name].dtype != tensor.dtype:
            raise CourseError(f"tensor '{name}' in {path} is {found[name].dtype}, the decoder needs {tensor.dtype}")
    extra = sorted(set(found) - set(expected))
    if extra:
        raise CourseError(f"checkpoint weights {path} hold a tensor '{extra[0]}' that the config does not ask for")
