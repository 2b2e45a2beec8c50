"""The grammar of a problem: exactly 1,500,500 texts are accepted, everything else has one typed reason."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finqa_lab.arithmetic.service.validation import (
    MAX_CHARACTERS,
    PROBLEM_COUNT,
    InvalidProblem,
    Problem,
    Reason,
    parse_problem,
)

CASES = [
    (None, Reason.NOT_TEXT, None),
    (951, Reason.NOT_TEXT, None),
    (["1+1"], Reason.NOT_TEXT, None),
    (b"1+1", Reason.NOT_TEXT, None),
    (True, Reason.NOT_TEXT, None),
    ("", Reason.EMPTY, None),
    ("1" * (MAX_CHARACTERS + 1), Reason.TOO_LONG, None),
    ("1+" + "0" * MAX_CHARACTERS, Reason.TOO_LONG, None),
    (" ", Reason.WHITESPACE, None),
    ("1 + 1", Reason.WHITESPACE, "1+1"),
    ("1+1\n", Reason.WHITESPACE, "1+1"),
    ("1+\u00a01", Reason.WHITESPACE, "1+1"),
    ("1+\u30001=", Reason.WHITESPACE, "1+1="),
    ("\u0661\u0662+\u0663", Reason.NON_ASCII, "12+3"),  # Arabic-Indic
    ("\uff11\uff12\uff0b\uff13", Reason.NON_ASCII, "12+3"),  # fullwidth
    ("9\u22125", Reason.NON_ASCII, "9-5"),  # minus sign
    ("5\u22129", Reason.NON_ASCII, None),  # what is meant would be negative: nothing to suggest
    ("\u00b2+1", Reason.NON_ASCII, None),  # superscript two: isdigit() but no decimal
    ("\u2460+1", Reason.NON_ASCII, None),  # circled one
    ("1+\ud800", Reason.NON_ASCII, None),  # lone surrogate, as JSON can carry it
    ("1*1", Reason.BAD_CHARACTER, None),
    ("1.5+2", Reason.BAD_CHARACTER, None),
    ("1e2+1", Reason.BAD_CHARACTER, None),
    ("1+1\x00", Reason.BAD_CHARACTER, None),
    ("1_0+1", Reason.BAD_CHARACTER, None),
    ("12", Reason.MALFORMED, None),
    ("+", Reason.MALFORMED, None),
    ("1+", Reason.MALFORMED, None),
    ("+1", Reason.MALFORMED, None),
    ("-1+5", Reason.MALFORMED, None),
    ("1--1", Reason.MALFORMED, None),
    ("1+1==", Reason.MALFORMED, None),
    ("1+1=2", Reason.MALFORMED, None),
    ("=1+1", Reason.MALFORMED, None),
    ("1+2+3", Reason.MALFORMED, None),
    ("007+1=", Reason.LEADING_ZERO, "7+1"),
    ("1+00", Reason.LEADING_ZERO, "1+0"),
    ("05-09", Reason.LEADING_ZERO, None),
    ("1000+1", Reason.OUT_OF_RANGE, None),
    ("1-1000=", Reason.OUT_OF_RANGE, None),
    ("99999999999999+1", Reason.OUT_OF_RANGE, None),
    ("5-9", Reason.NEGATIVE_RESULT, "9-5"),
    ("0-1=", Reason.NEGATIVE_RESULT, "1-0"),
    ("998-999", Reason.NEGATIVE_RESULT, "999-998"),
]


@pytest.mark.parametrize("text, reason, suggestion", CASES)
def test_each_reason(text, reason, suggestion):
    with pytest.raises(InvalidProblem) as caught:
        parse_problem(text)
    assert (caught.value.reason, caught.value.suggestion) == (reason, suggestion)
    assert caught.value.message and caught.value.mend
    caught.value.message.encode("ascii")  # whatever was sent, the message is safe to log
    if suggestion is not None:
        parse_problem(suggestion)


def test_every_reason_has_a_case():
    assert {reason for _, reason, _ in CASES} == set(Reason)


def test_accepts_exactly_the_canonical_problems():
    accepted = 0
    for left in range(1000):
        for right in range(1000):
            assert parse_problem(f"{left}+{right}") == Problem(left, "+", right)
            accepted += 1
            if left >= right:
                parse_problem(f"{left}-{right}")
                accepted += 1
    assert accepted == PROBLEM_COUNT


@given(st.integers(0, 999), st.sampled_from("+-"), st.integers(0, 999), st.booleans())
def test_round_trip_with_optional_equals(left, operator, right, equals):
    if operator == "-":
        left, right = max(left, right), min(left, right)
    problem = Problem(left, operator, right)
    assert parse_problem(f"{problem}{'=' if equals else ''}") == problem


def canonical(text: str) -> bool:
    """An independent statement of the grammar: what comes out is what went in."""
    body = text.removesuffix("=")
    for operator in "+-":
        left, found, right = body.partition(operator)
        if found and left in NUMBERS and right in NUMBERS:
            return operator == "+" or NUMBERS[left] >= NUMBERS[right]
    return False


NUMBERS = {str(number): number for number in range(1000)}
NEAR = st.text(alphabet="0123456789+-= \u0661\uff11\u2212.", max_size=12)


@given(st.one_of(st.text(max_size=40), NEAR))
@example("1+1=")
@example("1+1\n")
@settings(max_examples=2000, deadline=None)
def test_any_text_is_accepted_exactly_when_canonical(text):
    try:
        problem = parse_problem(text)
    except InvalidProblem as error:
        assert not canonical(text)
        assert len(error.message) < 400
        if error.suggestion is not None:
            parse_problem(error.suggestion)
    else:
        assert canonical(text)
        assert str(problem) == text.removesuffix("=")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(), lambda inner: st.lists(inner)))
def test_anything_but_text_is_refused(value):
    with pytest.raises(InvalidProblem) as caught:
        parse_problem(value)
    assert caught.value.reason == Reason.NOT_TEXT
