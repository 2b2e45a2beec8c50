"""Times of labs as multiples of a calibrated loop: bounds, records, and a run that is refused."""

import json

import pytest

from finqa_lab.course import golden, runner, timing
from finqa_lab.errors import CourseError
from tests.course import toy

GOOD = "from finqa_lab.course import record\nrecord('total', steps * 2, 'steps')"
MACHINE = ("a machine", "2026-01-31")


def test_a_lab_may_take_twice_its_record_and_no_more(toy_course):
    toy_course(l01_good=toy.notebook(GOOD))
    assert timing.exceeded("01_good", 10_000) == ""  # no record, no bound
    assert timing.update("01_good", 40, 9.0, 11.0, *MACHINE) == "time: new -> 40 loops"
    assert timing.exceeded("01_good", 80) == ""
    message = timing.exceeded("01_good", 81)
    assert "2.0 times its record of 40" in message and "--update-golden" in message


def test_a_few_loops_are_always_allowed(toy_course):
    toy_course(l01_good=toy.notebook(GOOD))
    timing.update("01_good", 0.5, 0.1, 0.1, *MACHINE)
    assert timing.exceeded("01_good", timing.FLOOR) == "" != timing.exceeded("01_good", timing.FLOOR + 0.1)


def test_a_record_is_kept_where_little_has_changed(toy_course):
    toy_course(l01_good=toy.notebook(GOOD))
    timing.update("01_good", 40, 9.0, 11.0, *MACHINE)
    assert timing.update("01_good", 43, 9.0, 11.0, *MACHINE) == ""
    assert timing.update("01_good", 20, 5.0, 6.0, *MACHINE) == "time: 40 -> 20 loops"
    entry = {"loops": 20, "cpu_seconds": 5.0, "seconds": 6.0, "hardware": "a machine", "date": "2026-01-31"}
    assert timing.records() == {"01_good": entry}


def test_a_damaged_record_is_named(toy_course):
    toy_course(l01_good=toy.notebook(GOOD))
    timing.path().write_text(json.dumps({"01_good": {"seconds": 3}}))
    with pytest.raises(CourseError, match="'01_good' has no loops"):
        timing.exceeded("01_good", 3)


def test_a_run_that_is_slower_than_its_record_allows_fails_for_its_time(toy_course, monkeypatch):
    toy_course(l01_good=toy.notebook(GOOD))
    golden.update("01_good", {"total": {"value": 6, "unit": "steps"}}, "smoke")
    (result,) = runner.run(runner.plan([]))
    assert result.status == "passed" and result.loops > 0
    monkeypatch.setattr(timing, "FLOOR", 0.0)
    timing.update("01_good", result.loops / 4, 1.0, 1.0, *MACHINE)
    (result,) = runner.run(runner.plan([]))
    assert (result.status, result.reason) == ("failed", "time") and "times its record" in result.detail


def test_the_loop_takes_processor_time_and_not_a_second_thread():
    assert 0.01 < timing.loop_seconds(1) < 60
