"""Scores of prediction files: what counts, what is counted apart, and how two systems are compared."""

import random
import time

import pytest

from finqa_lab.errors import CourseError
from finqa_lab.finqa.failure import FailureKind
from finqa_lab.finqa.official import execution_value, program_equal
from finqa_lab.finqa.parse import parse
from finqa_lab.finqa.program import format_program, format_tokens
from finqa_lab.finqa.records import parse_record
from finqa_lab.finqa.scoring import compare, score
from tests.finqa.trees import mutated, program, sympy_equal, tree
from tests.finqa_data import raw_record

GOLD = "subtract(500.0, 400.0), divide(#0, 400.0)"


def records(count: int, **qa):
    return [parse_record(raw_record(number, **qa)) for number in range(1, count + 1)]


def prediction(number: int, text: str) -> dict:
    return {"id": f"ACME/2018/page_12.pdf-{number}", "predicted": format_tokens(parse(text))}


def test_a_perfect_file():
    card = score([prediction(n, GOLD) for n in (2, 1, 3)], records(3))
    for metric in ("execution", "program", "program_official"):
        assert card.rate(metric).value == 1.0 and card.correct(metric) == [True] * 3
    assert not (card.missing or card.duplicates or card.unknown or card.unreadable_gold or card.failures())
    assert card.structure_errors().hits == 0
    assert "execution: 100.00% (43.85% to 100.00%; 3 of 3)" in card.summary()


def test_the_denominator_is_the_number_of_questions():
    """The official script would report 1 of 1 for the first file and 3 of 4 for the second."""
    only_one = score([prediction(1, GOLD)], records(4))
    assert only_one.rate("execution").value == 0.25 and only_one.missing == tuple(r.id for r in records(4)[1:])
    repeated = score([prediction(1, GOLD)] * 3 + [prediction(2, "add(1, 2)")], records(2))
    assert repeated.rate("execution").value == 0.5 and repeated.duplicates == ("ACME/2018/page_12.pdf-1",)


def test_the_first_of_several_predictions_counts_and_unknown_ids_do_not():
    card = score([prediction(1, "add(1, 2)"), prediction(1, GOLD), prediction(9, GOLD)], records(1))
    assert card.rate("execution").hits == 0 and card.unknown == ("ACME/2018/page_12.pdf-9",)
    assert "duplicates: 1 (ACME/2018/page_12.pdf-1)" in card.summary() and "unknown: 1" in card.summary()


@pytest.mark.parametrize(
    ("predicted", "execution", "meaning", "official"),
    [
        (GOLD, True, True, True),
        ("subtract(500.0, 400.0), divide(#0, 400)", True, True, False),
        ("divide(500.0, 400.0), subtract(#0, const_1)", True, True, False),
        ("divide(500.0, 400.0), divide(400.0, 400.0), subtract(#0, #1)", True, True, True),
        ("divide(const_1, const_4)", True, False, False),
        ("add(500.0, 500.0), subtract(500.0, 400.0), divide(#1, 400.0)", True, True, True),
        ("subtract(400.0, 400.0), divide(#0, #0), subtract(500.0, 400.0), divide(#2, 400.0)", False, False, False),
        ("subtract(400.0, 500.0), divide(#0, 400.0)", False, False, False),
    ],
)
def test_the_three_figures(predicted, execution, meaning, official):
    (outcome,) = score([prediction(1, predicted)], records(1)).outcomes
    assert (outcome.execution, outcome.program, outcome.program_official) == (execution, meaning, official)


def test_an_unused_step_that_cannot_run_is_wrong_instead_of_ending_the_scoring():
    """The script judges the programs equal, then stops at its assertion that their answers are equal too."""
    text = "divide(400.0, const_0), add(400.0, const_0)"
    gold = records(1, program="add(400.0, const_0)", exe_ans=400.0)
    assert program_equal(parse("add(400.0, const_0)"), parse(text)) and execution_value(parse(text), ()) is None
    (outcome,) = score([prediction(1, text)], gold).outcomes
    assert not outcome.program_official and outcome.failure.kind == FailureKind.DIVISION_BY_ZERO


def test_yes_and_no():
    gold = records(1, program="greater(500.0, 400.0)", exe_ans="yes")
    assert score([prediction(1, "greater(500.0, 400.0)")], gold).rate("program_official").value == 1
    assert score([prediction(1, "greater(400.0, 500.0)")], gold).rate("execution").value == 0


def test_failures_are_counted_by_kind():
    texts = ["add(1", "add(1, 2", "plus(1, 2)", "divide(1, 0)", "table_sum(absent, none)", "add(1, 2)", GOLD]
    card = score([{"id": r.id, "predicted": text} for r, text in zip(records(7), texts)], records(8))
    assert {kind: rate.hits for kind, rate in card.failures().items()} == {
        FailureKind.SYNTAX: 2, FailureKind.UNKNOWN_OPERATION: 1, FailureKind.DIVISION_BY_ZERO: 1,
        FailureKind.ROW_NOT_FOUND: 1,
    }  # fmt: skip
    assert card.structure_errors().hits == 3 and card.structure_errors().total == 8
    assert "failure, syntax: 25.00%" in card.summary() and card.rate("execution").hits == 1


def test_a_gold_program_that_cannot_be_read_is_reported_and_leaves_the_execution():
    gold = [*records(1, program="subtract(500.0"), parse_record(raw_record(2))]
    card = score([prediction(1, GOLD), prediction(2, GOLD)], gold)
    assert card.unreadable_gold == (gold[0].id,)
    assert card.rate("execution").hits == 2 and card.rate("program").hits == card.rate("program_official").hits == 1


@pytest.mark.parametrize(
    ("predictions", "reason"),
    [
        ([{"predicted": GOLD}], "prediction no. 1 has no id"),
        ([["a", GOLD]], "prediction no. 1 has no id"),
        ([{"id": 7, "predicted": GOLD}], "prediction no. 1 has no id"),
        ([{"id": "a", "predicted": GOLD}, {"id": "b"}], r"prediction no. 2 \(b\) has no program"),
        ([{"id": "a", "predicted": None}], "has no program"),
    ],
)
def test_malformed_predictions_are_one_sentence(predictions, reason):
    with pytest.raises(CourseError, match=reason):
        score(predictions, records(1))


def test_gold_records_without_answers_are_refused():
    with pytest.raises(CourseError, match="no gold record"):
        score([], [])
    with pytest.raises(CourseError, match="page_12.pdf-1 has no executed answer"):
        score([], records(1, exe_ans=None))


def test_two_systems_are_compared_question_by_question():
    right, wrong = GOLD, "add(1, 2)"
    first = score([prediction(n, right if n <= 12 else wrong) for n in range(1, 31)], records(30))
    second = score([prediction(n, right if n > 3 else wrong) for n in range(1, 31)], records(30))
    found = compare(first, second)
    assert (found.only_first, found.only_second) == (3, 18) and found.difference == 0.5
    assert found.p_value == pytest.approx(0.00149, abs=1e-5) and found.low < 0.5 < found.high
    same = compare(first, first, metric="program")
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)
    with pytest.raises(CourseError, match="not scored on the same questions"):
        compare(first, score([], records(29)))


def test_scoring_is_ten_times_faster_than_the_official_rule_with_sympy():
    """CPU time of both on the same programs in one process; on gold programs of the data set the ratio is above 40."""
    rng = random.Random(4)
    golds = [tree(rng, rng.choice([1, 1, 1, 2, 2, 3])) for _ in range(60)]
    others = [mutated(gold, rng) if rng.random() < 0.4 else gold for gold in golds]
    gold = [parse_record(raw_record(n, program=format_program(program(t)))) for n, t in enumerate(golds)]
    predicted = [prediction(n, format_program(program(t))) for n, t in enumerate(others)]
    for pair in zip(golds[:5], others):  # SymPy's first simplification imports half of it
        sympy_equal(*pair)
    begin = time.thread_time()
    for pair in zip(golds, others):
        sympy_equal(*pair)
    middle = time.thread_time()
    score(predicted, gold)
    end = time.thread_time()
    assert middle - begin > 10 * (end - middle), f"{(middle - begin) / (end - middle):.1f} times"
