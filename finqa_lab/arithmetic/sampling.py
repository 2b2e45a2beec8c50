"""Which problems a batch holds: uniform over the problems, or over lengths of operands or of the answer.

81% of all ordered pairs of operands are 3-digit with 3-digit, and 0.01% are 1-digit with 1-digit. A uniform sample
therefore hardly ever shows the short ones; a stratified sample shows each pair of lengths equally often. Long
operands with a short answer (513-499=14) are rare as well: those the sampler over answer lengths shows.
"""

import numpy as np

from finqa_lab.arithmetic.problems import (
    MINUS,
    OPERANDS,
    PLUS,
    SPACE,
    SUMS,
    held_out,
    problem_ids,
)

SAMPLERS = ("uniform", "stratified", "answers", "mixed", "balanced")
_BLENDS = {"mixed": ("uniform", "stratified"), "balanced": ("uniform", "stratified", "answers")}
_LOW, _HIGH = np.array([0, 10, 100]), np.array([10, 100, 1000])  # operands of 1, 2 and 3 digits
_ORDERED = np.array([(m, n) for m in range(3) for n in range(m + 1)])  # length pairs a difference can have


def draw(
    rng: np.random.Generator, count: int, sampler: str = "uniform", everything: bool = False
) -> np.ndarray:
    """Ids of ``count`` problems, int64, with replacement, half per operation, by default none of them held out.

    Args:
        rng: numpy generator; its state is all the state there is, so training can be resumed exactly.
        count: how many.
        sampler: ``uniform`` over the problems of an operation, ``stratified`` over the pairs of operand lengths,
            ``answers`` over the lengths of the answer; ``mixed`` is half of each of the first two, ``balanced`` a
            third of each of the three.
        everything: draw held-out problems as well (for evaluation only).

    Raises:
        ValueError: for an unknown sampler.
    """
    if sampler in _BLENDS:
        parts = _BLENDS[sampler]
        counts = [(count * (k + 1)) // len(parts) - (count * k) // len(parts) for k in range(len(parts))]
        return np.concatenate([draw(rng, n, part, everything) for n, part in zip(counts, parts, strict=True)])
    if sampler not in _PROPOSALS:
        raise ValueError(f"sampler is {sampler!r}; allowed: {', '.join(SAMPLERS)}")
    proposal = _PROPOSALS[sampler]
    kept = np.empty(0, dtype=np.int64)
    while len(kept) < count:
        ids = proposal(rng, int(1.25 * (count - len(kept))) + 8)
        kept = np.concatenate([kept, ids if everything else ids[~held_out(ids)]])
    return kept[:count]


def _uniform(rng: np.random.Generator, count: int) -> np.ndarray:
    first = rng.integers(0, SUMS, count)
    second = rng.integers(SUMS, SPACE, count)
    return np.where(rng.random(count) < 0.5, first, second)


def _stratified(rng: np.random.Generator, count: int) -> np.ndarray:
    operation = rng.integers(0, 2, count)
    lengths = np.where(
        (operation == PLUS)[:, None], rng.integers(0, 3, (count, 2)), _ORDERED[rng.integers(0, 6, count)]
    )
    a = rng.integers(_LOW[lengths[:, 0]], _HIGH[lengths[:, 0]])
    b = rng.integers(_LOW[lengths[:, 1]], _HIGH[lengths[:, 1]])
    swap = (operation == MINUS) & (a < b)  # within equal lengths only, so the length pair stays as drawn
    return problem_ids(np.where(swap, b, a), operation, np.where(swap, a, b))


def _answers(rng: np.random.Generator, count: int) -> np.ndarray:
    operation = rng.integers(0, 2, count)
    length = rng.integers(0, np.where(operation == PLUS, 4, 3))
    result = rng.integers(np.array([0, 10, 100, 1000])[length], np.array([10, 100, 1000, 1999])[length])
    a = rng.integers(
        np.where(operation == PLUS, np.maximum(0, result - 999), result),
        np.where(operation == PLUS, np.minimum(result, 999), 999) + 1,
    )
    return problem_ids(a, operation, np.where(operation == PLUS, result - a, a - result))


_PROPOSALS = {"uniform": _uniform, "stratified": _stratified, "answers": _answers}


def fixed_set(size: int, seed: int, sampler: str = "uniform") -> np.ndarray:
    """A fixed training set: ``size`` different problems, sorted ids, none held out.

    >>> len(fixed_set(40_044, seed=0))
    40044

    Raises:
        ValueError: when it would need more than half of the space, where drawing until distinct gets slow.
    """
    if not 0 < size <= SPACE // 2:
        raise ValueError(f"a fixed set holds 1 to {SPACE // 2} problems, not {size}")
    rng = np.random.default_rng([seed, OPERANDS])
    seen = np.empty(0, dtype=np.int64)
    while len(seen) < size:
        fresh = np.concatenate([seen, draw(rng, size, sampler)])
        _, first = np.unique(fresh, return_index=True)
        seen = fresh[np.sort(first)]  # in order of drawing, so that cutting keeps the sampler's mixture
        if sampler == "stratified" and len(seen) < size and len(first) == len(fresh) - size:
            raise ValueError(f"the stratified sampler has no {size} different problems")
    return np.sort(seen[:size])
