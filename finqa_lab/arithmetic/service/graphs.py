"""Exported graphs, kept beside the checkpoint they came from.

A graph costs a second of torch to make and a few milliseconds to load; with a graph in the registry the server starts
without importing torch at all. The cache is one file, ``graph.onnx``, whose metadata name the version, the exporter's
revision and the hash of everything else in the file; when any of these does not fit, the graph is made again from the
weights. Before a graph is kept, it answers ``TRIALS`` random problems and the edges of the range exactly as PyTorch
does.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from finqa_lab.arithmetic import vocabulary as voc
from finqa_lab.arithmetic.formats import Format, named
from finqa_lab.arithmetic.problems import SPACE, operands, problem_ids
from finqa_lab.arithmetic.service.engine import OnnxEngine
from finqa_lab.arithmetic.service.registry import CONFIG_FILE, Registry
from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, write_atomic

GRAPH_FILE = "graph.onnx"
TRIALS = 512
REVISION = 1  # raised when the exporter would make another graph of the same checkpoint
_MAGIC = b"finqa-lab graph\n"


def load_engine(registry: Registry, version: str) -> OnnxEngine:
    """The engine of a version, after the version's hash was checked; exports the graph when it is not there yet.

    Raises:
        CourseError: when the version was altered, its format is unknown or its graph disagrees with PyTorch.
    """
    folder = registry.verify(version)
    spelling = spelling_of(folder)
    graph = _read_cached(folder / GRAPH_FILE, version)
    if graph is None:
        graph = _export(folder, spelling, version)
        try:
            write_atomic(folder / GRAPH_FILE, _header(graph, version) + graph)
        except CourseError:
            pass  # a read-only registry is served all the same: only the next start pays for the export again
    return OnnxEngine(graph, spelling, version)


def spelling_of(folder: Path) -> Format:
    """The format that a checkpoint was trained with, from its metadata.

    Raises:
        CourseError: when the metadata name none.
    """
    metadata = read_json(folder / CONFIG_FILE, "the checkpoint's config").get("metadata") or {}
    for holder in (metadata, metadata.get("recipe"), metadata.get("task")):
        for key in ("format", "spelling"):
            if isinstance(holder, dict) and isinstance(holder.get(key), str):
                return named(holder[key])
    raise CourseError(f"{folder / CONFIG_FILE} does not name an arithmetic format in its metadata; train it again")


def _read_cached(path: Path, version: str) -> bytes | None:
    """The graph of a cache file, or None when it is missing, damaged, or made of something else."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    magic, _, rest = content.partition(b"\n")
    header, _, graph = rest.partition(b"\n")
    return graph if magic + b"\n" + header + b"\n" == _header(graph, version) else None


def _header(graph: bytes, version: str) -> bytes:
    """First two lines of a cache file: what it is, and the facts it must agree with."""
    facts = {"version": version, "revision": REVISION, "sha256": hashlib.sha256(graph).hexdigest()}
    return _MAGIC + json.dumps(facts, sort_keys=True).encode() + b"\n"


def _export(folder: Path, spelling: Format, version: str) -> bytes:
    """Make the graph and compare it with PyTorch; torch is imported here and nowhere else in the service."""
    from finqa_lab.arithmetic.formats import PROMPT
    from finqa_lab.arithmetic.service.export import export_greedy
    from finqa_lab.nn.checkpoint import load_checkpoint

    model, _ = load_checkpoint(folder)
    if model.config.vocabulary != voc.SIZE or bool(model.config.places) != spelling.places:
        raise CourseError(f"the checkpoint in {folder} does not fit the format '{spelling.name}'; train it again")
    graph = export_greedy(model, PROMPT, spelling.steps)
    engine = OnnxEngine(graph, spelling, version)
    different = disagreements(model, engine, trial_problems(TRIALS))
    if different:
        raise CourseError(
            f"the exported graph of version {version} answers {different} of {TRIALS} trial problems otherwise than "
            "PyTorch; it was not kept: report this with the versions of torch and onnxruntime"
        )
    return graph


def trial_problems(count: int, seed: int = 0) -> np.ndarray:
    """Ids of ``count`` problems: the edges of the range, then random ones."""
    edges = [(0, 0), (1, 0), (9, 1), (10, 9), (99, 1), (100, 99), (500, 500), (999, 0), (999, 1), (999, 999), (990, 10)]
    left, right = np.array(edges).T
    known = np.concatenate([problem_ids(left, np.full(len(edges), sign), right) for sign in (0, 1)])
    return np.concatenate([known, np.random.default_rng(seed).integers(0, SPACE, count)])[:count]


def disagreements(model, engine: OnnxEngine, ids: np.ndarray, tie: float = 1e-4) -> int:
    """Number of problems whose generated tokens differ between PyTorch's greedy decoding and the graph.

    Two implementations round differently, so a near tie can fall either way: a row whose first different token has a
    logit within ``tie`` of the greedy one is not counted. ``tie=0`` asks for equal tokens.
    """
    import torch

    from finqa_lab.nn.generate import greedy

    spelling = engine.spelling
    prompts = spelling.encode_prompts(*operands(ids))
    places = spelling.digit_places(prompts)
    expected = greedy(
        model, torch.from_numpy(prompts), spelling.steps, None if places is None else torch.from_numpy(places)
    ).numpy()
    found = engine.generate(prompts)
    count = 0
    for row in np.flatnonzero((expected != found).any(axis=1)):
        step = int((expected[row] != found[row]).argmax())
        tokens = np.concatenate([prompts[row], expected[row, :step]])[None]
        here = None if places is None else torch.from_numpy(places[row : row + 1, : tokens.shape[1]])
        with torch.inference_mode():
            logits = model(torch.from_numpy(tokens), here, start=tokens.shape[1] - 1)[0, -1]
        count += float(logits[expected[row, step]] - logits[found[row, step]]) > tie or tie == 0
    return count
