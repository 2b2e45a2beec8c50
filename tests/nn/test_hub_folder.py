"""Model folders that are damaged, incomplete, dangerous or of another model, and disks that fail."""

import json
import os
import weakref

import pytest
import torch
from safetensors.torch import load_file, save_file

from finqa_lab.nn import hub_weights
from finqa_lab.nn.hub import load_pretrained, save_pretrained
from finqa_lab.nn.transformer import Decoder
from tests.nn.hub_samples import edit, ids, refused, small


@pytest.fixture
def folder(tmp_path):
    """A good folder in shards."""
    return save_pretrained(tmp_path / "good", Decoder(small()), max_shard_bytes=5000)


@pytest.mark.parametrize(("eos", "says"), [(61, "eos_token_id 61 is no id of the 61"), ([3, "4"], "'4' is no id")])
def test_end_ids_outside_the_vocabulary_are_refused(folder, eos, says):
    edit(folder / "config.json", eos_token_id=eos)
    refused(f"good: .*{says}", load_pretrained, folder)


def test_a_config_that_does_not_fit_is_named(folder):
    edit(folder / "config.json", mlp_bias=True)
    refused("good/config.json: mlp_bias is True", load_pretrained, folder)


def test_end_ids_of_generation_come_first(folder):
    edit(folder / "config.json", eos_token_id=5)
    assert load_pretrained(folder).eos == (5,)
    (folder / "generation_config.json").write_text('{"eos_token_id": [6, 7]}')
    assert load_pretrained(folder).eos == (6, 7)
    (folder / "generation_config.json").write_text("{}")
    assert load_pretrained(folder).eos == (5,)


def test_absent_or_broken_files_are_named(folder):
    refused("nowhere has no config.json; give a model folder", load_pretrained, folder / "nowhere")
    good = (folder / "config.json").read_text()
    (folder / "config.json").write_text("[]")
    refused("config.json holds no JSON object", load_pretrained, folder)
    (folder / "config.json").write_text(good[:-9])
    refused("config.json is not JSON at line", load_pretrained, folder)
    (folder / "config.json").write_text(good)
    (folder / "tokenizer.json").write_text("{}")
    refused("tokenizer.json is not a tokenizer: .*; copy the folder again", load_pretrained, folder)


def test_index_and_shards_must_agree(folder):
    index = folder / "model.safetensors.index.json"
    good = json.loads(index.read_text())["weight_map"]
    name, first = next(iter(good.items()))
    outside = save_pretrained(folder.parent / "outside", Decoder(small())) / "model.safetensors"
    for path in ("../outside/model.safetensors", str(outside), "a/../../outside/model.safetensors", 3):
        edit(index, weight_map=good | {name: path})
        refused(rf"puts the tensor '{name}' into .*, outside the folder; do not use it", load_pretrained, folder)
    edit(index, weight_map=good | {name: "model-00002-of-00009.safetensors"})
    refused("model-00002-of-00009.safetensors cannot be read: .*; copy the folder again", load_pretrained, folder)
    edit(index, weight_map=good | {name: good["lm_head.weight"]})
    refused(f"puts the tensor '{name}' into {good['lm_head.weight']}, which lacks it", load_pretrained, folder)
    for weight_map in ({}, None, [name]):
        edit(index, weight_map=weight_map)
        refused("index.json has no weight_map", load_pretrained, folder)
    edit(index, weight_map=good)
    (folder / first).write_bytes((folder / first).read_bytes()[:-1])
    refused(f"weights .*{first} are not in safetensors format: .*; copy the folder again", load_pretrained, folder)
    (folder / first).unlink()
    refused(f"weights .*{first} cannot be read", load_pretrained, folder)


def test_pickled_weights_are_never_opened(folder):
    for path in folder.glob("model*"):
        path.unlink()
    refused("has neither model.safetensors nor model.safetensors.index.json", load_pretrained, folder)
    (folder / "pytorch_model.bin").write_bytes(b"code")
    refused(r"pickled weights \(pytorch_model.bin\) .*can run code", load_pretrained, folder)


@pytest.mark.parametrize(
    ("name", "tensor", "says"),
    [
        ("model.layers.1.mlp.up_proj.weight", None, "lacks the tensor 'model.layers.1.mlp.up_proj.weight'"),
        ("lm_head.weight", None, "lacks the tensor 'lm_head.weight'"),
        (
            "model.norm.weight",
            torch.ones(15),
            r"'model.norm.weight' in .* has shape \[15\], the config asks for \[16\]",
        ),
        ("model.layers.2.mlp.up_proj.weight", torch.ones(3), "holds a tensor 'model.layers.2.mlp.up_proj.weight'"),
        ("model.norm.weight", torch.ones(16, dtype=torch.int8), "'model.norm.weight' in .* has the type I8"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path, name, tensor, says):
    folder = save_pretrained(tmp_path / "a", Decoder(small()))
    tensors = load_file(folder / "model.safetensors")
    tensors.pop(name, None)
    save_file(tensors | ({} if tensor is None else {name: tensor}), folder / "model.safetensors")
    refused(says, load_pretrained, folder)


def test_tied_head_may_be_repeated_but_not_differ(tmp_path):
    model = Decoder(small(tied=True))
    folder = save_pretrained(tmp_path / "a", model)
    tensors = load_file(folder / "model.safetensors")
    assert "lm_head.weight" not in tensors
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(2)  # as old checkpoints have it
    save_file(tensors, folder / "model.safetensors")
    assert torch.equal(load_pretrained(folder).model(ids(1, 9)), model(ids(1, 9)))
    tensors["lm_head.weight"][3, 4] += 1
    save_file(tensors, folder / "model.safetensors")
    refused("'lm_head.weight' in .* differs from the embedding, .*; set tie", load_pretrained, folder)


def test_a_folder_with_files_is_not_written_into(folder):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for place in (folder, folder / "config.json"):
        refused("exists and is not empty; give a new folder", save_pretrained, place, Decoder(small()))
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("written", [0, 1, 3])
def test_a_failing_disk_leaves_nothing_behind(tmp_path, monkeypatch, written):
    count = iter(range(100))

    def failing(tensors, path, metadata):
        save_file(tensors, path, metadata)
        if next(count) == written:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(hub_weights, "save_file", failing)
    (tmp_path / "a").mkdir()
    says = "cannot write .*a: .*No space left on device; free some space"
    refused(says, save_pretrained, tmp_path / "a", Decoder(small()), None, (), 4000)
    assert os.listdir(tmp_path) == ["a"] and not os.listdir(tmp_path / "a")


def test_shapes_are_compared_before_anything_is_allocated(folder):
    edit(folder / "config.json", intermediate_size=10**12)
    refused(r"has shape \[24, 16\], the config asks for \[1000000000000, 16\]", load_pretrained, folder)


def test_one_tensor_at_a_time_is_read(folder, monkeypatch):
    """No tensor that was read is alive when the next one is."""
    read, alive = hub_weights.safe_open, []

    class Watched:
        def __init__(self, *arguments, **keywords):
            self.file = read(*arguments, **keywords)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def __getattr__(self, name):
            return getattr(self.file, name)

        def get_tensor(self, name):
            assert not any(reference() is not None for reference in alive)
            tensor = self.file.get_tensor(name)
            alive.append(weakref.ref(tensor))
            return tensor

    monkeypatch.setattr(hub_weights, "safe_open", Watched)
    load_pretrained(folder)
    assert len(alive) == 21
