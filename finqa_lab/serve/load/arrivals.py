"""When requests are sent: Poisson arrivals, or those of a recorded trace.

Users do not know of each other, so the number that arrives in a second says nothing about the next second. That is a
Poisson process, and the gaps between its arrivals are exponential: mostly short, sometimes long. Requests at equal
distances, with the same number a second, meet a queue that is far too short.
"""

import math
from collections.abc import Iterable

import numpy as np

from finqa_lab.errors import CourseError


def poisson(rate: float, count: int, seed: int) -> list[float]:
    """Times of ``count`` arrivals, ``rate`` a second on average, in seconds from the beginning.

    >>> [round(time, 3) for time in poisson(rate=10, count=3, seed=0)]
    [0.068, 0.17, 0.172]

    Raises:
        CourseError: when the rate is not a positive number or the count is below 1.
    """
    if not (math.isfinite(rate) and rate > 0) or count < 1:
        raise CourseError(f"{count} arrivals at {rate} a second cannot be made; give a positive rate and count")
    return np.cumsum(np.random.default_rng(seed).exponential(1 / rate, count)).tolist()


def replayed(times: Iterable[float], speed: float = 1.0) -> list[float]:
    """The arrivals of a trace, moved to begin at 0.

    Args:
        times: in seconds, from any origin, in rising order.
        speed: 2 sends everything in half the time.

    >>> replayed([100.0, 100.5, 103.0], speed=2)
    [0.0, 0.25, 1.5]

    Raises:
        CourseError: when the trace is empty or goes back in time, or the speed is not positive.
    """
    times = list(times)
    if not times or not (math.isfinite(speed) and speed > 0):
        raise CourseError("a trace to replay needs at least one time and a positive speed")
    for number, (before, after) in enumerate(zip(times, times[1:]), start=1):
        if not after >= before:
            raise CourseError(f"arrival {number} of the trace is at {after}, before its predecessor; sort the trace")
    return [(time - times[0]) / speed for time in times]
