"""What a task is, and what a sample of it is: question, program, answer, worked reasoning, chat messages.

Conventions, as in :mod:`finqa_lab.finqa.prompts`: a percentage is a fraction (12.5% is 0.125), and so is a drawdown,
which is positive. An answer is the value of its program rounded to the decimals of its unit.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal, TypeAlias

from finqa_lab.errors import CourseError
from finqa_lab.finqa.execute import Result
from finqa_lab.quantitative.dsl import Value, execute, run
from finqa_lab.quantitative.spelling import plain

Parameters: TypeAlias = Mapping[str, object]
"""Numbers as exact Decimals, whole numbers as int, names as text or a tuple of texts under ``names``."""
Target = Literal["number", "program", "reasoning"]
Messages = list[dict[str, str]]

PLACES = {"dollars": 2, "fraction": 5, "shares": 0}
"""Decimals of an answer by unit; the answer of the unit ``name`` is a text."""
FAMILIES = ("question", "story", "sheet", "order", "memo")
"""Families of phrasings, each another construction with words of its own, for every task."""
NAMES = tuple(
    "Alder Aspen Beech Birch Cedar Cypress Elm Hazel Hickory Juniper Larch Laurel Linden Maple Myrtle Oak Olive Pine "
    "Poplar Rowan Spruce Sycamore Walnut Willow".split()
)
"""Names of strategies and assets."""

_CONVENTIONS = """You solve a problem of quantitative finance.
A percentage is a fraction: 12.5% is 0.125. A drawdown is a positive fraction of the peak.
A year has 252 trading days, 52 weeks and 12 months. Shares are whole; round their number down.
If the answer is a name, write the name; if it is an order of names, write them as Oak > Elm > Pine."""

_FORMATS = {
    "number": 'Reply with one JSON object and nothing else: {"answer": 0.2014}',
    "program": """Reply with one program and nothing else: subtract(120.5, 100.3), divide(#0, 100.3)
Operations on two numbers: add, subtract, multiply, divide, exp (a power), maximum, minimum.
On one number: absolute(#0, none), floor(#0, none). Names: name(#0, Oak), then rank(#1, #2) of two rankings, largest
first, and first(#3, none) for the name at its head. Constants that the problem does not state: const_252.""",
    "reasoning": "Write the steps of the computation, a sentence each, and then the last line\nanswer: 0.2014",
}


def instructions() -> dict[str, str]:
    """The system message of each target."""
    return {target: f"{_CONVENTIONS}\n{form}" for target, form in _FORMATS.items()}


@dataclass(frozen=True)
class Task:
    """A kind of question.

    Attributes:
        name: of the task.
        unit: of its answers: a key of ``PLACES``, or ``name``.
        draw: parameters for a random generator and a difficulty of 1 to 3.
        program: program text for parameters.
        phrasings: family to sentences with places for the words.
        words: words for parameters, a random generator and a family; they spell the numbers.
        reasoning: sentences for parameters and the exact values of the program's steps.
        mistakes: answers of known mistakes, by the name of the mistake; ``sure`` ones are wrong on every sample.
        sure: mistakes that ``draw`` makes sure to be at least 2% off.
    """

    name: str
    unit: str
    draw: Callable[[random.Random, int], Parameters]
    program: Callable[[Parameters], str]
    phrasings: Mapping[str, tuple[str, ...]]
    words: Callable[[Parameters, random.Random, str], Mapping[str, str]]
    reasoning: Callable[[Parameters, list[Value]], list[str]]
    mistakes: Callable[[Parameters], Mapping[str, float | str]]
    sure: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sample:
    """A question with its answer.

    Attributes:
        id: unique in a data set.
        task: name of the task.
        family: of the phrasing.
        difficulty: 1 to 3.
        parameters: what the question states.
        question: text.
        reasoning: worked steps; the last line is ``answer: X``.
        program: text in the language of :mod:`finqa_lab.quantitative.dsl`.
        answer: number or text.
        unit: of the answer: ``dollars``, ``fraction``, ``shares`` or ``name``.
        mistakes: answers of known mistakes that differ from the right one by at least 2%, by name.
    """

    id: str
    task: str
    family: str
    difficulty: int
    parameters: Parameters
    question: str
    reasoning: str
    program: str
    answer: float | str
    unit: str
    mistakes: Mapping[str, float | str]

    @property
    def printed(self) -> str:
        """The answer as it is written in a reply."""
        return printed(self.answer)

    def messages(self, target: Target = "number") -> Messages:
        """Chat messages: system, user and the assistant's reply that a model is to learn.

        Args:
            target: ``number`` for JSON with the answer, ``program``, or ``reasoning``.

        Raises:
            CourseError: for any other target.
        """
        if target not in _FORMATS:
            raise CourseError(f"a sample has no target {target!r}; choose one of {', '.join(_FORMATS)}")
        answer = int(self.answer) if self.unit == "shares" else self.answer
        replies = {"number": json.dumps({"answer": answer}), "program": self.program, "reasoning": self.reasoning}
        return [
            {"role": "system", "content": instructions()[target]},
            {"role": "user", "content": self.question},
            {"role": "assistant", "content": replies[target]},
        ]


def printed(answer: float | str) -> str:
    """An answer as it is written in a reply.

    >>> printed(0.00002), printed(12345.0), printed("Oak > Elm")
    ('0.00002', '12345', 'Oak > Elm')
    """
    return answer if isinstance(answer, str) else plain(answer)


def answer_of(result: Result, unit: str) -> float | str:
    """The answer that a program's result is: rounded once, from the exact value, to the decimals of the unit.

    Raises:
        CourseError: when the program has no answer, or one of another kind than the unit.
    """
    if result.failure is not None or (result.exact is None) != (unit == "name"):
        raise CourseError(f"the program gives no answer in the unit {unit}: {result.failure or result.value}")
    return result.value if result.exact is None else round(float(result.exact), PLACES[unit])


def far(wrong: float | str, right: float | str, margin: float = 0.02) -> bool:
    """Whether a wrong answer is at least a margin, relative to the right one, away from it."""
    if isinstance(wrong, str) or isinstance(right, str):
        return wrong != right
    return abs(wrong - right) >= margin * abs(right)


def key(parameters: Parameters) -> tuple:
    """What makes two parameter sets the same: everything but the names, strategies and assets in any order.

    >>> key({"names": ("Oak", "Elm"), "assets": ((2, 1), (1, 3)), "rate": Decimal("0.050")})
    ((1, 3), (2, 1), '0.05')
    """
    parts: list = []
    for name, value in parameters.items():
        if name == "assets":
            parts.extend(sorted(value))
        elif name != "names":
            parts.append(plain(value) if isinstance(value, Decimal) else value)
    return tuple(parts)


def make(task: Task, identity: str, parameters: Parameters, family: str, difficulty: int, seed: str) -> Sample:
    """The sample of a task for parameters, its phrasing and the spelling of its numbers drawn from ``seed``."""
    rng = random.Random(seed)
    question = rng.choice(task.phrasings[family]).format(**task.words(parameters, rng, family))
    program = task.program(parameters)
    answer = answer_of(execute(program), task.unit)
    reasoning = [*task.reasoning(parameters, run(program)), f"answer: {printed(answer)}"]
    wrong = {name: value for name, value in task.mistakes(parameters).items() if far(value, answer)}
    return Sample(
        id=identity,
        task=task.name,
        family=family,
        difficulty=difficulty,
        parameters=parameters,
        question=question,
        reasoning="\n".join(reasoning),
        program=program,
        answer=answer,
        unit=task.unit,
        mistakes=wrong,
    )


def decimal(rng: random.Random, low: str, high: str, step: str) -> Decimal:
    """A number from low to high, both included, in steps; written without trailing zeros.

    >>> decimal(random.Random(0), "0.5", "0.5", "0.1")
    Decimal('0.5')
    """
    size = Decimal(step)
    count = int((Decimal(high) - Decimal(low)) / size)
    return Decimal(plain(Decimal(low) + size * rng.randint(0, count)))


def draw_until(draw: Callable[[], Parameters], accept: Callable[[Parameters], bool]) -> Parameters:
    """The first parameters drawn that are accepted.

    Raises:
        RuntimeError: when 10,000 are not, which is a fault of the task.
    """
    for _ in range(10_000):
        parameters = draw()
        if accept(parameters):
            return parameters
    raise RuntimeError("no parameters were accepted")


def ratio_apart(values: list[Fraction], margin: Fraction = Fraction(1, 20)) -> bool:
    """Whether positive numbers differ pairwise by a share of the larger one, so that their order is plain.

    >>> ratio_apart([Fraction(100), Fraction(94)]), ratio_apart([Fraction(100), Fraction(96)])
    (True, False)
    """
    ordered = sorted(values)
    return all(larger - smaller >= margin * larger for smaller, larger in zip(ordered, ordered[1:]))
