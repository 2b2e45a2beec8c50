"""The registry that is used when none is named, with the shipped checkpoint in it."""

import json
from pathlib import Path

from finqa_lab.arithmetic.service.promotion import Promotion
from finqa_lab.arithmetic.service.registry import CONFIG_FILE, WEIGHTS_FILE, Registry
from finqa_lab.files import data_path, data_root, home, read_json

SHIPPED = "arithmetic"  # folder below data/


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
        recorded = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8")).get("metadata", {}).get("metrics")
        numbers = {name: value for name, value in (recorded or {}).items() if isinstance(value, int | float)}
        promotion.promote(registry.add(folder, numbers, note="shipped with the course"))
    return registry


def shipped_checkpoint() -> Path | None:
    """Folder of the shipped checkpoint after its hashes were compared with the manifest; None when none is shipped.

    Raises:
        CourseError: when a file of it is damaged.
    """
    manifest = data_root() / "manifest.json"
    files = read_json(manifest, "the data manifest")["files"] if manifest.exists() else {}
    configs = sorted(name for name in files if name.startswith(f"{SHIPPED}/") and name.endswith(f"/{CONFIG_FILE}"))
    if not configs:
        return None
    data_path(configs[0].removesuffix(CONFIG_FILE) + WEIGHTS_FILE)
    return data_path(configs[0]).parent
