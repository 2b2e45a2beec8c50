"""The state of an interrupted run on disk: numbers in safetensors, the rest in JSON, the JSON written last."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, sha256_bytes, write_atomic

if TYPE_CHECKING:  # the training module imports this one
    from finqa_lab.arithmetic.training import Run

STATE_FILE = "state.json"


def save_state(folder: Path, run: "Run", owner: dict | None = None) -> None:
    """Write weights, optimiser moments, generator and counters, so that :func:`load_state` continues bit for bit.

    The tensors go to a file named after the step; ``state.json`` then points at it, and the older ones are removed: a
    reader finds the old state or the new one, never a mixture. ``owner`` says whose state it is (recipe and seed).

    Raises:
        CourseError: when a file cannot be written.
    """
    tensors = {f"model/{name}": parameter for name, parameter in run.model.named_parameters()}
    tensors |= {f"average/{name}": value for name, value in run.average.items()}
    for kind, optimizer in run.optimizers.items():
        for index, values in optimizer.state_dict()["state"].items():
            tensors |= {f"{kind}/{index}/{name}": torch.as_tensor(value) for name, value in values.items()}
    content = save({name: tensor.detach().contiguous() for name, tensor in tensors.items()})
    weights = f"state-{run.step}.safetensors"
    write_atomic(Path(folder) / weights, content)
    record = {
        "weights": weights,
        "sha256": sha256_bytes(content),
        "step": run.step,
        "cpu_seconds": run.cpu_seconds,
        "losses": run.losses,
        "rng": run.rng.bit_generator.state,
        "owner": owner or {},
        "decoder": run.model.config.to_json(),
    }
    write_atomic(Path(folder) / STATE_FILE, json.dumps(record) + "\n")
    for older in Path(folder).glob("state-*.safetensors"):
        if older.name != weights:
            older.unlink(missing_ok=True)


def load_state(folder: Path, run: "Run", owner: dict | None = None) -> "Run":
    """Continue: put the saved state into a fresh run of the same recipe and seed.

    Raises:
        CourseError: when the state is missing, damaged, or belongs to another ``owner`` or to a model of another shape.
    """
    record = read_json(Path(folder) / STATE_FILE, "the saved training state")
    if record.get("decoder") != run.model.config.to_json():
        raise CourseError(
            f"the training state in {folder} belongs to a model of another shape; use another --out folder"
        )
    if record["owner"] != (owner or {}):
        raise CourseError(f"the training state in {folder} is of another recipe or seed; use another --out folder")
    path = Path(folder) / record["weights"]
    try:
        content = path.read_bytes()
        tensors = load(content)
    except (OSError, SafetensorError) as error:
        raise CourseError(f"training state {path} cannot be read ({error}); delete {folder} and start again") from None
    if sha256_bytes(content) != record["sha256"]:
        raise CourseError(f"training state {path} is damaged: its sha256 differs; delete {folder} and start again")
    with torch.no_grad():
        for name, parameter in run.model.named_parameters():
            parameter.copy_(tensors[f"model/{name}"])
        for name, value in run.average.items():
            value.copy_(tensors[f"average/{name}"])
    for kind, optimizer in run.optimizers.items():
        state: dict[int, dict] = {}
        for key, tensor in tensors.items():
            if key.startswith(f"{kind}/"):
                _, index, name = key.split("/")
                state.setdefault(int(index), {})[name] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    run.rng.bit_generator.state = record["rng"]
    run.step, run.cpu_seconds, run.losses = record["step"], record["cpu_seconds"], record["losses"]
    return run
