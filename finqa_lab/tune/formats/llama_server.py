"""llama.cpp's own HTTP server in this process, on loopback, for as long as a ``with`` block lasts.

The package ``xllamacpp`` holds llama.cpp compiled for the CPU and starts its server on a free port of 127.0.0.1; the
answers are those of ``llama-server`` (``/v1/completions``, ``/v1/chat/completions``, ``/tokenize``, ``/props``).
"""

import importlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finqa_lab.errors import CourseError

MAGIC = b"GGUF"
_LONGEST = 120.0  # seconds for an answer


def xllamacpp():
    """The package, imported when first needed.

    Raises:
        CourseError: when it is not installed.
    """
    try:
        return importlib.import_module("xllamacpp")
    except ImportError:
        raise CourseError(
            'serving GGUF needs the package xllamacpp, which is not installed; run `pip install "finqa-lab[gguf]"`'
        ) from None


@contextmanager
def serving(path: str | os.PathLike, context: int = 0, threads: int = 1, rows: int = 1) -> Iterator[str]:
    """Serve a GGUF file: ``with serving("model.gguf") as address: post(address, "/v1/completions", {...})``.

    Only this machine can reach it; every program on it can, because there is no key.

    Args:
        path: of the file.
        context: positions for each row; 0 takes the context of the model.
        threads: that compute.
        rows: texts that are written at the same time.

    Yields:
        The address, such as ``http://127.0.0.1:41234``; nothing listens there once the block is left.

    Raises:
        CourseError: when the file is missing or llama.cpp does not load it, or the package is missing.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            found = stream.read(len(MAGIC))
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror}; write it with write_gguf first") from None
    if found != MAGIC:
        raise CourseError(f"{path} is no GGUF file, it begins with {found!r}; give a file that write_gguf wrote")
    library = xllamacpp()
    settings = library.CommonParams()
    settings.model.path = str(path)
    settings.hostnames = ["127.0.0.1"]
    settings.n_ctx, settings.n_parallel = context * rows, rows
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
    settings.verbosity, settings.warmup, settings.ui = 0, False, False
    settings.cors_origins = "http://127.0.0.1"  # or any page in a browser could ask
    try:
        server = library.Server(settings)
    except RuntimeError as error:
        raise CourseError(f"llama.cpp does not load {path}: {error}; look at its keys with gguf.GGUFReader") from None
    address = server.listening_address
    try:
        # This answer comes from the server's main loop. Stopped before that loop has begun, the server waits forever.
        with urllib.request.urlopen(f"{address}/slots", timeout=_LONGEST) as answer:
            answer.read()
        yield address
    finally:
        del server  # which stops it


def post(address: str, path: str, body: dict) -> dict:
    """The answer to a request with a JSON body.

    Raises:
        CourseError: with the server's own words when it refuses, or when nobody listens.
    """
    request = urllib.request.Request(address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=_LONGEST) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        words = error.read().decode(errors="replace")[:300]
        raise CourseError(f"the server answers {path} with {error.code}: {words}; correct the request") from None
    except OSError as error:
        raise CourseError(f"nobody answers at {address}: {error}; is the `with` block still open?") from None
