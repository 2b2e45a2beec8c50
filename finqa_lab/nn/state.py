"""The state of an interrupted training on disk: tensors in safetensors, the rest in JSON, the JSON written last.

A state is a file of tensors named after the step and ``state.json``, which points at it with a checksum. The old
tensors go only when the new pointer stands: whenever the process dies, the folder holds the old state or the new one.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, sha256_bytes, write_atomic

STATE_FILE = "state.json"


def write_state(folder: str | Path, step: int, tensors: Mapping[str, Tensor], record: Mapping) -> None:
    """Replace the state in a folder, made when missing.

    Args:
        folder: of the state, and of nothing else.
        step: steps done; part of the file's name.
        tensors: by name, on any device.
        record: all else, JSON-ready; ``weights``, ``sha256`` and ``step`` are added.

    Raises:
        CourseError: when a file cannot be written.
    """
    folder = Path(folder)
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    weights = f"state-{step}.safetensors"
    write_atomic(folder / weights, content)
    record = {**record, "weights": weights, "sha256": sha256_bytes(content), "step": step}
    write_atomic(folder / STATE_FILE, json.dumps(record) + "\n")
    for older in folder.glob("state-*.safetensors"):
        if older.name != weights:
            older.unlink(missing_ok=True)


def read_state(folder: str | Path) -> tuple[dict[str, Tensor], dict]:
    """Tensors and record of the state in a folder.

    Raises:
        CourseError: when it is missing or damaged.
    """
    folder = Path(folder)
    record = read_json(folder / STATE_FILE, "the saved training state")
    path = folder / str(record.get("weights"))
    try:
        content = path.read_bytes()
        tensors = load(content)
    except (OSError, SafetensorError) as error:
        raise CourseError(f"training state {path} cannot be read ({error}); delete {folder} and start again") from None
    if sha256_bytes(content) != record["sha256"]:
        raise CourseError(f"training state {path} is damaged: its sha256 differs; delete {folder} and start again")
    return tensors, record


def remove_state(folder: str | Path) -> None:
    """Delete the state, and its folder when nothing else is in it."""
    folder = Path(folder)
    for path in (folder / STATE_FILE, *folder.glob("state-*.safetensors")):
        path.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
