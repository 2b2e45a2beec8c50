"""Checks of lab 11: reading a program and executing it."""

import random
import re
from collections.abc import Iterator
from fractions import Fraction

from finqa_lab.course.checking import Case, Check, WrongAnswer, register

Steps = list[tuple[str, str, str]]


def _number(rng: random.Random) -> str:
    return rng.choice([str(rng.randrange(1, 900)), f"{rng.uniform(0.1, 90):.1f}", f"{rng.randrange(1, 60)}%"])


def program_cases(rng: random.Random) -> Iterator[Case]:
    """Programs of one to three steps."""
    yield Case("add(1, 2)")
    yield Case("subtract(5829, 5735), divide(#0, 5735)", note="two steps")
    yield Case("multiply(5.5%, const_100)")
    yield Case("table_max(net sales, none)", note="a row name of two words")
    yield Case("table_sum(total , net, none)", note="a row name with a comma: the last comma separates")
    for _ in range(4):
        a, b, c = (_number(rng) for _ in range(3))
        yield Case(f"add({a}, {b}), divide(#0, {c}), subtract(#1, const_1)")


def _parse(program: str, last: bool = True) -> Steps:
    steps = []
    for operation, arguments in re.findall(r"(\w+)\((.*?)\)(?:, |$)", program):
        first, _, second = arguments.rpartition(", ") if last else arguments.partition(", ")
        steps.append((operation, first, second))
    return steps


register(
    Check(
        name="evaluation.parse_program",
        task="split a program into steps: operation, first and second argument",
        cases=program_cases,
        oracle=_parse,
        why="a program that is parsed is data; one that is evaluated as code is whatever a stranger wrote into it.",
        hint="a step is name(first, second); steps are separated by a comma and a space behind the bracket.",
        wrong=[
            WrongAnswer(
                "split at every comma",
                lambda program: [tuple(re.split(r"[(),] ?", step)[:3]) for step in program.split("), ")],
                "a row name may hold a comma: the last comma of a step separates its arguments.",
            ),
            WrongAnswer(
                "split at the first comma",
                lambda program: _parse(program, last=False),
                "a row name may hold a comma: split a step's arguments at the last one, not at the first.",
            ),
            WrongAnswer(
                "first step only",
                lambda program: _parse(program)[:1],
                "a program has several steps; go on behind the closing bracket.",
            ),
            WrongAnswer(
                "arguments with the bracket",
                lambda program: [(o, a, b + ")") for o, a, b in _parse(program)],
                "the closing bracket belongs to the step, not to its second argument.",
            ),
        ],
    )
)


def step_cases(rng: random.Random) -> Iterator[Case]:
    """Steps to execute; arithmetic only."""
    yield Case([("add", "1", "2")])
    yield Case([("divide", "1", "4")])
    yield Case([("multiply", "200", "5.5%")], note="a percentage")
    yield Case([("add", "const_100", "const_m1")], note="constants; const_m1 is minus one")
    yield Case([("subtract", "5829", "5735"), ("divide", "#0", "5735")], note="a reference to the first step")
    yield Case([("subtract", "7", "10"), ("add", "#0", "1"), ("multiply", "#0", "#1")], note="two references")
    yield Case([("divide", "1", "0")], note="a division by zero has no value")
    yield Case([("divide", "3", "const_1000000"), ("multiply", "#0", "const_1000000")], note="only the last is rounded")
    for _ in range(4):
        a, b, c = (_number(rng) for _ in range(3))
        yield Case([("add", a, b), ("divide", "#0", c), ("subtract", "#1", "const_1")])


def _value(text: str, values: list, percent: bool = True, minus: bool = True, shift: int = 0) -> Fraction:
    if text.startswith("#"):
        return values[int(text[1:]) - shift]
    if text == "const_m1":
        return Fraction(-1 if minus else 1)
    if text.startswith("const_"):
        return Fraction(text[6:])
    if text.endswith("%"):
        return Fraction(text[:-1]) / (100 if percent else 1)
    return Fraction(text)


def _execute(
    steps: Steps, swapped: bool = False, zero=None, decimals: int = 5, each: bool = False, **reading
) -> float | None:
    values: list[Fraction] = []
    for operation, first, second in steps:
        a, b = _value(first, values, **reading), _value(second, values, **reading)
        if swapped and operation in ("subtract", "divide"):
            a, b = b, a
        if operation == "divide" and b == 0:
            return zero
        value = {"add": a + b, "subtract": a - b, "multiply": a * b}.get(operation) if operation != "divide" else a / b
        values.append(round(value, decimals) if each else value)
    return round(float(values[-1]), decimals)


register(
    Check(
        name="evaluation.execute_steps",
        task="value of a program's last step, rounded to five decimals, or None when it has none",
        cases=step_cases,
        oracle=_execute,
        why="the executor is the judge: every convention it gets wrong is counted as an error of the model.",
        hint="keep the value of every step in a list; #2 is the third of them.",
        wrong=[
            WrongAnswer(
                "percent as it stands",
                lambda steps: _execute(steps, percent=False),
                "5.5% means 0.055: divide by 100.",
            ),
            WrongAnswer(
                "const_m1 as one",
                lambda steps: _execute(steps, minus=False),
                "const_m1 is the constant minus one.",
            ),
            WrongAnswer(
                "references counted from one",
                lambda steps: _execute(steps, shift=1),
                "#0 is the first step: counting starts at 0.",
            ),
            WrongAnswer(
                "arguments swapped",
                lambda steps: _execute(steps, swapped=True),
                "subtract(a, b) is a - b and divide(a, b) is a / b.",
            ),
            WrongAnswer(
                "zero for a division by zero",
                lambda steps: _execute(steps, zero=0.0),
                "a division by zero has no value: give None, or a wrong program could match an answer of 0.",
            ),
            WrongAnswer(
                "every step rounded",
                lambda steps: _execute(steps, each=True),
                "only the last value is rounded: what is cut off at a step on the way is multiplied by the next ones.",
            ),
            WrongAnswer(
                "two decimals",
                lambda steps: _execute(steps, decimals=2),
                "answers are compared after rounding to five decimals; two would make many wrong answers right.",
            ),
        ],
    )
)
