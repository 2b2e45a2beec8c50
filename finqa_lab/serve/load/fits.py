"""A straight line through measurements, by ordinary least squares, with intervals.

For n points (x, y), with means x̄ and ȳ and S = sum (x - x̄)²:

    slope = sum (x - x̄)(y - ȳ) / S              intercept = ȳ - slope · x̄
    s² = sum (y - intercept - slope · x)² / (n - 2)
    error of the slope = s / √S                  error of the intercept = s · √(1/n + x̄² / S)

and an interval reaches t errors to each side, t being Student's quantile with n - 2 degrees of freedom. That holds for
errors of one size that do not depend on each other. Latencies spread more where they are long, and requests in one
batch slow each other down; the lines below are descriptions, and their intervals the least that one should doubt.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finqa_lab.errors import CourseError
from finqa_lab.serve.load.quantiles import Interval


@dataclass(frozen=True, slots=True)
class Line:
    """A fitted line.

    Attributes:
        slope, intercept: with their intervals.
        r_squared: share of the variance of y that the line explains.
        residual: s, standard deviation of the points around the line, in units of y.
        points: n.
    """

    slope: Interval
    intercept: Interval
    r_squared: float
    residual: float
    points: int

    def at(self, x: float) -> float:
        """The line's y at x."""
        return self.intercept.value + self.slope.value * x


def fit_line(x: Sequence[float], y: Sequence[float], confidence: float = 0.95) -> Line:
    """Ordinary least squares of y on x.

    >>> line = fit_line([1, 2, 3, 4], [3.1, 4.9, 7.2, 8.8])
    >>> print(line.slope)
    1.94 (1.55 to 2.33)

    Raises:
        CourseError: when there are fewer than three points, or all have the same x.
    """
    x, y = (np.asarray(list(values), dtype=np.float64) for values in (x, y))
    if len(x) != len(y) or len(x) < 3 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise CourseError(f"a line needs at least three finite points, and {len(x)} with {len(y)} values are given")
    centred = x - x.mean()
    spread = float(centred @ centred)
    if spread <= (1e-9 * max(1.0, float(np.abs(x).max()))) ** 2:
        raise CourseError(f"a line needs points at different places, and all {len(x)} are at {x[0]:g}; vary the load")
    slope = float(centred @ (y - y.mean())) / spread
    intercept = float(y.mean()) - slope * float(x.mean())
    errors = y - intercept - slope * x
    residual = math.sqrt(float(errors @ errors) / (len(x) - 2))
    t = student_quantile((1 + confidence) / 2, len(x) - 2)
    of_slope = t * residual / math.sqrt(spread)
    of_intercept = t * residual * math.sqrt(1 / len(x) + float(x.mean()) ** 2 / spread)
    total = float(((y - y.mean()) ** 2).sum())
    return Line(
        Interval(slope, slope - of_slope, slope + of_slope),
        Interval(intercept, intercept - of_intercept, intercept + of_intercept),
        1 - float(errors @ errors) / total if total else 1.0,
        residual,
        len(x),
    )


def student_quantile(probability: float, degrees: int) -> float:
    """t with P(T <= t) = probability for Student's distribution, by bisection; ``probability`` above 1/2.

    >>> round(student_quantile(0.975, 10), 4)
    2.2281
    """
    low, high = 0.0, 1.0
    while student_cdf(high, degrees) < probability:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student_cdf(middle, degrees) < probability else (low, middle)
    return high


def student_cdf(t: float, degrees: int) -> float:
    """P(T <= t) for t >= 0, by the finite sums of Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7."""
    angle = math.atan2(t, math.sqrt(degrees))
    cosine = math.cos(angle)
    odd = degrees % 2
    term = cosine if odd else 1.0
    total = 0.0 if degrees == 1 else term
    for k in range(2 if odd else 1, degrees - 1 if odd else degrees - 2, 2):
        term *= k / (k + 1) * cosine * cosine
        total += term
    within = (angle + math.sin(angle) * total) * 2 / math.pi if odd else math.sin(angle) * total
    return 0.5 + within / 2
