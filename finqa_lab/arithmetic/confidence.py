"""What a sampled test can promise: how large an error rate it leaves open, and how easily it misses the errors."""

import math


def rule_of_three(asked: int) -> float:
    """Upper end of the 95% interval of the error rate after ``asked`` answers without an error, about 3 / asked.

    From (1 - p)^n = 0.05: p = 1 - 0.05^(1/n), and -ln 0.05 = 2.996 (Hanley and Lippman-Hand 1983).

    >>> round(rule_of_three(8000), 6)
    0.000374
    """
    return 1 - 0.05 ** (1 / asked)


def upper_bound(wrong: int, asked: int, confidence: float = 0.95) -> float:
    """One-sided upper bound of the error rate after ``wrong`` errors in ``asked`` answers (Clopper and Pearson 1934).

    It is the rate at which seeing so few errors would have had probability ``1 - confidence``.

    >>> round(upper_bound(0, 8000), 6), round(upper_bound(2, 1000), 6)
    (0.000374, 0.006282)

    Raises:
        ValueError: unless 0 <= wrong <= asked and asked is positive.
    """
    if not 0 <= wrong <= asked or asked < 1:
        raise ValueError(f"{wrong} wrong of {asked} is no result of a test")
    if wrong == asked:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(wrong, asked, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(wrong: int, asked: int, rate: float) -> float:
    """Probability of at most ``wrong`` errors among ``asked`` independent answers (binomial)."""
    total = 0.0
    for k in range(wrong + 1):
        ways = math.lgamma(asked + 1) - math.lgamma(k + 1) - math.lgamma(asked - k + 1)
        total += math.exp(ways + k * math.log(rate) + (asked - k) * math.log1p(-rate))
    return total


def chance_of_perfect_sample(wrong: int, total: int, sampled: int) -> float:
    """Probability that ``sampled`` different problems of ``total`` contain none of the ``wrong`` ones (hypergeometric).

    >>> round(chance_of_perfect_sample(93, 1_500_500, 8000), 3)
    0.608
    """
    if sampled > total - wrong:
        return 0.0
    return math.exp(sum(math.log1p(-sampled / (total - k)) for k in range(wrong)))
