"""Files written whole or not at all, and shipped data that is what its manifest says.

Every report, checkpoint and generated notebook of the course goes through :func:`write_atomic`; every shipped data
file is opened through :func:`data_path`.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path

from finqa_lab.errors import CourseError

REPOSITORY = Path(__file__).resolve().parent.parent


def sha256_bytes(content: bytes) -> str:
    """Hex SHA-256 of ``content``; ``sha256_bytes(b"")[:8] == "e3b0c442"``."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: str | os.PathLike) -> str:
    """Hex SHA-256 of a file, read in 1 MiB pieces."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomic(path: str | os.PathLike, content: str | bytes) -> Path:
    """Write ``content`` (text as UTF-8) to ``path`` so that a reader sees the old file or the new one, never half.

    The bytes go to a temporary file in the same folder, which then replaces the target. If anything fails (a full
    disk, a missing permission) the temporary file is removed and the target is untouched.

    Raises:
        CourseError: naming the file and the system's reason.
    """
    path = Path(path)
    payload = content.encode("utf-8") if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as stream:
            stream.write(payload)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes it private; a report is an ordinary file
        os.replace(temporary, path)
    except OSError as error:
        raise CourseError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose a writable folder"
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    return path


def parse_json(content: str | bytes):
    """The value of a JSON text that may come from anybody: every refusal is a ``ValueError``.

    Python raises ``RecursionError`` for nesting deeper than its stack, which a caller who expects bad text easily
    forgets.

    Raises:
        ValueError: what :func:`json.loads` says, or that it is nested too deeply.
    """
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json(path: str | os.PathLike, what: str = "file"):
    """Parse a JSON file; ``what`` names its role in the error ("the manifest", "a golden file").

    Raises:
        CourseError: when it is missing, unreadable or not JSON, naming the line.
    """
    try:
        return parse_json(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CourseError(f"{what} {path} is missing; restore it from version control") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"{what} {path} cannot be read: {error}") from error
    except json.JSONDecodeError as error:
        raise CourseError(f"{what} {path} is not JSON at line {error.lineno}: {error.msg}") from error
    except ValueError as error:
        raise CourseError(f"{what} {path} is not JSON: {error}") from error


def home() -> Path:
    """Folder for fetched data and registries: ``FINQA_LAB_HOME``, else the user's cache folder."""
    import platformdirs  # here, so that `finqa-lab doctor` runs in an environment that lacks it

    return Path(os.environ.get("FINQA_LAB_HOME") or platformdirs.user_cache_dir("finqa-lab"))


def data_root() -> Path:
    """Folder of the shipped data: ``FINQA_LAB_DATA``, else ``data/`` beside the library."""
    return Path(os.environ.get("FINQA_LAB_DATA") or REPOSITORY / "data")


def data_path(name: str) -> Path:
    """Path of a shipped data file, after its SHA-256 was compared with ``data/manifest.json``.

    Args:
        name: path below ``data/``, with forward slashes, as the manifest lists it: ``"text/filings.txt"``.

    Raises:
        CourseError: when the file is not in the manifest, is missing, or has other bytes.
    """
    root = data_root()
    files = read_json(root / "manifest.json", "the data manifest")["files"]
    if name not in files:
        raise CourseError(
            f"data file '{name}' is not in {root / 'manifest.json'}; it lists: {', '.join(sorted(files))}"
        )
    path = root / name
    if not path.is_file():
        raise CourseError(
            f"data file {path} is missing; restore it with `git checkout -- data` or rebuild it with "
            f"`{files[name]['command']}`"
        )
    found = sha256_file(path)
    if found != files[name]["sha256"]:
        raise CourseError(
            f"data file {path} is damaged: sha256 {found[:12]}..., the manifest says {files[name]['sha256'][:12]}...; "
            f"restore it with `git checkout -- data` or rebuild it with `{files[name]['command']}`"
        )
    return path


def data_problems() -> list[str]:
    """What differs between ``data/`` and its manifest, one sentence each; [] when all files are what they should be."""
    found = []
    for name in read_json(data_root() / "manifest.json", "the data manifest")["files"]:
        try:
            data_path(name)
        except CourseError as error:
            found.append(str(error))
    return found


def register_data(name: str, content: bytes, command: str) -> Path:
    """Write a shipped data file and its manifest line (used by the generators, never by a lab).

    Args:
        name: path below ``data/``.
        content: the bytes.
        command: the command that makes the file again, shown when it is missing or damaged.
    """
    root = data_root()
    manifest_path = root / "manifest.json"
    manifest = read_json(manifest_path, "the data manifest") if manifest_path.exists() else {"files": {}}
    path = write_atomic(root / name, content)
    manifest["files"][name] = {"sha256": sha256_bytes(content), "bytes": len(content), "command": command}
    manifest["files"] = dict(sorted(manifest["files"].items()))
    write_atomic(manifest_path, json.dumps(manifest, indent=1) + "\n")
    return path
