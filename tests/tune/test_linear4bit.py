"""A base in four bits: the same gradients as with its values in float32, and as peft; the trap of packed weights."""

import copy
import sys

import pytest
import torch
import torch.nn.functional as F

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.generate import Stop, generate
from finqa_lab.nn.hub import load_pretrained, save_pretrained
from finqa_lab.nn.hub_weights import hub_name
from finqa_lab.nn.transformer import Decoder
from finqa_lab.tune import memory
from finqa_lab.tune.adapters import fingerprint, load_adapter, save_adapter
from finqa_lab.tune.blockwise import quantize
from finqa_lab.tune.linear4bit import (
    dense,
    dequantized,
    is_quantized,
    keep_unpacked,
    quantize_linears,
    quantized_linears,
    stored,
)
from finqa_lab.tune.lora import LoRAConfig, adapted_layers, add_adapter, merge, set_adapter, trainable
from finqa_lab.tune.merged import merged_copy
from tests.tune.test_lora import fill

bitsandbytes = pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
CONFIG = DecoderConfig.llama(96, 64, 2, 4, 128, 64, kv_heads=2)
TOKENS = torch.randint(0, 96, (3, 17), generator=torch.Generator().manual_seed(1))
PACKS = bitsandbytes.nn.modules.has_avx512bf16()


def four_bit(config=CONFIG, **settings):
    model = Decoder(config)
    quantize_linears(model, **settings)
    return model


def adapted(model, seed=3):
    add_adapter(model, LoRAConfig(rank=4, alpha=8))
    fill(model, seed)
    return model


def loss(logits):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten())


@pytest.mark.parametrize("settings", [{}, {"double": False}, {"table": "fp4"}, {"block": 32}])
def test_the_layers_hold_what_blockwise_quantization_says(settings):
    model, plain = four_bit(**settings), Decoder(CONFIG)
    assert len(quantized_linears(model)) == 7 * CONFIG.layers
    for path, layer in quantized_linears(model).items():
        weights = plain.get_submodule(path).weight
        ours = quantize(weights, settings.get("table", "nf4"), settings.get("block", 64), settings.get("double", True))
        if settings.get("table") != "fp4":  # its table has two zeros there
            assert torch.equal(ours.codes, layer.weight.reshape(-1))
        torch.testing.assert_close(dense(layer.weight), ours.dequantize(), rtol=1e-6, atol=1e-7)
    for name, parameter in plain.named_parameters():
        if not name.startswith("blocks.") or "norm" in name:
            assert torch.equal(parameter, model.get_parameter(name)), "embeddings, norms and head stay"


def test_codes_of_half_precision_weights_are_read_back_in_float32():
    model, plain = Decoder(CONFIG).to(torch.bfloat16), Decoder(CONFIG).to(torch.bfloat16)
    quantize_linears(model)
    for path, layer in quantized_linears(model).items():
        ours = quantize(plain.get_submodule(path).weight, double=True).dequantize()
        assert layer.compute_dtype == torch.bfloat16
        torch.testing.assert_close(dense(layer.weight), ours, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("double", [False, True])
def test_gradients_are_those_of_the_values_in_float32(double):
    """Through two layers, for all seven matrices; both sides multiply in float32, in perhaps another order."""
    ours = adapted(four_bit(double=double))
    plain = dequantized(ours)
    assert not quantized_linears(plain) and len(trainable(plain)) == len(trainable(ours)) == 2 * 7 * CONFIG.layers
    losses = [loss(model(TOKENS)) for model in (ours, plain)]
    for value in losses:
        value.backward()
    torch.testing.assert_close(*losses, rtol=1e-6, atol=0)
    for mine, theirs in zip(trainable(ours), trainable(plain), strict=True):
        assert mine.grad.abs().max() > 0
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-5, atol=1e-8)


def test_loss_and_gradients_are_those_of_peft_over_transformers(tmp_path):
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    settings = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    base = AutoModelForCausalLM.from_pretrained(
        save_pretrained(tmp_path / "base", Decoder(CONFIG)), quantization_config=settings, dtype=torch.float32
    )
    assert keep_unpacked(base) == 7 * CONFIG.layers
    ours = adapted(four_bit())
    names = {path: hub_name(path + ".").rstrip(".") for path in adapted_layers(ours)}
    targets = sorted({name.rpartition(".")[2] for name in names.values()})
    theirs = peft.get_peft_model(base, peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets))
    modules = dict(theirs.base_model.model.named_modules())
    pairs = []
    for path, layer in adapted_layers(ours).items():
        assert torch.equal(layer.base.weight, modules[names[path]].base_layer.weight), "the same codes"
        for mine, part in ((layer.adapters["default"].a, "lora_A"), (layer.adapters["default"].b, "lora_B")):
            pairs.append((mine, getattr(modules[names[path]], part)["default"].weight))
    with torch.no_grad():
        for mine, their in pairs:
            their.copy_(mine)
    losses = loss(ours(TOKENS)), theirs(TOKENS, labels=TOKENS).loss
    for value in losses:
        value.backward()
    torch.testing.assert_close(*losses, rtol=1e-5, atol=0)
    for mine, their in pairs:
        torch.testing.assert_close(mine.grad, their.grad, rtol=1e-4, atol=1e-6)


def test_a_pass_in_evaluation_mode_changes_neither_codes_nor_scales():
    model = four_bit().eval()
    before = {path: [t.clone() for t in stored(layer.weight)] for path, layer in quantized_linears(model).items()}
    with torch.no_grad():
        logits = model(TOKENS)
        torch.testing.assert_close(logits, dequantized(model)(TOKENS), rtol=0, atol=1e-6)
    for path, layer in quantized_linears(model).items():
        assert not layer.support_avx512bf16_for_cpu
        assert all(map(torch.equal, stored(layer.weight), before[path])), path
    adapted(model)
    loss(model(TOKENS)).backward()
    assert all(parameter.grad is not None for parameter in trainable(model))


@pytest.mark.skipif(not PACKS, reason="this CPU has no AVX512-BF16, so bitsandbytes repacks nothing")
def test_left_on_the_trap_springs():
    """What the library protects from; should this fail, a new bitsandbytes may need the protection no longer."""
    model, exact = four_bit().eval(), dequantized(four_bit())
    for layer in quantized_linears(model).values():
        layer.support_avx512bf16_for_cpu = True
    with torch.no_grad():
        model(TOKENS)
    path = "blocks.0.attention.query"
    read, true = dense(model.get_submodule(path).weight), exact.get_submodule(path).weight
    assert (read - true).norm() > 0.5 * true.norm(), "read back after one pass: nonsense, and no exception"
    with pytest.raises(CourseError, match="was repacked by a pass in evaluation mode"):
        keep_unpacked(model)


@pytest.mark.parametrize("double", [False, True])
def test_the_weights_take_what_the_floor_says(double):
    """Matrices of whole super-blocks of 64 x 256 weights; double quantization also stores a mean, 4 bytes a matrix."""
    config = DecoderConfig.llama(256, 256, 2, 4, 512, 64, kv_heads=2)
    model = Decoder(config).to(torch.bfloat16)
    quantize_linears(model, double=double)
    add_adapter(model, LoRAConfig(rank=8))
    floor = memory.qlora(config, rank=8, double=double)
    means = 4 * 7 * config.layers if double else 0
    assert memory.measured(model).weights == floor.weights + means
    optimizer = torch.optim.AdamW(trainable(model))
    loss(model(TOKENS)).backward()
    optimizer.step()
    found = memory.measured(model, optimizer)
    assert (found.adapter, found.gradients, found.optimizer) == (floor.adapter, floor.gradients, floor.optimizer)


def test_training_lowers_the_loss_and_leaves_the_base_alone():
    model = four_bit()
    add_adapter(model, LoRAConfig(rank=8, alpha=16))
    before = fingerprint(model)
    optimizer, losses = torch.optim.AdamW(trainable(model), lr=1e-2), []
    for _ in range(20):
        value = loss(model(TOKENS))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert losses[-1] < 0.7 * losses[0] and fingerprint(model) == before


def test_an_adapter_is_merged_into_the_dequantized_copy_only():
    model = adapted(four_bit())
    logits = model(TOKENS)
    with pytest.raises(CourseError, match="cannot be merged into a quantized weight"):
        merge(model)
    assert not any(layer.merged for layer in adapted_layers(model).values())
    assert torch.equal(model(TOKENS), logits)
    copied = dequantized(model)
    merge(copied)
    torch.testing.assert_close(copied(TOKENS), logits, rtol=0, atol=1e-5)


def test_a_merged_copy_is_saved_and_read_back(tmp_path):
    model = adapted(four_bit())
    for wrong in (model, four_bit(), adapted(Decoder(CONFIG))):
        with pytest.raises(CourseError, match="which is no floating-point weight of the plain model"):
            save_pretrained(tmp_path / "wrong", wrong)
    plain = merged_copy(model)
    assert [name for name, _ in plain.named_parameters()] == [name for name, _ in Decoder(CONFIG).named_parameters()]
    again = load_pretrained(save_pretrained(tmp_path / "model", plain)).model
    torch.testing.assert_close(again(TOKENS), model(TOKENS), rtol=0, atol=1e-5)
    with pytest.raises(CourseError, match="no adapter is active"):
        merged_copy(four_bit())


def test_a_partly_quantized_model_is_not_merged_in_part():
    model = four_bit()
    model.blocks[0] = dequantized(model).blocks[0]
    adapted(model)
    with pytest.raises(CourseError, match="quantized weight"):
        merge(model)
    assert not any(layer.merged for layer in adapted_layers(model).values())


def test_adapters_are_swapped_saved_and_loaded(tmp_path):
    model = adapted(four_bit())
    logits = model(TOKENS)
    add_adapter(model, LoRAConfig(rank=2, targets=("query",)), "second")
    set_adapter(model, "default")
    assert torch.equal(model(TOKENS), logits)
    folder = save_adapter(tmp_path / "adapter", model, LoRAConfig(rank=4, alpha=8))
    again = four_bit()
    load_adapter(folder, again)
    assert torch.equal(again(TOKENS), logits)
    plain = dequantized(four_bit())
    load_adapter(folder, plain)
    torch.testing.assert_close(plain(TOKENS), logits, rtol=0, atol=1e-5)


def test_the_fingerprint_is_of_codes_and_scales():
    model = four_bit()
    assert fingerprint(model) == fingerprint(dequantized(model)) == fingerprint(adapted(four_bit()))
    other = Decoder(CONFIG)
    with torch.no_grad():
        for block in other.blocks:
            for matrix in block.mlp.parameters():
                matrix *= 2  # the same codes, other scales
    quantize_linears(other)
    assert torch.equal(other.blocks[0].mlp.up.weight, model.blocks[0].mlp.up.weight)
    assert fingerprint(other) != fingerprint(model) != fingerprint(Decoder(CONFIG))


def test_an_adapter_for_four_bits_is_refused_by_the_base_before_it_unless_asked(tmp_path):
    folder = save_adapter(tmp_path / "adapter", adapted(four_bit()), LoRAConfig(rank=4, alpha=8))
    base = Decoder(CONFIG)
    with pytest.raises(CourseError, match="was made for a base with sha256"):
        load_adapter(folder, base)
    load_adapter(folder, base, any_base=True)
    assert not torch.allclose(base(TOKENS), adapted(four_bit())(TOKENS), atol=1e-3)


def test_copies_are_independent_and_generation_runs():
    model = four_bit().eval()
    new = generate(model, [[1, 2, 3]], Stop(5)).tokens
    assert new == generate(copy.deepcopy(model), [[1, 2, 3]], Stop(5)).tokens
    assert new == generate(dequantized(model), [[1, 2, 3]], Stop(5)).tokens


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"block": 128}, "blocks.0.attention.query has 64 inputs, no multiple of the block of 128"),
        ({"table": "int4"}, "table 'int4' with blocks of 64 is not stored"),
        ({"block": 48}, "blocks of 48 is not stored"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_changes(settings, message):
    model = Decoder(CONFIG)
    with pytest.raises(CourseError, match=message):
        quantize_linears(model, **settings)
    assert not any(map(is_quantized, model.modules()))


def test_only_a_bare_base_is_quantized_and_only_once():
    model = Decoder(CONFIG)
    add_adapter(model, LoRAConfig())
    with pytest.raises(CourseError, match="quantize the base first"):
        quantize_linears(model)
    model = four_bit()
    with pytest.raises(CourseError, match="no linear layer is left"):
        quantize_linears(model)
    with pytest.raises(CourseError, match="rank 65 does not fit blocks.0.attention.query, a matrix of 64 x 64"):
        add_adapter(model, LoRAConfig(rank=65))


def test_biases_and_the_mode_are_kept():
    config = DecoderConfig(vocabulary=17, width=64, layers=1, heads=4, hidden=128, context=12)
    plain = Decoder(config).eval()
    with torch.no_grad():
        plain.blocks[0].mlp.up.bias.normal_()
    model = copy.deepcopy(plain)
    quantize_linears(model, block=32)
    assert torch.equal(model.blocks[0].mlp.up.bias, plain.blocks[0].mlp.up.bias) and not model.blocks[0].mlp.up.training
    tokens = TOKENS[:, :12] % 17
    assert torch.equal(model(tokens), dequantized(model)(tokens))


def test_without_bitsandbytes_one_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    model = Decoder(CONFIG)
    with pytest.raises(CourseError, match=r'run `pip install "finqa-lab\[tune\]"`'):
        quantize_linears(model)
    assert not any(map(is_quantized, model.modules()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_the_values_are_those_of_the_cpu():
    model = Decoder(CONFIG).cuda()
    quantize_linears(model)
    on_cpu = four_bit()
    for path, layer in quantized_linears(model).items():
        torch.testing.assert_close(dense(layer.weight), dense(on_cpu.get_submodule(path).weight), rtol=0, atol=0.2)
    torch.testing.assert_close(model(TOKENS.cuda()).cpu(), dequantized(model).cpu()(TOKENS), rtol=1e-3, atol=1e-3)
