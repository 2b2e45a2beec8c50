"""Adapters on disk: ours in peft and peft's in ours, and refusals that leave the model as it was."""

import json

import pytest
import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.hub import save_pretrained
from finqa_lab.nn.transformer import Decoder
from finqa_lab.tune.adapters import CONFIG_FILE, WEIGHTS_FILE, fingerprint, load_adapter, save_adapter
from finqa_lab.tune.lora import LoRAConfig, adapted_layers, add_adapter, merge, set_adapter
from tests.tune.test_lora import CONFIG, TOKENS, adapted

SETTINGS = LoRAConfig(rank=4, alpha=12, targets=("query", "value", "down"), rank_stabilised=True)


@pytest.fixture
def saved(tmp_path):
    return save_adapter(tmp_path / "adapter", adapted(SETTINGS, seed=4), SETTINGS)


def test_what_was_saved_is_read_back(saved):
    model = Decoder(CONFIG)
    config = load_adapter(saved, model)
    assert (config.rank, config.alpha, config.rank_stabilised, set(config.targets)) == (
        4,
        12,
        True,
        set(SETTINGS.targets),
    )
    assert torch.equal(model(TOKENS), adapted(SETTINGS, seed=4)(TOKENS))


def test_peft_loads_ours(saved, tmp_path):
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(save_pretrained(tmp_path / "base", Decoder(CONFIG)))
    theirs = peft.PeftModel.from_pretrained(base, saved).eval()
    torch.testing.assert_close(theirs(TOKENS).logits, adapted(SETTINGS, seed=4)(TOKENS), rtol=0, atol=1e-5)


def test_ours_loads_pefts(tmp_path):
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(save_pretrained(tmp_path / "base", Decoder(CONFIG)))
    theirs = peft.get_peft_model(base, peft.LoraConfig(r=5, lora_alpha=7, target_modules=["k_proj", "up_proj"]))
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    theirs.save_pretrained(tmp_path / "adapter")
    model = Decoder(CONFIG)
    assert load_adapter(tmp_path / "adapter", model).rank == 5
    torch.testing.assert_close(model(TOKENS), theirs.eval()(TOKENS).logits, rtol=0, atol=1e-5)


def test_the_fingerprint_is_of_the_base_alone():
    model = Decoder(CONFIG)
    plain = fingerprint(model)
    add_adapter(model, LoRAConfig())
    assert fingerprint(model) == plain
    merge(model)
    assert fingerprint(model) == plain
    assert all(layer.merged for layer in adapted_layers(model).values()), "looking changes nothing"
    assert fingerprint(Decoder(CONFIG, seed=1)) != plain


def test_another_base_is_refused(saved):
    other = Decoder(CONFIG, seed=1)
    before = other(TOKENS)
    with pytest.raises(CourseError, match="was made for a base with sha256"):
        load_adapter(saved, other)
    assert not adapted_layers(other) and torch.equal(other(TOKENS), before)


def test_two_adapters_from_disk_beside_each_other(saved, tmp_path):
    second = save_adapter(tmp_path / "second", adapted(LoRAConfig(), seed=9), LoRAConfig())
    model = Decoder(CONFIG)
    load_adapter(saved, model, "first")
    load_adapter(second, model, "second")
    assert torch.equal(model(TOKENS), adapted(LoRAConfig(), seed=9)(TOKENS))
    set_adapter(model, "first")
    assert torch.equal(model(TOKENS), adapted(SETTINGS, seed=4)(TOKENS))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"peft_type": "IA3"}, "is not of a LoRA adapter"),
        ({"use_dora": True}, "asks for use_dora"),
        ({"bias": "all"}, "asks for biases"),
        ({"r": None}, "needs numbers r and lora_alpha"),
        ({"r": 5}, "has shape"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(saved, change, message):
    path = saved / CONFIG_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    model = Decoder(CONFIG)
    with pytest.raises(CourseError, match=message):
        load_adapter(saved, model)
    assert not adapted_layers(model)


def test_a_damaged_or_missing_file_is_refused(saved, tmp_path):
    (saved / WEIGHTS_FILE).write_bytes((saved / WEIGHTS_FILE).read_bytes()[:100])
    with pytest.raises(CourseError, match="cannot be read"):
        load_adapter(saved, Decoder(CONFIG))
    with pytest.raises(CourseError, match="has no adapter_config.json"):
        load_adapter(tmp_path, Decoder(CONFIG))
    with pytest.raises(CourseError, match="there is no adapter 'x' to save"):
        save_adapter(tmp_path / "none", Decoder(CONFIG), SETTINGS, "x")
    assert not (tmp_path / "none").exists()
