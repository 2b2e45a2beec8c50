"""Cost and capacity: the chapter's numbers, waits that fall with instances, and the queue without end."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finqa_lab.cloud.prices import price_of
from finqa_lab.course.widgets import capacity
from finqa_lab.course.widgets.capacity import ROUTINGS, day
from finqa_lab.errors import CourseError

SETTING = {"service_time": 0.73, "rate": 5.0, "at_once": 1, "instances": 8, "instance": "ml.g5.xlarge"}


def test_the_numbers_of_the_chapter():
    found = day(**SETTING)
    assert found.thumb == 8 and round(found.utilisation, 3) == 0.456
    assert (round(found.p95["random"], 1), round(found.p95["least"], 1)) == (3.0, 0.0)
    assert round(found.dollars, 2) == 270.34 == round(8 * 24 * price_of("ml.g5.xlarge", "us-east-1").usd_per_hour, 2)
    assert round(found.dollars_per_thousand(5.0), 3) == 0.626


def test_four_instances_are_enough_and_three_are_not():
    assert 0.9 < day(**SETTING | {"instances": 4}).utilisation < 1
    short = day(**SETTING | {"instances": 3})
    assert short.utilisation > 1 and short.waits == dict.fromkeys(ROUTINGS, 1.0)
    assert short.p95 == dict.fromkeys(ROUTINGS, math.inf)
    drawing = capacity.draw(**SETTING | {"instances": 3})
    assert "82% of this load: the queue grows without end" in drawing.alt
    assert drawing.below.count("grows without end") == 4


@settings(max_examples=50, deadline=None)
@given(
    service_time=st.floats(0.01, 10), rate=st.floats(0.1, 20), at_once=st.integers(1, 8), instances=st.integers(1, 40)
)
def test_another_instance_costs_more_and_lets_nobody_wait_longer(service_time, rate, at_once, instances):
    setting = {"service_time": service_time, "rate": rate, "at_once": at_once, "instance": "ml.m5.xlarge"}
    one, two = (day(instances=count, **setting) for count in (instances, instances + 1))
    assert two.dollars > one.dollars and two.utilisation < one.utilisation
    for routing in ROUTINGS:
        assert two.p95[routing] <= one.p95[routing] * (1 + 1e-9)
        assert one.p50[routing] <= one.p95[routing]
    assert one.p95["least"] <= one.p95["random"] * (1 + 1e-9)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"service_time": 0}, "make no sense"),
        ({"rate": -1.0}, "make no sense"),
        ({"rate": math.nan}, "make no sense"),
        ({"instances": 0}, "give at least one"),
        ({"instance": "ml.none"}, "has no ml.none"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_sentence(change, said):
    with pytest.raises(CourseError, match=said):
        capacity.draw(**SETTING | change)


@pytest.mark.parametrize("change", [{"rate": 10_000.0}, {"instances": 500}, {"service_time": 0.001, "rate": 0.01}])
def test_loads_far_from_the_instances_are_drawn_too(change):
    drawing = capacity.draw(**SETTING | change)
    assert "<figure" in drawing.markup()
