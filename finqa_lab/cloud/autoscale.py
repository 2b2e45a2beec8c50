"""A day under a scaling policy, simulated: instances, waiting, what was dropped, what it cost.

The requests are served one by one: each goes to an instance, waits until one of its slots is free, and takes a time
drawn from those that were measured. Every minute the metric is formed as SageMaker forms it (calls by instances in
service), and the policy decides. What it wants is there after the start of an instance. Pure functions, seeded.

Not modelled: the warm-up of a new container beyond its start, retries of clients, alarms on several metrics, failures
of instances, metrics that come late.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from finqa_lab.cloud.errors import InvalidRequest
from finqa_lab.cloud.tracking import Policy, Tracker
from finqa_lab.cloud.traffic import MINUTES, Day

Routing = Literal["random", "least"]
"""``RANDOM`` is the service's default; ``LEAST_OUTSTANDING_REQUESTS`` looks for the instance with the least to do."""


@dataclass(frozen=True)
class Fleet:
    """What the instances are like.

    Attributes:
        service_s: times of single requests, measured; each request draws one.
        at_once: requests that an instance works on at the same time.
        start_s: seconds from the decision until an instance is in service.
        limit_s: a request that could not be answered within it is dropped when it comes.
        routing: how an instance is chosen.
        usd_per_hour: of one, from the decision to have it until it is taken away.
    """

    service_s: tuple[float, ...]
    usd_per_hour: float
    at_once: int = 1
    start_s: float = 300.0
    limit_s: float = 60.0
    routing: Routing = "random"

    def __post_init__(self):
        times = np.asarray(self.service_s, dtype=float)
        if not len(times) or not np.isfinite(times).all() or not (times > 0).all():
            raise InvalidRequest("the measured times must be positive numbers, at least one")
        if self.at_once < 1 or self.start_s < 0 or not self.limit_s > 0 or not self.usd_per_hour >= 0:
            raise InvalidRequest("at least one request at once, a start of at least 0 s, a limit above 0 s, a price")


@dataclass(frozen=True)
class Outcome:
    """How a day went.

    Attributes:
        instances: (1440,) in service, by minute.
        metric: (1440,) calls for each instance in service, by minute.
        waits: (answered,) seconds from arriving to the answer.
        requests, dropped: numbers.
        instance_hours, usd: that are paid for, to the minute.
        changes: minute and change in instances, of each scaling, when it was decided.
    """

    instances: np.ndarray
    metric: np.ndarray
    waits: np.ndarray
    requests: int
    dropped: int
    instance_hours: float
    usd: float
    changes: tuple[tuple[int, int], ...]

    def percentile(self, q: float) -> float:
        """Seconds within which q percent of the answered requests were answered."""
        return float(np.percentile(self.waits, q)) if len(self.waits) else math.nan

    @property
    def dropped_share(self) -> float:
        """Of all requests."""
        return self.dropped / self.requests if self.requests else 0.0

    def row(self) -> dict[str, float]:
        """The figures of a table."""
        return {
            "p50_s": round(self.percentile(50), 3),
            "p95_s": round(self.percentile(95), 3),
            "p99_s": round(self.percentile(99), 3),
            "dropped": self.dropped,
            "dropped_share": round(self.dropped_share, 5),
            "mean_instances": round(float(self.instances.mean()), 2),
            "most_instances": int(self.instances.max()),
            "changes": len(self.changes),
            "usd": round(self.usd, 2),
        }


def simulate(day: Day, policy: Policy, fleet: Fleet, seed: int = 0) -> Outcome:
    """A day under a policy.

    Args:
        day: of traffic.
        policy: that decides.
        fleet: what an instance can do and costs.
        seed: of the drawn times and of the routing.

    >>> from finqa_lab.cloud.tracking import fixed
    >>> from finqa_lab.cloud.traffic import bursty_day
    >>> outcome = simulate(bursty_day(night=0.1, noon=0.2, bursts=0), fixed(2), Fleet((0.5,), usd_per_hour=1.0))
    >>> outcome.usd, outcome.dropped, outcome.percentile(50)
    (48.0, 0, 0.5)
    """
    rng = np.random.default_rng(seed)
    times = rng.choice(np.asarray(fleet.service_s), len(day.arrivals))
    chances = rng.random(len(day.arrivals))
    edges = np.searchsorted(day.arrivals, np.arange(MINUTES + 1) * 60.0)
    slots = [[0.0] * fleet.at_once for _ in range(policy.least)]
    tracker, wanted, ready = Tracker(policy), policy.least, None
    shown, metrics = np.zeros(MINUTES, int), np.zeros(MINUTES)
    waits, dropped, paid, changes = [], 0, 0, []
    for minute in range(MINUTES):
        now = minute * 60.0
        if ready is not None and now >= ready:
            added = wanted - len(slots)
            slots += [[now] * fleet.at_once for _ in range(added)]
            tracker.completed(now, added)
            ready = None
        begin, end = edges[minute], edges[minute + 1]
        for index in range(begin, end):
            wait = _serve(slots, day.arrivals[index], times[index], chances[index], fleet)
            if wait is None:
                dropped += 1
            else:
                waits.append(wait)
        shown[minute], metrics[minute] = len(slots), (end - begin) / len(slots)
        paid += max(wanted, len(slots))
        tracker.record(metrics[minute] if end > begin else None)
        if ready is None:
            now += 60.0
            wanted = tracker.decide(now, len(slots))
            change = wanted - len(slots)
            if change > 0:
                ready = now + fleet.start_s
                changes.append((minute + 1, change))
            elif change < 0:
                slots = sorted(slots, key=max)[:wanted]  # the busiest goes; it still answers what it has
                tracker.completed(now, change)
                changes.append((minute + 1, change))
    return Outcome(
        shown,
        metrics,
        np.asarray(waits),
        len(day.arrivals),
        dropped,
        paid / 60,
        paid / 60 * fleet.usd_per_hour,
        tuple(changes),
    )


def compare(day: Day, policies: dict[str, Policy], fleet: Fleet, seed: int = 0) -> dict[str, Outcome]:
    """The same day, the same drawn times, under each policy."""
    return {name: simulate(day, policy, fleet, seed) for name, policy in policies.items()}


def _serve(slots: Sequence[list[float]], arrival: float, takes: float, chance: float, fleet: Fleet) -> float | None:
    """Seconds until the answer, None when dropped; the chosen instance's slot is taken."""
    if fleet.routing == "random":
        chosen = slots[int(chance * len(slots))]
    else:
        chosen = min(slots, key=lambda free: free[0])
    wait = max(arrival, chosen[0]) + takes - arrival
    if wait > fleet.limit_s:
        return None
    heapq.heapreplace(chosen, arrival + wait)
    return wait
