"""How the numbers of a program and the cells of a table are read, by the rules of the official evaluation script.

=================  =================  ==============================================================================
text               value              rule
=================  =================  ==============================================================================
``5,829``          5829               commas between digits group thousands
``5%``             1/20               a percentage is a hundredth
``const_100``      100                constants the question does not state; ``const_m1`` is -1
``$ 5829`` (cell)  5829               a cell drops dollar signs; a program may not have one
``-32 ( 32 )``     -32                a cell ends at its first parenthesis: the data repeat a negative number as
                                      accountants print it
``( 32 )`` (cell)  none               for the same reason nothing is left of this cell
=================  =================  ==============================================================================

The script also takes what Python's ``float`` takes besides (``nan``, ``inf``, ``1_000``, ``1e3``) and any number of
percent signs at any place. No program of the data set has them; here they are not numbers.
"""

import re
from fractions import Fraction
from functools import lru_cache

MAX_DIGITS = 40
"""Longest number read, in digits; the longest of the data set has 15."""

_NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9]+(?:,[0-9]+)*)?(?:\.(?P<part>[0-9]*))?\s?(?P<percent>%?)", re.ASCII
)
_CONSTANT = re.compile(r"const_(?P<minus>m?)(?P<number>[0-9]+(?:\.[0-9]+)?)", re.ASCII)


@lru_cache(maxsize=4096)
def significand(text: str) -> tuple[int, int] | None:
    """Digits and power of ten of a number: value = digits * 10**power, the digits not divisible by ten.

    >>> significand("5,829.0"), significand("5%"), significand("0.05"), significand("-1,200"), significand("net sales")
    ((5829, 0), (5, -2), (5, -2), (-12, 2), None)

    Returns:
        Two integers, both 0 for zero; None when ``text`` is no number or has more than ``MAX_DIGITS`` digits.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    whole, part = (match["whole"] or "").replace(",", ""), match["part"] or ""
    if not 0 < len(whole + part) <= MAX_DIGITS:
        return None
    digits, power = int(whole + part), -len(part) - 2 * len(match["percent"])
    if digits == 0:
        return 0, 0
    while digits % 10 == 0:
        digits, power = digits // 10, power + 1
    return (-digits if match["sign"] == "-" else digits), power


def read_number(text: str) -> Fraction | None:
    """Exact value of a number as a program writes it; None when it is none.

    >>> read_number("6.5%"), read_number("$ 5")
    (Fraction(13, 200), None)
    """
    found = significand(text)
    return None if found is None else found[0] * Fraction(10) ** found[1]


def read_constant(text: str) -> str | None:
    """The number that a constant stands for, written as a number; None when ``text`` is no constant.

    >>> read_constant("const_m1"), read_constant("const_1000"), read_constant("const_pi")
    ('-1', '1000', None)
    """
    match = _CONSTANT.fullmatch(text)
    return match and ("-" if match["minus"] else "") + match["number"]


def cell_number(cell: str) -> str:
    """The part of a table cell that is read as its number.

    >>> cell_number("$ -32 ( 32 )"), cell_number("6.5% ( 6.5 % )"), cell_number("( 32 )")
    ('-32', '6.5%', '')
    """
    return cell.replace("$", "").split("(")[0].strip()
