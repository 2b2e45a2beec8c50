"""Blockwise quantization: bit for bit what bitsandbytes stores, and the errors that theory expects."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.tune.blockwise import quantize
from finqa_lab.tune.codebooks import codebook, normal_quantiles

functional = pytest.importorskip("bitsandbytes.functional", reason="bitsandbytes is not installed")
SHAPES = [(64,), (1,), (63,), (65,), (129,), (7, 9), (128, 64), (3, 5, 64), (1024, 1023), (16384, 3)]


def normal(shape, seed=0, scale=1.0):
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("block", [32, 64, 128, 4096])
def test_codes_and_scales_are_those_of_bitsandbytes(shape, block):
    for seed, scale in ((0, 1.0), (1, 0.02), (2, 1e3)):
        weights = normal(shape, seed, scale)
        packed, state = functional.quantize_4bit(weights, blocksize=block, quant_type="nf4")
        ours = quantize(weights, block=block)
        assert torch.equal(ours.codes, packed.reshape(-1))
        assert torch.equal(ours.scales, state.absmax)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_have_the_same_codes_too(dtype):
    weights = normal((256, 192)).to(dtype)
    packed, state = functional.quantize_4bit(weights, quant_type="nf4")
    assert torch.equal(quantize(weights).codes, packed.reshape(-1))
    assert torch.equal(quantize(weights).scales, state.absmax.float())


@pytest.mark.parametrize("shape", [(64, 64), (1024, 1024), (700, 191), (65,)])
def test_double_quantization_is_that_of_bitsandbytes(shape):
    for seed in range(3):
        weights = normal(shape, seed, 0.02)
        packed, state = functional.quantize_4bit(weights, quant_type="nf4", compress_statistics=True)
        ours = quantize(weights, double=True)
        assert torch.equal(ours.codes, packed.reshape(-1))
        assert torch.equal(ours.scales.codes, state.absmax)
        assert torch.equal(ours.scales.scales, state.state2.absmax)
        assert torch.equal(ours.scales.mean, state.offset)


@pytest.mark.parametrize("shape", [(64, 64), (512, 192), (5, 64)])
@pytest.mark.parametrize("double", [False, True])
def test_what_is_read_back_is_what_bitsandbytes_reads_back(shape, double):
    weights = normal(shape)
    packed, state = functional.quantize_4bit(weights, quant_type="nf4", compress_statistics=double)
    theirs = functional.dequantize_4bit(packed, state)
    torch.testing.assert_close(quantize(weights, double=double).dequantize(), theirs, rtol=1e-6, atol=1e-7)


def test_the_tables_are_those_of_bitsandbytes():
    assert torch.equal(codebook("nf4"), functional.get_4bit_type("nf4", device="cpu"))
    assert torch.equal(codebook("dynamic8"), functional.create_dynamic_map())
    theirs = functional.get_4bit_type("fp4", device="cpu").unique()
    torch.testing.assert_close(codebook("fp4"), theirs, rtol=0, atol=1e-7)


def test_the_published_table_is_the_derived_one():
    torch.testing.assert_close(codebook("nf4"), torch.tensor(normal_quantiles()), rtol=0, atol=2e-6)


def test_errors_on_normal_weights_come_in_the_order_of_theory():
    weights = normal((1024, 1024))
    error = {
        table: (quantize(weights, table).dequantize() - weights).square().mean().sqrt().item()
        for table in ("nf4", "fp4", "int4", "int8")
    }
    assert error["int8"] < error["nf4"] < error["int4"] < error["fp4"]
    assert error["nf4"] == pytest.approx(0.0921, abs=0.0005), "0.09207 is measured for bitsandbytes on the same kind"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=300),
    st.sampled_from(["nf4", "fp4", "int4", "int8"]),
    st.integers(1, 130),
)
def test_no_weight_moves_by_more_than_half_a_gap_of_its_block(values, table, block):
    weights = torch.tensor(values)
    back = quantize(weights, table, block).dequantize()
    gap = codebook(table).diff().max().item() / 2
    for start in range(0, len(values), block):
        part = slice(start, start + block)
        bound = gap * weights[part].abs().max().item()
        assert (back[part] - weights[part]).abs().max().item() <= bound * (1 + 1e-5) + 1e-37


def test_zeros_stay_zeros_and_the_largest_weight_of_a_block_is_exact():
    weights = normal((4, 64))
    weights[1] = 0
    back = quantize(weights).dequantize()
    assert (back[1] == 0).all()
    assert torch.equal(back.abs().amax(dim=1), weights.abs().amax(dim=1))


@pytest.mark.parametrize("weights", [torch.zeros(0), torch.tensor([1.0, math.nan]), torch.tensor([math.inf])])
def test_what_cannot_be_quantized_is_refused(weights):
    with pytest.raises(CourseError, match="cannot be quantized|NaN or infinite"):
        quantize(weights)


def test_bytes_are_counted_on_the_tensors():
    ours = quantize(normal((1024, 1024)), double=True)
    assert ours.bytes == 2**19 + 2**14 + 4 * 64 + 4
