"""LoRA: equal to peft in outputs, gradients and merged weights; adapters come and go and leave the base alone."""

import copy
import math

import pytest
import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.hub import save_pretrained
from finqa_lab.nn.hub_weights import hub_name
from finqa_lab.nn.transformer import Decoder
from finqa_lab.tune.lora import (
    ATTENTION,
    LoRAConfig,
    adapted_layers,
    add_adapter,
    base_model,
    merge,
    parameter_count,
    set_adapter,
    trainable,
    unmerge,
)

CONFIG = DecoderConfig.llama(96, 64, 2, 4, 128, 64, kv_heads=2)
TOKENS = torch.randint(0, 96, (3, 17), generator=torch.Generator().manual_seed(1))


DEFAULT = LoRAConfig()


def adapted(config=DEFAULT, seed=0, filled=True):
    model = Decoder(CONFIG)
    add_adapter(model, config)
    if filled:
        fill(model, seed)
    return model


def fill(model, seed, name="default"):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in adapted_layers(model).values():
            if name in layer.adapters:
                layer.adapters[name].b.normal_(std=0.1, generator=generator)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_pretrained(tmp_path_factory.mktemp("base") / "model", Decoder(CONFIG))


@pytest.mark.parametrize(
    "config",
    [
        LoRAConfig(),
        LoRAConfig(rank=3, alpha=5, targets=ATTENTION),
        LoRAConfig(rank=16, alpha=32, rank_stabilised=True),
        LoRAConfig(rank=1, alpha=1, targets=("down",)),
    ],
)
def test_outputs_gradients_and_merged_weights_are_those_of_peft(config, folder):
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    ours = adapted(config, seed=3)
    names = {path: hub_name(path + ".").rstrip(".") for path in adapted_layers(ours)}
    theirs = peft.get_peft_model(
        AutoModelForCausalLM.from_pretrained(folder),
        peft.LoraConfig(
            r=config.rank,
            lora_alpha=config.alpha,
            use_rslora=config.rank_stabilised,
            target_modules=sorted({name.rpartition(".")[2] for name in names.values()}),
        ),
    )
    modules = dict(theirs.base_model.model.named_modules())
    with torch.no_grad():
        for path, layer in adapted_layers(ours).items():
            modules[names[path]].lora_A["default"].weight.copy_(layer.adapters["default"].a)
            modules[names[path]].lora_B["default"].weight.copy_(layer.adapters["default"].b)
    ours_logits, their_logits = ours(TOKENS), theirs(TOKENS).logits
    torch.testing.assert_close(ours_logits, their_logits, rtol=0, atol=1e-5)
    weight = torch.randn(ours_logits.shape, generator=torch.Generator().manual_seed(2))
    (ours_logits * weight).mean().backward()
    (their_logits * weight).mean().backward()
    assert sum(p.numel() for p in trainable(ours)) == sum(p.numel() for p in theirs.parameters() if p.requires_grad)
    for path, layer in adapted_layers(ours).items():
        for mine, part in ((layer.adapters["default"].a, "lora_A"), (layer.adapters["default"].b, "lora_B")):
            torch.testing.assert_close(
                mine.grad, getattr(modules[names[path]], part)["default"].weight.grad, atol=1e-6, rtol=1e-4
            )
    merge(ours)
    merged = dict(theirs.merge_and_unload().named_modules())
    for path, layer in adapted_layers(ours).items():
        torch.testing.assert_close(layer.weight, merged[names[path]].weight, rtol=0, atol=1e-6)


def test_a_new_adapter_changes_nothing():
    plain, model = Decoder(CONFIG), adapted(filled=False)
    assert torch.equal(plain(TOKENS), model(TOKENS))


def test_only_the_adapter_learns():
    model = adapted()
    model(TOKENS).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == (".adapters." in name), name
    shapes = [tuple(layer.weight.shape) for layer in adapted_layers(model).values()]
    assert sum(p.numel() for p in trainable(model)) == parameter_count(shapes, 8)


def test_merging_keeps_the_outputs_and_unmerging_the_bits():
    model = adapted()
    before = {path: layer.weight.clone() for path, layer in adapted_layers(model).items()}
    apart = model(TOKENS)
    merge(model)
    torch.testing.assert_close(model(TOKENS), apart, rtol=0, atol=1e-5)
    with pytest.raises(CourseError, match="'default' is merged already"):
        merge(model)
    unmerge(model)
    assert all(torch.equal(layer.weight, before[path]) for path, layer in adapted_layers(model).items())
    assert torch.equal(model(TOKENS), apart)


def test_adapters_are_swapped_without_a_trace():
    model = adapted(seed=1)
    add_adapter(model, LoRAConfig(rank=2, targets=("query",)), "second", seed=5)
    fill(model, 2, "second")
    second = model(TOKENS)
    set_adapter(model, "default")
    first = model(TOKENS)
    assert torch.equal(first, adapted(seed=1)(TOKENS)) and not torch.allclose(first, second)
    merge(model)
    set_adapter(model, "second")  # unmerges
    assert torch.equal(model(TOKENS), second)
    with base_model(model):
        assert torch.equal(model(TOKENS), Decoder(CONFIG)(TOKENS))
    assert torch.equal(model(TOKENS), second)
    assert {p.shape[0] for p in trainable(model)} == {2, CONFIG.width}


def test_the_seed_decides_the_start():
    first, again, other = (
        [layer.adapters["x"].a for layer in adapted_layers(model).values()]
        for seed in (0, 0, 1)
        if add_adapter(model := Decoder(CONFIG), LoRAConfig(), "x", seed)
    )
    assert all(map(torch.equal, first, again)) and not any(map(torch.equal, first, other))
    bound = 1 / math.sqrt(CONFIG.width)
    assert 0.9 * bound < first[0].abs().max() <= bound


def test_dropout_acts_in_training_only():
    model = adapted(LoRAConfig(dropout=0.5))
    assert not torch.equal(model(TOKENS), model(TOKENS))
    model.eval()
    assert torch.equal(model(TOKENS), model(TOKENS))


@pytest.mark.parametrize(
    ("config", "name", "message"),
    [
        (LoRAConfig(targets=("q_proj",)), "x", "no linear layer is named q_proj"),
        (LoRAConfig(rank=65), "x", "rank 65 does not fit"),
        (LoRAConfig(rank=0), "x", "rank 0 does not fit"),
        (LoRAConfig(), "default", "has an adapter 'default' already"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_changes(config, name, message):
    model = adapted()
    before = copy.deepcopy(model)
    with pytest.raises(CourseError, match=message):
        add_adapter(model, config, name)
    assert list(model.state_dict()) == list(before.state_dict())
    assert torch.equal(model(TOKENS), before(TOKENS))
    with pytest.raises(CourseError, match="there is no adapter 'other'; the model has default"):
        set_adapter(model, "other")
