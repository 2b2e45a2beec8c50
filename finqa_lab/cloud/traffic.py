"""A day of requests: a slow wave with bursts on it, drawn from a seed.

Arrivals are a Poisson process whose rate changes: within a minute they are independent, which is what many
independent clients look like. Bursts are what a scaling policy has to survive.
"""

from dataclasses import dataclass

import numpy as np

MINUTES = 24 * 60


@dataclass(frozen=True)
class Day:
    """A day of traffic.

    Attributes:
        rates: (1440,) expected requests a second, by minute.
        arrivals: (N,) seconds since midnight, rising.
        bursts: of each the first minute, the minutes, and the factor on the rate.
    """

    rates: np.ndarray
    arrivals: np.ndarray
    bursts: tuple[tuple[int, int, float], ...] = ()

    @property
    def by_minute(self) -> np.ndarray:
        """(1440,) requests that came in each minute."""
        return np.bincount((self.arrivals // 60).astype(int), minlength=MINUTES)[:MINUTES]


def bursty_day(
    seed: int = 0, night: float = 0.3, noon: float = 4.0, bursts: int = 6, factor: float = 3.0, minutes: int = 12
) -> Day:
    """A day with a wave and bursts.

    Args:
        seed: of where the bursts are, how strong, and of the arrivals.
        night, noon: requests a second at the lowest and at the highest point of the wave.
        bursts: their number; each begins in a minute drawn uniformly.
        factor: mean factor of a burst on the rate; drawn from half to one and a half of it.
        minutes: mean length of a burst, drawn likewise.

    >>> day = bursty_day(seed=1)
    >>> len(day.bursts), bool((np.diff(day.arrivals) >= 0).all())
    (6, True)
    """
    rng = np.random.default_rng(seed)
    wave = (1 - np.cos(2 * np.pi * (np.arange(MINUTES) / MINUTES))) / 2
    rates = night + (noon - night) * wave
    drawn = []
    for _ in range(bursts):
        begin = int(rng.integers(0, MINUTES))
        length = max(1, round(minutes * rng.uniform(0.5, 1.5)))
        strength = factor * rng.uniform(0.5, 1.5)
        rates[begin : begin + length] *= strength
        drawn.append((begin, length, round(strength, 2)))
    return Day(rates, arrivals(rates, rng), tuple(sorted(drawn)))


def arrivals(rates: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Arrival times in seconds, for (M,) requests a second by minute: a Poisson number in each, spread uniformly."""
    counts = rng.poisson(rates * 60)
    minutes = np.repeat(np.arange(len(rates)), counts)
    return np.sort(minutes * 60 + rng.uniform(0, 60, len(minutes)))
