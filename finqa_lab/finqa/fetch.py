"""The public release of FinQA, downloaded at one revision and checked against pinned SHA-256 sums.

Source: https://github.com/czyssrs/FinQA, folder ``dataset``, MIT licence (Z. Chen et al., EMNLP 2021).

What is verified: the commit is part of the address, every file must have the SHA-256 below, and it must then read as a
list of as many records as the paper counts. What is not: the sums were not computed by this course. They were taken
from several independent public projects that pin the same commit and state the same sums, and nothing here says that
the annotations are right.

A download goes to a hidden partial file that is named after the expected sum; a later run continues it. The target
appears when everything holds, and otherwise stays as it was. Two runs at once spoil each other's partial file; the
sum then refuses it.
"""

import http.client
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from finqa_lab.errors import CourseError
from finqa_lab.files import home, read_json, sha256_file, write_atomic
from finqa_lab.finqa.records import Records, read_records

REVISION = "0f16e2867befa6840783e58be38c9efb9229d742"
BASE_URL = f"https://raw.githubusercontent.com/czyssrs/FinQA/{REVISION}/dataset"
MANIFEST = "manifest.json"
LARGEST = 512 * 2**20
"""Bytes after which a download is given up; the largest file of the release has less than 100 MB."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ATTEMPTS = 3
"""How often a connection that breaks off is taken up again within one run."""
PIECE = 256 * 2**10

Progress = Callable[[str, int, int | None], None]
"""Called with file name, bytes so far, and all bytes (None when the server does not say)."""


@dataclass(frozen=True)
class Source:
    """A file of the release.

    Attributes:
        name: of the file.
        sha256: hex sum that it must have.
        records: entries that it must hold; None checks no count.
    """

    name: str
    sha256: str
    records: int | None = None


FILES = (
    Source("train.json", "49f237eb9779b569473b26b08048867d04635a7cc39ad6a7a5664c55bb428db6", 6251),
    Source("dev.json", "a847fb7e0d61a3125a1e2909852df6b89f1ee64d2c5ff1bf689e332214deee51", 883),
    Source("test.json", "831dbfb2e785dbc227f895ce3f24046433467aec67b09db2bd6ac7692a8a30dc", 1147),
)


@dataclass(frozen=True)
class Fetched:
    """What was done about one file: where it is, whether bytes were downloaded, how many records it holds."""

    path: Path
    downloaded: bool
    records: int
    left_out: int


def folder() -> Path:
    """Where the release is kept: ``finqa`` in the course's home."""
    return home() / "finqa"


def with_sums(assignments: list[str], sources: tuple[Source, ...] = FILES) -> tuple[Source, ...]:
    """The sources with other sums, from texts ``FILE=HEX``; the count of records is then not checked.

    >>> with_sums(["dev.json=" + "0" * 64])[1].records is None
    True

    Raises:
        CourseError: for an unknown file or a text that is no sum.
    """
    known = {source.name: source for source in sources}
    for text in assignments:
        name, _, value = text.partition("=")
        if name not in known:
            raise CourseError(f"--sha256 names the file '{name}'; the files are {', '.join(known)}")
        if not re.fullmatch("[0-9a-fA-F]{64}", value):
            raise CourseError(f"--sha256 {name}=... needs 64 hexadecimal digits, not '{value[:80]}'")
        known[name] = replace(known[name], sha256=value.lower(), records=None)
    return tuple(known.values())


def fetch(
    target: str | os.PathLike | None = None,
    base_url: str = BASE_URL,
    sources: tuple[Source, ...] = FILES,
    on_progress: Progress = lambda name, done, total: None,
    timeout: float = 60.0,
) -> list[Fetched]:
    """Download what is not there yet, and verify what is.

    Args:
        target: folder, made when missing; default :func:`folder`.
        base_url: https address (or http to this machine) to which ``/dev.json`` and so on is added.
        sources: files with their sums.
        on_progress: see :obj:`Progress`.
        timeout: seconds that the server may stay silent.

    Raises:
        CourseError: one sentence: no network, a refusal by the server, another sum, a content that is no FinQA file.
    """
    check_url(base_url)
    target = Path(target) if target is not None else folder()
    fetched = []
    for source in sources:
        path, entry = target / source.name, stated(target).get(source.name)
        present = path.is_file() and sha256_file(path) == source.sha256
        if present and entry is not None and entry["sha256"] == source.sha256:
            fetched.append(Fetched(path, False, entry["records"], entry["left_out"]))
            continue
        url = f"{base_url.rstrip('/')}/{source.name}"
        if not present:
            partial = _download(url, target, source, on_progress, timeout)
            found = _verified(partial, url, source)
            _move(partial, path)
        else:  # put there by hand: the sum is right, the manifest does not know it yet
            found = _read(path, url, source)
        _state(target, source, url, path.stat().st_size, found)
        fetched.append(Fetched(path, not present, len(found.records), len(found.problems)))
    return fetched


def fetched_path(name: str, target: str | os.PathLike | None = None) -> Path:
    """Path of a fetched file, after its sum was compared with the manifest that ``fetch`` wrote.

    Raises:
        CourseError: when it was not fetched, or changed since.
    """
    target = Path(target) if target is not None else folder()
    path, entry = target / name, stated(target).get(name)
    if entry is None or not path.is_file():
        raise CourseError(f"{path} was not fetched; `finqa-lab data fetch finqa` downloads the public release of FinQA")
    if sha256_file(path) != entry["sha256"]:
        raise CourseError(f"{path} changed since it was fetched; `finqa-lab data fetch finqa` downloads it again")
    return path


def stated(target: Path) -> Mapping[str, dict]:
    """What the manifest of a fetched folder says of its files; {} without a manifest."""
    path = target / MANIFEST
    if not path.is_file():
        return {}
    files = read_json(path, "the manifest of the fetched files")
    files = files.get("files") if isinstance(files, dict) else None
    needed = {"sha256", "records", "left_out"}
    if not isinstance(files, dict) or not all(isinstance(e, dict) and needed <= set(e) for e in files.values()):
        raise CourseError(f"{path} is no manifest of fetched files; remove it and fetch again")
    return files


def check_url(url: str) -> None:
    """Refuse every address but https, and http to this machine.

    >>> check_url("file:///etc/passwd")
    Traceback (most recent call last):
    ...
    finqa_lab.errors.CourseError: the address file:///etc/passwd is refused; give an https address
    """
    parts = urlsplit(url)
    loopback = parts.hostname in LOOPBACK
    if not ((loopback and parts.scheme == "http") or (parts.scheme == "https" and parts.hostname)):
        raise CourseError(f"the address {url} is refused; give an https address")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects only to addresses that would be taken themselves."""

    def redirect_request(self, request, response, code, message, headers, new_url):
        check_url(new_url)
        return super().redirect_request(request, response, code, message, headers, new_url)


def _download(url: str, target: Path, source: Source, on_progress: Progress, timeout: float) -> Path:
    """The partial file, complete; kept when the connection breaks off."""
    partial = target / f".{source.name}.{source.sha256[:12]}.part"
    try:
        target.mkdir(parents=True, exist_ok=True)
        for _ in range(ATTEMPTS):
            done, total = _continue(url, partial, source.name, on_progress, timeout)
            if total is None or done == total:
                return partial
    except CourseError:
        partial.unlink(missing_ok=True)
        raise
    except urllib.error.HTTPError as error:
        raise CourseError(f"{url} answered {error.code} {error.reason}; check the address, or try later") from None
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise CourseError(
            f"{urlsplit(url).hostname} cannot be reached for {source.name} ({reason}); check the network and run the "
            "command again, which continues where it stopped"
        ) from None
    except OSError as error:
        raise CourseError(
            f"cannot write {partial}: {error.strerror or error}; free some space or choose a writable folder"
        ) from None
    raise CourseError(
        f"{url} broke off after {done:,} of {total:,} bytes, {ATTEMPTS} times; run the command again, which continues "
        "where it stopped"
    )


def _continue(url: str, partial: Path, name: str, on_progress: Progress, timeout: float) -> tuple[int, int | None]:
    """One request for the bytes that are still missing; returns the bytes there are now, and all of them."""
    done = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity", "User-Agent": "finqa-lab"})
    if done:
        request.add_header("Range", f"bytes={done}-")
    handlers = [_Redirects, *([urllib.request.ProxyHandler({})] if urlsplit(url).hostname in LOOPBACK else [])]
    try:
        response = urllib.request.build_opener(*handlers).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not done:
            raise
        size = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
        if size and int(size[1]) == done:  # an earlier run had it all and was stopped before it could verify it
            return done, done
        partial.unlink()
        return 0, int(size[1]) if size else LARGEST
    with response:
        length = response.headers.get("Content-Length", "")
        span = re.match(rf"bytes {done}-", response.headers.get("Content-Range", ""))
        if not (done and response.status == 206 and span):
            done = 0  # the server ignores ranges and sends everything
        total = done + int(length) if length.isdigit() else None
        if (total or 0) > LARGEST:
            raise CourseError(f"{url} has {total:,} bytes, more than {LARGEST:,}; this is not a file of FinQA")
        with open(partial, "ab" if done else "wb") as stream:
            while piece := response.read(PIECE):
                done += len(piece)
                if done > LARGEST:
                    raise CourseError(f"{url} sends more than {LARGEST:,} bytes; this is not a file of FinQA")
                stream.write(piece)
                on_progress(name, done, total)
    return done, total


def _verified(partial: Path, url: str, source: Source) -> Records:
    """The records of a complete partial file, which is removed when anything does not hold."""
    try:
        found = sha256_file(partial)
        if found != source.sha256:
            raise CourseError(
                f"{url} has sha256 {found}, expected {source.sha256}; the partial file is removed: fetch again, and if "
                "it stays so the address serves another file"
            )
        return _read(partial, url, source)
    except CourseError:
        partial.unlink(missing_ok=True)
        raise


def _read(path: Path, url: str, source: Source) -> Records:
    try:
        found = read_records(path)
    except CourseError as error:
        raise CourseError(f"{url} has the expected sum but is no FinQA file: {error}") from None
    count = len(found.records) + len(found.problems)
    if source.records not in (None, count):
        raise CourseError(f"{url} holds {count} records, expected {source.records}; it is another file of FinQA")
    return found


def _move(partial: Path, path: Path) -> None:
    try:
        os.replace(partial, path)
    except OSError as error:
        raise CourseError(f"cannot write {path}: {error.strerror or error}; choose a writable folder") from None


def _state(target: Path, source: Source, url: str, size: int, found: Records) -> None:
    """Write down what was verified."""
    files = dict(stated(target))
    files[source.name] = {
        "url": url,
        "bytes": size,
        "sha256": source.sha256,
        "records": len(found.records),
        "left_out": len(found.problems),
    }
    write_atomic(target / MANIFEST, json.dumps({"files": dict(sorted(files.items()))}, indent=1) + "\n")
