"""The exported graph answers as PyTorch does, and its cache cannot go stale or bad unnoticed."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch

from finqa_lab.arithmetic.formats import FORMATS, PLACE_ROWS, PROMPT
from finqa_lab.arithmetic.problems import SPACE, operands
from finqa_lab.arithmetic.service import graphs
from finqa_lab.arithmetic.service.defaults import shipped_checkpoint
from finqa_lab.arithmetic.service.engine import OnnxEngine
from finqa_lab.arithmetic.service.export import OPSET, export_greedy
from finqa_lab.arithmetic.service.graphs import GRAPH_FILE, disagreements, load_engine, spelling_of, trial_problems
from finqa_lab.arithmetic.service.registry import Registry
from finqa_lab.arithmetic.service.validation import Problem
from finqa_lab.errors import CourseError
from finqa_lab.nn.checkpoint import load_checkpoint, save_checkpoint
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.generate import greedy
from finqa_lab.nn.transformer import Decoder

SHAPES = [{"kv_heads": 2}, {"mlp": "swiglu"}, {"positions": "none", "layers": 1}]


def decoder(spelling, seed=3, **changes) -> Decoder:
    """A small decoder with random weights (biases and gains too, so that a forgotten one shows)."""
    shape = {"vocabulary": 17, "width": 32, "layers": 2, "heads": 4, "hidden": 64, "context": spelling.length}
    config = DecoderConfig(**(shape | {"places": PLACE_ROWS if spelling.places else 0} | changes))
    model = Decoder(config, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model.eval()


def engine_of(model, spelling) -> OnnxEngine:
    return OnnxEngine(export_greedy(model, PROMPT, spelling.steps), spelling, "test")


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry")


def add(registry, name="reversed", **changes) -> str:
    source = registry.root.parent / f"checkpoint-{name}"
    return registry.add(save_checkpoint(source, decoder(FORMATS[name], **changes), {"format": name}))


@pytest.mark.parametrize("name", FORMATS)
def test_equal_to_pytorch_on_20000_problems_of_each_format(name):
    model = decoder(FORMATS[name])
    assert disagreements(model, engine_of(model, FORMATS[name]), trial_problems(20_000)) == 0


@pytest.mark.parametrize("name", ["reversed", "text_places"])
@pytest.mark.parametrize("changes", SHAPES, ids=str)
def test_equal_to_pytorch_for_other_shapes(name, changes):
    model = decoder(FORMATS[name], **changes)
    assert disagreements(model, engine_of(model, FORMATS[name]), trial_problems(3000)) == 0


def test_exactly_equal_to_pytorch_for_the_shipped_checkpoint():
    folder = shipped_checkpoint()
    if folder is None:
        pytest.fail("no checkpoint is shipped in data/models/arithmetic")
    model, spelling = load_checkpoint(folder)[0], spelling_of(folder)
    assert disagreements(model, engine_of(model, spelling), trial_problems(20_000), tie=0) == 0


def test_a_wrong_graph_is_found():
    spelling = FORMATS["reversed"]
    model, other = decoder(spelling, seed=3), decoder(spelling, seed=4)
    assert disagreements(model, engine_of(other, spelling), trial_problems(512)) > 256


def test_a_slightly_wrong_graph_is_found():
    spelling = FORMATS["reversed"]
    model, other = decoder(spelling), decoder(spelling)
    with torch.no_grad():
        other.blocks[1].mlp.up.bias[5] += 0.5
    assert disagreements(model, engine_of(other, spelling), trial_problems(20_000)) > 0


@pytest.mark.parametrize("batch", [1, 2, 7, 64, 65])
def test_any_batch_size_and_each_row_alone(batch):
    spelling = FORMATS["text_places"]
    engine = engine_of(decoder(spelling), spelling)
    prompts = spelling.encode_prompts(*operands(np.arange(batch) * 997 % SPACE))
    together = engine.generate(prompts)
    alone = np.concatenate([engine.generate(prompts[row : row + 1]) for row in range(batch)])
    assert together.shape == (batch, spelling.steps) and np.array_equal(together, alone)


def test_the_graph_is_plain_onnx_with_the_loop_inside():
    spelling = FORMATS["reversed"]
    graph = onnx.load_from_string(export_greedy(decoder(spelling), PROMPT, spelling.steps))
    onnx.checker.check_model(graph)
    assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", OPSET)]
    kinds = [node.op_type for node in graph.graph.node]
    assert kinds.count("ArgMax") == spelling.steps and "Loop" not in kinds
    assert kinds.count("Softmax") == 2 * spelling.steps  # two layers, one attention a step: the cache is used


def test_the_context_must_hold_prompt_and_steps():
    export_greedy(decoder(FORMATS["reversed"], context=11), PROMPT, 4)  # the last token is never read back
    with pytest.raises(CourseError, match="need a context of 11, but the checkpoint has 10"):
        export_greedy(decoder(FORMATS["reversed"], context=10), PROMPT, 4)


def test_answers_are_those_of_the_tokens():
    spelling = FORMATS["text"]
    model = decoder(spelling)
    problems = [Problem(951, "+", 11), Problem(7, "-", 7), Problem(0, "+", 0)]
    answers = engine_of(model, spelling).answer(problems)
    prompts = spelling.encode_prompts(np.array([951, 7, 0]), np.array([0, 1, 0]), np.array([11, 7, 0]))
    tokens = greedy(model, torch.from_numpy(prompts), spelling.steps).numpy()
    values = spelling.decode_answers(tokens).tolist()
    assert [answer.value for answer in answers] == [value if value >= 0 else None for value in values]
    assert all("$" not in answer.raw[:-1] for answer in answers)


def test_the_graph_is_exported_once_and_then_read(registry, monkeypatch):
    version = add(registry)
    first = load_engine(registry, version)
    assert (registry.folder(version) / GRAPH_FILE).is_file()
    registry.verify(version)  # the cached graph is not part of the version's content

    def forbidden(*_):
        raise AssertionError("exported again")

    monkeypatch.setattr(graphs, "_export", forbidden)
    second = load_engine(registry, version)
    prompts = first.spelling.encode_prompts(*operands(trial_problems(200)))
    assert np.array_equal(first.generate(prompts), second.generate(prompts))


def test_a_damaged_or_foreign_graph_is_made_again(registry):
    version, other = add(registry), add(registry, "plain")
    expected = load_engine(registry, version)
    load_engine(registry, other)
    path = registry.folder(version) / GRAPH_FILE
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    for content in (bytes(flipped), good[:-1], b"", b"\n\n", (registry.folder(other) / GRAPH_FILE).read_bytes()):
        path.write_bytes(content)
        engine = load_engine(registry, version)
        assert path.read_bytes() == good  # the export is deterministic
        prompts = engine.spelling.encode_prompts(*operands(trial_problems(50)))
        assert np.array_equal(engine.generate(prompts), expected.generate(prompts))


def test_a_graph_that_disagrees_is_not_kept(registry, monkeypatch):
    version = add(registry)
    wrong = export_greedy(decoder(FORMATS["reversed"], seed=9), PROMPT, 4)
    monkeypatch.setattr("finqa_lab.arithmetic.service.export.export_greedy", lambda *_: wrong)
    with pytest.raises(CourseError, match="otherwise than PyTorch; it was not kept"):
        load_engine(registry, version)
    assert not (registry.folder(version) / GRAPH_FILE).exists()


def test_a_registry_that_cannot_be_written_still_serves(registry, monkeypatch):
    version = add(registry)

    def full(*_):
        raise CourseError("cannot write: no space left")

    monkeypatch.setattr(graphs, "write_atomic", full)
    assert load_engine(registry, version).version == version


def test_altered_weights_are_refused_before_they_are_opened(registry):
    version = add(registry)
    path = registry.folder(version) / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CourseError, match="was altered"):
        load_engine(registry, version)


def test_a_checkpoint_without_a_format_is_one_sentence(registry, tmp_path):
    source = save_checkpoint(tmp_path / "plainly", decoder(FORMATS["reversed"]), {"seed": 0})
    with pytest.raises(CourseError, match="does not name an arithmetic format"):
        load_engine(registry, registry.add(source))


def test_serving_a_cached_graph_does_not_import_torch(registry):
    version = add(registry)
    load_engine(registry, version)
    code = (
        "import sys\n"
        "from finqa_lab.arithmetic.service.graphs import load_engine\n"
        "from finqa_lab.arithmetic.service.registry import Registry\n"
        "import finqa_lab.arithmetic.service.server\n"
        f"load_engine(Registry({str(registry.root)!r}), {version!r})\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
