"""Execution: every operation, every kind of failure with its place, the script's conventions, and bounded time."""

import math
import random
import time
from fractions import Fraction

import pytest

from finqa_lab.finqa.execute import MAX_BITS, execute
from finqa_lab.finqa.failure import STRUCTURE, FailureKind
from finqa_lab.finqa.parse import parse
from tests.finqa.fuzz import TABLE_ROWS, slowest
from tests.finqa.trees import LEAVES, evaluate, program, tree

TABLE = [
    ["( in millions )", "2008", "2007", "2006"],
    ["net sales", "$ 5829", "5,735", "$ -32 ( 32 )"],
    ["margin", "6.5% ( 6.5 % )", "7% ( 7 % )", "8%"],
    ["total", "1", "2", "3"],
    ["goodwill ( 2 )", "10", "20", "30"],
    ["cash", "5", "-", "7"],
    ["loss", "( 5 )", "2", "3"],
    ["total", "4", "5", "6"],
    ["heading"],
]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("add(5829, 5735)", 11564.0),
        ("subtract(5829, 5735)", 94.0),
        ("subtract(0.3, 0.1)", 0.2),
        ("multiply(300, 6.5%)", 19.5),
        ("divide(1, 3)", 0.33333),
        ("divide(339235, 1000000)", 0.33924),
        ("divide(1, 1,000)", 0.001),
        ("exp(2, 10)", 1024.0),
        ("exp(const_2, -2)", 0.25),
        ("exp(0, 0)", 1.0),
        ("exp(-1, 9999999999999999999999999999999999999999)", -1.0),
        ("exp(2, 0.5)", 1.41421),
        ("exp(1.00001, 1000000)", 22025.36451),
        ("multiply(7, const_m1)", -7.0),
        ("greater(3, 2)", "yes"),
        ("greater(2, 2)", "no"),
        ("table_sum(net sales, none)", 11532.0),
        ("table_average(margin, none)", 0.07167),
        ("table_max(net sales, none)", 5829.0),
        ("table_min(net sales, none)", -32.0),
        ("table_sum(total, none)", 15.0),
        ("table_sum(goodwill ( 2 ), none)", 60.0),
        ("table_sum(total, 17)", 15.0),
        ("table_sum(heading, none)", 0.0),
        ("table_max(total, none), table_min(#0, none), subtract(#0, #1)", 2.0),
        ("table_max(total, none), table_max(goodwill ( 2 ), none), table_min(#0, none)", 4.0),
        ("subtract(5829, 5735), divide(#0, 5735)", 0.01639),
        ("subtract(1, 0.9), subtract(#0, 0.1)", 0.0),
        ("add(0.1, 0.2), greater(#0, 0.3)", "no"),
    ],
)
def test_values(text, value):
    result = execute(text, TABLE)
    assert result.failure is None and result.value == value and type(result.value) is type(value)
    assert execute(parse(text), TABLE) == result


def test_the_exact_value_is_kept_and_rounded_once():
    result = execute("divide(1, 3), multiply(#0, 3)", [])
    assert result.exact == 1 and result.value == 1.0
    thirds = execute("divide(2, 3)", [])
    assert thirds.exact == Fraction(2, 3) and thirds.value == 0.66667
    assert execute("multiply(0.000004, 1), multiply(#0, 100000)", []).value == 0.4  # no rounding between steps


FAULTS = [
    ("net sales", FailureKind.SYNTAX, 3),
    ("add(1, x1x)", FailureKind.TYPE, 7),
    ("add(1, 1x)", FailureKind.LEXICAL, 7),
    ("sum(1, 2)", FailureKind.UNKNOWN_OPERATION, 0),
    ("add(1, #0)", FailureKind.BAD_REFERENCE, 7),
    (", ".join(["add(1, 2)"] * 33), FailureKind.TOO_LONG, 32 * 11),
    ("table_sum(sales, none)", FailureKind.ROW_NOT_FOUND, 10),
    ("add(1, 2), table_sum(cash, none)", FailureKind.NOT_A_NUMBER, 21),
    ("table_sum(loss, none)", FailureKind.NOT_A_NUMBER, 10),
    ("table_average(heading, none)", FailureKind.NOT_A_NUMBER, 14),
    ("table_max(heading, none)", FailureKind.NOT_A_NUMBER, 10),
    ("divide(1, const_0)", FailureKind.DIVISION_BY_ZERO, 10),
    ("subtract(0.3, 0.2), subtract(#0, 0.1), divide(1, #1)", FailureKind.DIVISION_BY_ZERO, 49),
    ("exp(0, -1)", FailureKind.DIVISION_BY_ZERO, 7),
    ("exp(-2, 0.5)", FailureKind.NOT_REAL, 0),
    ("exp(10, 400)", FailureKind.OVERFLOW, 0),
    ("exp(10, 99999)", FailureKind.OVERFLOW, 0),
    ("exp(10, 2000), multiply(#0, #0)", FailureKind.OVERFLOW, 15),
    ("exp(10, 2000), exp(#0, 0.5)", FailureKind.OVERFLOW, 15),
    ("divide(1, 0), add(1, 2)", FailureKind.DIVISION_BY_ZERO, 10),
]


@pytest.mark.parametrize(("text", "kind", "position"), FAULTS)
def test_failures_have_a_kind_and_a_place(text, kind, position):
    result = execute(text, TABLE)
    assert result.value is None and result.exact is None
    assert (result.failure.kind, result.failure.position) == (kind, position)
    assert "\n" not in str(result.failure)


def test_every_kind_of_failure_is_among_the_examples():
    assert {kind for _, kind, _ in FAULTS} == set(FailureKind) > STRUCTURE


@pytest.mark.parametrize("anything", ["", " ", [], ["EOF"], (), "\0", "add(" * 2000, [None], ["add(", 1, 2, ")"]])
def test_nothing_raises(anything):
    assert execute(anything, TABLE).failure.kind in STRUCTURE


def test_exact_and_float_evaluation_agree_on_random_programs():
    """Oracle: the same tree in floats and in fractions, without the library's arithmetic."""
    rng = random.Random(7)
    exact = {"5829": Fraction(5829), "5735": Fraction(5735), "6.5%": Fraction(65, 1000), "417.2": Fraction(4172, 10),
             "const_100": Fraction(100), "const_1": Fraction(1)}  # fmt: skip
    assert set(exact) == set(LEAVES)
    checked = 0
    for _ in range(3000):
        node = tree(rng, rng.randint(1, 6))
        result = execute(program(node), [])
        try:
            expected = evaluate(node, exact)
        except ZeroDivisionError:
            assert result.failure.kind == FailureKind.DIVISION_BY_ZERO
            continue
        assert result.exact == expected and result.value == round(float(expected), 5)
        try:
            rounded = evaluate(node, {leaf: float(value) for leaf, value in exact.items()})
        except ZeroDivisionError:
            continue  # a difference that is exact here and cancels in floats
        if abs(rounded) < 1e8:
            checked += 1
            assert math.isclose(result.value, rounded, rel_tol=1e-6, abs_tol=1e-5), node
    assert checked > 1500


def test_values_grow_to_the_limit_and_no_further():
    bits = execute("exp(2, 1000), multiply(#0, #0), divide(#1, #0)", []).exact.numerator.bit_length()
    assert bits == 1001 <= MAX_BITS  # larger than a float inside, back in range at the end
    squarings = "add(5829, 5735), " + ", ".join(f"multiply(#{i}, #{i})" for i in range(18))
    assert execute(squarings, []).failure.kind == FailureKind.OVERFLOW


def test_fuzzed_programs_take_bounded_time():
    seconds, text = slowest(5000, seed=1)  # of 100,000 the slowest took 1.3 ms
    assert seconds < 0.05, text


def test_the_dearest_programs_found_by_hand_take_bounded_time():
    for text in (
        "exp(123.4567, 350), add(#0, 1), " + ", ".join(f"divide(#{i % 2}, #{1 - i % 2})" for i in range(30)),
        "exp(1.2345677, 320), exp(1.2345671, 320), " + ", ".join(f"greater(#{i % 2}, #{1 - i % 2})" for i in range(30)),
        "table_sum(" + " " * 8000 + "x",
        "table_sum(a" + ", none " * 1100 + ")x",
        "add(1, " + "9," * 4000,
    ):
        begin = time.thread_time()
        execute(text, TABLE_ROWS)
        assert time.thread_time() - begin < 0.05, text
