"""A frozen evaluation: what was asked, with which prompts, what came back, and the checksums that keep it so.

A score can be repeated only if nothing under it moves. The manifest holds the SHA-256 of the questions, of the prompts
as they were sent, and of the answers, and names what produced them. Checking it again says which of the three changed.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, sha256_bytes, write_atomic
from finqa_lab.finqa.records import Record

MANIFEST = "snapshot.json"
PARTS = ("questions", "prompts", "predictions")


def canonical(value) -> bytes:
    """JSON with sorted keys and no spaces: equal values have equal bytes.

    >>> canonical({"b": 1, "a": [2]})
    b'{"a":[2],"b":1}'
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def freeze(
    folder: str | Path,
    records: Sequence[Record],
    prompts: Mapping[str, str],
    predictions: Sequence[Mapping],
    made_by: Mapping[str, str],
) -> Path:
    """Write prompts, predictions and the manifest, which comes last.

    Args:
        folder: made when missing.
        records: the questions; only their checksum is kept, they may not be ours to copy.
        prompts: the text that was sent for each record id.
        predictions: objects with ``id`` and ``predicted``.
        made_by: names: model, revision, decoding settings, date.

    Raises:
        CourseError: when a prompt is missing, or a file cannot be written.
    """
    folder = Path(folder)
    missing = [record.id for record in records if record.id not in prompts]
    if missing:
        raise CourseError(f"{len(missing)} records have no prompt, the first is {missing[0]}; record what was sent")
    parts = {
        "questions": canonical([record.to_json() for record in records]),
        "prompts": canonical(dict(prompts)),
        "predictions": canonical([{"id": entry["id"], "predicted": entry["predicted"]} for entry in predictions]),
    }
    for name in PARTS[1:]:
        write_atomic(folder / f"{name}.json", parts[name])
    manifest = {
        "made_by": dict(made_by),
        "records": len(records),
        "sha256": {name: sha256_bytes(parts[name]) for name in PARTS},
    }
    return write_atomic(folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def changes(folder: str | Path, records: Sequence[Record]) -> list[str]:
    """Which parts differ from the manifest: names from ``PARTS``; [] when the snapshot holds.

    Raises:
        CourseError: when a file of the snapshot is missing or broken.
    """
    folder = Path(folder)
    stated = read_json(folder / MANIFEST, "the snapshot's manifest")["sha256"]
    found = {"questions": canonical([record.to_json() for record in records])}
    found |= {name: canonical(read_json(folder / f"{name}.json", f"the snapshot's {name}")) for name in PARTS[1:]}
    return [name for name in PARTS if sha256_bytes(found[name]) != stated.get(name)]
