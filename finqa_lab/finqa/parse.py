"""From the words of a program to typed steps: what each argument is, and whether the operation takes it.

``add subtract multiply divide exp greater`` take two numbers: literals, or references to steps that give a number.
``greater`` gives yes or no, which nothing takes. A table operation takes a row, by name or by reference to an earlier
table operation, and gives a number.
"""

import re
from collections.abc import Sequence

from finqa_lab.finqa.failure import FailureKind, ProgramError
from finqa_lab.finqa.lexer import REFERENCE, RawStep, Word, split_text, split_tokens
from finqa_lab.finqa.literals import MAX_DIGITS, read_constant, significand
from finqa_lab.finqa.program import TABLE, Argument, Constant, Ignored, Number, Program, Reference, RowName, Step

_LIKE_A_NUMBER = re.compile(r"[-+.$#%\d]|const")


def parse(program: str | Sequence[str]) -> Program:
    """Read a program: its linear text, or its official list of tokens.

    >>> parse("add(1, 2), divide(#0, const_2)")[1].first
    Reference(step=0)
    >>> parse(["add(", "1", "2", ")", "EOF"]) == parse("add(1, 2)")
    True
    >>> parse("add(1, 2), divide(#1, const_2)")
    Traceback (most recent call last):
    ...
    finqa_lab.finqa.failure.ProgramError: bad reference at 18: step 1 refers to #1; only results of earlier steps exist

    Raises:
        ProgramError: with the first failure; ``failure.kind`` is one of the kinds found in the program alone.
    """
    return check_steps(split_text(program) if isinstance(program, str) else split_tokens(program))


def check_steps(raw: Sequence[RawStep]) -> Program:
    """Type the arguments of steps whose operations are known.

    Raises:
        ProgramError: lexical, bad reference, type or too long.
    """
    steps: list[Step] = []
    for operation, first, second in raw:
        if operation.text in TABLE:
            arguments = _row(first, steps), Ignored(second.text)
        else:
            arguments = _number(operation.text, first, steps), _number(operation.text, second, steps)
        steps.append(Step(operation.text, *arguments, (operation.position, first.position, second.position)))
    return tuple(steps)


def _row(word: Word, steps: Sequence[Step]) -> Argument:
    reference = _reference(word, steps)
    if reference is None:
        if not word.text:
            raise ProgramError(FailureKind.SYNTAX, "the row name is missing", word.position)
        return RowName(word.text)
    if steps[reference.step].operation not in TABLE:
        message = f"#{reference.step} is the result of {steps[reference.step].operation}, not a row of the table"
        raise ProgramError(FailureKind.TYPE, message, word.position)
    return reference


def _number(operation: str, word: Word, steps: Sequence[Step]) -> Argument:
    reference = _reference(word, steps)
    if reference is not None:
        if steps[reference.step].operation == "greater":
            message = f"{operation} takes numbers; #{reference.step} is a yes or no"
            raise ProgramError(FailureKind.TYPE, message, word.position)
        return reference
    constant = read_constant(word.text)
    if significand(constant or word.text) is not None:
        return Constant(word.text) if constant else Number(word.text)
    if not word.text:
        raise ProgramError(FailureKind.SYNTAX, f"{operation} takes two arguments; one is missing", word.position)
    if sum(map(str.isdigit, word.text)) > MAX_DIGITS:
        raise ProgramError(FailureKind.TOO_LONG, f"a number has more than {MAX_DIGITS} digits", word.position)
    if _LIKE_A_NUMBER.match(word.text):
        raise ProgramError(
            FailureKind.LEXICAL,
            f"'{word.text[:40]}' is no number, constant (const_100) or reference (#0)",
            word.position,
        )
    raise ProgramError(FailureKind.TYPE, f"{operation} takes numbers; '{word.text[:40]}' is none", word.position)


def _reference(word: Word, steps: Sequence[Step]) -> Reference | None:
    match = REFERENCE.fullmatch(word.text)
    if match is None:
        return None
    if int(match[1]) >= len(steps):
        raise ProgramError(
            FailureKind.BAD_REFERENCE,
            f"step {len(steps)} refers to {word.text}; only results of earlier steps exist",
            word.position,
        )
    return Reference(int(match[1]))
