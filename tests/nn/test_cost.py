"""The counted costs against torch's own counter and the weights that exist; the roofline's arithmetic."""

import dataclasses

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from finqa_lab.nn.cache.contiguous import ContiguousCache
from finqa_lab.nn.config import DecoderConfig, LatentConfig
from finqa_lab.nn.cost import Cost, layer_weights, pass_cost
from finqa_lab.nn.roofline import Machine, measure_machine, seconds_of
from finqa_lab.nn.transformer import Decoder

LLAMA = DecoderConfig(
    61, width=32, layers=3, heads=4, hidden=44, context=64, kv_heads=2, mlp="swiglu", positions="rotary"
)
SHAPES = {
    "grouped": LLAMA,
    "one key/value head": dataclasses.replace(LLAMA, kv_heads=1, tied=False),
    "relu, learned": DecoderConfig(17, width=16, layers=2, heads=2, hidden=24, context=64),
    "latent": dataclasses.replace(LLAMA, kv_heads=0, latent=LatentConfig(12, 4)),
    "latent queries": dataclasses.replace(LLAMA, kv_heads=0, latent=LatentConfig(12, 4, query=20)),
}


@pytest.mark.parametrize("config", SHAPES.values(), ids=SHAPES)
def test_layer_weights_are_the_matrices_of_a_block(config):
    block = Decoder(config).blocks[0]
    assert layer_weights(config) == sum(p.numel() for p in block.parameters() if p.ndim == 2)


@pytest.mark.parametrize("behind, new", [(0, 1), (0, 16), (20, 1), (7, 5)])
@pytest.mark.parametrize("config", SHAPES.values(), ids=SHAPES)
def test_operations_equal_torch_s_counter(config, behind, new):
    """torch counts a full square of scores; the law counts what the causal mask leaves, so that part is corrected."""
    model, cache = Decoder(config).eval(), ContiguousCache(config, batch=3)
    if behind:
        model(torch.zeros(3, behind, dtype=torch.int64), cache=cache, start=behind)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(torch.zeros(3, new, dtype=torch.int64), cache=cache)
    first, second = config.cache_shape[1:]
    widths = 2 * first + second if config.latent else first + second
    masked = sum(behind + new - (position + 1) for position in range(behind, behind + new))
    unseen = 2 * config.layers * config.heads * widths * masked * 3
    assert pass_cost(config, new, behind, batch=3).operations == counter.get_total_flops() - unseen


def test_bytes_are_weights_and_cache():
    cost = pass_cost(LLAMA, new=1, behind=20, batch=3, element_bytes=2)
    model, cache = Decoder(LLAMA), ContiguousCache(LLAMA, batch=3, capacity=21, dtype=torch.bfloat16)
    matrices = sum(p.numel() for p in model.parameters() if p.ndim == 2)  # the tied embedding is the head
    assert cost.weight_bytes == 2 * matrices
    assert cost.cache_bytes == cache.nbytes
    assert cost.bytes == cost.weight_bytes + cost.cache_bytes and cost.intensity == cost.operations / cost.bytes


def test_a_window_bounds_operations_and_bytes():
    windowed = dataclasses.replace(LLAMA, window=8, sinks=2)
    far, near = pass_cost(windowed, 1, behind=50), pass_cost(windowed, 1, behind=10)
    assert far == near and far.cache_bytes < pass_cost(LLAMA, 1, behind=50).cache_bytes
    assert pass_cost(windowed, 1, behind=3) == pass_cost(LLAMA, 1, behind=3)


def test_logits_of_the_last_position_only():
    saved = pass_cost(LLAMA, 16).operations - pass_cost(LLAMA, 16, logits=1).operations
    assert saved == 15 * 2 * LLAMA.vocabulary * LLAMA.width


def test_the_two_ceilings_meet_at_the_ridge():
    machine = Machine(bandwidth=10e9, rate=80e9, threads=1, device="cpu", dtype="float32")
    assert machine.ridge == 8 and machine.attainable(8) == machine.attainable(100) == 80e9
    assert machine.attainable(2) == 20e9
    assert Cost(8, 1, 1).seconds(bandwidth=2, rate=1) == 8 and Cost(1, 2, 2).seconds(bandwidth=2, rate=1) == 2


def test_a_machine_is_measured_and_times_are_medians():
    machine = measure_machine(megabytes=1, size=32, repeats=3)
    assert machine.bandwidth > 1e6 and machine.rate > 1e5 and machine.dtype == "float32"
    calls = []
    assert seconds_of(lambda: calls.append(1), repeats=4) < 1 and len(calls) == 5
