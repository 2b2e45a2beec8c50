"""The memory calculator: equal to the bytes of real tensors, and the known figures for seven billion parameters."""

import pytest
import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.cache.memory import parameter_count
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.transformer import Decoder
from finqa_lab.tune import memory
from finqa_lab.tune.blockwise import quantize
from finqa_lab.tune.lora import LoRAConfig, add_adapter, trainable
from finqa_lab.tune.recompute import recomputed_blocks
from tests.tune.test_lora import CONFIG, TOKENS


def stepped(model):
    optimizer = torch.optim.AdamW(trainable(model), lr=1e-3)
    model(TOKENS).square().mean().backward()
    optimizer.step()
    return memory.measured(model, optimizer)


def test_the_floor_of_full_training_is_what_the_tensors_take():
    model = Decoder(CONFIG)
    assert stepped(model) == memory.full(model.parameter_count(), weight_bytes=4)


@pytest.mark.parametrize("rank", [1, 8])
def test_the_floor_of_lora_is_what_the_tensors_take(rank):
    model = Decoder(CONFIG)
    base = model.parameter_count()
    add_adapter(model, LoRAConfig(rank=rank))
    assert stepped(model) == memory.lora(base, memory.adapter_parameters(CONFIG, rank), weight_bytes=4)


def test_quantized_matrices_take_the_bits_that_are_counted():
    matrix = torch.randn(512, 2048)
    assert quantize(matrix).bits_a_weight == memory.NF4_BITS
    assert quantize(matrix, double=True).bits_a_weight == pytest.approx(memory.NF4_DOUBLE_BITS, abs=1e-4)


def test_seven_billion():
    assert parameter_count(memory.LLAMA_7B) == 6_738_415_616
    assert memory.qlora(memory.LLAMA_7B, 16).weights / memory.GB == pytest.approx(3.34 + 0.52, abs=0.01)
    assert memory.full(10, state_bytes=1).optimizer == 10 * (2 + 4)


def test_the_count_is_for_llamas_only():
    with pytest.raises(CourseError, match="Llama layout"):
        memory.adapter_parameters(DecoderConfig(vocabulary=17, width=64, layers=2, heads=4, hidden=256, context=12), 4)


def test_what_a_pass_keeps_grows_with_the_batch_and_vanishes_without_gradients():
    model = Decoder(CONFIG)
    one, two = (memory.kept_bytes(model, TOKENS[:1].repeat(times, 1)) for times in (1, 2))
    assert 1.9 < two / one < 2.1
    with torch.no_grad():
        assert memory.kept_bytes(model, TOKENS) == 0


def test_a_frozen_base_keeps_less():
    """The input of a frozen matrix is not needed for its gradient; that of an adapter is."""
    full, adapted = Decoder(CONFIG), Decoder(CONFIG)
    add_adapter(adapted, LoRAConfig(rank=2, targets=("query",)))
    assert memory.kept_bytes(adapted, TOKENS) < memory.kept_bytes(full, TOKENS)


def test_a_shell_keeps_what_a_model_keeps_and_the_weights_of_attention():
    """A fused kernel keeps one number a row of them instead. With one position there is one weight, and no more."""
    config = DecoderConfig.llama(96, 64, 2, 4, 128, 64)
    model = Decoder(config).train()
    add_adapter(model, LoRAConfig(rank=4))
    shell = memory.shell(config, rank=4, dtype=torch.float32)
    assert {parameter.device.type for parameter in shell.parameters()} == {"meta"}
    for length in (1, 16):
        tokens = TOKENS[:2, :length]
        more = memory.kept_bytes(shell, tokens.to("meta")) - memory.kept_bytes(model, tokens)
        heads = 4 * config.layers * 2 * config.heads  # bytes of one float32 for each layer, row and head
        assert more == heads * (length * length - length)


@pytest.mark.parametrize(("rank", "floor", "tokens"), [(8, 4.185, 1486), (16, 4.505, 1450), (32, 5.145, 1379)])
def test_the_case_of_seven_billion_as_the_book_has_it(rank, floor, tokens):
    """Floors, tokens that fit between floor and 18 GB, and what a token keeps when blocks are recomputed."""
    model = memory.shell(memory.LLAMA_7B, rank)
    rows = [torch.zeros(1, length, dtype=torch.int64, device="meta") for length in (512, 1024)]
    short, long = (memory.kept_bytes(model, row) for row in rows)
    square = (long - 2 * short) / (1024**2 - 2 * 512**2)  # of the weights of attention
    a_token = short / 512 - square * 512
    with recomputed_blocks(model):
        recomputed = memory.kept_bytes(model, rows[0]) / 512
    total = memory.qlora(memory.LLAMA_7B, rank).total
    assert total / memory.GB == pytest.approx(floor, abs=1e-3)
    assert (18 * memory.GB - total) / a_token == pytest.approx(tokens, rel=0.02), (
        "another PyTorch may keep other tensors"
    )
    assert recomputed == pytest.approx(0.28e6, rel=0.02)
