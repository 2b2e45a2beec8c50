"""Error tables and perplexities: against bitsandbytes, published figures, and a model really stored in four bits."""

import copy
import math

import pytest
import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.language import bits_per_token, byte_tokens, train_language_model
from finqa_lab.nn.transformer import Decoder
from finqa_lab.tune.linear4bit import quantize_linears
from finqa_lab.tune.quality import FORMATS, block_matrices, errors, qualities, quality, rounded

TOKENS = byte_tokens("Revenue rose by 12.5% in 2019; net income fell to $ 1,234 million. " * 20)


@pytest.fixture(scope="module")
def model():
    decoder = Decoder(DecoderConfig.llama(256, 64, 2, 4, 128, 64))
    train_language_model(decoder, TOKENS, steps=30, batch=4, length=32, lr=1e-2)
    return decoder.eval()


def normal(rows=512, columns=1024, seed=0):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def test_the_errors_on_normal_weights_are_those_measured_with_bitsandbytes():
    """RMSE and mean absolute error that bitsandbytes 0.50 gives on N(0, 1); steps of q round by q / sqrt(12)."""
    row = {row.format: row for row in errors([normal()])}
    assert row["nf4"].rmse == pytest.approx(0.0921, abs=4e-4) == row["nf4, scales in 8 bits"].rmse
    assert row["nf4"].mean_absolute == pytest.approx(0.0728, abs=4e-4)
    assert row["fp4"].mean_absolute == pytest.approx(0.0964, abs=6e-4) and row["fp4"].rmse > row["int4"].rmse
    largest = normal().abs().max().item()
    assert row["int4, one scale a matrix"].rmse == pytest.approx(largest / 7 / math.sqrt(12), rel=0.02)
    assert row["int8"].rmse < row["nf4"].rmse < row["int4"].rmse
    affine = row["affine 4 bits"]  # a range of its own for each group: fewer large errors, more small ones
    assert affine.rmse < row["nf4"].rmse and affine.mean_absolute > row["nf4"].mean_absolute
    assert all(one.relative == pytest.approx(one.rmse, rel=0.01) for one in row.values())


def test_the_bits_of_a_weight_count_its_scales():
    bits = {row.format: row.bits for row in errors([normal(1024, 1024)])}
    assert bits["nf4"] == bits["fp4"] == bits["int4"] == 4.5 and bits["int8"] == 8.5
    assert bits["nf4, scales in 8 bits"] == pytest.approx(4.127, abs=1e-3)
    assert bits["int4, one scale a matrix"] == pytest.approx(4, abs=1e-4) and bits["affine 4 bits"] == 5
    assert errors([normal().bfloat16()], ["affine 4 bits"])[0].bits == 4.5


def test_matrices_are_taken_together_and_the_unit_cancels():
    first, second = normal(seed=1), 0.01 * normal(seed=2)
    (both,), (one,) = errors([first, second], ["nf4"]), errors([first], ["nf4"])
    assert both.rmse == pytest.approx(one.rmse / math.sqrt(2), rel=1e-3)
    (small,) = errors([0.02 * first], ["nf4"])
    assert small.relative == pytest.approx(one.relative, rel=1e-3) and small.rmse == pytest.approx(0.02 * one.rmse)


def test_a_format_without_error_costs_no_perplexity_and_few_bits_cost_some(model):
    rows = {row.format: row for row in qualities(model, TOKENS, length=32)}
    assert rows["none"].loss == bits_per_token(model, TOKENS, 32) and rows["none"].bits == 32
    assert rows["none"].perplexity == pytest.approx(2 ** rows["none"].loss)
    harm = {name: abs(row.loss - rows["none"].loss) for name, row in rows.items()}
    assert harm["int8"] < 0.1 * harm["int4, one scale a matrix"]
    assert list(rows) == ["none", *FORMATS]


@pytest.mark.parametrize("double", [False, True])
def test_the_row_is_that_of_the_model_really_stored_in_four_bits(model, double):
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    name = "nf4, scales in 8 bits" if double else "nf4"
    row = qualities(model, TOKENS, [name], 32)[1]
    real = copy.deepcopy(model)
    quantize_linears(real, double=double)
    found = quality("real", real, TOKENS, 32)
    assert found.loss == pytest.approx(row.loss, abs=1e-4) and (found.bytes, found.bits) == (row.bytes, row.bits)
    assert {name: value.shape for name, value in block_matrices(real).items()} == {
        name: value.shape for name, value in block_matrices(model).items()
    }


def test_only_block_matrices_are_rounded(model):
    new = rounded(model, "int4")
    for name, parameter in model.named_parameters():
        same = torch.equal(parameter, new.get_parameter(name))
        assert same == ("norm" in name or not name.startswith("blocks.")), name


def test_what_does_not_fit_is_one_sentence(model):
    with pytest.raises(CourseError, match="there is no format 'nf3'"):
        errors([normal()], ["nf3"])
    with pytest.raises(CourseError, match="cannot be packed"):
        errors([torch.ones(3, 7)], ["affine 4 bits"])
    with pytest.raises(CourseError, match="the text has 20 tokens"):
        qualities(model, TOKENS[:20], length=32)
    four = copy.deepcopy(model)
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    quantize_linears(four)
    with pytest.raises(CourseError, match="quantized already"):
        rounded(four, "nf4")
