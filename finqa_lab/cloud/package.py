"""``model.tar.gz``: weights, handler and the library that it needs, the same bytes every time; and back to a folder.

The layout is that of SageMaker's PyTorch and Hugging Face images::

    config.json tokenizer.json tokenizer_config.json model.safetensors     the model, in the Hugging Face layout
    answering.json                                                         the form of the model's replies
    adapter/adapter_config.json adapter/adapter_model.safetensors          perhaps; attached when the handler starts
    code/inference.py code/requirements.txt code/finqa_lab/...             the handler and what it imports

The model lies at the root, so that an image that brings its own server (vLLM, TGI) reads the same archive. Two archives
of the same content have the same SHA-256 (with the same zlib), so a plan can name the bytes that it deploys.
"""

import ast
import gzip
import io
import json
import os
import tarfile
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath

from finqa_lab.cloud.errors import InvalidPackage
from finqa_lab.errors import CourseError
from finqa_lab.files import REPOSITORY, sha256_file

ARCHIVE = "model.tar.gz"
MODEL_PATTERNS = ("*.json", "*.safetensors", "*.jinja")
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
REQUIRED = ("config.json", "tokenizer.json", "code/inference.py", "code/requirements.txt")
REQUIREMENTS = ("jinja2", "platformdirs", "regex", "safetensors", "tokenizers")
"""What the handler imports beside torch and numpy, which the images have."""
FORM_FILE, FORMS = "answering.json", ("json", "program", "free")
"""Where the form of the replies stands, and what it can be (:data:`finqa_lab.cloud.inference.GRAMMARS`)."""
MOST_MEMBERS, MOST_BYTES = 2_000, 40 * 1024**3
_HANDLER = Path(__file__).with_name("inference.py")


@dataclass(frozen=True)
class Package:
    """An archive that was written.

    Attributes:
        path: of the file.
        sha256: of its bytes.
        bytes: their number.
        members: names in it, sorted.
    """

    path: Path
    sha256: str
    bytes: int
    members: tuple[str, ...]

    @property
    def adapted(self) -> bool:
        """Whether an adapter is in it."""
        return f"adapter/{ADAPTER_FILES[0]}" in self.members


def build_package(
    out: str | os.PathLike, model: str | os.PathLike, adapter: str | os.PathLike | None = None, form: str = "json"
) -> Package:
    """Write the archive of a model, whole or not at all.

    Args:
        out: the file, or a folder for ``model.tar.gz``.
        model: folder in the Hugging Face layout; of it JSON, safetensors and the chat template are taken, never a
            pickle. Merged weights are such a folder.
        adapter: folder of an adapter that the handler attaches to it.
        form: of what the model replies, one of :data:`FORMS`; the grammar that binds it.

    Raises:
        CourseError: when there is no such form, a folder lacks a file that is needed, or the archive cannot be written.
    """
    out = Path(out)
    out = out / ARCHIVE if out.is_dir() else out
    if form not in FORMS:
        raise CourseError(f"there is no form '{form}' of answers; choose one of {', '.join(FORMS)}")
    contents = _model_files(Path(model)) | _code_files() | {FORM_FILE: (json.dumps({"form": form}) + "\n").encode()}
    if adapter is not None:
        contents |= _adapter_files(Path(adapter))
    missing = [name for name in REQUIRED if name not in contents]
    if missing:
        raise CourseError(f"{model} has no {missing[0]}; give a chat model's folder in the Hugging Face layout")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=out.parent, prefix=f".{out.name}.", delete=False) as temporary:
            try:
                with gzip.GzipFile("", "wb", compresslevel=6, fileobj=temporary, mtime=0) as packed:
                    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
                        for name in sorted(contents):
                            _add(archive, name, contents[name])
                temporary.flush()
                os.fsync(temporary.fileno())
                os.chmod(temporary.name, 0o644)
                os.replace(temporary.name, out)
            finally:
                Path(temporary.name).unlink(missing_ok=True)
    except OSError as error:
        raise CourseError(f"cannot write {out}: {error.strerror or error}; choose a writable folder") from error
    return Package(out, sha256_file(out), out.stat().st_size, tuple(sorted(contents)))


def inspect_package(path: str | os.PathLike) -> Package:
    """The facts of an archive that lies there; its members are checked.

    Raises:
        InvalidPackage: when it is missing, damaged, or holds what does not belong there.
    """
    path = Path(path)
    with _opened(path) as archive:
        members = _checked(archive, path, MOST_BYTES)
        names = tuple(sorted(member.name for member in members if member.isfile()))
    _require(names, path)
    return Package(path, sha256_file(path), path.stat().st_size, names)


def unpack(
    path: str | os.PathLike, folder: str | os.PathLike, sha256: str | None = None, most_bytes: int = MOST_BYTES
) -> Path:
    """Unpack an archive, as the service does to ``/opt/ml/model``, after its members were checked.

    Only plain files and folders with relative names are taken, through the standard library's ``data`` filter as well:
    no links, no devices, no name that leads out of the folder, none twice, and not more bytes than allowed.

    Args:
        path: the archive.
        folder: an empty or new one.
        sha256: that the archive must have, from the plan.
        most_bytes: unpacked, over all members.

    Raises:
        InvalidPackage: naming the member. Nothing is unpacked then.
    """
    path, folder = Path(path), Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise InvalidPackage(f"{folder} is not empty; unpack into a new folder")
    if sha256 is not None and path.is_file() and (found := sha256_file(path)) != sha256:
        raise InvalidPackage(f"{path} has sha256 {found[:12]}..., the plan says {sha256[:12]}...; make the plan again")
    with _opened(path) as archive:
        members = _checked(archive, path, most_bytes)
        _require([member.name for member in members], path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            archive.extractall(folder, members, filter="data")
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise InvalidPackage(f"{path} cannot be unpacked: {error}; build it again") from None
    return folder


def imported_modules(start: Path, package: str = "finqa_lab") -> dict[str, Path]:
    """The package's modules that a file imports, and those that they import: path in the archive by name.

    Imports inside functions count too. Nothing is run: the sources are parsed.
    """
    found, waiting = {f"{package}/__init__.py": REPOSITORY / package / "__init__.py"}, [start]
    while waiting:
        for name in sorted(_imports(waiting.pop(), package)):
            parts = name.split(".")
            for depth in range(1, len(parts) + 1):
                for candidate in ("/".join(parts[:depth]) + ".py", "/".join(parts[:depth]) + "/__init__.py"):
                    path = REPOSITORY / candidate
                    if path.is_file() and candidate not in found:
                        found[candidate] = path
                        waiting.append(path)
    return found


def _imports(path: Path, package: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.partition(".")[0] == package}


def _model_files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise CourseError(f"there is no model folder {folder}; give a folder in the Hugging Face layout")
    return {path.name: path for pattern in MODEL_PATTERNS for path in folder.glob(pattern) if path.is_file()}


def _adapter_files(folder: Path) -> dict[str, Path]:
    for name in ADAPTER_FILES:
        if not (folder / name).is_file():
            raise CourseError(f"{folder} has no {name}; give a folder that `finqa-lab train` or peft wrote")
    return {f"adapter/{name}": folder / name for name in ADAPTER_FILES}


def _code_files() -> dict[str, Path | bytes]:
    pins = "".join(f"{name}=={metadata.version(name)}\n" for name in REQUIREMENTS)
    modules = {f"code/{name}": path for name, path in imported_modules(_HANDLER).items()}
    return {"code/inference.py": _HANDLER, "code/requirements.txt": pins.encode()} | modules


def _add(archive: tarfile.TarFile, name: str, content: Path | bytes) -> None:
    """One member without a time, an owner or a mode of this machine."""
    member = tarfile.TarInfo(name)
    member.mode = 0o644
    if isinstance(content, bytes):
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
        return
    with open(content, "rb") as stream:
        member.size = os.fstat(stream.fileno()).st_size
        archive.addfile(member, stream)


def _opened(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path, "r:gz")
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise InvalidPackage(f"{path} is no readable {ARCHIVE}: {error}; build it again") from None


def _checked(archive: tarfile.TarFile, path: Path, most_bytes: int) -> list[tarfile.TarInfo]:
    """The members, each harmless; stops reading at the first that is not."""
    members, names, total = [], set(), 0
    try:
        for member in archive:
            name, total = member.name, total + member.size
            shown = repr(name[:80])
            if not (member.isreg() or member.isdir()):
                raise InvalidPackage(f"{path} holds {shown}, which is a link or a device; only files belong there")
            parts = PurePosixPath(name).parts
            if name.startswith(("/", "\\")) or ".." in parts or ":" in name or "\\" in name or "\0" in name:
                raise InvalidPackage(f"{path} holds {shown}, which leads out of the folder")
            if name.casefold() in names:
                raise InvalidPackage(f"{path} holds {shown} twice; build it again")
            if total > most_bytes or len(members) >= MOST_MEMBERS:
                raise InvalidPackage(
                    f"{path} unpacks to more than {most_bytes:,} bytes or {MOST_MEMBERS} files; it was not unpacked"
                )
            names.add(name.casefold())
            members.append(member)
        while piece := archive.fileobj.read(1 << 20):  # to the end, where gzip has the checksum of all of it
            total += len(piece)
            if total > most_bytes + (1 << 20):
                raise InvalidPackage(f"{path} unpacks to more than {most_bytes:,} bytes; it was not unpacked")
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise InvalidPackage(f"{path} is damaged: {error}; build it again") from None
    return members


def _require(names: Iterable[str], path: Path) -> None:
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise InvalidPackage(f"{path} has no {missing[0]}; build it with `finqa-lab cloud plan`")
