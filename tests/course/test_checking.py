"""The check framework: three verdicts, hints by behaviour, and nothing that a student's code does gets through."""

import random
import sys
import time

import numpy as np
import pytest

from finqa_lab.course import checking, compare
from finqa_lab.course.checking import NOT_STARTED, RIGHT, WRONG, Case, Check, CheckFailed, WrongAnswer
from finqa_lab.course.timebox import TimeUp, limit
from finqa_lab.errors import CourseError


def cases(rng: random.Random):
    yield Case([])
    yield Case([1], note="one item")
    for _ in range(5):
        yield Case([rng.randrange(9) for _ in range(4)])


def make(**changes) -> Check:
    fields = {
        "name": "tokenizers.total",
        "task": "add the items",
        "cases": cases,
        "oracle": sum,
        "why": "everything is a sum",
        "hint": "add them all",
        "wrong": [
            WrongAnswer("count", len, "you count the items"),
            WrongAnswer("largest", lambda items: max(items, default=0), "you take the largest"),
        ],
        "seconds": 0.5,
    }
    return Check(**(fields | changes))


def blank(items):
    raise NotImplementedError


def test_right():
    verdict = make().judge(lambda items: sum(items))
    assert verdict.status == RIGHT and "7 cases" in verdict.message


@pytest.mark.parametrize("answer", [blank, None, ...])
def test_not_started(answer):
    assert make().judge(answer).status == NOT_STARTED


def test_wrong_names_the_smallest_example_why_and_the_hint_of_the_matching_mistake():
    verdict = make().judge(len)
    assert verdict.status == WRONG and verdict.mistake == "count"
    for part in ("you count the items", "everything is a sum", "expected:", "got:"):
        assert part in verdict.message


def test_smallest_failing_example_is_the_first_one():
    verdict = make().judge(lambda items: 7 if items == [1] else sum(items))
    assert (
        "([1]), one item" in verdict.message and "expected: 1" in verdict.message and "got:      7" in verdict.message
    )


def test_a_mistake_outside_the_catalogue_gets_the_general_hint():
    verdict = make().judge(lambda items: -1)
    assert verdict.mistake == "" and "add them all" in verdict.message


@pytest.mark.parametrize("raised", [ValueError("no"), SystemExit(1), RecursionError(), MemoryError()])
def test_an_error_is_an_answer_not_a_crash(raised):
    def answer(items):
        raise raised

    verdict = make().judge(answer)
    assert verdict.status == WRONG and type(raised).__name__ in verdict.message


def test_keyboard_interrupt_passes_through():
    def answer(items):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make().judge(answer)


def test_an_endless_loop_is_stopped_even_when_it_swallows_exceptions():
    def answer(items):
        while True:
            try:
                time.sleep(0.01)
            except Exception:  # noqa: S112
                continue

    started = time.perf_counter()
    verdict = make().judge(answer)
    assert verdict.status == WRONG and "endless loop" in verdict.message
    assert time.perf_counter() - started < 30  # it came back at all; the limit is half a second


def test_changing_the_input_spoils_only_the_students_copy():
    def answer(items):
        total = sum(items)
        items.clear()
        return total

    assert make().judge(answer).status == RIGHT


def test_an_expected_error_is_part_of_the_oracle():
    def oracle(items):
        if not items:
            raise ValueError("empty")
        return sum(items)

    judge = make(oracle=oracle)
    assert judge.judge(oracle).status == RIGHT
    assert judge.judge(sum).status == WRONG


def test_a_generator_is_judged_by_its_items():
    assert make(oracle=list).judge(lambda items: (i for i in items)).status == RIGHT


def test_a_plain_value_is_judged_through_call():
    value = make(cases=lambda rng: iter([Case()]), oracle=lambda: 42, call=lambda v: v, wrong=[])
    assert value.judge(42).status == RIGHT and value.judge(41).status == WRONG


def test_check_raises_without_a_traceback_and_prints_when_right(monkeypatch, capsys):
    monkeypatch.setattr(checking, "find", lambda name: make())
    checking.check("tokenizers.total", sum)
    assert "[right]" in capsys.readouterr().out
    with pytest.raises(CheckFailed) as caught:
        checking.check("tokenizers.total", len)
    assert caught.value._render_traceback_() == [caught.value.verdict.message]


def test_unknown_names_list_what_there_is():
    with pytest.raises(CourseError, match="unknown check 'nothing.here'"):
        checking.find("nothing.here")
    with pytest.raises(CourseError, match="known in this subject: tokenizers"):
        checking.find("tokenizers.nothing")


def test_registering_a_name_twice_from_two_places_is_refused(monkeypatch):
    monkeypatch.setattr(checking, "_CHECKS", {})
    checking.register(make(oracle=compare.same))
    with pytest.raises(ValueError, match="registered twice"):
        checking.register(make(oracle=limit))


@pytest.mark.parametrize(
    "expected, got, equal",
    [
        (1, 1.0, True),
        (1, True, False),
        (1.0, 1.0 + 1e-9, True),
        (1.0, 1.001, False),
        (float("nan"), float("nan"), True),
        ([1, 2], (1, 2), True),
        ([1, 2], [1, 2, 3], False),
        ("a", b"a", False),
        ({"a": [1]}, {"a": [1]}, True),
        ({"a": 1}, {"b": 1}, False),
        ({1, 2}, {2, 1}, True),
        (np.array([1, 2]), [1, 2], True),
        (np.array([1, 2]), [1, 3], False),
        (np.zeros((2, 1)), np.zeros(2), False),
        (np.array([1.0]), np.array([1.0 + 1e-8]), True),
        (np.array([1, 2]), ["a", "b"], False),
        (None, 0, False),
    ],
)
def test_comparison(expected, got, equal):
    assert compare.same(expected, got) is equal


def test_comparison_of_tensors_does_not_need_torch_loaded_here():
    import torch

    assert compare.same(torch.tensor([1, 2]), [1, 2]) and not compare.same(torch.tensor([1.0]), torch.tensor([2.0]))


def test_show_fits_a_line():
    assert len(compare.show(list(range(10_000)))) < 200
    assert "shape (2, 3)" in compare.show(np.zeros((2, 3)))


def test_limit_rings_on_a_worker_thread_too():
    import threading

    seen = []

    def work():
        try:
            with limit(0.1):
                while True:
                    sys.getrefcount(None)
        except TimeUp:
            seen.append("rang")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert seen == ["rang"]


def test_a_difference_far_inside_is_located():
    a, b = np.arange(24.0).reshape(6, 4), np.arange(24.0).reshape(6, 4)
    b[5, 3] = 99
    assert compare.first_difference(a, b) == "at index [5, 3]: expected 23.0, got 99.0"
    assert compare.first_difference([1, 2], [1, 2, 3]) == "expected 2 items, got 3"
    assert compare.first_difference(a, a) == compare.first_difference(a, [1]) == compare.first_difference(1, 2) == ""
    verdict = make(oracle=lambda items: [0] * 30 + [1], wrong=[]).judge(lambda items: [0] * 30 + [2])
    assert "first difference at index 30: expected 1, got 2" in verdict.message


def test_printing_without_end_is_cut(capsys):
    def answer(items):
        while True:
            print("x" * 50)

    verdict = make().judge(answer)
    out = capsys.readouterr().out
    assert len(out) < 3000 and "further output is not shown" in out
    assert "stopped after 0.5 s; look for a loop" in verdict.message


def test_the_result_in_place_of_the_function_is_named():
    verdict = make().judge(6)
    assert verdict.status == WRONG and "pass the function itself" in verdict.message


def test_a_missing_branch_is_wrong_not_unstarted():
    def answer(items):
        if len(items) > 1:
            raise NotImplementedError
        return sum(items)

    verdict = make().judge(answer)
    assert verdict.status == WRONG and "one branch of your function" in verdict.message


def test_an_exception_is_named_in_the_hint():
    verdict = make().judge(lambda items: items[5])
    assert "your code raised IndexError" in verdict.message
