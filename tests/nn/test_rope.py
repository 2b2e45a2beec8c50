"""Rotary positions: frequencies against transformers, rotation against complex numbers, scores by distance."""

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.rope import Rotary, rotate
from finqa_lab.nn.rope_scaling import RopeScaling, plain_frequencies, rope_frequencies

transformers.logging.set_verbosity_error()  # it remarks on contexts that do not fit the factor

thorough = settings(deadline=None, max_examples=200)
widths = st.integers(2, 64).map(lambda half: 2 * half)
thetas = st.floats(2.0, 1e7)
factors = st.floats(1.0, 64.0)
contexts = st.integers(1, 200_000)
SCALINGS = {
    "plain": None,
    "linear": RopeScaling("linear", 3.0),
    "ntk": RopeScaling("ntk", 3.0),
    "dynamic": RopeScaling("dynamic", 3.0, original_context=16),
    "yarn": RopeScaling("yarn", 4.0, original_context=32, beta_fast=4.0, beta_slow=0.5),
    "llama3": RopeScaling("llama3", 8.0, original_context=32),
}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def theirs(width: int, theta: float, kind: str, context: int, length: int | None = None, **parameters):
    """Frequencies and attention factor of transformers."""
    config = transformers.LlamaConfig(
        hidden_size=width,
        num_attention_heads=1,
        head_dim=width,
        max_position_embeddings=context,
        rope_parameters={"rope_type": kind, "rope_theta": theta, **parameters},
    )
    return ROPE_INIT_FUNCTIONS[kind](config, seq_len=length)


def assert_same(found, expected):
    """Eight units in the last place of float32, relative to each frequency."""
    torch.testing.assert_close(found[0], expected[0], rtol=1e-6, atol=0)
    assert found[1] == pytest.approx(expected[1], rel=1e-12)


def decoder_config(scaling, width=8, context=64):
    return DecoderConfig(17, 16, 1, 2, 8, context, positions="rotary", head_dim=width, rope_scaling=scaling)


@thorough
@given(width=widths, theta=thetas, factor=factors)
def test_linear_equals_transformers(width, theta, factor):
    assert_same(
        rope_frequencies(width, theta, RopeScaling("linear", factor)), theirs(width, theta, "linear", 64, factor=factor)
    )


@thorough
@given(width=widths, theta=thetas, factor=factors, context=contexts, longer=st.floats(0.1, 20))
def test_dynamic_equals_transformers_at_every_length(width, theta, factor, context, longer):
    length = max(1, int(context * longer))
    expected = theirs(width, theta, "dynamic", context, length, factor=factor)
    named = RopeScaling("dynamic", factor, original_context=context)
    assert_same(rope_frequencies(width, theta, named, 7 * context, length), expected)
    assert_same(rope_frequencies(width, theta, RopeScaling("dynamic", factor), context, length), expected)


@thorough
@given(width=widths, theta=thetas, factor=factors, context=contexts, longer=st.floats(1, 20))
def test_fixed_ntk_is_dynamic_where_the_factors_coincide(width, theta, factor, context, longer):
    length = int(context * longer)
    grown = max(1.0, factor * length / context - (factor - 1))  # 0.9999... by rounding at length = context
    ours = rope_frequencies(width, theta, RopeScaling("ntk", grown))
    assert_same(ours, theirs(width, theta, "dynamic", context, length, factor=factor))


@thorough
@given(
    width=widths,
    theta=thetas,
    factor=factors,
    context=contexts,
    betas=st.none() | st.tuples(st.floats(0.1, 64), st.floats(0.1, 64)),
    attention=st.none() | st.floats(0.1, 2),
)
def test_yarn_equals_transformers(width, theta, factor, context, betas, attention):
    fields = {} if betas is None else {"beta_fast": betas[0], "beta_slow": betas[1]}
    fields |= {} if attention is None else {"attention_factor": attention}
    expected = theirs(
        width, theta, "yarn", 2 * context, factor=factor, original_max_position_embeddings=context, **fields
    )
    named = RopeScaling("yarn", factor, original_context=context, **fields)
    assert_same(rope_frequencies(width, theta, named, 2 * context), expected)
    assert_same(rope_frequencies(width, theta, RopeScaling("yarn", factor, **fields), context), expected)


@pytest.mark.parametrize(("context", "ramp"), [(1, "swapped"), (5, "equal"), (10**6, "swapped")])
def test_yarn_acts_as_transformers_where_the_ends_of_its_ramp_are(context, ramp):
    expected = theirs(8, 10.0, "yarn", 64, factor=4.0, original_max_position_embeddings=context)
    assert_same(rope_frequencies(8, 10.0, RopeScaling("yarn", 4.0, original_context=context)), expected)


@thorough
@given(width=widths, theta=thetas, factor=factors, context=contexts, low=st.floats(0.1, 8), gap=st.floats(0.01, 8))
def test_llama3_equals_transformers(width, theta, factor, context, low, gap):
    fields = {"low_freq_factor": low, "high_freq_factor": low + gap}
    expected = theirs(
        width, theta, "llama3", 2 * context, factor=factor, original_max_position_embeddings=context, **fields
    )
    assert_same(rope_frequencies(width, theta, RopeScaling("llama3", factor, context, **fields)), expected)


@pytest.mark.parametrize("scaling", SCALINGS.values(), ids=SCALINGS)
def test_rotation_is_multiplication_of_complex_numbers(scaling):
    config, x = decoder_config(scaling), torch.randn(3, 40, 8)
    frequencies, factor = rope_frequencies(8, config.rope_theta, scaling, config.context, length=40)
    turns = torch.polar(torch.tensor(float(factor)), torch.arange(40)[:, None] * frequencies)
    expected = torch.complex(x[..., :4], x[..., 4:]) * turns
    found = rotate(x, *Rotary(config, 8).at(0, 40, None, x.device, x.dtype))
    torch.testing.assert_close(found, torch.cat([expected.real, expected.imag], dim=-1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scaling", SCALINGS.values(), ids=SCALINGS)
def test_scores_depend_on_the_distance_only(scaling):
    query, key = torch.randn(2, 5, 1, 8)
    cos, sin = Rotary(decoder_config(scaling), 8).at(0, 40, None, query.device, query.dtype)
    scores = rotate(query, cos, sin) @ rotate(key, cos, sin).mT  # (5, query position, key position)
    for distance in range(-39, 40):
        along = scores.diagonal(distance, dim1=1, dim2=2)
        torch.testing.assert_close(along, along[:, :1].expand_as(along), rtol=1e-4, atol=1e-4)
    assert (scores[:, 0, 0] - scores[:, 0, 1]).abs().max() > 1e-2


def test_given_positions_select_their_rows():
    rotary, positions = Rotary(decoder_config(None), 8), torch.tensor([[3, 4], [-2, 0]])
    cos, sin = rotary.at(5, 2, positions, positions.device, torch.float32)
    whole = rotary.at(0, 7, None, positions.device, torch.float32)
    assert cos.shape == (2, 1, 2, 8)
    assert torch.equal(cos[0, 0], whole[0][3:5]) and torch.equal(sin[1, 0], whole[1][[0, 0]])


def test_dynamic_tables_follow_the_length_and_come_back():
    rotary, cpu = Rotary(decoder_config(SCALINGS["dynamic"]), 8), torch.device("cpu")
    short = rotary.at(0, 16, None, cpu, torch.float32)
    long = rotary.at(0, 40, None, cpu, torch.float32)
    assert torch.equal(short[0], torch.cat([plain_angles(16)] * 2, dim=1).cos())
    assert not torch.allclose(long[0][:16], short[0])
    again = rotary.at(0, 12, None, cpu, torch.float32)
    assert torch.equal(again[0], short[0][:12]) and torch.equal(again[1], short[1][:12])


def plain_angles(length):
    return torch.arange(length).float()[:, None] * plain_frequencies(8, 10_000.0)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"kind": "longrope"}, "rope type 'longrope' is unknown; known: default, linear, ntk, dynamic, yarn, llama3"),
        ({"kind": "linear", "factor": 0.5}, "factor is 0.5; it must be at least 1"),
        ({"kind": "linear", "factor": "2"}, "factor is '2'; it must be a finite number"),
        ({"kind": "linear", "factor": True}, "factor is True"),
        ({"kind": "linear", "factor": float("nan")}, "factor is nan"),
        ({"kind": "yarn", "factor": float("inf")}, "factor is inf"),
        ({"kind": "yarn", "beta_fast": 0}, "beta_fast is 0; it must be a number above 0"),
        ({"kind": "yarn", "beta_slow": -1.0}, "beta_slow is -1.0"),
        ({"kind": "yarn", "attention_factor": -0.1}, "attention_factor is -0.1"),
        ({"kind": "yarn", "original_context": -8}, "original_context is -8; it must be a whole number"),
        ({"kind": "yarn", "original_context": 8.0}, "original_context is 8.0; it must be a whole number"),
        ({"kind": "llama3"}, "'llama3' needs original_context"),
        ({"kind": "llama3", "original_context": 8, "low_freq_factor": 0.0}, "low_freq_factor is 0"),
        ({"kind": "llama3", "original_context": 8, "low_freq_factor": 4.0}, "high_freq_factor 4.0 must exceed"),
    ],
)
def test_bad_scaling_is_refused(fields, says):
    with pytest.raises(CourseError, match=says):
        RopeScaling(**fields)


@pytest.mark.parametrize("scaling", SCALINGS.values(), ids=SCALINGS)
def test_scaling_travels_with_the_config(scaling):
    config = decoder_config(scaling)
    assert DecoderConfig.from_json(config.to_json()) == config


def test_scaling_with_an_unknown_field_is_refused():
    with pytest.raises(CourseError, match="rope_scaling is .* object with kind, factor"):
        DecoderConfig.from_json(decoder_config(None).to_json() | {"rope_scaling": {"kind": "linear", "scale": 2}})
