"""What counts as a problem: a pure function from text to two operands, or one typed reason why not.

The grammar, over ASCII bytes only::

    problem := operand ("+" | "-") operand ["="]
    operand := "0" | [1-9][0-9]{0,2}            # 0..999 without leading zeros

with the further condition that a difference is not negative: 1,000,000 sums and 500,500 differences. ``str.isdigit``
and the ``\\d`` of a regular expression accept the digits of some sixty scripts, which a vocabulary of ten ASCII digits
has never seen; hence the explicit character sets here.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

LARGEST = 999
MAX_CHARACTERS = 32  # a valid problem has at most 8; up to here the reason can still be specific
PROBLEM_COUNT = 1_000_000 + 500_500
_CANONICAL = re.compile(r"(0|[1-9][0-9]{0,2})([+-])(0|[1-9][0-9]{0,2})=?", re.ASCII)
_SHAPE = re.compile(r"([0-9]+)([+-])([0-9]+)=?", re.ASCII)
_ALPHABET = frozenset("0123456789+-=")


class Reason(StrEnum):
    """Why a text is no problem; the value is what the API sends as ``reason``."""

    NOT_TEXT = "not_text"
    EMPTY = "empty"
    TOO_LONG = "too_long"
    WHITESPACE = "whitespace"
    NON_ASCII = "non_ascii"
    BAD_CHARACTER = "bad_character"
    MALFORMED = "malformed"
    LEADING_ZERO = "leading_zero"
    OUT_OF_RANGE = "out_of_range"
    NEGATIVE_RESULT = "negative_result"


@dataclass(frozen=True, slots=True)
class Problem:
    """A valid problem: ``Problem(951, "+", 11)``."""

    left: int
    operator: str
    right: int

    def __str__(self) -> str:
        return f"{self.left}{self.operator}{self.right}"


class InvalidProblem(ValueError):
    """A text that is no problem.

    Attributes:
        reason: the kind.
        message: one sentence saying what is wrong, quoting at most ``MAX_CHARACTERS`` characters.
        mend: one sentence saying what to send instead.
        suggestion: a valid problem that is probably meant, or None.
    """

    def __init__(self, reason: Reason, message: str, mend: str, suggestion: str | None = None):
        super().__init__(message)
        self.reason, self.message, self.mend, self.suggestion = reason, message, mend, suggestion


def parse_problem(text: object) -> Problem:
    """The problem that ``text`` states.

    >>> parse_problem("951+11")
    Problem(left=951, operator='+', right=11)
    >>> try:
    ...     parse_problem("007+1=")
    ... except InvalidProblem as error:
    ...     print(error.reason, "|", error.mend)
    leading_zero | write 7+1

    Raises:
        InvalidProblem: with the first reason that applies, in the order of :class:`Reason`.
    """
    if isinstance(text, str):
        match = _CANONICAL.fullmatch(text)
        if match is not None:
            left, operator, right = int(match[1]), match[2], int(match[3])
            if operator == "+" or left >= right:
                return Problem(left, operator, right)
    raise _explain(text)


def _explain(text: object) -> InvalidProblem:
    """The reason why ``text`` is no problem; called only when it is none."""
    if not isinstance(text, str):
        kind = "null" if text is None else type(text).__name__
        return InvalidProblem(Reason.NOT_TEXT, f"a problem is a text, not {kind}", 'send a JSON string like "951+11"')
    if not text:
        return InvalidProblem(Reason.EMPTY, "the problem is empty", "send two operands and a sign, like 951+11")
    if len(text) > MAX_CHARACTERS:
        return InvalidProblem(
            Reason.TOO_LONG,
            f"the problem has {len(text)} characters",
            "send at most 8: two operands of up to three digits, the sign and an optional '='",
        )
    if any(character.isspace() for character in text):
        return _with_suggestion(Reason.WHITESPACE, f"{text!a} contains white space", "".join(text.split()))
    if not text.isascii():
        foreign = next(character for character in text if not character.isascii())
        name = unicodedata.name(foreign, "a character without a name")
        message = f"{text!a} contains {name} (U+{ord(foreign):04X}), not an ASCII character"
        return _with_suggestion(Reason.NON_ASCII, message, _to_ascii(text))
    strange = next((character for character in text if character not in _ALPHABET), None)
    if strange is not None:
        mend = "use only the digits 0-9, one + or -, and an optional '='"
        return InvalidProblem(Reason.BAD_CHARACTER, f"{text!a} contains {strange!a}", mend)
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        return InvalidProblem(
            Reason.MALFORMED,
            f"{text!a} is not operand, sign, operand",
            "send two unsigned operands around one + or -, with at most one '=' at the end",
        )
    return _explain_values(text, *shape.groups())


def _explain_values(text: str, left: str, operator: str, right: str) -> InvalidProblem:
    """The reason for a text of the right shape whose numbers do not fit."""
    if len(left) > 1 and left[0] == "0" or len(right) > 1 and right[0] == "0":
        plain = f"{left.lstrip('0') or '0'}{operator}{right.lstrip('0') or '0'}"
        return _with_suggestion(Reason.LEADING_ZERO, f"{text!a} has an operand with a leading zero", plain)
    large = next((operand for operand in (left, right) if int(operand) > LARGEST), None)
    if large is not None:
        return InvalidProblem(
            Reason.OUT_OF_RANGE, f"operand {large} is above {LARGEST}", f"use whole numbers from 0 to {LARGEST}"
        )
    return InvalidProblem(
        Reason.NEGATIVE_RESULT,
        f"{left}-{right} is negative, and the model was trained on results from 0 up",
        f"send {right}-{left} and change the sign of the answer",
        f"{right}-{left}",
    )


def _with_suggestion(reason: Reason, message: str, candidate: str) -> InvalidProblem:
    """A refusal that offers ``candidate`` when that is itself a valid problem."""
    match = _CANONICAL.fullmatch(candidate)
    if match is not None and (match[2] == "+" or int(match[1]) >= int(match[3])):
        return InvalidProblem(reason, message, f"write {candidate}", candidate)
    return InvalidProblem(reason, message, "use only the characters 0-9, + and -, without spaces or leading zeros")


def _to_ascii(text: str) -> str:
    """Digits of any script and the usual sign characters as ASCII.

    >>> _to_ascii("\u0661\u2212\uff11")
    '1-1'
    """
    signs = {"\u2212": "-", "\u2013": "-", "\ufe63": "-", "\uff0d": "-", "\uff0b": "+", "\ufe62": "+", "\uff1d": "="}
    return "".join(signs.get(character) or str(unicodedata.decimal(character, character)) for character in text)
