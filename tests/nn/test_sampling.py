"""Filtered distributions against transformers' own filters; draws against their distribution."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from finqa_lab.errors import CourseError
from finqa_lab.nn.sampling import Sampling, draw, probabilities, row_generators

SKEWED = torch.tensor([[0.3, 0.25, 0.2, 0.1, 0.08, 0.04, 0.02, 0.01]]).log()


def filtered_by_transformers(logits, sampling):
    """The order of GenerationMixin._get_logits_processor; top_p 1 and top_k 0 leave their filter out there too."""
    filters = LogitsProcessorList([TemperatureLogitsWarper(float(sampling.temperature))])
    if sampling.top_k:
        filters.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        filters.append(TopPLogitsWarper(sampling.top_p))
    return filters(None, logits.float()).softmax(dim=-1)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**31),
    st.integers(1, 300),
    st.sampled_from([0.01, 0.3, 1, 1.7, 30.0]),
    st.integers(0, 400),
    st.sampled_from([1e-9, 0.1, 0.5, 0.9, 0.999, 1.0, 1]),
    st.sampled_from(["apart", "tied", "all equal", "bfloat16"]),
)
def test_the_distribution_is_that_of_transformers(seed, vocabulary, temperature, top_k, top_p, kind):
    logits = 3 * torch.randn(4, vocabulary, generator=torch.Generator().manual_seed(seed))
    if kind == "tied":
        logits = logits.round()
    elif kind == "all equal":
        logits = torch.zeros_like(logits)
    elif kind == "bfloat16":
        logits = logits.bfloat16()
    sampling = Sampling(temperature, top_k, top_p)
    ours, expected = probabilities(logits, sampling), filtered_by_transformers(logits, sampling)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-6)
    assert torch.equal(ours > 0, expected > 0)


def test_filters_by_hand():
    assert (probabilities(SKEWED, Sampling(top_p=0.7)) > 0).sum() == 3  # 0.3 + 0.25 falls short of 0.7
    assert (probabilities(SKEWED, Sampling(top_k=6, top_p=0.7)) > 0).sum() == 3
    assert (probabilities(torch.zeros(1, 4), Sampling(top_p=0.5)) > 0).sum() == 2  # exactly 0.5 is enough
    # with two tokens left they hold 0.55 and 0.45: top-p after top-k, not before
    torch.testing.assert_close(probabilities(SKEWED, Sampling(top_k=2, top_p=0.5))[0, :2], torch.tensor([1.0, 0.0]))
    halved = probabilities(SKEWED, Sampling(temperature=0.5))
    torch.testing.assert_close(halved, SKEWED.exp() ** 2 / (SKEWED.exp() ** 2).sum())


def test_temperature_zero_is_the_argmax_and_draws_nothing():
    logits = torch.tensor([[1.0, 3.0, 3.0], [5.0, 4.0, 4.9]])
    generators = row_generators(0, 2)
    states = [generator.get_state() for generator in generators]
    assert draw(logits, Sampling(0), generators).tolist() == [1, 0]
    assert all(torch.equal(g.get_state(), state) for g, state in zip(generators, states, strict=True))


@pytest.mark.parametrize(
    ("sampling", "kept", "critical"),  # chi-square's 99.9% quantile for kept - 1 degrees of freedom
    [(Sampling(seed=3), 8, 24.32), (Sampling(1.5, top_k=6, top_p=0.9, seed=4), 5, 18.47)],
)
def test_draws_follow_the_distribution(sampling, kept, critical):
    count, generators = 10_000, row_generators(sampling.seed, 1)
    drawn = torch.cat([draw(SKEWED, sampling, generators) for _ in range(count)])
    seen, expected = torch.bincount(drawn, minlength=8), count * probabilities(SKEWED, sampling)[0]
    assert (expected > 0).sum() == kept and seen[expected == 0].sum() == 0
    allowed = expected > 0
    assert ((seen - expected)[allowed] ** 2 / expected[allowed]).sum() < critical


def test_rows_follow_the_distribution_together():
    """The first draws of many rows: their seeds must be as good as one generator's sequence."""
    rows = 10_000
    drawn = draw(SKEWED.expand(rows, 8), Sampling(), row_generators(7, rows))
    expected = rows * SKEWED.exp()[0]
    assert ((torch.bincount(drawn, minlength=8) - expected) ** 2 / expected).sum() < 24.32


def test_a_row_draws_the_same_beside_any_others():
    def draws(logits, row):
        generators = row_generators(1, len(logits))
        return [draw(logits, Sampling(), generators)[row].item() for _ in range(50)]

    many = torch.randn(5, 40, generator=torch.Generator().manual_seed(0))
    others = torch.randn(9, 40, generator=torch.Generator().manual_seed(1))
    others[3] = many[3]
    assert draws(many, 3) == draws(others, 3)
    assert draws(many[:1], 0) == draws(many, 0)


def test_rows_and_seeds_are_streams_of_their_own():
    streams = {
        tuple(torch.rand(3, generator=generator).tolist())
        for seed in range(30)
        for generator in row_generators(seed, 30)
    }
    assert len(streams) == 900


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    draw(SKEWED, Sampling(), row_generators(0, 1))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -1.0),
        ("temperature", 1e-7),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", True),
        ("temperature", "hot"),
        ("top_k", -1),
        ("top_k", 2.0),
        ("top_k", True),
        ("top_p", 0),
        ("top_p", 1.1),
        ("top_p", math.nan),
        ("top_p", True),
        ("seed", -1),
        ("seed", None),
    ],
)
def test_wrong_fields_are_named(field, value):
    with pytest.raises(CourseError, match=f"sampling {field} is {value!r}; it must be"):
        Sampling(**{field: value})


def test_the_least_temperature_keeps_a_distribution():
    assert probabilities(torch.tensor([[1e4, -1e4, 1e4]]), Sampling(1e-6)).tolist() == [[0.5, 0.0, 0.5]]
