"""An interrupted training on disk: the trained parameters, the optimizer's moments, the best so far, the counters."""

import os
from pathlib import Path

import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.state import STATE_FILE, read_state, remove_state, write_state
from finqa_lab.tune.training import Run, trained

__all__ = ["has_state", "load_run", "remove_state", "save_run"]


def has_state(folder: str | os.PathLike) -> bool:
    """Whether a training was interrupted there."""
    return (Path(folder) / STATE_FILE).is_file()


def save_run(folder: str | os.PathLike, run: Run, owner: dict | None = None) -> None:
    """Write what :func:`load_run` needs to go on bit for bit; frozen parameters are not in it.

    Args:
        folder: of the state, see :mod:`finqa_lab.nn.state`.
        run: between two steps.
        owner: JSON-ready facts that say whose state it is: base, data, settings, seed.
    """
    tensors = {f"model/{name}": parameter for name, parameter in trained(run.model).items()}
    for index, values in run.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": torch.as_tensor(value) for name, value in values.items()}
    if run.best is not None:
        tensors |= {f"best/{name}": value for name, value in run.best[1].items()}
    record = {
        "tokens": run.tokens,
        "cpu_seconds": run.cpu_seconds,
        "losses": run.losses,
        "validation": run.validation,
        "best": None if run.best is None else run.best[0],
        "owner": owner or {},
    }
    write_state(folder, run.step, tensors, record)


def load_run(folder: str | os.PathLike, run: Run, owner: dict | None = None) -> Run:
    """Put the saved state into a run that was started in the same way.

    Raises:
        CourseError: when the state is missing, damaged, of another owner, or of other trained parameters.
    """
    tensors, record = read_state(folder)
    if record["owner"] != (owner or {}):
        differs = sorted(
            key for key in {*record["owner"], *(owner or {})} if record["owner"].get(key) != (owner or {}).get(key)
        )
        raise CourseError(
            f"the training state in {folder} is of another run ({', '.join(differs)} differ); use another folder"
        )
    parameters = trained(run.model)
    saved = {name.removeprefix("model/"): tensor for name, tensor in tensors.items() if name.startswith("model/")}
    if {name: p.shape for name, p in parameters.items()} != {name: t.shape for name, t in saved.items()}:
        raise CourseError(f"the training state in {folder} is of other parameters; use another folder")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(saved[name])
    moments: dict[int, dict] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer/"):
            _, index, name = key.split("/")
            moments.setdefault(int(index), {})[name] = tensor
    run.optimizer.load_state_dict({"state": moments, "param_groups": run.optimizer.state_dict()["param_groups"]})
    if record["best"] is not None:
        kept = {name.removeprefix("best/"): tensor for name, tensor in tensors.items() if name.startswith("best/")}
        run.best = (record["best"], kept)
    run.step, run.tokens, run.cpu_seconds = record["step"], record["tokens"], record["cpu_seconds"]
    run.losses, run.validation = record["losses"], [tuple(pair) for pair in record["validation"]]
    return run
