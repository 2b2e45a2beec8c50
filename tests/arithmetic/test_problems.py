"""The space of problems, its split, its features, and the samplers, against plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finqa_lab.arithmetic import problems, sampling
from finqa_lab.arithmetic.problems import MINUS, PLUS, SPACE

EVERYTHING = np.arange(SPACE)


def test_ids_cover_the_space_once():
    a, operation, b = problems.operands(EVERYTHING)
    assert np.array_equal(problems.problem_ids(a, operation, b), EVERYTHING)
    assert (operation == PLUS).sum() == 1_000_000 and (operation == MINUS).sum() == 500_500
    assert a.min() == b.min() == 0 and a.max() == b.max() == 999
    assert len(np.unique((a * 2 + operation) * 1000 + b)) == SPACE
    assert problems.answers(EVERYTHING).min() == 0 and problems.answers(EVERYTHING).max() == 1998


@pytest.mark.parametrize(("a", "operation", "b"), [(1000, PLUS, 0), (0, PLUS, -1), (3, MINUS, 4)])
def test_problems_outside_the_space_are_refused(a, operation, b):
    with pytest.raises(ValueError):
        problems.problem_ids([a], [operation], [b])


def test_at_least_a_tenth_is_held_out_of_each_operation():
    out = problems.held_out(EVERYTHING)
    assert 0.10 < out[: problems.SUMS].mean() < 0.106
    assert 0.10 < out[problems.SUMS :].mean() < 0.106
    assert not np.array_equal(out, problems.held_out(EVERYTHING, salt=1))


def test_swapped_sums_share_their_split():
    a, operation, b = problems.operands(EVERYTHING[: problems.SUMS])
    swapped = problems.problem_ids(b, operation, a)
    out = problems.held_out(EVERYTHING[: problems.SUMS])
    assert np.array_equal(out, out[swapped])


def by_hand(a: int, sign: str, b: int) -> tuple[list[bool], int]:
    carry, flags = 0, []
    for place in range(3):
        x, y = (a // 10**place) % 10, (b // 10**place) % 10
        carry = int(x + y + carry > 9) if sign == "+" else int(x - y - carry < 0)
        flags.append(bool(carry))
    runs = "".join("1" if flag else " " for flag in flags).split()
    return flags, max((len(run) for run in runs), default=0)


@given(st.integers(0, 999), st.integers(0, 999), st.sampled_from("+-"))
def test_carries_equal_column_arithmetic(a, b, sign):
    a, b = (max(a, b), min(a, b)) if sign == "-" else (a, b)
    ids = problems.problem_ids([a], ["+-".index(sign)], [b])
    flags, chain = by_hand(a, sign, b)
    assert problems.carries(ids)[0].tolist() == flags
    assert problems.carry_chain(ids)[0] == chain
    assert problems.written(ids[0]) == f"{a}{sign}{b}={a + b if sign == '+' else a - b}"


@pytest.mark.parametrize("sampler", sampling.SAMPLERS)
def test_samplers_never_draw_a_held_out_problem(sampler):
    ids = sampling.draw(np.random.default_rng(3), 20_000, sampler)
    assert len(ids) == 20_000 and not problems.held_out(ids).any()
    assert np.array_equal(ids, sampling.draw(np.random.default_rng(3), 20_000, sampler))
    assert (ids >= problems.SUMS).mean() == pytest.approx(0.5, abs=0.02)


def length_pairs(ids):
    a, _, b = problems.operands(ids)
    return problems.digit_count(a) * 10 + problems.digit_count(b)


def test_stratified_shows_each_length_pair_equally_often():
    ids = sampling.draw(np.random.default_rng(0), 90_000, "stratified")
    sums = length_pairs(ids[ids < problems.SUMS])
    for pair in (11, 12, 13, 21, 22, 23, 31, 32, 33):
        assert (sums == pair).mean() == pytest.approx(1 / 9, rel=0.06)
    differences = length_pairs(ids[ids >= problems.SUMS])
    for pair in (11, 21, 22, 31, 32, 33):  # only 55 differences of one digit: the split leaves 95% of them, not 90%
        assert (differences == pair).mean() == pytest.approx(1 / 6, rel=0.09)


def test_uniform_shows_three_digits_mostly():
    ids = sampling.draw(np.random.default_rng(0), 50_000, "uniform")
    assert (length_pairs(ids[ids < problems.SUMS]) == 33).mean() == pytest.approx(0.81, abs=0.02)


@pytest.mark.parametrize("sampler", sampling.SAMPLERS)
def test_fixed_set_is_distinct_seeded_and_never_held_out(sampler):
    ids = sampling.fixed_set(5_000, 1, sampler)
    assert len(np.unique(ids)) == 5_000 and not problems.held_out(ids).any()
    assert np.array_equal(ids, sampling.fixed_set(5_000, 1, sampler))
    assert not np.array_equal(ids, sampling.fixed_set(5_000, 2, sampler))


def test_unknown_sampler_and_impossible_set():
    with pytest.raises(ValueError, match="allowed: uniform, stratified, answers, mixed, balanced"):
        sampling.draw(np.random.default_rng(0), 5, "alphabetical")
    with pytest.raises(ValueError, match="1 to 750250"):
        sampling.fixed_set(SPACE, 0)


def test_answer_sampler_shows_each_answer_length_equally_often():
    ids = sampling.draw(np.random.default_rng(0), 60_000, "answers")
    length = np.char.str_len(problems.answers(ids).astype(str))
    for digits in (1, 2, 3, 4):
        assert (length[ids < problems.SUMS] == digits).mean() == pytest.approx(1 / 4, rel=0.09)
    for digits in (1, 2, 3):
        assert (length[ids >= problems.SUMS] == digits).mean() == pytest.approx(1 / 3, rel=0.06)


def test_blends_hold_equal_parts():
    ids = sampling.draw(np.random.default_rng(0), 300, "balanced")
    apart = np.random.default_rng(0)
    parts = [sampling.draw(apart, 100, name) for name in ("uniform", "stratified", "answers")]
    assert np.array_equal(ids, np.concatenate(parts))


def test_everything_includes_the_held_out():
    ids = sampling.draw(np.random.default_rng(0), 20_000, "balanced", everything=True)
    assert problems.held_out(ids).mean() == pytest.approx(0.10, abs=0.02)
