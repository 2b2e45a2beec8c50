"""Differences that may be negative: all 1,000,000 ordered pairs of operands 0..999.

Units first no longer makes every step local: whether the digits of ``|a - b|`` come from ``a - b`` or from ``b - a``
is known only after the highest digit. With ``scratchpad`` the model first writes ``(a - b) mod 1000`` units first, as
if borrowing from an endless supply; the borrow that is left over is the sign, and a negative result's digits are the
ten's complement of what it has just written. Every step is local again.
"""

import numpy as np

from finqa_lab.arithmetic import vocabulary as voc
from finqa_lab.arithmetic.extensions.written import WrittenTask


class SignedDifference(WrittenTask):
    """``123-456=`` -> ``-333`` with digits units first, or ``766-333`` with the scratchpad.

    >>> task = SignedDifference(scratchpad=True)
    >>> ids = np.array([123456])
    >>> voc.decode(task.prompts(ids)[0]), voc.decode(task.replies(ids)[0])
    ('123-456=', '766-333')
    """

    space = 1_000_000
    prompt = 8

    def __init__(self, scratchpad: bool):
        self.scratchpad = scratchpad
        self.name = f"signed difference{', scratchpad' if scratchpad else ''}"
        self.reply = 7 if scratchpad else 4
        self.result_columns = 4

    def prompts(self, ids: np.ndarray) -> np.ndarray:
        """``aaa-bbb=``, operands padded to three digits."""
        a, b = ids // 1000, ids % 1000
        rows = np.full((len(ids), self.prompt), voc.TOKEN["-"], dtype=np.int64)
        rows[:, :3], rows[:, 4:7] = voc.digits(a, 3)[:, ::-1], voc.digits(b, 3)[:, ::-1]
        rows[:, 7] = voc.EQUALS
        return rows

    def replies(self, ids: np.ndarray) -> np.ndarray:
        """The sign and three digits, units first; before them the difference modulo 1000 when there is a scratchpad."""
        difference = ids // 1000 - ids % 1000
        sign = np.where(difference < 0, voc.TOKEN["-"], voc.TOKEN["+"])[:, None]
        signed = np.concatenate([sign, voc.digits(np.abs(difference), 3)], axis=1)
        if not self.scratchpad:
            return signed
        return np.concatenate([voc.digits(difference % 1000, 3), signed], axis=1)
