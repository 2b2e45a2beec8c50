"""Checks of lab 11: the score of a run, and what kind of error a wrong answer is."""

import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def run_cases(rng: random.Random) -> Iterator[Case]:
    """Predicted answers as (id, answer) and gold answers by id."""
    yield Case([("a", 1.0)], {"a": 1.0})
    yield Case([("a", 1.0)], {"a": 1.0, "b": 2.0}, note="one question was not answered")
    yield Case([("a", 1.0), ("a", 1.0), ("b", 0.0)], {"a": 1.0, "b": 2.0}, note="one question was answered twice")
    yield Case([("a", 0.0), ("a", 1.0)], {"a": 1.0}, note="answered twice, the first answer counts")
    yield Case([("a", 1.0), ("z", 5.0)], {"a": 1.0}, note="an answer to a question that does not exist")
    for _ in range(4):
        gold = {str(i): float(rng.randrange(3)) for i in range(rng.randrange(5, 12))}
        answers = [(rng.choice([*gold, "x"]), float(rng.randrange(3))) for _ in range(12)]
        yield Case(answers, gold)


def _accuracy(answers, gold, divide="gold", keep="first", count="once") -> float:
    kept: dict = {}
    for name, answer in answers:
        if keep == "last" or name not in kept:
            kept[name] = answer
    if count == "each":
        right = sum(gold.get(name) == answer for name, answer in answers)
    else:
        right = sum(gold.get(name) == answer for name, answer in kept.items())
    return right / (len(gold) if divide == "gold" else len(answers))


register(
    Check(
        name="evaluation.accuracy",
        task="share of the gold questions that were answered rightly",
        cases=run_cases,
        oracle=_accuracy,
        why="a score that divides by the number of predictions rises when a system leaves out what it cannot do.",
        hint="go through the gold questions; the first answer to each counts; a missing one is wrong.",
        wrong=[
            WrongAnswer(
                "divided by the predictions",
                lambda answers, gold: _accuracy(answers, gold, divide="answers", count="each"),
                "the official script does that, and missing answers raise its score: divide by the gold questions.",
            ),
            WrongAnswer(
                "duplicates counted",
                lambda answers, gold: _accuracy(answers, gold, count="each"),
                "a question that was answered twice counts once.",
            ),
            WrongAnswer(
                "last answer counts",
                lambda answers, gold: _accuracy(answers, gold, keep="last"),
                "the first answer counts: a system that may answer again would get a second try.",
            ),
        ],
    )
)


def kind_cases(rng: random.Random) -> Iterator[Case]:
    """A wrong answer and the right one."""
    yield Case(5.0, 5.0)
    yield Case(-5.0, 5.0)
    yield Case(500.0, 5.0)
    yield Case(0.05, 5.0)
    yield Case(-0.05, 5.0, note="scale and sign")
    yield Case(0.2, 5.0, note="one over the right answer: the arguments of a division were swapped")
    yield Case(7.0, 5.0)
    yield Case(0.0, 0.0)
    yield Case(3.0, 0.0)
    for _ in range(5):
        gold = round(rng.uniform(0.01, 90), 4)
        yield Case(rng.choice([gold, -gold, gold * 1000, gold / 100, 1 / gold, gold + 1]), gold)


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-6 * max(1.0, abs(b))


def _scaled(answer: float, gold: float, powers) -> bool:
    return any(_near(answer, gold * 10.0**power) for power in powers)


def _kind(answer: float, gold: float, powers=(-6, -3, -2, -1, 1, 2, 3, 6), sign_first=True, order=True) -> str:
    if _near(answer, gold):
        return "right"
    if sign_first and _near(answer, -gold):
        return "sign"
    if _scaled(answer, gold, powers):
        return "scale"
    if order and gold and answer and _near(answer * gold, 1.0):
        return "order"
    return "other"


register(
    Check(
        name="evaluation.error_kind",
        task='name the error: "right", "sign", "scale" (a power of ten), "order" (one over it), "other"',
        cases=kind_cases,
        oracle=_kind,
        why="a system that is off by a hundred needs another prompt; one with wrong rows needs another retriever.",
        hint="test in the order of the names; scale means 10, 100, 1,000 or a million times too much or too little.",
        wrong=[
            WrongAnswer(
                "too small not seen",
                lambda answer, gold: _kind(answer, gold, powers=(1, 2, 3, 6)),
                "an answer can also be a hundred times too small.",
            ),
            WrongAnswer(
                "percent only",
                lambda answer, gold: _kind(answer, gold, powers=(-2, 2)),
                "thousands and millions are scales as well: tables are in thousands or millions.",
            ),
            WrongAnswer(
                "sign not seen",
                lambda answer, gold: _kind(answer, gold, sign_first=False),
                "compare with minus the right answer, too.",
            ),
            WrongAnswer(
                "order not seen",
                lambda answer, gold: _kind(answer, gold, order=False),
                "a / b for b / a gives one over the right answer: their product is 1.",
            ),
        ],
    )
)
