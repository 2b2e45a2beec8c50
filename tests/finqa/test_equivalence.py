"""Two programs are equivalent exactly when they are the same function of the numbers read, by exact evaluation."""

import random
import time

import pytest

from finqa_lab.finqa.equivalence import equivalent
from finqa_lab.finqa.fingerprint import LARGEST_POWER
from finqa_lab.finqa.parse import parse
from tests.finqa.trees import changed, mutated, places, points, program, same_function, same_meaning, tree

CONSTANTS = {"const_100": 100, "const_1": 1, "const_m1": -1}


@pytest.mark.parametrize(("reading", "fixed"), [("numbers", CONSTANTS), ("symbols", {})])
def test_rewrites_are_accepted_and_other_functions_rejected(reading, fixed):
    """Oracle: fractions at random rational points. 3,000 rewrites and 3,000 mutations, each of a random tree."""
    rng = random.Random(5)
    accepted = rejected = 0
    for _ in range(3000):
        at = points(rng, 2, fixed)
        gold = tree(rng, rng.randint(2, 6))
        other = gold
        for _ in range(rng.randint(1, 4)):
            other = changed(
                other,
                rng.choice(list(places(other))),
                lambda node: same_meaning(node, reading == "numbers", rng),
            )
        if same_function(gold, gold, at) is None:
            assert not equivalent(program(gold), program(gold), reading)  # a division by zero for all values
            continue
        assert same_function(gold, other, at) is True
        assert equivalent(program(gold), program(other), reading), (gold, other)
        accepted += other != gold
        wrong = mutated(other, rng)
        same = same_function(gold, wrong, at)
        assert equivalent(program(gold), program(wrong), reading) == bool(same), (gold, wrong)
        rejected += same is False
    assert accepted > 2000 and rejected > 2000


GOLD = "subtract(5829, 5735), divide(#0, 5735)"


@pytest.mark.parametrize(
    ("gold", "predicted", "numbers", "symbols"),
    [
        (GOLD, "subtract(5829.0, 5,735), divide(#0, 5735.00)", True, False),
        (GOLD, "divide(5829, 5735), subtract(#0, const_1)", True, False),
        (GOLD, "divide(5829, 5735), subtract(#0, 1)", True, False),
        (GOLD, "divide(5829, 5735), divide(5735, 5735), subtract(#0, #1)", True, True),
        (GOLD, "multiply(5735, const_m1), add(5829, #0), divide(#1, 5735)", True, False),
        (GOLD, "add(5829, -5735), divide(#0, 5735)", True, False),
        (GOLD, "subtract(5830, 5736), divide(#0, 5735)", False, False),
        (GOLD, "divide(94, 5735)", False, False),
        (GOLD, "subtract(5829, 5735), divide(#0, 5735), multiply(#1, const_100)", False, False),
        ("multiply(300, 6.5%)", "multiply(300, 6.5), divide(#0, const_100)", True, False),
        ("multiply(300, 6.5%)", "multiply(300, 0.065)", True, False),
        ("multiply(300, 6.5%)", "multiply(300, 6.5)", False, False),
        ("divide(94, const_100)", "divide(94, 100)", True, False),
        ("divide(94, 100)", "divide(94, const_100)", True, False),
        ("add(3, 5), divide(#0, const_2)", "add(3, 5), divide(#0, 2)", True, False),
        ("multiply(94, const_2)", "add(94, 94)", True, False),
        ("add(2, 94), multiply(#0, const_2)", "add(2, 94), add(#0, #0)", True, False),  # 2 is a constant too
        ("multiply(94, const_3)", "exp(94, const_1), add(#0, 94), add(#1, 94)", True, False),
        ("exp(94, const_2)", "multiply(94, 94)", True, False),
        ("subtract(6, 4)", "subtract(4, 2)", False, False),
        ("subtract(6, 4)", "add(1, 1)", False, False),
        ("add(2, 6)", "multiply(2, const_4)", False, False),
        ("add(const_2, 6)", "subtract(6, -2)", True, False),
        ("divide(94, 57)", "divide(57, 94)", False, False),
        ("greater(94, 57)", "subtract(94, 57), subtract(57, 57), greater(#0, #1)", True, True),
        ("greater(94, 57)", "greater(57, 94)", False, False),
        ("table_sum(net sales, none)", "table_sum(net sales, none)", True, True),
        ("table_sum(net sales, none)", "table_sum(sales, none)", False, False),
        ("table_sum(net sales, none)", "table_average(net sales, none)", False, False),
        ("table_max(a, none), table_min(a, none), subtract(#0, #1)",
         "table_min(a, none), table_max(#0, none), subtract(#1, #0)", True, True),
        ("subtract(9, 9), divide(9, #0)", "subtract(9, 9), divide(9, #0)", False, False),
        ("add(9, 1)", "subtract(9, 9), divide(#0, #0), add(9, 1)", False, False),
    ],
)  # fmt: skip
def test_the_two_readings_of_numbers(gold, predicted, numbers, symbols):
    assert equivalent(parse(gold), parse(predicted)) is numbers
    assert equivalent(parse(gold), parse(predicted), reading="symbols") is symbols


@pytest.mark.parametrize("text", [
    GOLD, "multiply(200, const_2), add(2, #0), divide(#1, 100)", "exp(2, 0.5), exp(#0, 3), greater(#1, 6.5%)",
    "divide(0, 7), exp(7, #0), exp(#0, 7), add(#1, #2)", "table_max(a, none), table_sum(#0, 3), divide(#0, #1)",
])  # fmt: skip
def test_a_program_is_equivalent_to_itself(text):
    assert equivalent(parse(text), parse(text)) and equivalent(parse(text), parse(text), reading="symbols")


def test_integer_powers_are_products_up_to_the_largest():
    base = "add(5829, 5735)"
    product = base + "".join(f", multiply(#{i}, #{i})" for i in range(6))
    assert equivalent(parse(product), parse(f"{base}, exp(#0, {LARGEST_POWER})"))
    inverse = f"divide(const_1, 94), exp(#0, const_{LARGEST_POWER})"
    assert equivalent(parse(inverse), parse(f"exp(94, -{LARGEST_POWER})"))
    assert not equivalent(parse(f"{base}, multiply(#0, #0)"), parse(f"{base}, exp(#0, 0.5)"))
    assert not equivalent(parse("subtract(94, 94), exp(#0, const_m1)"), parse("subtract(94, 94), exp(#0, const_m1)"))


def test_formulas_of_exponential_size_take_no_time():
    squarings = "add(5829, 5735), " + ", ".join(f"multiply(#{i}, #{i})" for i in range(31))
    doublings = "add(5829, 5735), " + ", ".join(f"add(#{i}, #{i})" for i in range(31))
    powers = "add(5829, 5735), " + ", ".join(f"exp(#{i}, #{i})" for i in range(31))
    begin = time.thread_time()
    for text in (squarings, doublings, powers):
        for reading in ("numbers", "symbols"):
            assert equivalent(parse(text), parse(text), reading)
            assert not equivalent(parse(text), parse(text.replace("5735", "5736")), reading)
    assert time.thread_time() - begin < 1  # SymPy does not return within ten seconds on any of them
