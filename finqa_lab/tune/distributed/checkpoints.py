"""A checkpoint of a distributed training: every rank writes its own part, any number of ranks reads it back.

``torch.distributed.checkpoint`` (PyTorch documentation) plans who writes what and cuts the tensors anew when they are
read. Its usual file format keeps the plan in a pickle, which can run code when it is opened; the writer for
Hugging Face's layout, used here, writes safetensors only, with the place of each part in their headers. (While saving,
ranks of the same training do exchange pickled plans in memory. That comes from no file.)

Each state is a folder of its own, and ``state.json`` points at it with sizes and checksums. The pointer is written
last, and the old folder goes only then: whenever a process dies, the old state or the new one stands. All ranks must
see the same folder; on several machines that is a shared file system.
"""

import json
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed.checkpoint as dcp
from safetensors import SafetensorError
from torch import Tensor
from torch.distributed.checkpoint import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.fsdp import FSDPModule

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, sha256_file, write_atomic
from finqa_lab.nn.state import STATE_FILE
from finqa_lab.tune.distributed.ranks import Ranks
from finqa_lab.tune.training import Run, trained

_COUNTERS = ("step", "tokens", "cpu_seconds", "losses", "validation")


def has_sharded(folder: str | Path) -> bool:
    """Whether a checkpoint stands there."""
    return (Path(folder) / STATE_FILE).is_file()


def save_sharded(folder: str | Path, run: Run, ranks: Ranks, owner: dict | None = None) -> None:
    """Write trained parameters, moments, the best so far and the counters; all ranks call this between two steps.

    Args:
        folder: of the checkpoint, and of nothing else.
        run: sharded or not; frozen parameters are not saved.
        ranks: of the training.
        owner: JSON-ready facts that say whose state it is.

    Raises:
        CourseError: when a file cannot be written.
    """
    folder = Path(folder)
    current = read_json(folder / STATE_FILE, "the checkpoint's pointer")["folder"] if has_sharded(folder) else None
    new = folder / (name if (name := f"state-{run.step}") != current else f"{name}-again")  # never the one that counts
    if ranks.first:
        shutil.rmtree(new, ignore_errors=True)  # what an interrupted save left
    ranks.wait()
    try:
        new.mkdir(parents=True, exist_ok=True)
        writer = HuggingFaceStorageWriter(str(new), save_distributed=True)
        with _quiet():
            dcp.save(_tensors(run), storage_writer=writer, no_dist=ranks.ranks == 1)
    except (OSError, SafetensorError, dcp.CheckpointException) as error:
        raise CourseError(f"cannot write the checkpoint {new}: {error}; free some space") from error
    files = _digests(new, ranks)
    if ranks.first:
        counters = {name: getattr(run, name) for name in _COUNTERS}
        best = None if run.best is None else run.best[0]
        record = {**counters, "best": best, "owner": owner or {}, "folder": new.name, "files": files}
        write_atomic(folder / STATE_FILE, json.dumps(record) + "\n")
        for older in folder.glob("state-*"):
            if older.name != new.name and older.is_dir():
                shutil.rmtree(older, ignore_errors=True)
    ranks.wait()


def load_sharded(folder: str | Path, run: Run, ranks: Ranks, owner: dict | None = None) -> Run:
    """Put a checkpoint into a run that was started in the same way, by as many ranks as there are now.

    Raises:
        CourseError: when it is missing, damaged, of another owner, or of other trained parameters.
    """
    folder = Path(folder)
    record = read_json(folder / STATE_FILE, "the checkpoint's pointer")
    wanted = owner or {}
    if record["owner"] != wanted:
        keys = {*record["owner"], *wanted}
        differs = sorted(key for key in keys if record["owner"].get(key) != wanted.get(key))
        raise CourseError(f"the checkpoint in {folder} is of another run ({', '.join(differs)} differ); use another")
    path = folder / Path(str(record["folder"])).name
    if _digests(path, ranks) != record["files"]:
        raise CourseError(f"the checkpoint {path} is damaged: its files differ; delete {folder} and start again")
    reader = HuggingFaceStorageReader(str(path))
    stored = reader.read_metadata()
    targets = _targets(run, stored)
    here = {f"model/{name}": tuple(parameter.shape) for name, parameter in trained(run.model).items()}
    facts = stored.state_dict_metadata
    if here != {name: tuple(fact.size) for name, fact in facts.items() if name.startswith("model/")}:
        raise CourseError(f"the checkpoint in {folder} is of other parameters; use another folder")
    with _quiet():
        dcp.load(targets, storage_reader=reader, no_dist=ranks.ranks == 1)
    _put(run, targets, record)
    return run


def remove_sharded(folder: str | Path) -> None:
    """Delete a checkpoint, the pointer first; rank 0 calls this alone."""
    folder = Path(folder)
    (folder / STATE_FILE).unlink(missing_ok=True)
    for path in folder.glob("state-*"):
        shutil.rmtree(path, ignore_errors=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's warning that one process is one process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)
        yield


def _tensors(run: Run) -> dict[str, Tensor]:
    """Everything to be written, by name; parameters of a sharded model stay shards."""
    if isinstance(run.model, FSDPModule):
        run.model.reshard()
    found = {}
    for name, parameter in trained(run.model).items():
        found[f"model/{name}"] = parameter.detach()
        for part, value in run.optimizer.state[parameter].items():
            found[f"optimizer/{part}/{name}"] = torch.as_tensor(value)
    if run.best is not None:
        found |= {f"best/{name}": value for name, value in run.best[1].items()}
    return found


def _targets(run: Run, stored: Metadata) -> dict[str, Tensor]:
    """Empty tensors for all that is stored, shared among the ranks as the parameters of the run are."""
    if isinstance(run.model, FSDPModule):
        run.model.reshard()
    parameters = trained(run.model)
    found = {}
    for key, facts in stored.state_dict_metadata.items():
        kind, _, name = key.partition("/")
        parameter = parameters.get(name.partition("/")[2] if kind == "optimizer" else name)
        if parameter is not None and tuple(facts.size) == tuple(parameter.shape):
            found[key] = torch.zeros_like(parameter, dtype=facts.properties.dtype, requires_grad=False)
        else:
            device = None if parameter is None else parameter.device
            found[key] = torch.zeros(tuple(facts.size), dtype=facts.properties.dtype, device=device)
    return found


def _put(run: Run, tensors: dict[str, Tensor], record: dict) -> None:
    kept = {}
    with torch.no_grad():
        for name, parameter in trained(run.model).items():
            parameter.copy_(tensors[f"model/{name}"])
            for key, value in tensors.items():
                kind, _, rest = key.partition("/")
                if kind == "optimizer" and rest.partition("/")[2] == name:
                    run.optimizer.state[parameter][rest.partition("/")[0]] = value
                elif key == f"best/{name}":
                    kept[name] = value
    for name in _COUNTERS:
        setattr(run, name, record[name])
    run.validation = [tuple(pair) for pair in run.validation]
    if record["best"] is not None:
        run.best = (record["best"], kept)


def _digests(folder: Path, ranks: Ranks) -> dict[str, list]:
    """Size and SHA-256 of every file, the files shared out among the ranks; all ranks get all of them."""
    paths = sorted(folder.glob("*.safetensors"))
    numbers: list[float] = []
    for place, path in enumerate(paths):
        mine = place % ranks.ranks == ranks.rank
        numbers += [path.stat().st_size, *bytes.fromhex(sha256_file(path))] if mine else [0] * 33
    every = [int(number) for number in ranks.total(numbers)]
    return {
        path.name: [every[33 * place], bytes(every[33 * place + 1 : 33 * place + 33]).hex()]
        for place, path in enumerate(paths)
    }
