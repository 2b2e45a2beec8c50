"""The reader of replies and the scores, on replies that are right, wrong and hostile."""

import json
import math
from functools import lru_cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.quantitative.dataset import dataset
from finqa_lab.quantitative.replies import MAX_REPLY, Reading, read_last_number, read_reply
from finqa_lab.quantitative.scoring import METRICS, judge, names, score

SMALL = {"train": 36, "validation": 18, "phrasing": 18}


@lru_cache
def sample(unit):
    return next(s for s in dataset(0, SMALL).train if s.unit == unit)


@pytest.mark.parametrize(
    ("text", "answer", "source"),
    [
        ('{"answer": 12.5}', 12.5, "json"),
        ('```json\n{"answer": "12.5%"}\n```', 0.125, "json"),
        ('{"answer": "$ 12,500.50"}', 12500.5, "json"),
        ('{"answer": "Oak"}', "Oak", "json"),
        ('{"answer": 1} no, wait: {"answer": 2}', 2.0, "json"),
        ('answer: 3\n{"answer": 4}', 4.0, "json"),
        ('{"answer": 4}\nanswer: 3', 4.0, "json"),
        ('{"result": {"answer": 5}}', 5.0, "json"),
        ('{"answer": 5, "check": {"answer": 6}}', 5.0, "json"),
        ('{"answer": 5, "note": "see {this}"}', 5.0, "json"),
        ('{"answer": -1e-3}', -0.001, "json"),
        ('{"program": "divide(1, 4)"}', 0.25, "program"),
        ('<think>{"answer": 9}</think>{"answer": 8}', 8.0, "json"),
        ('{"answer": 8}<think>{"answer": 9}</think>', 8.0, "json"),
        ("It is 7.\n**Final answer:** 8", 8.0, "line"),
        ("answer: 1\nanswer: 2", 2.0, "line"),
        ("The answer is: $1,250.", 1250.0, "line"),
        ("answer: Oak > Elm > Pine", "Oak > Elm > Pine", "line"),
        ("answer: \u22120.5", -0.5, "line"),
        ("subtract(6, 4), divide(#0, 4)", 0.5, "program"),
        ("program: `floor(7.5, none)`", 7.0, "program"),
        ("First add(1, 2).\nThen: name(1, Oak), name(2, Elm), rank(#0, #1), first(#2, none)", "Elm", "program"),
    ],
)
def test_the_final_answer_is_read(text, answer, source):
    assert read_reply(text) == Reading(answer, source)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        "I cannot help with that.",
        "It is 12.5, I think.",
        '{"answer": NaN}',
        '{"answer": Infinity}',
        '{"answer": -Infinity}',
        '{"answer": 1e999}',
        '{"answer": ' + "9" * 400 + "}",
        '{"answer": ' + "9" * 5000 + "}",
        '{"answer": "nan"}',
        '{"answer": "inf"}',
        '{"answer": true}',
        '{"answer": null}',
        '{"answer": []}',
        '{"answer": {"value": 5}}',
        '{"answer": "\u0661\u0662\u0663"}',
        '{"answer": "12 or 13"}',
        '{"answer": ""}',
        '{"answer": "' + "x" * 300 + '"}',
        '{"answer": 5',
        '{"Answer": 5}',
        '{"answer": ' + "[" * 20_000,
        '{"a":' * 5000,
        "answer: \uff11\uff12",
        "answer: inf",
        "answer:",
        "divide(1, 0)",
        "add(1",
        "maximum(1, 2), __import__(os, system)",
        '{"program": "exp(10, 9999)"}',
        "<think>\nanswer: 5",
        '<think>{"answer": 9}</think>',
    ],
)
def test_what_is_no_answer_is_a_structure_failure(text):
    reading = read_reply(text)
    assert reading.answer is None and reading.reason and "\n" not in reading.reason
    for unit in ("dollars", "name"):
        outcome = judge(sample(unit), reading)
        assert outcome.structure and not (outcome.exact or outcome.within or outcome.lenient)


HOSTILE = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(
            ['{"answer":', "}", "{", "[", '"', "NaN", "1e999", "answer:", "\n", "maximum(", "floor(#0, none)", "#9",
             ", ", "<think>", "</think>", "9" * 50, "\ud800", "\u0661", "%", "$", "\\"]
        ),
    ),
    max_size=30,
).map("".join)  # fmt: skip


@settings(deadline=None)
@given(HOSTILE)
@example("{" * 100_000)
@example('{"answer": ' * 20_000)
@example("answer:" * 20_000)
@example("<think>" * 20_000)
@example("9," * 50_000)
@example("floor(" * 20_000)
def test_no_reply_makes_a_reader_raise(text):
    for reader in (read_reply, read_last_number):
        reading = reader(text)
        assert (reading.answer is None) == bool(reading.reason)
        assert not isinstance(reading.answer, float) or math.isfinite(reading.answer)
        for unit in ("dollars", "fraction", "shares", "name"):
            judge(sample(unit), reading)


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_survives_json(number):
    assert read_reply(json.dumps({"answer": number})).answer == number


def test_only_the_end_of_a_long_reply_is_read():
    assert read_reply('{"answer": 1}' + " " * MAX_REPLY).answer is None
    assert read_reply("x" * MAX_REPLY + '{"answer": 1}').answer == 1


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("The volatility is 0.19049: that is 0.012 * sqrt(252)", 252.0),
        ("The volatility is 0.19049, with the root of 252 days.", 252.0),
        ("You will have $12,500 by the end of 2035.", 2035.0),
        ("It is Oak, in step 3.", 3.0),
        ("The maximum drawdown of 2021-2024 is 22.6%; the 95% interval is wide", 95.0),
    ],
)
def test_the_last_number_of_a_text_is_often_not_its_answer(text, taken):
    assert read_last_number(text).answer == taken
    assert read_reply(text).answer is None


def test_the_last_number_gives_the_credit_that_the_reader_refuses_and_the_other_way_round():
    volatility = next(s for s in dataset(0, SMALL).train if s.task == "volatility" and s.difficulty == 1)
    right = f'{{"answer": {volatility.answer}}}\nI used sqrt(252).'
    assert judge(volatility, read_reply(right)).exact and not judge(volatility, read_last_number(right)).within
    rambling = f"Perhaps {volatility.answer}"
    assert judge(volatility, read_reply(rambling)).structure and judge(volatility, read_last_number(rambling)).within


def test_exact_within_and_lenient_differ_as_defined():
    fraction = sample("fraction")
    right = fraction.answer

    def metrics(value):
        outcome = judge(fraction, Reading(value, "json"))
        return outcome.exact, outcome.within, outcome.lenient, outcome.structure

    assert metrics(right) == (True, True, True, False)
    assert metrics(right + 2e-6) == (True, True, True, False)
    assert metrics(right * 1.009) == (False, True, True, False)
    assert metrics(right * 0.991) == (False, True, True, False)
    assert metrics(right * 1.011) == (False, False, False, False)
    assert metrics(right * 100) == (False, False, True, False)
    assert metrics(right / 100) == (False, False, True, False)
    assert metrics(right * 10) == (False, False, False, False)
    assert metrics(-right) == (False, False, False, False)
    assert metrics(1e308) == (False, False, False, False)
    assert metrics("Oak") == (False, False, False, True)
    assert metrics(None) == (False, False, False, True)


def test_a_name_is_right_only_as_it_is():
    name = next(s for s in dataset(0, SMALL).train if s.task == "sharpe")
    right, wrong = name.answer, name.mistakes["the other name"]

    def good(text):
        return judge(name, read_reply(json.dumps({"answer": text}))).within

    assert good(right) and good(right.upper()) and good(f" {right}. ")
    assert not good(wrong) and not good(f"{right} > {wrong}") and not good(right[:-1]) and not good(f"not {right}")
    assert judge(name, Reading(1.0, "json")).structure


def test_an_order_of_names_may_be_written_in_several_ways_but_not_in_another_order():
    for text in (
        "Oak > Elm > Pine",
        "oak, elm, pine",
        "Oak, then Elm, and Pine.",
        "Oak -> Elm -> Pine",
        "Oak \u2192 Elm \u2192 Pine",
    ):
        assert names(text) == ("oak", "elm", "pine")
    assert names("Elm > Oak > Pine") != names("Oak > Elm > Pine")
    assert names("Sandalwood, then Thenar") == ("sandalwood", "thenar")


def test_a_known_mistake_is_named():
    compounding = next(s for s in dataset(0, SMALL).train if s.task == "compounding")
    outcome = judge(compounding, Reading(compounding.mistakes["simple interest"], "json"))
    assert "simple interest" in outcome.mistake and not outcome.within
    assert judge(compounding, Reading(compounding.answer, "json")).mistake == ()


def test_scores_are_by_task_and_overall_with_intervals():
    samples = dataset(0, SMALL).validation
    replies = {s.id: s.messages()[2]["content"] for s in samples}
    wrong = next(s for s in samples if s.task == "sizing")
    replies[wrong.id] = '{"answer": 1}'
    silent = next(s for s in samples if s.task == "drawdown")
    del replies[silent.id]
    replies["nobody"] = '{"answer": 1}'
    found = score(replies, samples)
    assert found.missing == (silent.id,) and found.unknown == ("nobody",)
    assert (found.rate("within").hits, found.rate("within").total) == (16, 18)
    assert (found.rate("structure").hits, found.rate("structure", "sizing").hits) == (1, 0)
    assert found.rate("exact", "sizing").value == pytest.approx(2 / 3)
    assert found.rate("exact", "sizing").low < 2 / 3 < found.rate("exact", "sizing").high
    assert set(found.tasks) == {s.task for s in samples} and sum(found.correct()) == 16
    assert all(f"{metric}: " in found.summary() for metric in METRICS) and "unknown: 1 (nobody)" in found.summary()


def test_nothing_to_score_and_an_unknown_task_are_said_in_a_sentence():
    with pytest.raises(CourseError, match="no sample to score"):
        score({}, [])
    with pytest.raises(CourseError, match="no sample is of the task 'poker'"):
        score({}, dataset(0, SMALL).train).rate("exact", "poker")
