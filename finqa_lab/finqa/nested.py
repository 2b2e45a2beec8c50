"""The nested form of a program: ``divide(subtract(5829, 5735), 5735)`` instead of steps and references.

Going there, a step that is used twice is written twice and a step that is never used is lost. Coming back, equal
expressions become one step, so that going there and back keeps the meaning, and keeps the program itself when its steps
stand in the order in which the nested form needs them (the argument before the operation, left before right).
"""

from finqa_lab.finqa.failure import FailureKind, ProgramError
from finqa_lab.finqa.lexer import MAX_LENGTH, REFERENCE, RawStep, Scanner, Word, too_many_steps
from finqa_lab.finqa.parse import check_steps
from finqa_lab.finqa.program import MAX_STEPS, TABLE, Program, Reference, row_of, used_steps


def format_nested(program: Program) -> str:
    """The nested form of the last step.

    >>> from finqa_lab.finqa.parse import parse
    >>> format_nested(parse("subtract(5829, 5735), divide(#0, 5735)"))
    'divide(subtract(5829, 5735), 5735)'

    Raises:
        ProgramError: too long, when the text would have more than ``MAX_LENGTH`` characters. (Doubling 24 times over
            has 24 steps, but 16 million leaves.)
    """
    texts: dict[int, str] = {}
    for index in used_steps(program):
        step = program[index]
        if step.operation in TABLE:
            texts[index] = f"{step.operation}({row_of(program, index)}, {step.second})"
        else:
            first, second = (texts[a.step] if isinstance(a, Reference) else str(a) for a in step.arguments)
            texts[index] = f"{step.operation}({first}, {second})"
        if len(texts[index]) > MAX_LENGTH:
            message = f"the nested form has more than {MAX_LENGTH} characters"
            raise ProgramError(FailureKind.TOO_LONG, message, step.positions[0])
    return texts[len(program) - 1]


def parse_nested(text: str) -> Program:
    """Read a nested program.

    >>> from finqa_lab.finqa.program import format_program
    >>> format_program(parse_nested("divide(subtract(5829, 5735), 5735)"))
    'subtract(5829, 5735), divide(#0, 5735)'

    Raises:
        ProgramError: as :func:`finqa_lab.finqa.parse.parse`; positions are character offsets.
    """
    scanner = Scanner(text)
    steps: list[RawStep] = []
    known: dict[tuple[str, str, str], int] = {}
    pending: list[list[Word]] = [[scanner.operation()]]  # operations that are open, each with its arguments so far
    while pending:
        current = pending[-1]
        if current[0].text in TABLE:
            current.extend(map(_no_reference, scanner.table_arguments()))
        elif len(current) < 3:
            if len(current) == 2:
                scanner.separator()
            if not scanner.at_operation():
                current.append(_no_reference(scanner.argument()))
            elif len(pending) == MAX_STEPS:
                raise too_many_steps(scanner.position)
            else:
                pending.append([scanner.operation()])
            continue
        else:
            scanner.close()
        operation, first, second = pending.pop()
        key = operation.text, first.text, second.text
        if key not in known:
            if len(steps) == MAX_STEPS:
                raise too_many_steps(operation.position)
            known[key] = len(steps)
            steps.append((operation, first, second))
        if pending:
            pending[-1].append(Word(f"#{known[key]}", operation.position))
    if not scanner.done():
        raise ProgramError(FailureKind.SYNTAX, "a nested program is one expression; more follows it", scanner.position)
    return check_steps(steps)


def _no_reference(word: Word) -> Word:
    if REFERENCE.fullmatch(word.text):
        raise ProgramError(FailureKind.BAD_REFERENCE, "a nested program has no references", word.position)
    return word
