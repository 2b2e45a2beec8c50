"""Checks: one exercise, one oracle, one catalogue of plausible wrong answers.

A :class:`Check` judges the object that a student made. It runs the object on its cases, smallest first, compares each
result with the oracle, and gives one of three verdicts: *not started*, *wrong* (with the smallest failing example, why
the exercise matters, and a hint) or *right*.

The hint is chosen by behaviour. Each check ships the mistakes that students make as working code; when the student's
answers on all cases agree with those of a catalogued mistake, that mistake's own hint is shown. The same catalogue is
what the tests use to prove that the check can fail.
"""

import copy
import importlib
import inspect
import pkgutil
import random
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from finqa_lab.course import checks, compare
from finqa_lab.course.timebox import TimeUp, bounded_output, limit
from finqa_lab.errors import CourseError

NOT_STARTED, WRONG, RIGHT = "not started", "wrong", "right"


class Case:
    """Arguments for one call of the student's object: ``Case([1, 2], 3, note="shorter than the pair")``."""

    def __init__(self, *args, note: str = "", **kwargs):
        self.args, self.kwargs, self.note = args, kwargs, note

    def arguments(self) -> tuple[tuple, dict]:
        """A fresh deep copy, so that code which changes its input spoils only its own copy."""
        return copy.deepcopy((self.args, self.kwargs))

    def __str__(self) -> str:
        parts = [compare.show(a) for a in self.args] + [f"{k}={compare.show(v)}" for k, v in self.kwargs.items()]
        return ", ".join(parts)


@dataclass(frozen=True)
class WrongAnswer:
    """A mistake that students make: its name, the mistaken object itself, and the hint that mends it."""

    name: str
    answer: Any
    hint: str


@dataclass(frozen=True)
class Outcome:
    """What one call gave: a value, or the exception that it raised, or neither within the time limit."""

    value: Any = None
    error: BaseException | None = None

    def __str__(self) -> str:
        if isinstance(self.error, TimeUp):
            return "no answer within the time limit (an endless loop?)"
        if self.error is not None:
            return f"{type(self.error).__name__}: {compare.show(str(self.error))}"
        return compare.show(self.value)


@dataclass(frozen=True)
class Verdict:
    """The judgement of one object.

    Attributes:
        status: ``"not started"``, ``"wrong"`` or ``"right"``.
        message: the paragraph for the student.
        mistake: name of the catalogued wrong answer that the object behaves like, or "".
    """

    status: str
    message: str
    mistake: str = ""


class CheckFailed(AssertionError):
    """Raised by :func:`check` when the verdict is not *right*; shows its message, not a traceback."""

    def __init__(self, verdict: Verdict):
        super().__init__(verdict.message)
        self.verdict = verdict

    def _render_traceback_(self) -> list[str]:
        # IPython shows these lines in place of a traceback through course code, which would teach nothing.
        return [self.verdict.message]


@dataclass(frozen=True)
class Check:
    """One exercise's judge.

    Attributes:
        name: ``"<subject>.<exercise>"``.
        task: what the exercise asks for, in one line.
        cases: given a seeded generator, yields cases, smallest first.
        oracle: the trusted answer for the same arguments; may be slow and obvious. An exception that it
            raises is the expected outcome of that case.
        why: one sentence: why it matters.
        hint: for a mistake that is not in the catalogue.
        wrong: the catalogue, at least three entries.
        same: ``(expected, got) -> bool``; default :func:`finqa_lab.course.compare.same`.
        call: how to exercise the object: ``(object, *args) -> value``; default calls it. A value that is no function
            is judged with ``call=lambda value: value`` and one ``Case()``.
        seconds: wall-clock limit for all cases of one object.
    """

    name: str
    task: str
    cases: Callable[[random.Random], Iterator[Case]]
    oracle: Callable
    why: str
    hint: str
    wrong: list[WrongAnswer] = field(default_factory=list)
    same: Callable[[Any, Any], bool] | None = None
    call: Callable | None = None
    seconds: float = 5.0

    def outcomes(self, answer, cases: list[Case]) -> list[Outcome]:
        """Run ``answer`` on the cases. Never raises (except ``KeyboardInterrupt``): an error is an outcome.

        The time limit covers all cases together; after it has rung, the remaining cases share its outcome.
        """
        results: list[Outcome] = []
        try:
            with limit(self.seconds), bounded_output():
                for case in cases:
                    results.append(self._one(answer, case))
        except TimeUp as ring:
            results += [Outcome(error=ring)] * (len(cases) - len(results))
        return results

    def _one(self, answer, case: Case) -> Outcome:
        args, kwargs = case.arguments()
        try:
            value = self.call(answer, *args, **kwargs) if self.call else answer(*args, **kwargs)
            if inspect.isgenerator(value):
                value = list(value)
            return Outcome(value=value)
        except (TimeUp, KeyboardInterrupt):
            raise
        except BaseException as error:  # SystemExit from a student's sys.exit() must not end the kernel
            return Outcome(error=error)

    def agree(self, expected: Outcome, got: Outcome) -> bool:
        """True when two outcomes are the same: equal values, or exceptions of the same type."""
        if expected.error is not None or got.error is not None:
            return type(expected.error) is type(got.error)
        try:
            return bool((self.same or compare.same)(expected.value, got.value))
        except Exception:  # a comparison that cannot be made is a difference
            return False

    def judge(self, answer, seed: int = 0) -> Verdict:
        """The verdict on ``answer``; ``seed`` draws the random cases."""
        if answer is None or answer is Ellipsis:
            return self._not_started()
        if self.call is None and not callable(answer):
            return Verdict(
                WRONG,
                f"[wrong] {self.name}: it was given {compare.show(answer)}, which is no function.\n"
                f'  hint: pass the function itself, check("{self.name}", f), not the result of calling it.',
            )
        cases = list(self.cases(random.Random(f"{self.name}/{seed}")))
        expected = [_oracle_outcome(self.oracle, case) for case in cases]
        got = self.outcomes(answer, cases)
        if isinstance(got[0].error, NotImplementedError):  # raised only later, it is a branch that is missing
            return self._not_started()
        failing = [i for i, pair in enumerate(zip(expected, got)) if not self.agree(*pair)]
        if not failing:
            return Verdict(RIGHT, f"[right] {self.name}: {self.task} ({len(cases)} cases agree with the oracle).")
        return self._wrong(cases, expected, got, failing[0])

    def _not_started(self) -> Verdict:
        return Verdict(
            NOT_STARTED, f"[not started] {self.name}: {self.task}. Write the cell above, run it, then run this one."
        )

    def _wrong(self, cases: list[Case], expected: list[Outcome], got: list[Outcome], first: int) -> Verdict:
        mistake = self._diagnose(cases, got)
        hint = mistake.hint if mistake else _joined(_hint_for_error(got[first], self.seconds), self.hint)
        case = cases[first]
        where = compare.first_difference(expected[first].value, got[first].value)
        lines = [
            f"[wrong] {self.name}: {self.task}.",
            f"  smallest failing example: ({case})" + (f", {case.note}" if case.note else ""),
            f"  expected: {expected[first]}",
            f"  got:      {got[first]}",
            *([f"  first difference {where}"] if where else []),
            *textwrap.wrap(f"why it matters: {self.why}", 110, initial_indent="  ", subsequent_indent="    "),
            *textwrap.wrap(f"hint: {hint}", 110, initial_indent="  ", subsequent_indent="    "),
        ]
        return Verdict(WRONG, "\n".join(lines), mistake.name if mistake else "")

    def _diagnose(self, cases: list[Case], got: list[Outcome]) -> WrongAnswer | None:
        for mistake in self.wrong:
            if all(map(self.agree, self.outcomes(mistake.answer, cases), got)):
                return mistake
        return None


def _joined(first: str, second: str) -> str:
    """Two sentences, of which the first may be missing; hints are written to follow a colon."""
    return first + second[:1].upper() + second[1:] if first else second


def _hint_for_error(outcome: Outcome, seconds: float) -> str:
    """What an exception or a time-out says by itself, in front of the exercise's own hint."""
    if isinstance(outcome.error, TimeUp):
        return f"your code was stopped after {seconds:g} s; look for a loop whose condition never becomes false. "
    if isinstance(outcome.error, NotImplementedError):
        return "one branch of your function still raises NotImplementedError. "
    if outcome.error is not None:
        return f"on this input your code raised {type(outcome.error).__name__}; run it alone on it to see the line. "
    return ""


def _oracle_outcome(oracle: Callable, case: Case) -> Outcome:
    args, kwargs = case.arguments()
    try:
        return Outcome(value=oracle(*args, **kwargs))
    except Exception as error:  # the exercise asks for this error
        return Outcome(error=error)


_CHECKS: dict[str, Check] = {}


def subjects() -> list[str]:
    """Modules of ``finqa_lab.course.checks``, one a subject: a new lab's checks are found by being there."""
    return sorted(module.name for module in pkgutil.iter_modules(checks.__path__))


def register(item: Check) -> Check:
    """Add a check to the catalogue; a second one of the same name is a programming mistake.

    Registering the identical module again (a notebook that reloads it) replaces the entry.
    """
    known = _CHECKS.get(item.name)
    if known is not None and known.oracle.__module__ != item.oracle.__module__:
        raise ValueError(f"check {item.name!r} is registered twice")
    _CHECKS[item.name] = item
    return item


def all_checks() -> dict[str, Check]:
    """Every check of the course by name, importing all subjects."""
    for subject in subjects():
        importlib.import_module(f"finqa_lab.course.checks.{subject}")
    return dict(_CHECKS)


def find(name: str) -> Check:
    """The check called ``name``.

    Raises:
        CourseError: when there is none, naming those of the same subject.
    """
    subject = name.partition(".")[0]
    if subject not in subjects():
        raise CourseError(
            f"unknown check '{name}'; a name is '<subject>.<exercise>' with a subject of: {', '.join(subjects())}"
        )
    importlib.import_module(f"finqa_lab.course.checks.{subject}")
    if name not in _CHECKS:
        known = sorted(n for n in _CHECKS if n.startswith(subject + "."))
        raise CourseError(f"unknown check '{name}'; known in this subject: {', '.join(known)}")
    return _CHECKS[name]


def check(name: str, answer, seed: int = 0) -> None:
    """Judge ``answer`` with the check ``name``: print why it is right, or raise :class:`CheckFailed` with the reason.

    Args:
        name: ``"<subject>.<exercise>"``, for example ``"tokenizers.merge"``.
        answer: the student's object itself (a function, a class, a value), never its name.
        seed: draws the random cases; hidden tests use another one, and say nothing when the answer is right, or every
            verdict would stand twice below its cell.
    """
    verdict = find(name).judge(answer, seed)
    if verdict.status != RIGHT:
        raise CheckFailed(verdict)
    if seed == 0:
        print(verdict.message)
