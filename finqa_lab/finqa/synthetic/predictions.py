"""Predictions of systems that do not exist: gold programs with mistakes of a known kind.

To see what a score says, one has to know the truth behind it. ``predict`` rewrites gold programs: most are left as they
are or written differently with the same meaning, the others get one mistake of a named kind.
"""

import random
from collections.abc import Callable, Mapping, Sequence

from finqa_lab.finqa.parse import parse
from finqa_lab.finqa.program import Number, Program, Step, format_program, format_tokens
from finqa_lab.finqa.records import Record
from finqa_lab.finqa.taxonomy import WrongClass

ORDERED = ("subtract", "divide", "greater")


def reworded(program: Program) -> Program:
    """The same meaning in other words: arguments of commutative operations exchanged, ``100`` for ``const_100``.

    >>> format_program(reworded(parse("add(1, 2), multiply(#0, const_100)")))
    'add(2, 1), multiply(100, #0)'
    """
    return tuple(
        Step(step.operation, _plain(step.second), _plain(step.first))
        if step.operation in ("add", "multiply")
        else Step(step.operation, _plain(step.first), _plain(step.second))
        for step in program
    )


def _plain(argument):
    text = str(argument)
    return Number(text[6:]) if text.startswith("const_") and text[6:].isdigit() else argument


def _scale(rng: random.Random, program: Program, record: Record) -> str | None:
    return f"{format_program(program)}, {rng.choice(['multiply', 'divide'])}(#{len(program) - 1}, const_100)"


def _order(rng: random.Random, program: Program, record: Record) -> str | None:
    places = [i for i, step in enumerate(program) if step.operation in ORDERED and step.first != step.second]
    if not places:
        return None
    chosen = rng.choice(places)
    turned = [Step(s.operation, s.second, s.first) if i == chosen else s for i, s in enumerate(program)]
    return format_program(tuple(turned))


def _operand(rng: random.Random, program: Program, record: Record) -> str | None:
    numbers = [str(argument) for step in program for argument in step.arguments if isinstance(argument, Number)]
    words = " ".join(record.page.facts().values()).split()
    others = sorted({word for word in words if word.isdigit() and word not in numbers})
    if not numbers or not others:
        return None
    wrong, right = Number(rng.choice(others)), rng.choice(numbers)
    swapped = [
        Step(s.operation, *(wrong if str(argument) == right else argument for argument in s.arguments)) for s in program
    ]
    return format_program(tuple(swapped))


def _operation(rng: random.Random, program: Program, record: Record) -> str | None:
    other = {"add": "subtract", "subtract": "add", "multiply": "divide", "divide": "multiply"}
    last = program[-1]
    if last.operation not in other:
        return None
    return format_program((*program[:-1], Step(other[last.operation], last.first, last.second)))


def _missing(rng: random.Random, program: Program, record: Record) -> str | None:
    return format_program(program[:-1]) if len(program) > 1 else None


def _structure(rng: random.Random, program: Program, record: Record) -> str | None:
    text = format_program(program)
    return rng.choice([text[:-1], text.replace("(", "[", 1), f"the answer is {record.exe_ans}", ""])


MISTAKES: dict[WrongClass, Callable[[random.Random, Program, Record], str | None]] = {
    WrongClass.SCALE: _scale,
    WrongClass.ORDER: _order,
    WrongClass.WRONG_OPERAND: _operand,
    WrongClass.WRONG_OPERATION: _operation,
    WrongClass.MISSING_STEP: _missing,
    WrongClass.STRUCTURE: _structure,
}
"""A mistake of each kind; None where the program does not offer it."""


def predict(
    records: Sequence[Record], rates: Mapping[WrongClass, float], seed: int = 0, reword: float = 0.5
) -> list[dict]:
    """Predictions in the official format, with the truth beside them.

    Args:
        records: with gold programs.
        rates: wanted share of each mistake; where a program does not offer it, the prediction is right.
        seed: of all draws. The same seed gives the same record the same luck, so two systems can be compared in pairs.
        reword: share of the right predictions that are worded differently.

    Returns:
        One ``{"id", "predicted", "truth"}`` a record; ``predicted`` is a program text or a token list, ``truth`` the
        mistake or "".

    Raises:
        ValueError: when the rates sum to more than 1.
    """
    if sum(rates.values()) > 1:
        raise ValueError(f"the rates of mistakes sum to {sum(rates.values()):g}, more than 1")
    made = []
    for record in records:
        rng = random.Random(f"{seed}/{record.id}")
        program, luck, truth = parse(record.program), rng.random(), ""
        for kind, rate in rates.items():
            if luck < rate:
                truth = kind
                break
            luck -= rate
        text = MISTAKES[truth](rng, program, record) if truth else None
        if text is None:
            truth = ""
            text = format_tokens(reworded(program) if rng.random() < reword else program)
        made.append({"id": record.id, "predicted": text, "truth": str(truth)})
    return made
