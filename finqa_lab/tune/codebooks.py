"""Tables of the values that a few bits can stand for, all in [-1, 1] and sorted; a code is a position in the table.

A block of weights is divided by its largest magnitude and each weight replaced by the nearest entry. Where weights are
normally distributed, entries should lie densely where weights are frequent: NF4 puts them at quantiles of the normal
distribution (T. Dettmers et al., "QLoRA: Efficient Finetuning of Quantized LLMs", 2023, arXiv:2305.14314, section 3
and appendix E).
"""

from functools import cache
from itertools import pairwise
from statistics import NormalDist

import torch
from torch import Tensor

OUTERMOST = 1 - 0.5 * (1 / 32 + 1 / 30)
"""The probability whose quantile becomes 1, the mean of what 15 and of what 16 equally probable bins would give."""

_PUBLISHED_NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip


def normal_quantiles() -> list[float]:
    """NF4 derived: 16 values from quantiles of N(0, 1), exactly 0 among them, scaled so that the largest is 1.

    The two halves are made apart, 7 values below zero and 8 above, so that zero has a code of its own: padding and
    pruned weights come back as zero. With 17 equally spaced probabilities there would be one value too many, with 16
    symmetric ones no zero.

    >>> values = normal_quantiles()
    >>> len(values), values[7], [round(value, 4) for value in values[8:11]]
    (16, 0.0, [0.0796, 0.1609, 0.2461])
    """
    quantile = NormalDist().inv_cdf
    above = [quantile(0.5 + (OUTERMOST - 0.5) * step / 8) for step in range(1, 9)]
    below = [-quantile(0.5 + (OUTERMOST - 0.5) * step / 7) for step in range(7, 0, -1)]
    return [value / above[-1] for value in (*below, 0.0, *above)]


@cache
def codebook(name: str) -> Tensor:
    """Float32 entries, sorted.

    - ``"nf4"``: 16 entries as published; :func:`normal_quantiles` to seven digits.
    - ``"fp4"``: 15 distinct values of a float with sign, two exponent bits and one of mantissa, scaled.
    - ``"int4"``: 15 equally spaced values, ``"int8"``: 255.
    - ``"dynamic8"``: 256 values with a variable number of exponent bits, for numbers of very different size (Dettmers,
      "8-Bit Approximations for Parallelism in Deep Learning", 2015, arXiv:1511.04561); what double quantization uses.

    Raises:
        KeyError: for another name.
    """
    return torch.tensor(sorted(_MAKERS[name]()), dtype=torch.float32)


def _fp4() -> list[float]:
    positive = [0.0625, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0]
    return [sign * value / 12 for value in positive for sign in (-1, 1)] + [0.0]


def _dynamic8() -> list[float]:
    """For each power of ten 10^-6 ... 1, the middles of 2^i equal parts of [0.1, 1], and of both signs; 0 and 1."""
    values = [0.0, 1.0]
    for exponent in range(7):
        edges = torch.linspace(0.1, 1, 2**exponent + 1, dtype=torch.float32).tolist()
        for low, high in pairwise(edges):
            middle = (torch.tensor(low) + torch.tensor(high)) / 2 * 10 ** (exponent - 6)
            values += [float(middle), -float(middle)]
    return values


_MAKERS = {
    "nf4": lambda: list(_PUBLISHED_NF4),
    "fp4": _fp4,
    "int4": lambda: [step / 7 for step in range(-7, 8)],
    "int8": lambda: [step / 127 for step in range(-127, 128)],
    "dynamic8": _dynamic8,
}
