"""The weights of a Hugging Face model folder: one ``model.safetensors``, or shards and the index that lists them.

Matrices have the same layout on both sides, so only names change. Nothing in the folder is run: pickled weights are
refused, and a file outside the folder is never opened.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, write_atomic
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.transformer import Decoder

WEIGHTS_FILE, INDEX_FILE = "model.safetensors", "model.safetensors.index.json"
_PARTS = (  # replaced in this order
    ("token_embedding.", "model.embed_tokens."),
    ("blocks.", "model.layers."),
    ("attention_norm.gain", "input_layernorm.weight"),
    ("mlp_norm.gain", "post_attention_layernorm.weight"),
    ("norm.gain", "model.norm.weight"),
    ("attention.query.", "self_attn.q_proj."),
    ("attention.key.", "self_attn.k_proj."),
    ("attention.value.", "self_attn.v_proj."),
    ("attention.output.", "self_attn.o_proj."),
    ("mlp.gate.", "mlp.gate_proj."),
    ("mlp.up.", "mlp.up_proj."),
    ("mlp.down.", "mlp.down_proj."),
    ("head.", "lm_head."),
)
_HEAD = "lm_head.weight"
_IGNORED = "rotary_emb.inv_freq"  # in old checkpoints: a table, which the config determines
_FLOATING = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class _Stored:
    """Where a tensor lies, and what the file's header says of it."""

    path: Path
    shape: list[int]
    dtype: str


def hub_name(name: str) -> str:
    """The name of a decoder's parameter in a Llama or Mistral checkpoint.

    >>> hub_name("blocks.3.attention.query.weight")
    'model.layers.3.self_attn.q_proj.weight'
    """
    for ours, theirs in _PARTS:
        name = name.replace(ours, theirs)
    return name


def write_weights(folder: Path, model: Decoder, max_shard_bytes: int, dtype: torch.dtype) -> None:
    """Write ``model.safetensors``, or shards with their index when the weights exceed ``max_shard_bytes``.

    Args:
        folder: exists.
        model: a tied head is not written.
        max_shard_bytes: a larger tensor has a shard of its own.
        dtype: of the written tensors; one shard at a time is cast.
    """
    tensors = {hub_name(name): parameter.detach() for name, parameter in model.named_parameters()}
    sizes = {name: tensor.numel() * dtype.itemsize for name, tensor in tensors.items()}
    parts = shards(sizes, max_shard_bytes)
    files = [f"model-{n:05}-of-{len(parts):05}.safetensors" for n in range(1, len(parts) + 1)]
    if len(parts) == 1:
        files = [WEIGHTS_FILE]
    for file, names in zip(files, parts):
        part = {name: tensors[name].to("cpu", dtype).contiguous() for name in names}
        save_file(part, folder / file, metadata={"format": "pt"})  # transformers 4 refuses a file without
    if len(parts) > 1:
        places = {name: file for file, names in zip(files, parts) for name in names}
        index = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": places}
        write_atomic(folder / INDEX_FILE, json.dumps(index, indent=2) + "\n")


def shards(sizes: dict[str, int], limit: int) -> list[list[str]]:
    """Names in order, cut before the one with which a shard would exceed ``limit`` bytes.

    >>> shards({"a": 3, "b": 3, "c": 9, "d": 1}, limit=6)
    [['a', 'b'], ['c'], ['d']]
    """
    parts, room = [], -1
    for name, size in sizes.items():
        if size > room:
            parts.append([])
            room = limit
        parts[-1].append(name)
        room -= size
    return parts


def read_weights(folder: Path, config: DecoderConfig, dtype: torch.dtype, device: str | torch.device) -> Decoder:
    """A decoder in evaluation mode with the weights of a folder.

    Names and shapes are compared before anything is allocated; then one tensor at a time goes into the model, so the
    peak is the model and its largest tensor.

    Args:
        folder: with the weights.
        config: the shape that they must have.
        dtype: of the parameters; stored tensors of another floating type are cast.
        device: of the parameters.

    Raises:
        CourseError: naming the file and the tensor that is absent, unexpected or of another shape or type.
    """
    with torch.device("meta"):  # shapes without memory, and without drawing weights
        model = Decoder(config)
    stored = _stored_tensors(folder)
    _compare(folder, {hub_name(name): list(tensor.shape) for name, tensor in model.named_parameters()}, stored)
    model = model.to(dtype).to_empty(device=device).eval()
    _fill(model, stored)
    return model


def _stored_tensors(folder: Path) -> dict[str, _Stored]:
    """Every tensor of the folder by name; without ``model.safetensors``, of the shards that the index lists."""
    if (folder / WEIGHTS_FILE).is_file():
        return _header(folder / WEIGHTS_FILE)
    index = folder / INDEX_FILE
    if not index.is_file():
        pickled = sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".pth"))
        if pickled:
            raise CourseError(
                f"{folder} has pickled weights ({pickled[0]}) and no safetensors; a pickle can run code when it is "
                "opened: convert it to safetensors where that is safe"
            )
        raise CourseError(f"{folder} has neither {WEIGHTS_FILE} nor {INDEX_FILE}; copy the folder again")
    places = read_json(index, "the index of the weights")
    places = places.get("weight_map") if isinstance(places, dict) else None
    if not isinstance(places, dict) or not places:
        raise CourseError(f"{index} has no weight_map from tensors to files; copy it again")
    stored = {}
    for name, file in places.items():
        if not isinstance(file, str) or Path(file).name != file:
            raise CourseError(f"{index} puts the tensor '{name}' into {file!r}, outside the folder; do not use it")
    for file in sorted(set(places.values())):
        stored |= _header(folder / file)
    for name, file in places.items():
        if name not in stored or stored[name].path.name != file:
            raise CourseError(f"{index} puts the tensor '{name}' into {file}, which lacks it; copy the folder again")
    return stored


def _open(path: Path):
    try:
        return safe_open(path, framework="pt")
    except OSError as error:
        raise CourseError(f"weights {path} cannot be read: {error}; copy the folder again") from None
    except SafetensorError as error:
        raise CourseError(f"weights {path} are not in safetensors format: {error}; copy the folder again") from None


def _header(path: Path) -> dict[str, _Stored]:
    with _open(path) as file:
        slices = {name: file.get_slice(name) for name in file.keys()}
        return {name: _Stored(path, part.get_shape(), part.get_dtype()) for name, part in slices.items()}


def _compare(folder: Path, expected: dict[str, list[int]], stored: dict[str, _Stored]) -> None:
    for name, shape in expected.items():
        if name not in stored:
            raise CourseError(f"{folder} lacks the tensor '{name}' that its config asks for; copy the folder again")
        found = stored[name]
        if found.shape != shape:
            raise CourseError(
                f"tensor '{name}' in {found.path} has shape {found.shape}, the config asks for {shape}; "
                "one of the two files is of another model"
            )
        if found.dtype not in _FLOATING:
            raise CourseError(
                f"tensor '{name}' in {found.path} has the type {found.dtype}; use a model in 16 or 32 bits"
            )
    for name, found in stored.items():
        if name not in expected and name != _HEAD and not name.endswith(_IGNORED):
            raise CourseError(
                f"{found.path} holds a tensor '{name}' that the config does not ask for; "
                "one of the two files is of another model"
            )


def _fill(model: Decoder, stored: dict[str, _Stored]) -> None:
    parameters = {hub_name(name): parameter.detach() for name, parameter in model.named_parameters()}
    for path in {found.path for found in stored.values()}:
        with _open(path) as file:
            for name, parameter in parameters.items():
                if stored[name].path == path:
                    parameter.copy_(file.get_tensor(name))
    if _HEAD in stored and model.config.tied:  # a tied checkpoint may repeat its embedding as the head
        with _open(stored[_HEAD].path) as file:
            head, embedding = file.get_tensor(_HEAD), model.token_embedding.weight.detach()
        if not torch.equal(head.to(embedding), embedding):
            raise CourseError(
                f"'{_HEAD}' in {stored[_HEAD].path} differs from the embedding, but the config ties the two; "
                "set tie_word_embeddings to false"
            )
