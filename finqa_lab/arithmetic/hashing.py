"""A fixed choice without a list: whether a number is chosen is a function of the number."""

import numpy as np


def chosen_by_hash(keys: np.ndarray, share: float, salt: int = 0) -> np.ndarray:
    """Boolean (N,): about ``share`` of all non-negative integer keys, the same ones on every machine.

    The hash is the finaliser of splitmix64 (Steele, Lea and Flood 2014, OOPSLA), so neighbouring keys are unrelated.

    >>> chosen_by_hash(np.arange(10), 0.3).astype(int).tolist()
    [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    """
    with np.errstate(over="ignore"):
        h = np.asarray(keys).astype(np.uint64) + np.uint64((salt + 1) * 0x9E3779B97F4A7C15 % 2**64)
        h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        h ^= h >> np.uint64(31)
    return h < np.uint64(int(share * 2**64))
