"""The state of an interrupted run on disk, see :mod:`finqa_lab.nn.state`: weights, moments, generator, counters."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.state import read_state, write_state

if TYPE_CHECKING:  # the training module imports this one
    from finqa_lab.arithmetic.training import Run


def save_state(folder: Path, run: "Run", owner: dict | None = None) -> None:
    """Write weights, optimiser moments, generator and counters, so that :func:`load_state` continues bit for bit.

    ``owner`` says whose state it is (recipe and seed).

    Raises:
        CourseError: when a file cannot be written.
    """
    tensors = {f"model/{name}": parameter for name, parameter in run.model.named_parameters()}
    tensors |= {f"average/{name}": value for name, value in run.average.items()}
    for kind, optimizer in run.optimizers.items():
        for index, values in optimizer.state_dict()["state"].items():
            tensors |= {f"{kind}/{index}/{name}": torch.as_tensor(value) for name, value in values.items()}
    record = {
        "cpu_seconds": run.cpu_seconds,
        "losses": run.losses,
        "rng": run.rng.bit_generator.state,
        "owner": owner or {},
        "decoder": run.model.config.to_json(),
    }
    write_state(folder, run.step, tensors, record)


def load_state(folder: Path, run: "Run", owner: dict | None = None) -> "Run":
    """Continue: put the saved state into a fresh run of the same recipe and seed.

    Raises:
        CourseError: when the state is missing, damaged, or belongs to another ``owner`` or to a model of another shape.
    """
    tensors, record = read_state(folder)
    if record.get("decoder") != run.model.config.to_json():
        raise CourseError(
            f"the training state in {folder} belongs to a model of another shape; use another --out folder"
        )
    if record["owner"] != (owner or {}):
        raise CourseError(f"the training state in {folder} is of another recipe or seed; use another --out folder")
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
