"""The space of problems: every sum of two operands 0..999 and every difference that is not negative.

There are 1000 * 1000 ordered sums and 1000 * 1001 / 2 differences a - b with a >= b: 1,500,500 problems. Each has a
number (its id), so a set of problems is an integer array and the whole space is ``arange(SPACE)``.
"""

import numpy as np

from finqa_lab.arithmetic.hashing import chosen_by_hash

OPERANDS = 1000  # operands are 0..999
SUMS = OPERANDS * OPERANDS
DIFFERENCES = OPERANDS * (OPERANDS + 1) // 2
SPACE = SUMS + DIFFERENCES
PLUS, MINUS = 0, 1
SYMBOLS = "+-"
HELD_OUT_SHARE = 0.103  # a little over a tenth, so that the share held out is above 10% in any case


def problem_ids(a: np.ndarray, operation: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Ids of problems, int64 (N,); sums are numbered by a * 1000 + b, differences behind them by rows of a triangle.

    >>> problem_ids(np.array([951, 951]), np.array([PLUS, MINUS]), np.array([11, 11])).tolist()
    [951011, 1452687]

    Raises:
        ValueError: when an operand is outside 0..999 or a difference would be negative.
    """
    a, operation, b = (np.asarray(x, dtype=np.int64) for x in (a, operation, b))
    if ((a < 0) | (a >= OPERANDS) | (b < 0) | (b >= OPERANDS)).any():
        raise ValueError("operands must be 0..999")
    if ((operation == MINUS) & (a < b)).any():
        raise ValueError("a difference needs a >= b")
    return np.where(operation == PLUS, a * OPERANDS + b, SUMS + a * (a + 1) // 2 + b)


def operands(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The inverse of :func:`problem_ids`: (a, operation, b), int64 arrays of shape (N,).

    >>> [int(x[0]) for x in operands(np.array([1452687]))]
    [951, 1, 11]
    """
    ids = np.asarray(ids, dtype=np.int64)
    operation = (ids >= SUMS).astype(np.int64)
    triangle = np.maximum(ids - SUMS, 0)
    row = ((np.sqrt(8.0 * triangle + 1) - 1) / 2).astype(np.int64)  # exact here: 8 * 500,500 is far below 2^53
    a = np.where(operation == PLUS, ids // OPERANDS, row)
    b = np.where(operation == PLUS, ids % OPERANDS, triangle - row * (row + 1) // 2)
    return a, operation, b


def answers(ids: np.ndarray) -> np.ndarray:
    """The correct results, int64 (N,).

    >>> answers(np.array([951011, 1452687])).tolist()
    [962, 940]
    """
    a, operation, b = operands(ids)
    return np.where(operation == PLUS, a + b, a - b)


def written(problem: int) -> str:
    """A problem with its answer, for people.

    >>> written(951011)
    '951+11=962'
    """
    a, operation, b = (int(x[0]) for x in operands(np.array([problem])))
    return f"{a}{SYMBOLS[operation]}{b}={a + b if operation == PLUS else a - b}"


def hashed_out(ids: np.ndarray, salt: int = 0) -> np.ndarray:
    """True for a fixed pseudo-random tenth of all numbers, boolean (N,); the seed of a run does not change it.

    The hash is the finaliser of splitmix64 (Steele, Lea and Flood 2014); the lowest tenth of its values is chosen.

    >>> hashed_out(np.arange(20)).nonzero()[0].tolist()
    [10, 18]
    """
    return chosen_by_hash(ids, HELD_OUT_SHARE, salt)


def held_out(ids: np.ndarray, salt: int = 0) -> np.ndarray:
    """Which problems never enter training, boolean (N,): a hash decides, so no list needs to be kept.

    A sum and its swapped twin (3+5 and 5+3) share a verdict: otherwise most of the held-out sums would have been seen
    in training the other way round.

    >>> int(held_out(np.arange(SPACE)).sum())
    154716
    """
    a, operation, b = operands(ids)
    twin = np.where(operation == PLUS, np.minimum(a, b) * OPERANDS + np.maximum(a, b), ids)
    return hashed_out(twin, salt)


def digit_count(values: np.ndarray) -> np.ndarray:
    """Number of decimal digits, for values 0..999.

    >>> digit_count(np.array([0, 9, 10, 999])).tolist()
    [1, 1, 2, 3]
    """
    return 1 + (values >= 10).astype(np.int64) + (values >= 100)


def carries(ids: np.ndarray) -> np.ndarray:
    """Carries (or borrows) out of each digit place, boolean (N, 3), units first.

    For a sum c_1 = [a_0 + b_0 >= 10] and c_(i+1) = [a_i + b_i + c_i >= 10]; for a difference the borrow is
    c_(i+1) = [a_i - b_i - c_i < 0].

    >>> carries(problem_ids([999, 100], [PLUS, MINUS], [1, 99])).astype(int).tolist()
    [[1, 1, 1], [1, 1, 0]]
    """
    a, operation, b = operands(ids)
    out = np.zeros((len(a), 3), dtype=bool)
    carry = np.zeros(len(a), dtype=np.int64)
    for place in range(3):
        x, y = a // 10**place % 10, b // 10**place % 10
        carry = np.where(operation == PLUS, x + y + carry >= 10, x - y - carry < 0).astype(np.int64)
        out[:, place] = carry
    return out


def carry_chain(ids: np.ndarray) -> np.ndarray:
    """Length of the longest run of carries in neighbouring places, int64 (N,), 0..3.

    >>> carry_chain(problem_ids([999, 505, 123], [PLUS, PLUS, PLUS], [1, 505, 456])).tolist()
    [3, 1, 0]
    """
    run, longest = np.zeros(len(ids), dtype=np.int64), np.zeros(len(ids), dtype=np.int64)
    for column in carries(ids).T:
        run = (run + 1) * column
        longest = np.maximum(longest, run)
    return longest
