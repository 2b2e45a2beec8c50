"""The official figures: equal to SymPy's verdict where the script gives one, and a verdict where it gives none."""

import random
import time

import pytest

from finqa_lab.finqa.equivalence import equivalent
from finqa_lab.finqa.execute import execute
from finqa_lab.finqa.failure import ProgramError
from finqa_lab.finqa.official import execution_value, program_equal
from finqa_lab.finqa.parse import parse
from finqa_lab.finqa.program import literals
from tests.finqa.fuzz import TABLE_ROWS, sound
from tests.finqa.trees import changed, mutated, places, points, program, same_function, same_meaning, sympy_equal, tree


def test_the_verdict_is_that_of_sympy():
    """Pairs of small trees over few leaves, so that different programs often are the same function."""
    rng = random.Random(3)
    equal = unequal = 0
    while equal < 120 or unequal < 80:
        gold = tree(rng, rng.randint(1, 4), ("5829", "5735", "417.2"))
        other = tree(rng, rng.randint(1, 4), ("5829", "5735"))
        if equal < 120 and rng.random() < 0.5:
            other = changed(gold, rng.choice(list(places(gold))), lambda node: same_meaning(node, False, rng))
        elif rng.random() < 0.5:
            other = mutated(gold, rng)
        if other == gold or None in (same_function(tree, tree, points(rng, 1, {})) for tree in (gold, other)):
            continue  # a division by x - x: SymPy compares infinities
        verdict = program_equal(program(gold), program(other))
        if unequal >= 80 and not verdict:
            continue
        assert sympy_equal(gold, other) == verdict, (gold, other)
        equal, unequal = equal + verdict, unequal + (not verdict)


@pytest.mark.parametrize(
    ("gold", "other"),
    [
        (("greater", "5829", "5735"), ("greater", "5829", "5735")),
        (("greater", "5829", "5735"), ("greater", "5735", "5829")),
        (("greater", ("subtract", "5829", "5735"), "417.2"), ("greater", "5829", ("add", "417.2", "5735"))),
        (("exp", ("add", "const_1", "6.5%"), "5829"), ("exp", ("add", "6.5%", "const_1"), "5829")),
        (("exp", ("add", "const_1", "6.5%"), "5829"), ("exp", ("add", "const_1", "5829"), "6.5%")),
        (("exp", "5829", "5735"), ("exp", "5829", ("divide", "5735", ("divide", "5735", "5735")))),
        (("exp", "5829", ("divide", "5735", "5735")), "5829"),
    ],
)
def test_comparisons_and_powers_as_sympy_judges_them(gold, other):
    if isinstance(other, str):
        gold, other = ("add", gold, "5735"), ("add", other, "5735")
    assert program_equal(program(gold), program(other)) == sympy_equal(gold, other)


def test_known_differences_from_sympy():
    """Both are right as mathematics; gold programs of the data set have neither form."""
    doubled = (("greater", ("add", "5829", "5829"), ("add", "5735", "5735")), ("greater", "5829", "5735"))
    assert sympy_equal(*doubled) and not program_equal(*map(program, doubled))
    powers = (
        ("multiply", ("exp", "5829", "5735"), ("exp", "5829", "417.2")),
        ("exp", "5829", ("add", "5735", "417.2")),
    )
    assert sympy_equal(*powers) and not program_equal(*map(program, powers))


@pytest.mark.parametrize(
    ("gold", "predicted", "verdict"),
    [
        ("subtract(5829, 5735)", "subtract(5829, 5735.0)", False),  # other text, other symbol
        ("divide(94, const_100)", "divide(94, 100)", False),
        ("add(5829, 5735)", "add(5829, 5735), subtract(7, 7), add(5829, 5735)", False),  # 7 is not in gold, used or not
        ("add(5829, 5735)", "divide(5735, 5829), add(5829, 5735)", True),  # a wrong step that nothing uses
        ("divide(9, 8), add(9, 8)", "divide(8, 9), add(8, 9)", True),
        ("table_max(a, none)", "table_max(a, none)", True),
        ("table_max(a, none)", "table_max(b, none), table_max(a, none)", False),
        ("table_max(a, none), table_max(b, none), subtract(#0, #1)",
         "table_max(a, none), table_max(b, none), subtract(#1, #0)", False),
        ("table_max(a, none)", "table_max(a, 5)", False),  # the ignored argument is part of the text
        ("table_max(a, none), table_min(#0, none), add(#0, #1)",
         "table_max(a, none), table_min(#0, none), add(#1, #0)", True),
        ("table_max(a, none), table_min(a, none), add(#0, #1)",
         "table_max(a, none), table_min(#0, none), add(#1, #0)", False),
        ("table_max(goodwill ( 2 ), none), divide(#0, 5)", "table_max(goodwill ( 2 ), none), divide(#0, 5)", True),
        ("subtract(9, 9), divide(9, #0)", "subtract(9, 9), divide(9, #0)", False),
    ],
)  # fmt: skip
def test_the_rules_of_program_accuracy(gold, predicted, verdict):
    assert program_equal(parse(gold), parse(predicted)) is verdict


def test_programs_on_which_the_script_does_not_return_take_no_time():
    begin = time.thread_time()
    for operation, steps in (("multiply", 18), ("add", 24), ("exp", 12)):
        text = "add(5829, 5735), " + ", ".join(f"{operation}(#{i}, #{i})" for i in range(steps))
        assert program_equal(parse(text), parse(text.replace("5829, 5735", "5735, 5829")))
        assert not program_equal(parse(text), parse(text.replace("add(5829", "subtract(5829")))
    assert time.thread_time() - begin < 0.5


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("divide(1, 3)", 0.33333),
        ("greater(3, 2)", "yes"),
        ("divide(1, 0)", None),
        ("divide(1, 0), add(1, 2)", None),  # every step is executed
        ("exp(10, 400)", None),
        ("multiply(6.5%, 300)", 19.5),
        ("exp(-2, 0.5)", None),
        ("exp(-2, 0.5), add(1, 2)", 3.0),  # complex, but nothing uses it
        ("table_sum(net sales, none)", 11564.0),
        ("table_sum(cash , net, none)", None),
        ("table_sum(absent, none)", None),
        (
            "table_max(goodwill ( 2 ), none), table_max(net sales, none), table_min(#0, none)",
            5735.0,
        ),  # the row read last
    ],
)
def test_values_as_the_script_computes_them(text, value):
    assert execution_value(parse(text), TABLE_ROWS) == value


def test_float_and_exact_execution_agree_on_answers_of_ordinary_size():
    rng = random.Random(11)
    compared = 0
    for _ in range(3000):
        try:
            steps = parse(sound(rng, rng.randint(1, 4)))
        except ProgramError:
            continue
        if any(abs(literal.value) > 1e7 for literal in literals(steps)):
            continue  # floats lose digits there: 10**33 + 5 - 10**33 is 0
        ours, theirs = execute(steps, TABLE_ROWS).value, execution_value(steps, TABLE_ROWS)
        if isinstance(theirs, float) and abs(theirs) < 1e6 and isinstance(ours, float):
            compared += 1
            assert abs(ours - theirs) <= 1e-5 * max(1, abs(theirs)), steps
    assert compared > 500


def test_robust_equivalence_accepts_whatever_the_official_rule_accepts():
    rng = random.Random(13)
    accepted = 0
    for _ in range(1500):
        gold = tree(rng, rng.randint(1, 4))
        other = changed(gold, rng.choice(list(places(gold))), lambda node: same_meaning(node, False, rng))
        if program_equal(program(gold), program(other)):
            accepted += 1
            undefined = same_function(gold, gold, points(rng, 1, {"const_100": 100, "const_1": 1})) is None
            assert undefined or equivalent(program(gold), program(other))
    assert accepted > 1000
