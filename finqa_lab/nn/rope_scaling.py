"""Frequencies of rotary positions, plain and scaled for contexts longer than those of training.

Pair i of a head of width w turns by the angle ``position * theta^(-2i/w)`` (Su et al. 2021, section 3.2.2). The scaling
laws change these frequencies; each is the function that Hugging Face ``transformers`` calls by the same name.

==========  ======================================================================  =============================
kind        frequencies                                                             source
==========  ======================================================================  =============================
linear      all divided by ``factor``                                               Chen et al. 2023
ntk         base raised so that the slowest pair is divided by ``factor``           bloc97 2023
dynamic     as ``ntk``, with a factor that grows with the sequence                  emozilla 2023
yarn        fast pairs kept, slow ones divided, a ramp between; softmax sharpened   Peng et al. 2023
llama3      as ``yarn`` with bounds in wavelengths; no sharpening                   Llama 3.1 reference code, 2024
==========  ======================================================================  =============================
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from finqa_lab.errors import CourseError

ROPE_KINDS = ("linear", "ntk", "dynamic", "yarn", "llama3")


@dataclass(frozen=True)
class RopeScaling:
    """How frequencies are changed; the fields are those of ``rope_scaling`` in a ``config.json``.

    Args:
        kind: one of ``ROPE_KINDS``.
        factor: wanted context / trained context, at least 1.
        original_context: positions that the model was trained on; 0 means the config's ``context`` (needed for
            ``llama3``).
        low_freq_factor, high_freq_factor: ``llama3``: wavelengths above ``original_context / low`` are divided, those
            below ``original_context / high`` are kept.
        beta_fast, beta_slow: ``yarn``: turns within the original context above which a pair is kept, below which it is
            divided.
        attention_factor: ``yarn``: factor on cosines and sines; 0 means ``0.1 ln(factor) + 1``.

    Raises:
        CourseError: on an unknown kind, or a number that does not fit.
    """

    kind: str
    factor: float = 1.0
    original_context: int = 0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float = 0.0

    def __post_init__(self):
        if self.kind not in ROPE_KINDS:
            raise CourseError(f"rope type '{self.kind}' is unknown; known: default, {', '.join(ROPE_KINDS)}")
        for name in ("factor", "low_freq_factor", "high_freq_factor", "beta_fast", "beta_slow", "attention_factor"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
                raise CourseError(f"rope scaling {name} is {value!r}; it must be a finite number of at least 0")
            if value == 0 and name != "attention_factor":  # contexts are divided by it
                raise CourseError(f"rope scaling {name} is 0; it must be a number above 0")
        if self.factor < 1:
            raise CourseError(f"rope scaling factor is {self.factor}; it must be at least 1")
        original = self.original_context
        if isinstance(original, bool) or not isinstance(original, int) or original < 0:
            raise CourseError(f"rope scaling original_context is {original!r}; it must be a whole number from 0 on")
        if self.kind == "llama3":
            if self.original_context < 1:
                raise CourseError("rope scaling 'llama3' needs original_context, the context of pretraining")
            if self.high_freq_factor <= self.low_freq_factor:
                raise CourseError(
                    f"rope scaling high_freq_factor {self.high_freq_factor} must exceed "
                    f"low_freq_factor {self.low_freq_factor}; exchange the two"
                )


def plain_frequencies(width: int, theta: float) -> Tensor:
    """``theta^(-2i/width)`` for i = 0..width/2-1, float32 (width / 2,); radians per position.

    >>> plain_frequencies(4, 10_000.0).tolist()
    [1.0, 0.009999999776482582]
    """
    return 1.0 / theta ** (torch.arange(0, width, 2, dtype=torch.int64).float() / width)


def rope_frequencies(
    width: int, theta: float, scaling: RopeScaling | None = None, context: int = 0, length: int = 0
) -> tuple[Tensor, float]:
    """Frequencies and the factor on cosines and sines.

    Args:
        width: of a head (the rotated part of it), even.
        theta: the base.
        scaling: None for plain rotary positions.
        context: the config's context; stands in for ``original_context`` where that is 0.
        length: length of the sequence in hand, for ``dynamic`` only.

    Returns:
        float32 (width / 2,), and 1.0 for every kind but ``yarn``.
    """
    if scaling is None:
        return plain_frequencies(width, theta), 1.0
    original = scaling.original_context or context
    if scaling.kind == "linear":
        return plain_frequencies(width, theta) / scaling.factor, 1.0
    if scaling.kind == "ntk":
        return plain_frequencies(width, ntk_base(width, theta, scaling.factor)), 1.0
    if scaling.kind == "dynamic":
        grown = scaling.factor * max(length, original) / original - (scaling.factor - 1)
        return plain_frequencies(width, ntk_base(width, theta, grown)), 1.0
    if scaling.kind == "yarn":
        return _yarn(width, theta, scaling, original)
    return _llama3(width, theta, scaling), 1.0


def ntk_base(width: int, theta: float, factor: float) -> float:
    """The base at which the slowest pair turns ``factor`` times slower: ``theta * factor^(w / (w - 2))``.

    The fastest pair keeps its frequency 1 at any base. A head of two numbers has that pair only: its base is kept.

    >>> slow = plain_frequencies(8, ntk_base(8, 10_000.0, 4.0))[-1]
    >>> round(float(plain_frequencies(8, 10_000.0)[-1] / slow), 4)
    4.0
    """
    return theta * factor ** (width / (width - 2)) if width > 2 else theta


def _yarn(width: int, theta: float, scaling: RopeScaling, original: int) -> tuple[Tensor, float]:
    """Interpolated by a ramp over the pairs, whose ends make ``beta_fast`` and ``beta_slow`` turns in ``original``."""

    def pair_with(turns: float) -> float:
        return width * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low = max(math.floor(pair_with(scaling.beta_fast)), 0)
    high = min(math.ceil(pair_with(scaling.beta_slow)), width - 1)
    # only equal ends are moved apart: swapped ones, of a very long or short context, act as in transformers
    ramp = ((torch.arange(width // 2).float() - low) / ((high - low) or 0.001)).clamp(0, 1)
    plain = plain_frequencies(width, theta)
    attention = scaling.attention_factor or (0.1 * math.log(scaling.factor) + 1.0 if scaling.factor > 1 else 1.0)
    return plain / scaling.factor * ramp + plain * (1 - ramp), attention


def _llama3(width: int, theta: float, scaling: RopeScaling) -> Tensor:
    plain = plain_frequencies(width, theta)
    wavelength = 2 * math.pi / plain
    turns = scaling.original_context / wavelength
    smooth = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    between = (1 - smooth) * plain / scaling.factor + smooth * plain
    kept = wavelength < scaling.original_context / scaling.high_freq_factor
    divided = wavelength > scaling.original_context / scaling.low_freq_factor
    return torch.where(divided, plain / scaling.factor, torch.where(kept, plain, between))
