"""Execution of a program: exact fractions throughout, and one rounding at the end.

The official script computes in floating point and rounds the last result to five decimals, ``round(x, 5)``. Here every
value is an exact fraction; the last one is converted to the nearest float and that is rounded as the script does. On
all programs of the data set the answers are the same, and two programs that mean the same have the same answer whatever
the order of their operations.

Powers: ``exp(x, n)`` is exact for integers n while the result has at most ``MAX_BITS`` bits; for other exponents and
larger results it is the float power, and the computation goes on with the exact value of that float.

Tables: the row is found by its first cell; of several rows with one name the last counts, as in the script. Every cell
of the row must be a number. A table operation on ``#n`` reads the row that step n read. (The script uses the row read
last, whichever ``#n`` says: the same unless another table operation stands between. No program of the data set has it.)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from finqa_lab.finqa.failure import Failure, FailureKind, ProgramError
from finqa_lab.finqa.literals import cell_number, read_number
from finqa_lab.finqa.parse import parse
from finqa_lab.finqa.program import TABLE, Program, Reference, Step, row_of

MAX_BITS = 8192
"""Largest numerator or denominator of a value. A float holds numbers of up to 1,024 bits."""
DECIMALS = 5

Table = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Result:
    """What a program gives on a table: ``value``, or the ``failure`` that kept it from having one.

    Attributes:
        value: a number rounded to five decimals, or ``"yes"`` or ``"no"``; None with a failure.
        exact: the number before rounding; None for yes, no and failures.
        failure: None with a value.
    """

    value: float | str | None = None
    exact: Fraction | None = None
    failure: Failure | None = None


def execute(program: str | Sequence[str] | Program, table: Table) -> Result:
    """Answer of a program: its linear text, its token list, or its typed steps. Never raises on any text.

    >>> execute("subtract(5829, 5735), divide(#0, 5735)", []).value
    0.01639
    >>> execute("table_sum(sales, none)", [["", "2008", "2007"], ["sales", "$ 5", "-3 ( 3 )"]]).value
    2.0
    >>> print(execute("divide(1, const_0)", []).failure)
    division by zero at 10: the divisor is zero

    Args:
        program: what to execute; every step is, used or not.
        table: rows of cells, the name of a row in its first cell.
    """
    try:
        if isinstance(program, str) or not all(isinstance(step, Step) for step in program) or not program:
            program = parse(program)
        values: list[Fraction | str] = []
        for index in range(len(program)):
            values.append(_step(program, index, values, table))
        return _rounded(values[-1], program[-1])
    except ProgramError as error:
        return Result(failure=error.failure)


def _rounded(value: Fraction | str, step: Step) -> Result:
    if isinstance(value, str):
        return Result(value=value)
    try:
        return Result(value=round(float(value), DECIMALS), exact=value)
    except OverflowError:
        raise ProgramError(FailureKind.OVERFLOW, "the answer is too large for a float", step.positions[0]) from None


def _step(program: Program, index: int, values: Sequence[Fraction | str], table: Table) -> Fraction | str:
    step = program[index]
    if step.operation in TABLE:
        return _of_row(step, row_cells(program, index, table))
    left, right = (values[a.step] if isinstance(a, Reference) else a.value for a in step.arguments)
    if step.operation == "greater":
        return "yes" if left > right else "no"
    value = _arithmetic(step, left, right)
    if bits(value) > MAX_BITS:
        raise ProgramError(FailureKind.OVERFLOW, f"a value needs more than {MAX_BITS} bits", step.positions[0])
    return value


def _arithmetic(step: Step, left: Fraction, right: Fraction) -> Fraction:
    match step.operation:
        case "add":
            return left + right
        case "subtract":
            return left - right
        case "multiply":
            return left * right
        case "divide":
            if right == 0:
                raise ProgramError(FailureKind.DIVISION_BY_ZERO, "the divisor is zero", step.positions[2])
            return left / right
        case _:
            return _power(step, left, right)


def _power(step: Step, base: Fraction, exponent: Fraction) -> Fraction:
    if base == 0 and exponent < 0:
        raise ProgramError(FailureKind.DIVISION_BY_ZERO, "zero to a negative power", step.positions[2])
    trivial = base in (-1, 0, 1)
    if exponent.denominator == 1 and (trivial or bits(base) * abs(exponent) <= MAX_BITS):
        return base ** int(exponent)
    try:
        return Fraction(math.pow(base, exponent))
    except OverflowError:
        raise ProgramError(FailureKind.OVERFLOW, "the power is too large for a float", step.positions[0]) from None
    except ValueError:
        message = "a fractional power of a negative number is not real"
        raise ProgramError(FailureKind.NOT_REAL, message, step.positions[0]) from None


def bits(value: Fraction) -> int:
    """Length in bits of the numerator or the denominator, whichever is longer."""
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def row_cells(program: Program, index: int, table: Table) -> list[str]:
    """Cells of the row that a table operation reads, each cut to what is read as its number.

    Raises:
        ProgramError: row not found, not a number in table.
    """
    name, place = row_of(program, index), program[index].positions[1]
    row = next((row for row in reversed(table) if row and row[0] == name), None)
    if row is None:
        raise ProgramError(FailureKind.ROW_NOT_FOUND, f"no row of the table is named '{name[:80]}'", place)
    cells = [cell_number(cell) for cell in row[1:]]
    for cell, text in zip(row[1:], cells):
        if read_number(text) is None:
            message = f"row '{name[:80]}' has the cell '{cell[:40]}', which is no number"
            raise ProgramError(FailureKind.NOT_A_NUMBER, message, place)
    if not cells and program[index].operation != "table_sum":
        raise ProgramError(FailureKind.NOT_A_NUMBER, f"row '{name[:80]}' has no cells", place)
    return cells


def _of_row(step: Step, cells: Sequence[str]) -> Fraction:
    numbers = [read_number(cell) for cell in cells]
    if step.operation == "table_average":
        return sum(numbers, Fraction(0)) / len(numbers)
    return {"table_sum": lambda row: sum(row, Fraction(0)), "table_max": max, "table_min": min}[step.operation](numbers)
