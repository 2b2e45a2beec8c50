"""Programs of FinQA: up to five or so steps, each one operation on two arguments (Chen et al. 2021, section 3.1).

``subtract(5829, 5735), divide(#0, 5735)`` has two steps; ``#0`` is the result of the first. The same program is also
written as a list of tokens (what the official script scores), as below, and nested (:mod:`finqa_lab.finqa.nested`).

>>> step = Step("subtract", Number("5829"), Number("5735"))
>>> program = (step, Step("divide", Reference(0), Number("5735")))
>>> format_program(program)
'subtract(5829, 5735), divide(#0, 5735)'
>>> format_tokens(program)
['subtract(', '5829', '5735', ')', 'divide(', '#0', '5735', ')', 'EOF']
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from finqa_lab.finqa.literals import read_constant, read_number, significand

ARITHMETIC = ("add", "subtract", "multiply", "divide", "exp", "greater")
"""Operations on two numbers; ``greater`` answers yes or no."""
TABLE = ("table_sum", "table_average", "table_max", "table_min")
"""Operations on the numbers of one table row."""
OPERATIONS = ARITHMETIC + TABLE
COMMUTATIVE = ("add", "multiply")
END = "EOF"
"""Last token of a program in the official token list form."""

MAX_STEPS = 32
"""Longest program read; the longest of the data set has 5 steps, and a generator of the field stops before 10."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number that the question or the report states, as it is written: ``5,829``, ``6.5%``."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def significand(self) -> tuple[int, int]:
        """Digits and power of ten, as in :func:`finqa_lab.finqa.literals.significand`."""
        return significand(self.text)

    @property
    def value(self) -> Fraction:
        """Exact value."""
        return read_number(self.text)


@dataclass(frozen=True, slots=True)
class Constant:
    """A number nobody states: ``const_100``, ``const_m1`` (minus one)."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def significand(self) -> tuple[int, int]:
        """Digits and power of ten."""
        return significand(read_constant(self.text))

    @property
    def value(self) -> Fraction:
        """Exact value."""
        return read_number(read_constant(self.text))


@dataclass(frozen=True, slots=True)
class Reference:
    """The result of an earlier step, counted from 0: ``#0``."""

    step: int

    def __str__(self) -> str:
        return f"#{self.step}"


@dataclass(frozen=True, slots=True)
class RowName:
    """The first cell of a table row."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Ignored:
    """Second argument of a table operation: ``none``, and whatever else stands there has no effect either."""

    text: str = "none"

    def __str__(self) -> str:
        return self.text


Literal: TypeAlias = Number | Constant
Argument: TypeAlias = Number | Constant | Reference | RowName | Ignored


@dataclass(frozen=True, slots=True)
class Step:
    """One operation on two arguments.

    Attributes:
        operation: one of ``OPERATIONS``.
        first: a literal or a reference; for a table operation a row name or a reference.
        second: a literal or a reference; for a table operation ignored.
        positions: where the operation and the two arguments stand in what was read; no part of equality.
    """

    operation: str
    first: Argument
    second: Argument
    positions: tuple[int, int, int] = field(default=(0, 0, 0), compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.operation}({self.first}, {self.second})"

    @property
    def arguments(self) -> tuple[Argument, Argument]:
        """Both arguments."""
        return self.first, self.second


Program: TypeAlias = tuple[Step, ...]


def format_program(program: Program) -> str:
    """The linear text of a program."""
    return ", ".join(map(str, program))


def format_tokens(program: Program) -> list[str]:
    """The official token list: four tokens a step, then ``EOF``."""
    return [token for s in program for token in (f"{s.operation}(", str(s.first), str(s.second), ")")] + [END]


def literals(program: Program) -> Iterator[Literal]:
    """Every number and constant of a program, in order, as often as it is written."""
    return (argument for step in program for argument in step.arguments if isinstance(argument, Number | Constant))


def used_steps(program: Program) -> list[int]:
    """Indexes of the steps that the last one needs, itself included.

    >>> from finqa_lab.finqa.parse import parse
    >>> used_steps(parse("add(1, 2), add(3, 4), divide(#1, 5)"))
    [1, 2]
    """
    needed = {len(program) - 1}
    for index in range(len(program) - 1, -1, -1):
        if index in needed:
            needed.update(a.step for a in program[index].arguments if isinstance(a, Reference))
    return sorted(needed)


def row_of(program: Program, index: int) -> str:
    """Name of the row that a table operation reads; a reference stands for the row of the step it points to.

    >>> from finqa_lab.finqa.parse import parse
    >>> row_of(parse("table_max(net sales, none), table_min(#0, none)"), 1)
    'net sales'
    """
    first = program[index].first
    return row_of(program, first.step) if isinstance(first, Reference) else str(first)
