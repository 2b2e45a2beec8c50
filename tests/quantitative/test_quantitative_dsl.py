"""The seven operations beside FinQA's, and spelled numbers."""

import random
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finqa_lab.finqa.execute import execute as finqa_execute
from finqa_lab.finqa.failure import FailureKind
from finqa_lab.finqa.program import format_program
from finqa_lab.quantitative.dsl import ALL_OPERATIONS, execute, parse, run
from finqa_lab.quantitative.spelling import money, percentage, plain, read_spelled, shown, years


@pytest.mark.parametrize(
    ("program", "value"),
    [
        ("maximum(3, -5)", 3.0),
        ("minimum(3, -5)", -5.0),
        ("absolute(-5, none)", 5.0),
        ("floor(-1.5, none)", -2.0),
        ("floor(7, none)", 7.0),
        ("divide(1, 3), multiply(#0, 3), floor(#1, none)", 1.0),
        ("name(2, Oak), name(3, Elm), rank(#0, #1), first(#2, none)", "Elm"),
        ("name(2, Oak), name(3, Elm), rank(#0, #1), name(2.5, Fir), rank(#2, #3)", "Elm > Fir > Oak"),
        ("maximum(1, 2), greater(#0, 1)", "yes"),
        ("exp(252, 0.5)", 15.87451),
    ],
)
def test_an_operation_gives_what_its_table_says(program, value):
    assert execute(program).value == value


def test_floor_is_exact_where_floats_are_not():
    """0.07 / 0.01 is 7.000000000000001 in floats, and 0.29 * 100 is 28.999999999999996."""
    assert execute("divide(0.07, 0.01), floor(#0, none)").value == 7.0
    assert execute("multiply(0.29, 100), floor(#0, none)").value == 29.0


@pytest.mark.parametrize(
    ("program", "kind"),
    [
        ("floor(1, 2)", FailureKind.TYPE),
        ("maximum(1, #0)", FailureKind.BAD_REFERENCE),
        ("name(1, Oak), maximum(#0, 2)", FailureKind.TYPE),
        ("maximum(1, 2), rank(#0, #0)", FailureKind.TYPE),
        ("name(7, 1)", FailureKind.LEXICAL),
        ("name(1, Oak > Elm)", FailureKind.LEXICAL),
        ("maximum(1, 2), squash(#0, 1)", FailureKind.UNKNOWN_OPERATION),
        ("maximum(1, 2), table_sum(sales, none)", FailureKind.UNKNOWN_OPERATION),
        ("table_sum(sales, none)", FailureKind.ROW_NOT_FOUND),
        ("maximum(1, 2", FailureKind.SYNTAX),
        ("maximum(1, 2), divide(1, const_0)", FailureKind.DIVISION_BY_ZERO),
        ("maximum(1, -1), exp(-2, 0.5)", FailureKind.NOT_REAL),
        ("maximum(10, 2), exp(#0, 400)", FailureKind.OVERFLOW),
        (", ".join(["maximum(1, 2)"] * 33), FailureKind.TOO_LONG),
        ("first(Oak, none)", FailureKind.TYPE),
        ("maximum(, 2)", FailureKind.TYPE),
    ],
)
def test_a_wrong_program_says_what_is_wrong(program, kind):
    result = execute(program)
    assert result.value is None and result.failure.kind == kind


NUMBERS = st.one_of(
    st.integers(-999, 999).map(str),
    st.decimals(0, 99, places=2).map(str),
    st.sampled_from(["5%", "const_100", "1,200"]),
)


@st.composite
def base_programs(draw):
    """Programs of FinQA's operations on numbers."""
    steps = []
    for index in range(draw(st.integers(1, 5))):
        argument = NUMBERS if index == 0 else st.one_of(NUMBERS, st.integers(0, index - 1).map("#{}".format))
        operation = draw(st.sampled_from(["add", "subtract", "multiply", "divide"]))
        steps.append(f"{operation}({draw(argument)}, {draw(argument)})")
    return ", ".join(steps)


@settings(deadline=None)
@given(base_programs())
def test_programs_of_finqa_mean_the_same_in_company_of_a_new_operation(program):
    last = program.count("(") - 1
    expected = finqa_execute(program, [])
    assert execute(program) == expected
    extended = execute(f"{program}, maximum(#{last}, #{last})")
    assert (extended.value, extended.exact) == (expected.value, expected.exact)
    assert (extended.failure is None) == (expected.failure is None)
    assert expected.failure is None or extended.failure == expected.failure


PIECES = st.sampled_from(
    [*(f"{name}(" for name in ALL_OPERATIONS), ")", ", ", "#0", "#1", "none", "Oak", "1", "-2.5", "\n"]
)


@settings(deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=24).map("".join)))
@example("name(1, Oak), name(1, Oak), rank(#0, #1)")
@example("(" * 5000)
@example("maximum(" * 900)
def test_no_text_makes_the_executor_raise(text):
    result = execute(text)
    assert (result.failure is None) != (result.value is None)


def test_a_program_is_written_as_it_is_read():
    text = "subtract(89, 93.9), absolute(#0, none), name(#1, Oak), name(3, Elm), rank(#2, #3), first(#4, none)"
    assert format_program(parse(text)) == text


def test_rounding_is_applied_to_every_number():
    values = run("divide(1, 3), name(#0, Oak), multiply(#0, 3)", lambda value: round(value, 1))
    assert values[0] == Fraction(3, 10) and values[1][0].value == Fraction(3, 10) and values[2] == Fraction(9, 10)


AMOUNTS = st.one_of(
    st.decimals("0.01", 99_999, places=2),
    st.integers(1, 9999).map(lambda n: Decimal(n * 500)),
    st.just(Decimal(1_500_000)),
)


@settings(deadline=None)
@given(AMOUNTS, st.integers(0, 10_000))
def test_money_is_read_back_whatever_its_spelling(amount, seed):
    assert read_spelled(money(amount, random.Random(seed))) == Fraction(amount)


@settings(deadline=None)
@given(st.decimals(0, 2, places=5), st.integers(0, 10_000))
def test_a_percentage_is_read_back_whatever_its_spelling(share, seed):
    assert read_spelled(percentage(share, random.Random(seed))) == Fraction(share)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 10_000))
def test_years_are_read_back_whatever_their_spelling(count, seed):
    assert read_spelled(years(count, random.Random(seed)).split()[0]) == count


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-$5.50", Fraction(-11, 2)),
        ("$-5.50", Fraction(-11, 2)),
        ("\u221222.9%", Fraction(-229, 1000)),
        ("1.2e4", Fraction(12000)),
        ("$1.2 million", Fraction(1_200_000)),
        ("194 shares", Fraction(194)),
        (".5", Fraction(1, 2)),
        ("1,2,3", None),
        ("12,34", None),
        ("--5", None),
        ("nan", None),
        ("inf", None),
        ("\u0661\u0662", None),
        ("\uff11\uff12", None),
        ("1_000", None),
        ("0x10", None),
        ("", None),
        ("9" * 41, None),
        ("12 and 13", None),
    ],
)
def test_only_a_whole_number_is_read(text, value):
    assert read_spelled(text) == value


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_text_makes_the_reader_of_numbers_raise(text):
    assert read_spelled(text) is None or isinstance(read_spelled(text), Fraction)


@settings(deadline=None)
@given(st.fractions(min_value=Fraction(1, 10_000), max_value=10**7, max_denominator=10**6))
def test_a_shown_number_is_close(value):
    assert abs(Fraction(shown(value)) - value) <= value * Fraction(1, 10**6)


def test_plain_has_no_exponent():
    assert plain(Decimal("1E+3")) == "1000" and plain(1e-7) == "0.0000001" and plain(1e16) == "10000000000000000"
