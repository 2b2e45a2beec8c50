"""The simulator of a day: exact where it can be said by hand, and in the right order where it cannot."""

import math

import numpy as np
import pytest

from finqa_lab.cloud.autoscale import Fleet, compare, simulate
from finqa_lab.cloud.capacity import (
    Latency,
    instances_for_p95,
    instances_for_rate,
    latency,
    wait_percentile,
    waiting_chance,
)
from finqa_lab.cloud.errors import InvalidRequest
from finqa_lab.cloud.scaling import scaling_for
from finqa_lab.cloud.tracking import IN_POINTS, Policy, Tracker, fixed
from finqa_lab.cloud.traffic import MINUTES, Day, arrivals, bursty_day

FLEET = Fleet((0.73,), usd_per_hour=1.408)


def steady(per_minute: float, until: int = MINUTES, then: float = 0.0) -> Day:
    """Evenly spaced calls, for figures that can be said by hand."""
    rates = np.where(np.arange(MINUTES) < until, per_minute / 60, then / 60)
    times = [minute * 60 + (k + 0.5) * 60 / n for minute in range(MINUTES) for n in [round(rates[minute] * 60)]
             for k in range(n)]  # fmt: skip
    return Day(rates, np.array(times))


def feed(tracker: Tracker, metrics, instances: int = 1, start: int = 0) -> list[int]:
    decided = []
    for minute, metric in enumerate(metrics, start):
        tracker.record(metric)
        decided.append(tracker.decide(minute * 60.0, instances))
    return decided


def test_three_minutes_above_the_target_scale_out_in_proportion():
    assert feed(Tracker(Policy(40)), [100, 100]) == [1, 1]
    assert feed(Tracker(Policy(40)), [100, 100, 100]) == [1, 1, 3]
    assert feed(Tracker(Policy(40)), [100, 100, 40, 100, 100]) == [1] * 5  # 40 is not above 40
    assert feed(Tracker(Policy(40, most=2)), [100] * 3)[-1] == 2


def test_fifteen_minutes_below_nine_tenths_scale_in_by_a_step():
    assert feed(Tracker(Policy(40)), [10] * (IN_POINTS - 1), instances=4) == [4] * (IN_POINTS - 1)
    assert feed(Tracker(Policy(40)), [10] * IN_POINTS, instances=4)[-1] == 3
    assert feed(Tracker(Policy(40, in_step=9)), [10] * IN_POINTS, instances=4)[-1] == 1
    assert feed(Tracker(Policy(40)), [37] * 60, instances=4)[-1] == 4  # between nine tenths and the target
    assert feed(Tracker(Policy(40, least=4)), [0.1] * 60, instances=4)[-1] == 4


def test_a_minute_without_a_datapoint_begins_the_count_anew():
    assert feed(Tracker(Policy(40)), [100, 100, None, 100, 100]) == [1] * 5
    assert feed(Tracker(Policy(40)), [None] * 60, instances=9)[-1] == 9  # missing data never scale in


def test_cooldowns_block_their_direction_and_a_scale_out_ends_the_other():
    tracker = Tracker(Policy(40, out_cooldown_s=300, in_cooldown_s=600))
    tracker.completed(now=0.0, change=3)
    assert feed(tracker, [50] * 5, instances=4, start=0) == [4] * 5  # one more is not larger than the three
    assert feed(tracker, [160], instances=4, start=4) == [10]  # twelve more is
    assert feed(tracker, [50] * 3, instances=4, start=6)[-1] == 5  # the cooldown is over
    tracker = Tracker(Policy(40, in_cooldown_s=1800))
    tracker.completed(now=0.0, change=-1)
    assert feed(tracker, [10] * 20, instances=3)[-1] == 3
    tracker.completed(now=1200.0, change=1)
    assert tracker.in_until == -math.inf


def test_figures_of_a_steady_day_are_those_of_arithmetic():
    outcome = simulate(steady(60), fixed(1), FLEET)  # one call a second, 0.73 s each: none waits
    assert outcome.percentile(99) == pytest.approx(0.73) and outcome.dropped == 0 and outcome.requests == 86400
    assert outcome.usd == pytest.approx(24 * 1.408) and (outcome.metric == 60).all() and outcome.changes == ()


def test_target_tracking_reaches_the_number_that_the_target_says():
    outcome = simulate(steady(120), Policy(41), FLEET)
    assert outcome.changes[0] == (3, 2)  # 120 / 41 -> 3 instances, after three minutes
    assert outcome.instances[7] == 1 and outcome.instances[8] == 3  # started 300 s later
    assert outcome.instances[-1] == 3 and len(outcome.changes) == 1
    assert outcome.instance_hours == pytest.approx((3 * 1 + (MINUTES - 3) * 3) / 60)


def test_scaling_in_goes_down_step_by_step_after_the_load_has_gone():
    outcome = simulate(steady(200, until=120, then=1), Policy(41), FLEET)
    down = [(minute, change) for minute, change in outcome.changes if change < 0]
    assert [change for _, change in down] == [-1] * 4 and outcome.instances[-1] == 1
    assert down[0][0] == 120 + 15 and all(later - earlier >= 5 for (earlier, _), (later, _) in zip(down, down[1:]))


def test_an_overloaded_instance_drops_what_it_cannot_answer_in_time():
    outcome = simulate(steady(120), fixed(1), FLEET)
    assert outcome.waits.max() <= 60 and outcome.dropped_share == pytest.approx(1 - 60 / 0.73 / 120, abs=0.01)


def test_the_same_seed_is_the_same_day_and_another_is_not():
    day, same, other = bursty_day(3), bursty_day(3), bursty_day(4)
    assert (day.arrivals == same.arrivals).all() and day.bursts == same.bursts
    assert len(other.arrivals) != len(day.arrivals)
    fleet = Fleet((0.5, 0.7, 1.5), 1.0)
    first, second = (simulate(day, Policy(41), fleet, seed=1) for _ in range(2))
    assert (first.waits == second.waits).all() and first.row() == second.row()


def test_arrivals_have_the_rates_that_were_asked_for():
    rates = np.array([0.0, 2.0, 10.0])
    rng = np.random.default_rng(0)
    counts = np.array([np.bincount((arrivals(rates, rng) // 60).astype(int), minlength=3) for _ in range(200)])
    assert counts[:, 0].sum() == 0
    assert counts.mean(axis=0) == pytest.approx([0, 120, 600], rel=0.02)
    assert counts[:, 2].var() == pytest.approx(600, rel=0.35)  # Poisson: the variance is the mean


def test_policies_stand_in_the_order_that_theory_says():
    day = bursty_day()
    found = compare(day, {"fixed 10": fixed(10), "half": Policy(41), "all": Policy(82), "once a minute": Policy(1),
                          "max 3": Policy(41, most=3), "min 4": Policy(41, least=4)}, FLEET)  # fmt: skip
    rows = {name: outcome.row() for name, outcome in found.items()}
    assert rows["half"]["usd"] < 0.5 * rows["fixed 10"]["usd"]
    assert rows["half"]["p95_s"] < rows["all"]["p95_s"] and rows["all"]["usd"] < rows["half"]["usd"]
    assert rows["once a minute"]["usd"] > 0.99 * rows["fixed 10"]["usd"]  # the mistaken unit keeps all running
    assert rows["max 3"]["dropped"] > 2 * rows["half"]["dropped"]
    assert rows["min 4"]["dropped"] < rows["half"]["dropped"]
    least = simulate(day, Policy(41), Fleet((0.73,), 1.408, routing="least"))
    assert least.percentile(95) < 0.5 * rows["half"]["p95_s"]  # choosing at random costs waiting


def test_a_faster_start_drops_less():
    day = bursty_day()
    dropped = [simulate(day, Policy(41), Fleet((0.73,), 1.0, start_s=start)).dropped for start in (60, 300, 900)]
    assert dropped == sorted(dropped) and dropped[0] < dropped[2]


def test_the_policy_of_a_plan_is_the_one_that_is_simulated():
    assert Policy.of(scaling_for(0.73, least=2, most=5, in_cooldown_s=120)) == Policy(41, 2, 5, 60, 120)


def test_figures_that_make_no_sense_are_refused():
    for given in ({"service_s": ()}, {"service_s": (0.0,)}, {"at_once": 0}, {"limit_s": 0}, {"start_s": -1}):
        with pytest.raises(InvalidRequest):
            Fleet(**({"service_s": (1.0,), "usd_per_hour": 1.0} | given))
    for call in (lambda: latency([]), lambda: latency([float("nan")]), lambda: instances_for_rate(0, 1),
                 lambda: instances_for_rate(1, 1, safety=0), lambda: wait_percentile(1, -1, 1)):  # fmt: skip
        with pytest.raises(InvalidRequest):
            call()


def test_the_closed_forms_are_those_of_the_book():
    assert waiting_chance(1.0, 0.5, 1) == pytest.approx(0.5)  # M/M/1: the chance is the load
    assert waiting_chance(2.0, 1.0, 3) == pytest.approx(4 / 9)  # M/M/3 at load 2, a textbook's value
    assert waiting_chance(5.0, 1.0, 5) == 1.0 and wait_percentile(5.0, 1.0, 5) == math.inf
    assert waiting_chance(400.0, 1.0, 500) < 1e-5  # no overflow


@pytest.mark.parametrize("routing, instances", [("random", 3), ("least", 3)])
def test_the_closed_form_and_the_simulation_agree(routing, instances):
    """Exponential times, no limit: within the noise of 120,000 requests."""
    rng = np.random.default_rng(5)
    rates = np.full(MINUTES, 1.4)
    day = Day(rates, arrivals(rates, rng))
    fleet = Fleet(tuple(rng.exponential(1.0, 50_000)), 1.0, limit_s=1e9, routing=routing)
    outcome = simulate(day, fixed(instances), fleet, seed=2)
    predicted = wait_percentile(1.4, 1.0, instances, 95, routing=routing)
    times = np.random.default_rng(2).choice(np.asarray(fleet.service_s), len(day.arrivals))
    found = float(np.percentile(outcome.waits - times, 95))
    assert found == pytest.approx(predicted, rel=0.1)


@pytest.mark.parametrize("routing", ["random", "least"])
def test_for_times_that_vary_less_the_closed_form_is_pessimistic(routing):
    """Constant times, as the chapter says: the simulated wait is shorter than the predicted one."""
    rng = np.random.default_rng(6)
    day = Day(np.full(MINUTES, 2.2), arrivals(np.full(MINUTES, 2.2), rng))
    outcome = simulate(day, fixed(3), Fleet((1.0,), 1.0, limit_s=1e9, routing=routing), seed=1)
    waited = outcome.percentile(95) - 1.0
    assert 0 < waited < 0.9 * wait_percentile(2.2, 1.0, 3, 95, routing=routing)


def test_instances_for_a_load():
    measured = Latency(100, 0.73, 0.7, 0.9, 1.0)
    assert instances_for_rate(5.0, 0.73) == 8 and instances_for_rate(5.0, 0.73, at_once=4) == 2
    assert instances_for_rate(0.01, 0.73) == 1
    shared = instances_for_p95(5.0, measured, 2.0, routing="least")
    assert shared < instances_for_p95(5.0, measured, 2.0) and shared >= 4  # below 3.65 nothing is stable
    assert wait_percentile(5.0, 0.73, shared, routing="least") + 0.9 <= 2.0
    assert wait_percentile(5.0, 0.73, shared - 1, routing="least") + 0.9 > 2.0
    with pytest.raises(InvalidRequest, match="more than the budget"):
        instances_for_p95(1.0, measured, 0.8)
