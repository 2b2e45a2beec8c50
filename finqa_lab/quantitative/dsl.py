"""FinQA's program language with seven more operations, for questions without a table.

======================  ==================  ===================================================================
operation               gives               meaning
======================  ==================  ===================================================================
``maximum(a, b)``       number              the larger of two numbers
``minimum(a, b)``       number              the smaller
``absolute(a, none)``   number              its size without the sign
``floor(a, none)``      number              the largest whole number that is not above it
``name(a, Alder)``      ranking of one      a number gets a name
``rank(#4, #5)``        ranking             two rankings become one, the largest number first
``first(#6, none)``     text                the name at the head of a ranking
======================  ==================  ===================================================================

A program of FinQA's operations alone is parsed and executed by ``finqa_lab.finqa``, so it means the same here. In
a mixed program each of FinQA's steps is executed there too, one step at a time; the one difference is that a value
between the steps must then also fit into a float.

Irrational numbers: ``exp(252, 0.5)`` is the float power, and the computation goes on with the exact value of that
float (the rule of :mod:`finqa_lab.finqa.execute`). Its relative error is below 2**-52; answers here are printed with
at most five decimals.

>>> execute("exp(const_252, const_0.5), multiply(0.012, #0)").value
0.19049
>>> execute("maximum(100, 120), divide(90, #0), subtract(const_1, #1)").value
0.25
>>> execute("name(0.2, Alder), name(0.3, Birch), rank(#0, #1)").value
'Birch > Alder'
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, TypeAlias

from finqa_lab.finqa.execute import DECIMALS, Result
from finqa_lab.finqa.execute import execute as finqa_execute
from finqa_lab.finqa.failure import FailureKind, ProgramError
from finqa_lab.finqa.lexer import REFERENCE, Scanner, Word, too_many_steps
from finqa_lab.finqa.literals import read_constant, significand
from finqa_lab.finqa.parse import parse as finqa_parse
from finqa_lab.finqa.program import (
    ARITHMETIC,
    MAX_STEPS,
    OPERATIONS,
    Argument,
    Constant,
    Ignored,
    Number,
    Program,
    Reference,
    RowName,
    Step,
)

EXTRA = ("maximum", "minimum", "absolute", "floor", "name", "rank", "first")
"""What FinQA's language lacks."""
ALL_OPERATIONS = OPERATIONS + EXTRA

MAX_NAME = 60
"""Longest name in a program, in characters."""


class Named(NamedTuple):
    """A number with a name: of a strategy or an asset, and the value by which it is ranked."""

    name: str
    value: Fraction


Ranking: TypeAlias = tuple[Named, ...]
Value: TypeAlias = Fraction | str | Ranking
Rounding: TypeAlias = Callable[[Fraction], Fraction]

# What an operation takes, twice, and what it gives.
_KINDS = {operation: ("number", "number", "number") for operation in ARITHMETIC} | {
    "greater": ("number", "number", "yes or no"),
    "maximum": ("number", "number", "number"),
    "minimum": ("number", "number", "number"),
    "absolute": ("number", "none", "number"),
    "floor": ("number", "none", "number"),
    "name": ("number", "name", "ranking"),
    "rank": ("ranking", "ranking", "ranking"),
    "first": ("ranking", "none", "text"),
}
_EXTRA_STEP = re.compile(rf"\b(?:{'|'.join(EXTRA)})\s*\(")
_SPACE = re.compile(r"\s*")
_OPERATION = re.compile(r"([a-z_]*)")
_OPEN = re.compile(r"\s*\(")
_NAME = re.compile(r"[^\W\d_][^(),#>]*")


@dataclass(frozen=True, slots=True)
class _Exact:
    """An argument whose value is known, for the execution of one step by FinQA's executor."""

    value: Fraction


def parse(text: str) -> Program:
    """Typed steps of a program text.

    >>> [str(step) for step in parse("maximum(3, 5), floor(#0, none)")]
    ['maximum(3, 5)', 'floor(#0, none)']

    Raises:
        ProgramError: as :func:`finqa_lab.finqa.parse.parse`.
    """
    if not _EXTRA_STEP.search(text):
        return finqa_parse(text)
    scanner, steps = Scanner(text), []
    while not steps or not scanner.done():
        if steps:
            scanner.separator()
        if len(steps) == MAX_STEPS:
            raise too_many_steps(scanner.position)
        scanner.accept(_SPACE)
        operation = scanner.word(_OPERATION)
        scanner.expect(_OPEN, "an operation and '('")
        if operation.text not in _KINDS:
            message = f"'{operation.text[:40]}' is no operation; there are {', '.join(_KINDS)}"
            raise ProgramError(FailureKind.UNKNOWN_OPERATION, message, operation.position)
        first = scanner.argument()
        scanner.separator()
        second = scanner.argument()
        scanner.close()
        wanted = _KINDS[operation.text]
        arguments = _argument(wanted[0], first, steps), _argument(wanted[1], second, steps)
        steps.append(Step(operation.text, *arguments, (operation.position, first.position, second.position)))
    return tuple(steps)


def _argument(wanted: str, word: Word, steps: list[Step]) -> Argument:
    """One argument of the kind that the operation takes."""
    if wanted == "none":
        if word.text != "none":
            raise ProgramError(FailureKind.TYPE, "the second argument must be 'none'", word.position)
        return Ignored()
    if wanted == "name":
        if not _NAME.fullmatch(word.text) or len(word.text) > MAX_NAME:
            raise ProgramError(FailureKind.LEXICAL, f"'{word.text[:40]}' is no name", word.position)
        return RowName(word.text)
    match = REFERENCE.fullmatch(word.text)
    if match is not None:
        if int(match[1]) >= len(steps):
            message = f"step {len(steps)} refers to {word.text}; only results of earlier steps exist"
            raise ProgramError(FailureKind.BAD_REFERENCE, message, word.position)
        given = _KINDS[steps[int(match[1])].operation][2]
        if given != wanted:
            raise ProgramError(FailureKind.TYPE, f"{word.text} is a {given}, not a {wanted}", word.position)
        return Reference(int(match[1]))
    if wanted == "number":
        constant = read_constant(word.text)
        if significand(constant or word.text) is not None:
            return Constant(word.text) if constant else Number(word.text)
    raise ProgramError(FailureKind.TYPE, f"'{word.text[:40]}' is no {wanted}", word.position)


def run(program: str | Program, rounding: Rounding | None = None) -> list[Value]:
    """Values of all steps, exact.

    Args:
        program: a text or typed steps.
        rounding: applied to every number a step gives, the last one too; by default none is rounded. It exists to
            show what early rounding does.

    Raises:
        ProgramError: with the first failure.
    """
    program = parse(program) if isinstance(program, str) else program
    values: list[Value] = []
    for step in program:
        value = _step(step, values)
        values.append(rounding(value) if rounding and isinstance(value, Fraction) else value)
    return values


def execute(program: str | Program) -> Result:
    """Answer of a program: a number rounded to five decimals, yes or no, a name, or names joined by ``>``.

    Never raises on any text; ``failure`` says what is wrong. A table operation fails, because there is no table.

    >>> print(execute("floor(1.5, 2)").failure)
    type at 11: the second argument must be 'none'
    """
    try:
        steps = parse(program) if isinstance(program, str) else program
        if all(step.operation in OPERATIONS for step in steps):
            return finqa_execute(steps, ())
        last = run(steps)[-1]
    except ProgramError as error:
        return Result(failure=error.failure)
    if isinstance(last, Fraction):
        return Result(value=round(float(last), DECIMALS), exact=last)
    return Result(value=last if isinstance(last, str) else " > ".join(one.name for one in last))


def _step(step: Step, values: list[Value]) -> Value:
    left, right = (values[a.step] if isinstance(a, Reference) else a for a in step.arguments)
    left, right = (a.value if isinstance(a, Number | Constant) else a for a in (left, right))
    match step.operation:
        case "maximum":
            return max(left, right)
        case "minimum":
            return min(left, right)
        case "absolute":
            return abs(left)
        case "floor":
            return Fraction(math.floor(left))
        case "name":
            return (Named(right.text, left),)
        case "rank":
            return tuple(sorted(left + right, key=lambda one: one.value, reverse=True))
        case "first":
            return left[0].name
    if step.operation not in ARITHMETIC:
        raise ProgramError(FailureKind.ROW_NOT_FOUND, "there is no table to read a row of", step.positions[0])
    result = finqa_execute((Step(step.operation, _Exact(left), _Exact(right), step.positions),), ())
    if result.failure is not None:
        raise ProgramError(result.failure.kind, result.failure.message, result.failure.position)
    return result.value if result.exact is None else result.exact
