"""Numbers as people spell them: $ 10,000, 10000 dollars, 10k; 5%, 5 percent, 0.05; and how they are read back.

>>> read_spelled("$10k"), read_spelled("5 percent"), read_spelled("1.2 million dollars"), read_spelled("ten")
(Fraction(10000, 1), Fraction(1, 20), Fraction(1200000, 1), Fraction(10, 1))
"""

import math
import random
import re
from decimal import Decimal
from fractions import Fraction

from finqa_lab.finqa.literals import MAX_DIGITS

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
SIGNIFICANT = 7
"""Significant digits of a number in worked reasoning; money has at least its cents."""

_SCALES = {"k": 3, "thousand": 3, "m": 6, "million": 6, "bn": 9, "billion": 9}
_MINUS = str.maketrans("\u2212\u2012\u2013", "---")
_SPELLED = re.compile(
    r"(?P<sign>[+-]?)\s?(?:us\$|usd|\$)?\s?(?P<inner>-?)(?P<number>[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?|[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
    r"(?:e(?P<power>[+-]?[0-9]{1,3}))?\s?(?P<scale>k|thousand|million|m|bn|billion)?"
    r"\s?(?P<unit>%|percent|per cent|dollars?|usd|shares?|units?|years?)?",
    re.ASCII | re.IGNORECASE,
)


def plain(value: Decimal | Fraction | float) -> str:
    """Digits without exponent, grouping or trailing zeros.

    >>> plain(Decimal("10000")), plain(Decimal("0.0500")), plain(1e-05)
    ('10000', '0.05', '0.00001')
    """
    if isinstance(value, Fraction):
        value = Decimal(value.numerator) / Decimal(value.denominator)
    text = f"{Decimal(repr(value)) if isinstance(value, float) else value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown(value: Fraction) -> str:
    """A number of worked reasoning: seven significant digits, and never fewer than two decimals.

    >>> shown(Fraction(5, 1200)), shown(Fraction(10_000_001, 3)), shown(Fraction(3))
    ('0.004166667', '3333333.67', '3')
    """
    if value == 0:
        return "0"
    places = max(2, SIGNIFICANT - 1 - math.floor(math.log10(abs(value))))
    return plain(round(Decimal(value.numerator) / Decimal(value.denominator), places))


def money(value: Decimal, rng: random.Random) -> str:
    """An amount of dollars in one of the ways in which it is written; cents stay.

    >>> sorted({money(Decimal(10000), random.Random(seed)) for seed in range(40)})
    ['$ 10,000', '$10,000', '$10k', '10,000 dollars', '10000 dollars', 'USD 10,000']
    """
    whole = value == value.to_integral_value()
    grouped, digits = (f"{value:,.0f}", f"{value:.0f}") if whole else (f"{value:,.2f}", f"{value:.2f}")
    ways = [f"${grouped}", f"$ {grouped}", f"{digits} dollars", f"{grouped} dollars", f"USD {grouped}"]
    if 1000 <= value < 1_000_000 and value % 100 == 0:
        ways.append(f"${plain(value / 1000)}k")
    if value >= 1_000_000 and value % 1000 == 0:
        ways.append(f"${plain(value / 1_000_000)} million")
    return rng.choice(ways)


def percentage(value: Decimal, rng: random.Random) -> str:
    """A share in one of the ways in which it is written.

    >>> sorted({percentage(Decimal("0.05"), random.Random(seed)) for seed in range(40)})
    ['0.05', '5 %', '5 per cent', '5 percent', '5%']
    """
    hundredfold = plain(value * 100)
    ways = (f"{hundredfold}%", f"{hundredfold}%", f"{hundredfold} percent", f"{hundredfold} per cent")
    return rng.choice((*ways, f"{hundredfold} %", plain(value)))


def years(count: int, rng: random.Random) -> str:
    """A number of years, small ones sometimes as a word.

    >>> sorted({years(3, random.Random(seed)) for seed in range(9)})
    ['3 years', 'three years']
    """
    word = WORDS[count] if count < len(WORDS) and rng.random() < 0.4 else str(count)
    return f"{word} year{'' if count == 1 else 's'}"


def read_spelled(text: str) -> Fraction | None:
    """The number that a text is, all of it; a percentage is a hundredth. None when it is no number.

    Other digits than 0 to 9, and ``nan`` and ``inf``, are no numbers. A minus may also be the typographic one.
    """
    text = text.translate(_MINUS).strip().lower()
    if text in WORDS:
        return Fraction(WORDS.index(text))
    match = _SPELLED.fullmatch(text)
    if match is None or sum(map(str.isdigit, match["number"])) > MAX_DIGITS or match["sign"] and match["inner"]:
        return None
    value = Fraction(match["number"].replace(",", "").rstrip("."))
    value *= Fraction(10) ** (int(match["power"] or 0) + _SCALES.get(match["scale"] or "", 0))
    if match["unit"] in ("%", "percent", "per cent"):
        value /= 100
    return -value if match["sign"] == "-" or match["inner"] else value
