"""Integer division with remainder: a in 0..999, b in 1..999, as long division from the highest digit.

Long division carries a remainder r from the left: at each digit d of a, ``r <- 10 r + d``, ``q = r // b``,
``r <- r - q b``. The quotient digit is the hard step: unlike a sum's digit, it depends on all digits of r and b at
once. With ``scratchpad`` every step writes r, q and q b before the new remainder, so that only q has to be guessed.
"""

import numpy as np

from finqa_lab.arithmetic import vocabulary as voc
from finqa_lab.arithmetic.extensions.written import SLASH, WrittenTask

DIVISORS = 999
_STEP = 10  # columns of one step: r (3), q (1), q b (3), new r (3)


class Division(WrittenTask):
    """``951/011=`` -> quotient ``086`` and remainder ``500``, the remainder units first.

    >>> task = Division(scratchpad=True)
    >>> row = task.replies(np.array([951 * 999 + 10]))[0]
    >>> [voc.decode(row[i : i + 10]) for i in (0, 10, 20)], voc.decode(row[30:])
    (['9000000900', '5908880700', '1706660500'], '086500')
    """

    space = 1000 * DIVISORS
    prompt = 8

    def __init__(self, scratchpad: bool):
        self.scratchpad = scratchpad
        self.name = f"division{', scratchpad' if scratchpad else ''}"
        self.reply = 6 + 3 * _STEP * scratchpad
        self.result_columns = 6

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Half uniform over all pairs, half with a divisor of one or two digits, whose quotients have more digits."""
        a = rng.integers(0, 1000, count)
        small = np.where(rng.random(count) < 0.5, rng.integers(1, 10, count), rng.integers(10, 100, count))
        b = np.where(rng.random(count) < 0.5, rng.integers(1, 1000, count), small)
        return a * DIVISORS + b - 1

    def prompts(self, ids: np.ndarray) -> np.ndarray:
        """``aaa/bbb=``, operands padded to three digits."""
        a, b = ids // DIVISORS, ids % DIVISORS + 1
        rows = np.full((len(ids), self.prompt), SLASH, dtype=np.int64)
        rows[:, :3], rows[:, 4:7] = voc.digits(a, 3)[:, ::-1], voc.digits(b, 3)[:, ::-1]
        rows[:, 7] = voc.EQUALS
        return rows

    def replies(self, ids: np.ndarray) -> np.ndarray:
        """The steps, when there is a scratchpad; then three quotient digits and the remainder units first."""
        a, b = ids // DIVISORS, ids % DIVISORS + 1
        remainder, parts = np.zeros(len(ids), dtype=np.int64), []
        for place in (2, 1, 0):
            current = 10 * remainder + a // 10**place % 10
            quotient = current // b
            remainder = current - quotient * b
            # Units first inside every number: each of its digits then follows from the ones before it.
            parts += [voc.digits(current, 3), quotient[:, None], voc.digits(quotient * b, 3), voc.digits(remainder, 3)]
        final = [voc.digits(a // b, 3)[:, ::-1], voc.digits(a % b, 3)]
        return np.concatenate(parts + final if self.scratchpad else final, axis=1)
