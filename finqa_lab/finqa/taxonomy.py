"""What is wrong with a wrong program: one class out of nine, by the first rule that fits.

====================  ================================================================================================
class                 the prediction ...
====================  ================================================================================================
``structure``         cannot be read as a program
``scale``             is the gold program times a power of ten, with either sign (a percentage times 100, thousands)
``sign``              is minus the gold program, and one of the two has more negative numbers
``order``             becomes right when the two arguments of some of its steps are exchanged
``missing step``      needs fewer steps than the gold program
``extra step``        needs more
``wrong operation``   needs as many, but other operations
``wrong row``         has the gold operations, but reads other rows of the table
``wrong operand``     has the gold operations and reads the wrong numbers
====================  ================================================================================================

The order matters. A change of scale usually adds a step, and what is minus a difference also becomes right by an
exchange; the special reason is the more useful one and goes first. "Needs" counts the steps that the last one depends
on. Sameness is :func:`finqa_lab.finqa.equivalence.equivalent`, literals read as numbers.
"""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction
from itertools import combinations

from finqa_lab.finqa.equivalence import equivalent, fingerprints
from finqa_lab.finqa.execute import Table
from finqa_lab.finqa.failure import ProgramError
from finqa_lab.finqa.fingerprint import PRIME, fraction
from finqa_lab.finqa.literals import cell_number, read_number
from finqa_lab.finqa.parse import parse
from finqa_lab.finqa.program import (
    COMMUTATIVE,
    TABLE,
    Argument,
    Constant,
    Number,
    Program,
    Reference,
    RowName,
    Step,
    literals,
    used_steps,
)

LARGEST_SCALE = 12
"""Largest power of ten that counts as a mistake of scale, from units to trillions."""
MOST_EXCHANGES = 6
"""Steps among which exchanged arguments are looked for, all combinations."""


class WrongClass(StrEnum):
    """The class of a wrong program."""

    STRUCTURE = "structure"
    SCALE = "scale"
    SIGN = "sign"
    ORDER = "order"
    MISSING_STEP = "missing step"
    EXTRA_STEP = "extra step"
    WRONG_OPERATION = "wrong operation"
    WRONG_ROW = "wrong row"
    WRONG_OPERAND = "wrong operand"


_SCALES = {
    fraction(sign * 10 ** max(power, 0), 10 ** max(-power, 0))
    for power in range(-LARGEST_SCALE, LARGEST_SCALE + 1)
    for sign in (1, -1)
    if power
}


def classify(gold: Program, predicted: str | Sequence[str], table: Table = ()) -> WrongClass | None:
    """Class of a wrong program; None when it means the same as the gold program.

    >>> gold = parse("subtract(5829, 5735), divide(#0, 5735)")
    >>> str(classify(gold, "subtract(5735, 5829), divide(#0, 5735)"))
    'order'
    >>> str(classify(gold, "subtract(5829, 5735), divide(#0, 5829)"))
    'wrong operand'

    Args:
        gold: the gold program.
        predicted: the prediction, a program text or a token list.
        table: the record's table. With it, numbers that stand in the same column as the right ones but in other rows
            are a wrong row too; without it only table operations can have a wrong row.
    """
    try:
        program = parse(predicted)
    except ProgramError:
        return WrongClass.STRUCTURE
    right, found = fingerprints(gold, program)
    if right is not None and found is not None:
        if right == found:
            return None
        if right and found * pow(right, -1, PRIME) % PRIME in _SCALES:
            return WrongClass.SCALE
        if found == -right % PRIME and _negatives(program) != _negatives(gold):
            return WrongClass.SIGN
    if _exchanged(gold, program):
        return WrongClass.ORDER
    return _by_steps(gold, program, table)


def _negatives(program: Program) -> int:
    return sum(literal.value < 0 for literal in literals(program))


def _exchanged(gold: Program, program: Program) -> bool:
    ordered = [i for i in used_steps(program) if program[i].operation not in COMMUTATIVE + TABLE][:MOST_EXCHANGES]
    for count in range(1, len(ordered) + 1):
        for chosen in combinations(ordered, count):
            turned = tuple(
                Step(step.operation, step.second, step.first) if index in chosen else step
                for index, step in enumerate(program)
            )
            if equivalent(gold, turned):
                return True
    return False


def _by_steps(gold: Program, program: Program, table: Table) -> WrongClass:
    right, found = ([p[i] for i in used_steps(p)] for p in (gold, program))
    if len(found) != len(right):
        return WrongClass.MISSING_STEP if len(found) < len(right) else WrongClass.EXTRA_STEP
    if Counter(step.operation for step in right) != Counter(step.operation for step in found):
        return WrongClass.WRONG_OPERATION
    absent, intruding = _read(right) - _read(found), _read(found) - _read(right)
    if intruding and all(any(_other_row(a, b, table) for a in absent) for b in intruding):
        return WrongClass.WRONG_ROW
    return WrongClass.WRONG_OPERAND


def _read(steps: Sequence[Step]) -> Counter:
    """What the steps read: numbers by value, rows by name."""
    read: list[Argument | Fraction] = []
    for step in steps:
        arguments = [step.first] if step.operation in TABLE else step.arguments
        read += [a.value if isinstance(a, Number | Constant) else a for a in arguments if not isinstance(a, Reference)]
    return Counter(read)


def _other_row(right: RowName | Fraction, found: RowName | Fraction, table: Table) -> bool:
    """Whether ``found`` stands where ``right`` should: a row name for another, or a number in the same column."""
    if isinstance(right, RowName) or isinstance(found, RowName):
        return isinstance(right, RowName) and isinstance(found, RowName)
    return bool(_columns(right, table) & _columns(found, table))


def _columns(value: Fraction, table: Table) -> set[int]:
    return {
        column
        for row in table
        for column, cell in enumerate(row)
        if (number := read_number(cell_number(cell))) is not None and abs(number) == abs(value)
    }
