"""The registry that is used when none is named, with the shipped checkpoint in it."""

import json
from pathlib import Path

from finqa_lab.arithmetic.service.promotion import Promotion
from finqa_lab.arithmetic.service.registry import CONFIG_FILE, WEIGHTS_FILE, Registry
from finqa_lab.files import data_path, data_root, home, read_json, sha256_bytes

SHIPPED = "models/arithmetic"  # folder below data/


def default_registry_folder() -> Path:
    """Where the registry lies: ``registry/arithmetic`` in the course's home folder."""
    return home() / "registry" / "arithmetic"


def default_registry() -> Registry:
    """The default registry; a new one gets the shipped checkpoint as its first, promoted version.

    A checkout without a shipped checkpoint gives an empty registry: the server then starts and answers 503.

    Raises:
        CourseError: when the shipped checkpoint is damaged.
    """
    registry = Registry(default_registry_folder())
    promotion = Promotion(registry)
    if promotion.current() is None and (folder := shipped_checkpoint()) is not None:
        promotion.promote(registry.add(folder, *recorded_facts(folder), note="shipped with the course"))
    return registry


def recorded_facts(checkpoint: Path) -> tuple[dict, str]:
    """What the training wrote into a checkpoint: its measured numbers, and a hash of the description of its data.

    The data of most recipes are drawn while training, so there is no file to hash: the description (which problems, how
    sampled, which seed) determines them. ("" when there is none.)
    """
    record = read_json(checkpoint / CONFIG_FILE, "the checkpoint's config")
    metadata = (record.get("metadata") if isinstance(record, dict) else None) or {}
    evaluation, data = metadata.get("evaluation") or {}, metadata.get("data")
    metrics = {name: value for name, value in evaluation.items() if isinstance(value, int | float)}
    description = json.dumps([data, metadata.get("seed")], sort_keys=True).encode()
    return metrics, sha256_bytes(description) if data else ""


def shipped_checkpoint() -> Path | None:
    """Folder of the shipped checkpoint after its hashes were compared with the manifest; None when none is shipped.

    Raises:
        CourseError: when a file of it is damaged.
    """
    manifest = data_root() / "manifest.json"
    files = read_json(manifest, "the data manifest")["files"] if manifest.exists() else {}
    if f"{SHIPPED}/{CONFIG_FILE}" not in files:
        return None
    data_path(f"{SHIPPED}/{WEIGHTS_FILE}")
    return data_path(f"{SHIPPED}/{CONFIG_FILE}").parent
