"""Why a program has no answer: eleven kinds of failure, each with one sentence and the place in the program.

A model writes programs as text, so a program that cannot be read is an ordinary outcome to be counted, no accident.
:func:`finqa_lab.finqa.execute.execute` therefore returns a :class:`Failure`; the readers of programs raise it wrapped
in :class:`ProgramError`.
"""

from dataclasses import dataclass
from enum import StrEnum

from finqa_lab.errors import CourseError


class FailureKind(StrEnum):
    """What kept a program from having an answer."""

    LEXICAL = "lexical"
    SYNTAX = "syntax"
    UNKNOWN_OPERATION = "unknown operation"
    BAD_REFERENCE = "bad reference"
    TYPE = "type"
    TOO_LONG = "too long"
    ROW_NOT_FOUND = "row not found"
    NOT_A_NUMBER = "not a number in table"
    DIVISION_BY_ZERO = "division by zero"
    NOT_REAL = "not a real number"
    OVERFLOW = "overflow"


STRUCTURE = frozenset(list(FailureKind)[:6])
"""Kinds found in the program alone; the others need the table or the values."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A program without an answer.

    Attributes:
        kind: the class to count it under.
        message: one sentence that says what is wrong.
        position: where it is: the character offset in a program text, the index in a token list.
    """

    kind: FailureKind
    message: str
    position: int

    def __str__(self) -> str:
        return f"{self.kind} at {self.position}: {self.message}"


class ProgramError(CourseError):
    """A program that cannot be read; ``failure`` holds the kind, the sentence and the position."""

    def __init__(self, kind: FailureKind, message: str, position: int):
        self.failure = Failure(kind, message, position)
        super().__init__(str(self.failure))
