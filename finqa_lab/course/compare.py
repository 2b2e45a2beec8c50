"""Deep comparison of a student's value with the oracle's, and a short way to show either."""

import math
import numbers
import reprlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np

RELATIVE, ABSOLUTE = 1e-5, 1e-6

_short = reprlib.Repr()
_short.maxlist = _short.maxtuple = _short.maxarray = 12
_short.maxdict = _short.maxset = 8
_short.maxstring, _short.maxother = 80, 160


def same(expected, got) -> bool:
    """True when ``got`` is the value ``expected``.

    Integers, strings, bytes and booleans must be equal; floats and floating arrays agree within 1e-5 relative or
    1e-6 absolute; containers agree item by item. A list and a tuple with equal items are the same answer (the exercise
    asks for a value, not for a container), an array and a list are as well if the shapes agree.

    >>> same([1, (2.0, "a")], (1, [2.0000001, "a"])), same(1, True), same(3, 3.0)
    (True, False, True)
    """
    if _is_array(expected) or _is_array(got):
        return _same_array(expected, got)
    if isinstance(expected, bool) or isinstance(got, bool):
        return isinstance(expected, bool) and isinstance(got, bool) and expected == got
    if isinstance(expected, numbers.Number) and isinstance(got, numbers.Number):
        return _same_number(expected, got)
    if isinstance(expected, str | bytes) or isinstance(got, str | bytes):
        return type(expected) is type(got) and expected == got
    if isinstance(expected, Mapping):
        return (
            isinstance(got, Mapping)
            and expected.keys() == got.keys()
            and all(same(expected[key], got[key]) for key in expected)
        )
    if isinstance(expected, AbstractSet):
        return isinstance(got, AbstractSet) and expected == got
    if isinstance(expected, Sequence):
        return isinstance(got, Sequence) and len(expected) == len(got) and all(map(same, expected, got))
    return type(expected) is type(got) and bool(expected == got)


def show(value, width: int = 160) -> str:
    """One line for ``value``, shortened in the middle: ``show(list(range(1000)))`` fits a sentence."""
    if _is_array(value):
        array = _array(value)
        flat = ", ".join(f"{x:.6g}" if array.dtype.kind == "f" else str(x) for x in array.ravel()[:12].tolist())
        return f"{type(value).__name__} of shape {tuple(array.shape)}: [{flat}{', ...' if array.size > 12 else ''}]"
    text = _short.repr(value)
    if not isinstance(value, str):  # the spaces of a string are part of it
        text = " ".join(text.split())
    return text if len(text) <= width else f"{text[: width // 2 - 3]} ... {text[-width // 2 + 3 :]}"


def first_difference(expected, got) -> str:
    """Where two arrays of one shape, or two sequences, differ first; "" when that cannot be said.

    >>> first_difference([1, 2, 3], [1, 5, 3])
    'at index 1: expected 2, got 5'
    """
    if _is_array(expected) and _is_array(got):
        left, right = _array(expected), _array(got)
        if left.shape != right.shape or left.dtype.kind in "USO" or right.dtype.kind in "USO" or not left.ndim:
            return ""
        apart = np.argwhere(~np.isclose(left, right, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True))
        if not len(apart):
            return ""
        index = tuple(apart[0].tolist())
        return f"at index {list(index)}: expected {show(left[index].item())}, got {show(right[index].item())}"
    plain = (str, bytes)
    if isinstance(expected, Sequence) and isinstance(got, Sequence) and not isinstance(expected, plain):
        for index, (left, right) in enumerate(zip(expected, got)):
            if not same(left, right):
                return f"at index {index}: expected {show(left)}, got {show(right)}"
        if len(expected) != len(got):
            return f"expected {len(expected)} items, got {len(got)}"
    return ""


def _is_array(value) -> bool:
    # A torch tensor is recognised by its methods, so that comparing lists does not import torch.
    return isinstance(value, np.ndarray | np.generic) or (hasattr(value, "detach") and hasattr(value, "numpy"))


def _array(value) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()
    return np.asarray(value)


def _same_array(expected, got) -> bool:
    try:
        left, right = _array(expected), _array(got)
    except (TypeError, ValueError):  # a ragged list, an object that is no array
        return False
    if left.shape != right.shape or left.dtype.kind in "USO" or right.dtype.kind in "USO":
        return False
    if left.dtype.kind in "biu" and right.dtype.kind in "biu":
        return bool((left == right).all())
    return bool(np.allclose(left, right, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True))


def _same_number(expected, got) -> bool:
    if isinstance(expected, complex) or isinstance(got, complex):
        return expected == got
    if isinstance(expected, numbers.Rational) and isinstance(got, numbers.Rational):
        return expected == got
    if math.isnan(expected) or math.isnan(got):
        return math.isnan(expected) and math.isnan(got)
    return math.isclose(expected, got, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
