"""The scripts that the built book needs in the browser, kept in the repository so that a page never asks the network.

``book/vendor.json`` names npm packages with their versions and SHA-512 integrity, and the few files kept of
each. ``finqa-lab vendor --fetch`` downloads them again with ``npm pack``, verifies, trims and writes; ``finqa-lab
vendor`` compares the files on disk with the recorded hashes. Building the book needs neither npm nor a network.
"""

import base64
import fnmatch
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from finqa_lab.course import labs
from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, sha256_bytes, sha256_file, write_atomic


def lock_path() -> Path:
    """The list of packages and hashes."""
    return labs.root() / "book" / "vendor.json"


def folder() -> Path:
    """Where the files lie; the build copies this folder to the root of the HTML."""
    return labs.root() / "book" / "vendor"


def problems() -> list[str]:
    """What differs between the files on disk and the recorded hashes; [] when all is well."""
    found = []
    for package in read_json(lock_path(), "the vendor list")["packages"]:
        for target, digest in package["sha256"].items():
            path = folder() / target
            if not path.is_file():
                found.append(f"{path} is missing; restore it from version control or run `finqa-lab vendor --fetch`")
            elif sha256_file(path) != digest:
                found.append(f"{path} is not the recorded file; restore it or run `finqa-lab vendor --fetch`")
    return found


def fetch() -> list[Path]:
    """Download, verify, trim and write all packages; returns the files written.

    Raises:
        CourseError: when npm is missing or fails, or a package's integrity is not the recorded one.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise CourseError(
            "npm is not installed; it is needed only to refresh book/vendor, which the repository carries"
        )
    lock, written = read_json(lock_path(), "the vendor list"), []
    with tempfile.TemporaryDirectory() as scratch:
        for package in lock["packages"]:
            archive = _pack(npm, package, Path(scratch))
            package["sha256"] = {}
            for target, content in _kept(archive, package["files"]).items():
                written.append(write_atomic(folder() / target, content))
                package["sha256"][target] = sha256_bytes(content)
    write_atomic(lock_path(), json.dumps(lock, indent=1) + "\n")
    return written


def _pack(npm: str, package: dict, scratch: Path) -> Path:
    name = f"{package['name']}@{package['version']}"
    done = subprocess.run([npm, "pack", name, "--silent"], cwd=scratch, capture_output=True, text=True, timeout=300)
    archives = sorted(scratch.glob("*.tgz"), key=lambda path: path.stat().st_mtime)
    if done.returncode or not archives:
        reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit status {done.returncode}"
        raise CourseError(f"npm could not fetch {name}: {reason}")
    archive = archives[-1].rename(scratch / f"{package['version']}-{len(archives)}.tar.gz")
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != package["integrity"]:
        raise CourseError(f"{name} has integrity {found[:20]}..., {lock_path()} says {package['integrity'][:20]}...")
    return archive


def _kept(archive: Path, files: dict[str, str]) -> dict[str, bytes]:
    """Contents of the archive's members that match a pattern of ``files`` (pattern -> target file or folder/)."""
    kept = {}
    with tarfile.open(archive) as tar:
        # Read member by member; nothing is ever extracted to a path that the archive chooses.
        for member in tar:
            for pattern, target in files.items():
                if member.isfile() and fnmatch.fnmatchcase(member.name, f"package/{pattern}"):
                    name = target + member.name.rpartition("/")[2] if target.endswith("/") else target
                    kept[name] = tar.extractfile(member).read()
    if not kept:
        raise CourseError(f"none of {', '.join(files)} is in {archive.name}; mend the patterns in {lock_path()}")
    return kept
