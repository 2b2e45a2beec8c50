"""How many instances a load needs, from measured latency.

Two answers. The rule of thumb: an instance answers ``at_once / mean`` requests a second, of which a share is used. And
the p95: with exponential times (which real ones are less variable than) the wait in front of ``c`` instances is known
in closed form, for one shared queue (Erlang's C formula) and for instances that are chosen at random, each with a queue
of its own. SageMaker's default is random.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finqa_lab.cloud.autoscale import Routing
from finqa_lab.cloud.errors import InvalidRequest
from finqa_lab.cloud.scaling import SAFETY

MOST = 10_000


@dataclass(frozen=True)
class Latency:
    """Times of single requests, summed up, in seconds."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float


def latency(seconds: Sequence[float]) -> Latency:
    """Of measured times.

    >>> latency([0.1, 0.2, 0.3]).p50
    0.2

    Raises:
        InvalidRequest: when there is none, or one is no time.
    """
    times = np.asarray(seconds, dtype=float)
    if not len(times) or not np.isfinite(times).all() or not (times > 0).all():
        raise InvalidRequest("the measured times must be positive numbers, at least one")
    p50, p95, p99 = (float(np.percentile(times, q)) for q in (50, 95, 99))
    return Latency(len(times), float(times.mean()), p50, p95, p99)


def instances_for_rate(rate: float, mean_s: float, at_once: int = 1, safety: float = SAFETY) -> int:
    """The rule of thumb: instances that answer a rate while each is used by a share only.

    >>> instances_for_rate(5.0, 0.73)
    8

    Raises:
        InvalidRequest: when a number makes no sense.
    """
    _check(rate, mean_s, at_once)
    if not 0 < safety <= 1:
        raise InvalidRequest(f"a safety factor of {safety} makes no sense; give one above 0 and up to 1")
    return max(1, math.ceil(rate * mean_s / (at_once * safety) - 1e-9))


def waiting_chance(rate: float, mean_s: float, servers: int) -> float:
    """Erlang's C: the chance that a request has to wait, with one queue in front of all; 1 when they are too few.

    Args:
        rate: requests a second.
        mean_s: seconds a request takes.
        servers: requests that are worked on at once, over all instances.

    >>> round(waiting_chance(rate=1.0, mean_s=0.5, servers=1), 6)
    0.5
    """
    load = rate * mean_s
    if load >= servers:
        return 1.0
    blocked = 1.0  # Erlang's B, by its recursion, which does not overflow
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked / (1 - load / servers * (1 - blocked))


def wait_percentile(
    rate: float, mean_s: float, instances: int, q: float = 95, at_once: int = 1, routing: Routing = "random"
) -> float:
    """Seconds within which q percent of requests begin to be worked on; infinite when the instances are too few.

    >>> round(wait_percentile(1.0, 0.5, 1), 3), round(wait_percentile(2.0, 0.5, 2, routing="least"), 3)
    (2.303, 0.949)
    """
    _check(rate, mean_s, at_once)
    if routing == "random":  # each instance has its share of the requests and a queue of its own
        rate, instances = rate / instances, 1
    servers = instances * at_once
    spare = servers / mean_s - rate
    if spare <= 0:
        return math.inf
    chance = waiting_chance(rate, mean_s, servers)  # can underflow to 0, which has no logarithm
    return math.log(chance / (1 - q / 100)) / spare if chance > 1 - q / 100 else 0.0


def instances_for_p95(
    rate: float, measured: Latency, budget_s: float, at_once: int = 1, routing: Routing = "random"
) -> int:
    """The fewest instances with which the p95 wait and the p95 of the work together stay within a budget.

    The sum of the two is an upper bound: few requests are unlucky in both.

    >>> instances_for_p95(5.0, Latency(100, 0.73, 0.7, 0.9, 1.0), budget_s=2.0)
    22

    Raises:
        InvalidRequest: when even an idle instance is slower than the budget.
    """
    _check(rate, measured.mean, at_once)
    if measured.p95 > budget_s:
        raise InvalidRequest(
            f"a request alone takes {measured.p95:.2f} s at p95, more than the budget of {budget_s:g} s; no number of "
            "instances mends that"
        )
    for instances in range(1, MOST + 1):
        if wait_percentile(rate, measured.mean, instances, 95, at_once, routing) + measured.p95 <= budget_s:
            return instances
    raise InvalidRequest(f"more than {MOST} instances would be needed; look at the budget again")


def _check(rate: float, mean_s: float, at_once: int) -> None:
    if not (rate > 0 and mean_s > 0 and math.isfinite(rate * mean_s) and at_once >= 1):
        raise InvalidRequest(f"{rate} requests a second of {mean_s} s, {at_once} at once, make no sense")
