"""Adapters on disk, in peft's format: ``adapter_config.json`` and ``adapter_model.safetensors``.

An adapter is a difference to one base model. On another base of the same shape it loads without an error and answers
nonsense, so the folder carries a fingerprint of the base, and a base with another one is refused.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, write_atomic
from finqa_lab.nn.hub_weights import hub_name
from finqa_lab.nn.transformer import Decoder
from finqa_lab.tune.linear4bit import dense
from finqa_lab.tune.lora import LoRAConfig, adapted_layers, add_adapter, base_model, matrix_shape

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
FINGERPRINT = "base_sha256"
_PREFIX = "base_model.model."


def fingerprint(model: Decoder) -> str:
    """SHA-256 of the base weights, whichever adapters are on it: names, shapes and float32 values.

    A base in four bits counts as the values that its codes stand for: it has the fingerprint of its dequantized copy,
    and not that of the model it was made from.
    """
    digest = hashlib.sha256()
    with base_model(model):
        for name, parameter in model.named_parameters():
            if ".adapters." not in name:
                values = dense(parameter).float().cpu().contiguous()
                digest.update(f"{name.replace('.base.', '.')} {tuple(values.shape)}".encode())
                digest.update(values.numpy().tobytes())
    return digest.hexdigest()


def save_adapter(folder: str | os.PathLike, model: Decoder, config: LoRAConfig, name: str = "default") -> Path:
    """Write an adapter; peft loads the folder onto the base that ``save_pretrained`` writes.

    Args:
        folder: made when missing; an adapter in it is replaced, the config last, so that an interrupted save leaves
            the old adapter or one that is refused.
        model: with the adapter.
        config: that it was added with.
        name: of the adapter.

    Raises:
        CourseError: when there is no such adapter or the folder cannot be written.
    """
    tensors = {}
    for path, layer in adapted_layers(model).items():
        if name in layer.adapters:
            adapter = layer.adapters[name]
            for part, parameter in (("lora_A", adapter.a), ("lora_B", adapter.b)):
                tensors[f"{_PREFIX}{_hub_path(path)}.{part}.weight"] = parameter.detach().cpu().contiguous()
    if not tensors:
        raise CourseError(f"there is no adapter '{name}' to save; add one first")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".adapter.", delete=False) as temporary:
            pass
        try:
            save_file(tensors, temporary.name, metadata={"format": "pt", FINGERPRINT: fingerprint(model)})
            os.chmod(temporary.name, 0o644)
            os.replace(temporary.name, folder / WEIGHTS_FILE)
        finally:
            Path(temporary.name).unlink(missing_ok=True)
    except OSError as error:
        raise CourseError(f"cannot write {folder}: {error.strerror or error}; choose a writable folder") from error
    targets = sorted({_hub_path(path).rpartition(".")[2] for path in adapted_layers(model)})
    values = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "inference_mode": True,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": config.dropout,
        "use_rslora": config.rank_stabilised,
        "target_modules": targets,
        "bias": "none",
    }
    write_atomic(folder / CONFIG_FILE, json.dumps(values, indent=2) + "\n")
    return folder


def load_adapter(
    folder: str | os.PathLike, model: Decoder, name: str = "default", any_base: bool = False
) -> LoRAConfig:
    """Add the adapter of a folder, ours or peft's, to a model and make it active.

    Everything is compared before the model is touched.

    Args:
        folder: with the two files.
        model: the base, perhaps with other adapters.
        name: to find it by.
        any_base: do not compare fingerprints, as for an adapter that was trained on the base in four bits and is to run
            on the one it was quantized from. Its outputs are then not those of training.

    Raises:
        CourseError: when a file is missing or damaged, the adapter is of another kind, has tensors that the model has
            no place for, or was made for another base.
    """
    folder = Path(folder)
    config = _read_config(folder)
    tensors, metadata = _read_tensors(folder / WEIGHTS_FILE)
    made_for = metadata.get(FINGERPRINT)
    if made_for and not any_base and made_for != (found := fingerprint(model)):
        raise CourseError(
            f"the adapter in {folder} was made for a base with sha256 {made_for[:12]}..., this one has "
            f"{found[:12]}...; load the base that it was trained on"
        )
    layers = {
        _hub_path(path): path
        for path, layer in model.named_modules()
        if hasattr(layer, "weight") and layer.weight.ndim == 2 and ".base" not in path
    }
    for key, tensor in tensors.items():
        place = key.removeprefix(_PREFIX).rpartition(".lora_")[0]
        if place not in layers or not key.endswith((".lora_A.weight", ".lora_B.weight")):
            raise CourseError(f"{folder / WEIGHTS_FILE} holds '{key}', for which the model has no place")
        rows, columns = matrix_shape(model.get_submodule(layers[place]))
        expected = (config.rank, columns) if "lora_A" in key else (rows, config.rank)
        if tuple(tensor.shape) != expected:
            raise CourseError(f"'{key}' in {folder / WEIGHTS_FILE} has shape {tuple(tensor.shape)}, not {expected}")
    places = {layers[key.removeprefix(_PREFIX).rpartition(".lora_")[0]] for key in tensors}
    if len(tensors) != 2 * len(places):
        raise CourseError(f"{folder / WEIGHTS_FILE} lacks the other half of some layers; copy the folder again")
    targets = tuple(sorted({path.rpartition(".")[2] for path in places}))
    config = LoRAConfig(config.rank, config.alpha, targets, config.dropout, config.rank_stabilised)
    added = add_adapter(model, config, name)
    if set(added) != places:
        for path in added:
            del model.get_submodule(path).adapters[name]
        raise CourseError(f"{folder / WEIGHTS_FILE} adapts some layers of a kind only, which is not supported")
    with torch.no_grad():
        for path in added:
            adapter, key = model.get_submodule(path).adapters[name], f"{_PREFIX}{_hub_path(path)}"
            adapter.a.copy_(tensors[f"{key}.lora_A.weight"])
            adapter.b.copy_(tensors[f"{key}.lora_B.weight"])
    return config


def _hub_path(path: str) -> str:
    return hub_name(path + ".").rstrip(".")


def _read_config(folder: Path) -> LoRAConfig:
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise CourseError(f"{folder} has no {CONFIG_FILE}; give a folder that save_adapter or peft wrote")
    values = read_json(path, "the adapter's config")
    if not isinstance(values, dict) or values.get("peft_type") != "LORA":
        raise CourseError(f"{path} is not of a LoRA adapter; other kinds are not supported")
    odd = [key for key in ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save") if values.get(key)]
    if odd or values.get("bias", "none") != "none":
        raise CourseError(f"{path} asks for {', '.join(odd) or 'biases'}, which is not supported here; use peft")
    try:
        rank, alpha, dropout = int(values["r"]), float(values["lora_alpha"]), float(values.get("lora_dropout") or 0)
    except (KeyError, TypeError, ValueError) as error:
        raise CourseError(f"{path} needs numbers r and lora_alpha ({error!r}); copy the folder again") from None
    return LoRAConfig(rank, alpha, (), dropout, bool(values.get("use_rslora")))


def _read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise CourseError(f"the adapter's weights {path} cannot be read: {error}; copy the folder again") from None
