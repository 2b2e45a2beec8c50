"""Every wrong program has one class; the precedence is the documented one."""

import random

import pytest

from finqa_lab.finqa.parse import parse
from finqa_lab.finqa.program import format_program, format_tokens
from finqa_lab.finqa.taxonomy import WrongClass, classify
from tests.finqa.trees import mutated, program, tree

GOLD = "subtract(5829, 5735), divide(#0, 5735)"
TABLE = [["", "2008", "2007"], ["net sales", "$ 5829", "$ 5735"], ["cost of sales", "4,100", "-3900 ( 3900 )"]]
EXAMPLES = [
    (GOLD, "subtract(5829, 5735), divide(#0, 5735)", None),
    (GOLD, "divide(5829, 5735), subtract(#0, const_1)", None),
    (GOLD, "subtract(5829, 5735), divide(#0", WrongClass.STRUCTURE),
    (GOLD, "divide(#0, 5735)", WrongClass.STRUCTURE),
    (GOLD, "subtract(5829, 5735), divide(#0, 5735), multiply(#1, const_100)", WrongClass.SCALE),
    (GOLD, "subtract(5829, 5735), divide(#0, 57.35)", WrongClass.SCALE),
    (GOLD, "subtract(5829, 5735), divide(#0, 5.735), multiply(#1, const_m1)", WrongClass.SCALE),
    ("multiply(300, 6.5%)", "multiply(300, 6.5)", WrongClass.SCALE),
    (GOLD, "subtract(5735, 5829), divide(#0, 5735)", WrongClass.ORDER),
    (GOLD, "subtract(5829, 5735), divide(5735, #0)", WrongClass.ORDER),
    (GOLD, "subtract(5735, 5829), divide(5735, #0)", WrongClass.ORDER),
    ("greater(5829, 5735)", "greater(5735, 5829)", WrongClass.ORDER),
    (GOLD, "divide(5829, 5735), subtract(const_1, #0)", WrongClass.ORDER),
    (GOLD, "subtract(5829, 5735), divide(#0, -5735)", WrongClass.SIGN),
    ("multiply(-5, 8)", "multiply(5, 8)", WrongClass.SIGN),
    (GOLD, "subtract(5829, 5735), divide(#0, 5735), multiply(#1, const_m1)", WrongClass.SIGN),
    (GOLD, "subtract(5829, 5735)", WrongClass.MISSING_STEP),
    (GOLD, "divide(5829, 5735)", WrongClass.MISSING_STEP),
    (GOLD, "add(5829, 1), divide(5829, 5735)", WrongClass.MISSING_STEP),  # the first step is not used
    (GOLD, "subtract(5829, 5735), divide(#0, 5735), add(#1, const_1)", WrongClass.EXTRA_STEP),
    ("divide(94, 5735)", GOLD, WrongClass.EXTRA_STEP),
    (GOLD, "add(5829, 5735), divide(#0, 5735)", WrongClass.WRONG_OPERATION),
    (GOLD, "subtract(5829, 5735), multiply(#0, 5735)", WrongClass.WRONG_OPERATION),
    ("table_sum(net sales, none)", "table_average(net sales, none)", WrongClass.WRONG_OPERATION),
    ("table_sum(net sales, none)", "table_sum(cost of sales, none)", WrongClass.WRONG_ROW),
    (GOLD, "subtract(4100, 3900), divide(#0, 3900)", WrongClass.WRONG_ROW),
    (GOLD, "subtract(5829, 3900), divide(#0, 3900)", WrongClass.WRONG_ROW),
    (GOLD, "subtract(5829, 5735), divide(#0, 5829)", WrongClass.WRONG_OPERAND),
    (GOLD, "subtract(5829, 4100), divide(#0, 4100)", WrongClass.WRONG_OPERAND),  # other row and other column
    (GOLD, "subtract(4100, 3900), divide(#0, 17)", WrongClass.WRONG_OPERAND),
    (GOLD, "subtract(5829, 5735), divide(5829, #0)", WrongClass.WRONG_OPERAND),
    (GOLD, "subtract(9, 9), divide(5735, #0)", WrongClass.WRONG_OPERAND),
    ("table_sum(sales, none), divide(#0, 5)", "table_sum(sales, none), divide(#0, 6)", WrongClass.WRONG_OPERAND),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "predicted", "expected"), EXAMPLES)
def test_examples(gold, predicted, expected):
    assert classify(parse(gold), predicted, TABLE) is expected
    if expected is not WrongClass.STRUCTURE:
        assert classify(parse(gold), format_tokens(parse(predicted)), TABLE) is expected


def test_every_class_has_an_example():
    assert {expected for *_, expected in EXAMPLES} == {None, *WrongClass}


def test_numbers_of_another_row_need_the_table_to_be_seen():
    assert classify(parse(GOLD), "subtract(4100, 3900), divide(#0, 3900)") is WrongClass.WRONG_OPERAND
    assert classify(parse("table_max(a, none)"), "table_max(b, none)") is WrongClass.WRONG_ROW


def test_every_mutation_of_a_program_has_a_class_or_its_meaning():
    rng = random.Random(2)
    seen = set()
    for _ in range(600):
        gold = tree(rng, rng.randint(1, 5))
        wrong = program(mutated(gold, rng))
        seen.add(classify(program(gold), format_program(wrong)))
    assert seen >= {None, WrongClass.ORDER, WrongClass.WRONG_OPERATION, WrongClass.WRONG_OPERAND,
                    WrongClass.MISSING_STEP}  # fmt: skip
    assert WrongClass.STRUCTURE not in seen
