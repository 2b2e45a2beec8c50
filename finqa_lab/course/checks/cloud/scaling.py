"""Checks of lab 14: the target of a policy, the instances that it wants, and those that a load needs."""

import math
import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def _between(value: float) -> bool:
    """Whether a value is far enough from whole numbers for rounding to be beyond doubt."""
    return 0.15 < value % 1 < 0.4 or 0.6 < value % 1 < 0.85


def _target(service_s: float, safety: float, **wrong) -> int:
    if wrong.get("one"):
        return 1
    capacity = 60 * safety / service_s
    if wrong.get("per_second"):
        capacity /= 60
    if wrong.get("no_safety"):
        capacity = 60 / service_s
    if wrong.get("safety_divides"):
        capacity = 60 / service_s / safety
    if wrong.get("seconds"):
        capacity = 60 * safety * service_s
    if wrong.get("whole_rate"):
        capacity = math.floor(1 / service_s) * safety * 60
    if wrong.get("unrounded"):
        return capacity
    if wrong.get("up"):
        return math.ceil(capacity)
    return round(capacity) if wrong.get("nearest") else math.floor(capacity)


def target_cases(rng: random.Random) -> Iterator[Case]:
    """Seconds of a request, and the share of the capacity that is used."""
    yield Case(1.0, 1.0, note="one request a second, all of it used")
    yield Case(0.5, 0.5, note="half of two requests a second")
    yield Case(0.73, 0.5, note="the reference's time")
    yield Case(0.7, 0.5, note="42.86")
    yield Case(2.5, 0.75, note="an instance that answers less than one request a second")
    count = 0
    while count < 4:
        service_s, safety = rng.randint(11, 340) / 100, rng.choice([0.4, 0.5, 0.6, 0.8])
        if _between(60 * safety / service_s):
            count += 1
            yield Case(service_s, safety)


register(
    Check(
        name="cloud.target_per_minute",
        task="the target value of the scaling policy, in calls a minute for one instance",
        cases=target_cases,
        oracle=_target,
        why="the reference says 1.0 and means a second; the service reads a minute, and runs ten instances all day.",
        hint="1 / seconds is what an instance answers in a second; take the share, times 60, rounded down.",
        wrong=[
            WrongAnswer("1.0", lambda *a: _target(*a, one=True), "that is one call a minute, whatever was measured."),
            WrongAnswer(
                "calls a second",
                lambda *a: _target(*a, per_second=True),
                "the metric counts the calls of a minute: times 60.",
            ),
            WrongAnswer(
                "no safety factor",
                lambda *a: _target(*a, no_safety=True),
                "an instance that is used to the full has a queue that grows: use a share of it.",
            ),
            WrongAnswer(
                "divided by the factor",
                lambda *a: _target(*a, safety_divides=True),
                "the factor makes the target smaller, not larger: multiply by it.",
            ),
            WrongAnswer(
                "seconds as a rate",
                lambda *a: _target(*a, seconds=True),
                "a slower model answers fewer calls: divide by the seconds.",
            ),
            WrongAnswer(
                "a whole number of requests a second",
                lambda *a: _target(*a, whole_rate=True),
                "1.37 requests a second are no 1: round once, at the end.",
            ),
            WrongAnswer(
                "not rounded",
                lambda *a: _target(*a, unrounded=True),
                "calls are whole: round down with math.floor, so that the share is kept.",
            ),
            WrongAnswer("rounded up", lambda *a: _target(*a, up=True), "the share is a bound: round down."),
            WrongAnswer(
                "rounded to the nearest",
                lambda *a: _target(*a, nearest=True),
                "rounding to the nearest can exceed the share: round down.",
            ),
        ],
    )
)


def _desired(instances: int, metric: float, target: float, least: int, most: int, **wrong) -> int:
    wanted = instances * metric / target
    if wrong.get("for_one"):
        wanted = metric / target
    if wrong.get("inverted") and metric:
        wanted = instances * target / metric
    if wrong.get("step"):
        wanted = instances + (metric > target) - (metric < target)
    if wrong.get("unrounded"):
        return max(least, min(most, wanted))
    whole = math.floor(wanted) if wrong.get("down") else math.ceil(wanted)
    if wrong.get("nearest"):
        whole = math.floor(wanted + 0.5)
    if wrong.get("added"):
        whole += instances
    if wrong.get("unbounded"):
        return whole
    if wrong.get("no_most"):
        return max(least, whole)
    if wrong.get("no_least"):
        return min(most, whole)
    return max(least, min(most, whole))


def desired_cases(rng: random.Random) -> Iterator[Case]:
    """Instances in service, calls of the last minute for each, target, fewest and most instances."""
    yield Case(1, 41, 41, 1, 10, note="on target")
    yield Case(1, 82, 41, 1, 10, note="twice the target")
    yield Case(1, 90, 41, 1, 10, note="a little more than twice")
    yield Case(2, 82, 41, 1, 10, note="two instances, each with twice the target")
    yield Case(3, 41, 41, 1, 10, note="three on target")
    yield Case(4, 10, 41, 1, 10, note="much less")
    yield Case(2, 0, 41, 1, 10, note="no calls")
    yield Case(4, 200, 41, 1, 10, note="more than the most")
    yield Case(2, 10, 41, 2, 10, note="at least two")
    count = 0
    while count < 5:
        instances, metric, target = rng.randint(2, 6), rng.randint(5, 120), rng.randint(20, 60)
        if _between(instances * metric / target):
            count += 1
            yield Case(instances, metric, target, 1, rng.choice([4, 10, 20]))


register(
    Check(
        name="cloud.desired_instances",
        task="instances with which each would be at its target",
        cases=desired_cases,
        oracle=_desired,
        why="the metric is a mean over the instances; who reads it as a sum never gets past a few.",
        hint="all calls are instances * metric; divided by the target and rounded up, and kept between the bounds.",
        wrong=[
            WrongAnswer(
                "for one instance",
                lambda *a: _desired(*a, for_one=True),
                "the metric is for each instance: all calls are instances * metric.",
            ),
            WrongAnswer(
                "upside down",
                lambda *a: _desired(*a, inverted=True),
                "more calls need more instances: the target divides.",
            ),
            WrongAnswer(
                "one at a time",
                lambda *a: _desired(*a, step=True),
                "target tracking scales out in proportion, at once; one instance a step is too slow for a burst.",
            ),
            WrongAnswer("rounded down", lambda *a: _desired(*a, down=True), "then each has more than its target."),
            WrongAnswer(
                "rounded to the nearest",
                lambda *a: _desired(*a, nearest=True),
                "rounded to the nearest, each may have more than its target: round up.",
            ),
            WrongAnswer(
                "not rounded",
                lambda *a: _desired(*a, unrounded=True),
                "a part of an instance cannot be had: round up to a whole number.",
            ),
            WrongAnswer(
                "added to those that are there",
                lambda *a: _desired(*a, added=True),
                "the result is how many there should be, not how many to add.",
            ),
            WrongAnswer(
                "no bounds",
                lambda *a: _desired(*a, unbounded=True),
                "the policy has a minimum and a maximum: the second is what bounds the cost.",
            ),
            WrongAnswer("no maximum", lambda *a: _desired(*a, no_most=True), "the maximum is what bounds the cost."),
            WrongAnswer(
                "no minimum",
                lambda *a: _desired(*a, no_least=True),
                "a variant keeps its minimum, also when nobody calls.",
            ),
        ],
    )
)


def _needed(rate: float, seconds: float, at_once: int, safety: float, **wrong) -> int:
    if wrong.get("per_minute"):
        rate /= 60
    busy = rate * seconds / at_once
    if wrong.get("at_once_ignored"):
        busy = rate * seconds
    if wrong.get("time_ignored"):
        busy = rate / at_once
    needed = busy / safety
    if wrong.get("no_safety"):
        needed = busy
    if wrong.get("safety_multiplied"):
        needed = busy * safety
    if wrong.get("unrounded"):
        return max(1, needed)
    if wrong.get("none"):
        return math.ceil(needed)
    return max(1, math.floor(needed) if wrong.get("down") else math.ceil(needed))


def load_cases(rng: random.Random) -> Iterator[Case]:
    """Requests a second, seconds of a request, requests that an instance works on at once, share that is used."""
    yield Case(2.0, 1.0, 1, 1.0, note="two requests a second of a second each")
    yield Case(2.0, 1.0, 1, 0.5, note="each used to a half")
    yield Case(5.0, 0.73, 1, 0.5, note="five requests a second of the reference")
    yield Case(16.0, 0.5, 8, 0.5, note="eight at once")
    yield Case(0.0, 0.73, 1, 0.5, note="nobody yet")
    count = 0
    while count < 4:
        rate, seconds = float(rng.randint(3, 40)), rng.randint(20, 150) / 100
        at_once, safety = rng.choice([2, 4]), rng.choice([0.5, 0.6, 0.8])
        if _between(rate * seconds / at_once / safety) and rate * seconds > 4:
            count += 1
            yield Case(rate, seconds, at_once, safety)


register(
    Check(
        name="cloud.instances_needed",
        task="instances that answer a load while each is used by a share only",
        cases=load_cases,
        oracle=_needed,
        why="it is the number to ask a quota for, before the day on which it is needed.",
        hint="rate * seconds requests are in work at any time; an instance takes at_once, of which the share is "
        "used; round up, and keep one.",
        wrong=[
            WrongAnswer(
                "no safety factor",
                lambda *a: _needed(*a, no_safety=True),
                "instances that are busy all the time have queues that grow: divide by the share.",
            ),
            WrongAnswer(
                "multiplied by the factor",
                lambda *a: _needed(*a, safety_multiplied=True),
                "who uses a half of each needs twice as many: divide by the share.",
            ),
            WrongAnswer(
                "one at a time",
                lambda *a: _needed(*a, at_once_ignored=True),
                "an instance that batches works on at_once requests at the same time.",
            ),
            WrongAnswer(
                "the time forgotten",
                lambda *a: _needed(*a, time_ignored=True),
                "requests in work are the rate times how long each takes (Little's law).",
            ),
            WrongAnswer(
                "a rate of the minute",
                lambda *a: _needed(*a, per_minute=True),
                "the rate is in requests a second here; it is the policy's metric that counts minutes.",
            ),
            WrongAnswer(
                "rounded down",
                lambda *a: _needed(*a, down=True),
                "a part of an instance cannot be had: round up, or the load does not fit.",
            ),
            WrongAnswer(
                "not rounded",
                lambda *a: _needed(*a, unrounded=True),
                "half an instance cannot be started: round up to a whole number.",
            ),
            WrongAnswer(
                "none at all",
                lambda *a: _needed(*a, none=True),
                "a variant cannot have no instance, even when nobody calls yet.",
            ),
        ],
    )
)
