"""Annotation faults: where the answer that a person wrote and the executed answer of the program say different things.

=====================  ===============================================================================================
class                  the written answer ...
=====================  ===============================================================================================
``blank``              is empty
``no answer in it``    holds neither a number nor yes or no
``yes or no``          contradicts a yes or no, or is one where the program gives a number
``percent``            equals the executed number before its percent sign is read: "18.6%" and 18.6
``sign``               is minus the executed answer
``scale 100``          is a hundred times the executed answer, or a hundredth
``scale 1000``         likewise a thousand
``scale 1000000``      likewise a million
``other number``       is none of these
=====================  ===============================================================================================

Two numbers agree when they differ by at most one unit of the last digit that is written (people round and truncate), or
by half a percent of the executed answer (people round on the way). Scores use the executed answer; these classes say
how often that is another answer than the person's.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from finqa_lab.finqa.literals import MAX_DIGITS
from finqa_lab.finqa.records import Record

RELATIVE = Fraction(1, 200)
"""Share of the executed answer that counts as rounding on the way."""


class Fault(StrEnum):
    """What is between a written and an executed answer."""

    BLANK = "blank"
    UNREADABLE = "no answer in it"
    YES_NO = "yes or no"
    PERCENT = "percent"
    SIGN = "sign"
    SCALE_100 = "scale 100"
    SCALE_1000 = "scale 1000"
    SCALE_MILLION = "scale 1000000"
    NUMBER = "other number"


class AnswerKind(StrEnum):
    """What a written answer looks like."""

    PERCENTAGE = "percentage"
    NUMBER = "number"
    YES_NO = "yes or no"
    BLANK = "blank"
    OTHER = "other text"


@dataclass(frozen=True, slots=True)
class WrittenNumber:
    """A number as a person wrote it.

    Attributes:
        value: before a percent sign or a word like "million" is applied.
        unit: value of one unit of its last digit; 1/10 for "18.6".
        percent: whether a percent sign follows.
        scale: what a word after it multiplies by; 1 without.
    """

    value: Fraction
    unit: Fraction
    percent: bool
    scale: int


_NUMBER = re.compile(
    r"(?P<minus>-)?\s*\$?\s*(?P<inner>-)?\s*(?P<digits>\d[\d,]*(?:\.(?P<part>\d*))?|\.(?P<bare>\d+))\s*(?P<percent>%)?"
    r"\s*(?P<scale>thousand|million|billion)?",
    re.ASCII,
)
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_FAULTY_SCALES = ((Fault.SCALE_100, 100), (Fault.SCALE_1000, 1000), (Fault.SCALE_MILLION, 10**6))


def read_written(answer: str) -> str | WrittenNumber | None:
    """``"yes"`` or ``"no"``, the first number of a written answer, or None.

    >>> read_written("$ -2.5 million").value, read_written(" no "), read_written("n/a")
    (Fraction(-5, 2), 'no', None)
    """
    if answer.strip().lower() in ("yes", "no"):
        return answer.strip().lower()
    match = _NUMBER.search(answer)
    if match is None:
        return None
    digits = match["digits"].replace(",", "").rstrip(".")
    if len(digits) > MAX_DIGITS:
        return None
    decimals = len(match["part"] or match["bare"] or "")
    value = Fraction(digits) * (-1 if match["minus"] or match["inner"] else 1)
    return WrittenNumber(value, Fraction(1, 10**decimals), bool(match["percent"]), _SCALES.get(match["scale"], 1))


def answer_kind(answer: str) -> AnswerKind:
    """What a written answer looks like.

    >>> str(answer_kind("$ 5")), str(answer_kind("5 %"))
    ('number', 'percentage')
    """
    found = read_written(answer)
    if found is None:
        return AnswerKind.OTHER if answer.strip() else AnswerKind.BLANK
    if isinstance(found, str):
        return AnswerKind.YES_NO
    return AnswerKind.PERCENTAGE if found.percent else AnswerKind.NUMBER


def fault(record: Record) -> Fault | None:
    """The fault of a record; None when both answers agree, or the executed one is withheld."""
    if record.exe_ans is None:
        return None
    if not record.answer.strip():
        return Fault.BLANK
    written = read_written(record.answer)
    if written is None:
        return Fault.UNREADABLE
    if isinstance(written, str) or isinstance(record.exe_ans, str):
        return None if written == record.exe_ans else Fault.YES_NO
    executed = Fraction(record.exe_ans)
    meant = Fraction(1, 100) if written.percent else Fraction(1)
    if _agree(written, meant, executed) or _agree(written, meant * written.scale, executed):
        return None
    if _agree(written, Fraction(1), executed):  # with a percent sign: otherwise this was what is meant
        return Fault.PERCENT
    if _agree(written, -meant, executed):
        return Fault.SIGN
    for kind, factor in _FAULTY_SCALES:
        if _agree(written, meant * factor, executed) or _agree(written, meant / factor, executed):
            return kind
    return Fault.NUMBER


def _agree(written: WrittenNumber, factor: Fraction, executed: Fraction) -> bool:
    """Whether the written number times ``factor`` is the executed answer, rounding allowed for."""
    slack = max(written.unit * abs(factor), RELATIVE * abs(executed))
    if written.value == 0:  # zero agrees with what rounds to it, in its own unit only
        return abs(executed) <= written.unit * abs(factor) and factor in (1, Fraction(1, 100))
    return abs(written.value * factor - executed) <= slack and written.value * factor * executed > 0
