"""Metrics travel in the notebook; golden bounds hold them; only --update-golden moves them."""

import json

import numpy as np
import pytest

from finqa_lab.course import golden, metrics
from finqa_lab.errors import CourseError


@pytest.fixture
def shown(monkeypatch):
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: bundles.append(bundle))
    return bundles


def notebook(*bundles) -> dict:
    return {"cells": [{"outputs": [{"data": bundle}]} for bundle in bundles] + [{"source": "prose"}]}


def test_a_metric_round_trips_through_the_outputs(shown):
    metrics.record("fertility", np.float64(1.5), "tokens/word")
    metrics.record("wrong", 0)
    metrics.record("wrong", 3)
    assert shown[0]["text/plain"] == "fertility = 1.5 tokens/word"
    found = metrics.collect(notebook(*shown))
    assert found == {"fertility": {"value": 1.5, "unit": "tokens/word"}, "wrong": {"value": 3, "unit": ""}}


@pytest.mark.parametrize("name, value", [("Bad name", 1), ("x", float("nan")), ("x", "1"), ("x", [1]), ("", 1)])
def test_what_is_no_metric_is_refused(name, value, shown):
    with pytest.raises(ValueError):
        metrics.record(name, value)
    assert not shown


@pytest.mark.parametrize(
    "value, kind, margin, bounds",
    [
        (10, "exact", 0, (10, 10)),
        (154716 / 1500500, "exact", 0, (154716 / 1500500, 154716 / 1500500)),
        (10.0, "within", "10%", (9.0, 11.0)),
        (-10.0, "within", "10%", (-11.0, -9.0)),
        (10.0, "at_least", 1, (9.0, None)),
        (10.0, "at_most", 1, (None, 11.0)),
        (10.0, "free", 0, (None, None)),
    ],
)
def test_bounds_follow_from_value_kind_and_margin(value, kind, margin, bounds):
    assert golden.bounds(value, kind, margin) == bounds


@pytest.fixture
def recorded(toy_course):
    toy_course()
    found = {"a": {"value": 1.0, "unit": "s"}}
    golden.update("01_toy", found, "smoke")
    return found


def test_update_prints_the_difference_and_keeps_margin_and_reason(recorded):
    content = json.loads(golden.path("01_toy").read_text())
    content["metrics"]["a"] |= {"kind": "within", "margin": 0.5, "why": "three seeds"}
    golden.path("01_toy").write_text(json.dumps(content))
    changes = golden.update("01_toy", {"a": {"value": 2.0, "unit": "s"}, "b": {"value": 1, "unit": ""}}, "smoke")
    assert changes == ["a: 1 (exactly 1) -> 2 ([1.5, 2.5])", "b: new -> 1 (exactly 1)"]
    assert golden.load("01_toy")["a"]["why"] == "three seeds"
    assert golden.update("01_toy", {"a": {"value": 2.0, "unit": "s"}}, "smoke") == ["b: removed"]
    assert golden.update("01_toy", {"a": {"value": 2.0, "unit": "s"}}, "smoke") == []


def test_a_value_out_of_bounds_a_missing_and_an_unknown_metric_are_named(recorded):
    assert golden.compare("01_toy", recorded) == []
    problems = golden.compare("01_toy", {"a": {"value": 1.1, "unit": "s"}, "c": {"value": 1, "unit": ""}})
    assert problems == [
        "a = 1.1 is outside exactly 1",
        "metric 'c' has no golden entry; add it with --update-golden",
    ]
    assert golden.compare("01_toy", {}) == ["metric 'a' was not recorded"]


def test_hand_edited_bounds_are_noticed(recorded):
    content = json.loads(golden.path("01_toy").read_text())
    content["metrics"]["a"]["high"] = 99
    golden.path("01_toy").write_text(json.dumps(content))
    with pytest.raises(CourseError, match="do not follow"):
        golden.load("01_toy")


def test_a_corrupt_golden_file_is_one_sentence(recorded):
    golden.path("01_toy").write_text("{")
    with pytest.raises(CourseError, match="is not JSON at line 1"):
        golden.load("01_toy")
