"""Digits: cuts by place value, alignment, and the table of facts."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finqa_lab.text import PreSplit
from finqa_lab.text.digits import aligned, cut_places, facts, learn_table, random_sums


def test_cut_places_count_from_the_right():
    assert cut_places(["12", "345", "678"]) == {3, 6}
    assert cut_places(["123", "456", "78"]) == {2, 5}
    assert cut_places(["7"]) == set()


@given(a=st.integers(0, 10**9), b=st.integers(0, 10**9))
def test_right_and_single_always_line_up(a, b):
    numbers = [str(a), str(b), str(a + b)]
    assert aligned(numbers, PreSplit("right").split) and aligned(numbers, PreSplit("single").split)


@given(a=st.integers(0, 10**9), b=st.integers(0, 10**9))
def test_left_lines_up_only_when_the_lengths_agree_modulo_three(a, b):
    numbers = [str(a), str(b), str(a + b)]
    long = {len(number) % 3 for number in numbers if len(number) > 3}
    if len(long) > 1:
        assert not aligned(numbers, PreSplit("left").split)
    if len({len(number) for number in numbers}) == 1:
        assert aligned(numbers, PreSplit("left").split)


@given(a=st.integers(0, 10**7), b=st.integers(0, 10**7), digits=st.sampled_from(["right", "single"]))
def test_facts_of_aligned_tokens_are_sums(a, b, digits):
    """Each fact says: this token = (operand tokens + carry) modulo its power of ten."""
    for (left, right, carry), token in facts(a, b, PreSplit(digits).split):
        assert (int(left or 0) + int(right or 0) + carry) % 10 ** len(token) == int(token)


def test_a_table_learns_single_digits_and_contradicts_itself_on_groups_from_the_left():
    rng = random.Random(0)
    train, fresh = random_sums(3000, 6, rng), random_sums(300, 6, rng)
    results = {
        digits: learn_table(train, fresh, PreSplit(digits).split) for digits in ("single", "right", "left")
    }
    assert results["single"].exact == 1.0 and results["single"].keys <= 10 * 10 * 2 + 4 * 10 + 1
    assert results["right"].contradicted == results["single"].contradicted == 0.0
    assert results["left"].contradicted > 0.3 and results["right"].exact < 0.2


def test_operands_have_uniform_lengths():
    sums = random_sums(6000, 3, random.Random(1))
    shares = [sum(len(str(a)) == n for a, _ in sums) / len(sums) for n in (1, 2, 3)]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.03)
