"""Versions of a checkpoint in a folder, each named by the hash of what is in it.

Layout::

    REGISTRY/
      current.json                 which version serves, and how it came to (module ``promotion``)
      versions/<id>/config.json    shape and training facts
                    model.safetensors
                    card.json      metrics, hash of the training data, date added, note
                    graph.onnx     exported decoder, a cache that can be deleted (module ``graphs``)

``id`` is the first 16 hex digits of a SHA-256 over config and weights, so a version cannot be changed without changing
its name: :meth:`Registry.verify` recomputes it each time a version is opened. Only safetensors are taken: a pickle can
run code when it is opened. This module needs the standard library only.
"""

import datetime
import hashlib
import json
import os
import re
import shutil
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, write_atomic

CONFIG_FILE, WEIGHTS_FILE, CARD_FILE = "config.json", "model.safetensors", "card.json"
PICKLE_SUFFIXES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt")
_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Card:
    """What is known about a version.

    Attributes:
        version: its id.
        metrics: name -> number, as measured by whoever added it.
        data_sha256: hash of the training data, or "" when not stated.
        created: UTC date and time of adding, ISO 8601.
        note: free text.
    """

    version: str
    metrics: dict
    data_sha256: str
    created: str
    note: str


class Registry:
    """The folder; made when the first version is added."""

    def __init__(self, root: str | os.PathLike):
        self.root = Path(root)

    @property
    def versions_folder(self) -> Path:
        """Where the versions are."""
        return self.root / "versions"

    def folder(self, version: str) -> Path:
        """Folder of a version.

        Raises:
            CourseError: when ``version`` is no id (a path, for example) or is not there.
        """
        if not isinstance(version, str) or not _ID.fullmatch(version):
            raise CourseError(f"{version!a} is not a version id: 16 hex digits, as `finqa-lab registry list` shows")
        path = self.versions_folder / version
        if not path.is_dir():
            known = ", ".join(self.versions()) or "none"
            raise CourseError(f"version {version} is not in the registry {self.root}; there: {known}")
        return path

    def versions(self) -> list[str]:
        """All ids, oldest first (by date added, then id)."""
        if not self.versions_folder.is_dir():
            return []
        found = [path.name for path in self.versions_folder.iterdir() if _ID.fullmatch(path.name) and path.is_dir()]
        return sorted(found, key=lambda version: (self.card(version).created, version))

    def card(self, version: str) -> Card:
        """The card of a version.

        Raises:
            CourseError: when it is missing or not a card.
        """
        path = self.versions_folder / version / CARD_FILE
        values = read_json(path, "the version's card")
        try:
            return Card(**values)
        except TypeError:
            raise CourseError(f"{path} is not a version's card; add the checkpoint to the registry again") from None

    def add(
        self, checkpoint: str | os.PathLike, metrics: dict | None = None, data_sha256: str = "", note: str = ""
    ) -> str:
        """Copy a checkpoint folder into the registry; returns its id.

        Adding the same content twice changes nothing. The folder appears under its id in one rename, complete.

        Raises:
            CourseError: when a file is missing, is a pickle, is not safetensors or cannot be written.
        """
        source = Path(checkpoint)
        config, weights = read_checkpoint(source)
        version = content_id(config, weights)
        if (self.versions_folder / version).is_dir():
            self.verify(version)
            return version
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
        card = Card(version, dict(metrics or {}), data_sha256, now, note)
        text = json.dumps(card.__dict__, indent=1, sort_keys=True, allow_nan=False) + "\n"
        draft = None
        try:
            self.versions_folder.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=".adding-", dir=self.versions_folder))
            draft.chmod(0o755)  # mkdtemp makes it private; a server may run as another user
            for name, content in ((CONFIG_FILE, config), (WEIGHTS_FILE, weights), (CARD_FILE, text)):
                write_atomic(draft / name, content)
            os.rename(draft, self.versions_folder / version)
        except OSError as error:
            if not (self.versions_folder / version).is_dir():  # else another process added the same content first
                raise CourseError(f"cannot add to the registry {self.root}: {error.strerror or error}") from error
        finally:
            if draft is not None:
                shutil.rmtree(draft, ignore_errors=True)
        return version

    def verify(self, version: str) -> Path:
        """The folder of a version, after its content was compared with its id.

        Raises:
            CourseError: when it was altered since it was added.
        """
        folder = self.folder(version)
        found = content_id(*read_checkpoint(folder))
        if found != version:
            raise CourseError(
                f"version {version} in {self.root} was altered: its content now hashes to {found}; "
                "delete the folder and add the original checkpoint again"
            )
        return folder


def content_id(config: bytes, weights: bytes) -> str:
    """First 16 hex digits of SHA-256 over (length of config, config, weights).

    The length keeps the border between the two unambiguous: ``content_id(b"ab", b"c") != content_id(b"a", b"bc")``.
    """
    digest = hashlib.sha256(struct.pack("<Q", len(config)))
    digest.update(config)
    digest.update(weights)
    return digest.hexdigest()[:16]


def read_checkpoint(folder: Path) -> tuple[bytes, bytes]:
    """The bytes of ``config.json`` and ``model.safetensors``.

    Raises:
        CourseError: when one is missing, the config is no JSON object, or the weights are not safetensors.
    """
    if not folder.is_dir():
        raise CourseError(f"{folder} is not a checkpoint folder; it must hold {CONFIG_FILE} and {WEIGHTS_FILE}")
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLE_SUFFIXES)
            if pickles:
                raise CourseError(
                    f"{folder} holds {pickles[0]}, which can run code when opened; save the weights as {WEIGHTS_FILE}"
                )
            raise CourseError(f"checkpoint folder {folder} lacks {name}; save the checkpoint again")
    try:
        config, weights = (folder / CONFIG_FILE).read_bytes(), (folder / WEIGHTS_FILE).read_bytes()
    except OSError as error:
        raise CourseError(f"checkpoint folder {folder} cannot be read: {error.strerror}") from error
    if not isinstance(read_json(folder / CONFIG_FILE, "the checkpoint's config"), dict):
        raise CourseError(f"{folder / CONFIG_FILE} is not a JSON object; save the checkpoint again")
    if not _is_safetensors(weights):
        raise CourseError(f"{folder / WEIGHTS_FILE} is not in safetensors format; save the weights again")
    return config, weights


def _is_safetensors(content: bytes) -> bool:
    """Whether the bytes start with a header length and a JSON object of that length (the format's first part)."""
    if len(content) < 10:
        return False
    (length,) = struct.unpack("<Q", content[:8])
    if length > len(content) - 8:
        return False
    try:
        return isinstance(json.loads(content[8 : 8 + length]), dict)
    except (ValueError, RecursionError):
        return False
