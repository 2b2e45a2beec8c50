"""Scores of a file of predictions against the gold records: two accuracies, structure errors, and what is missing.

The denominator is the number of gold questions. A question without a prediction is wrong; of several predictions for
one question the first counts; a prediction for an unknown question counts for nothing. All three are reported by id,
because each of them is how a file of predictions usually goes wrong.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from finqa_lab.errors import CourseError
from finqa_lab.finqa.equivalence import equivalent
from finqa_lab.finqa.execute import execute
from finqa_lab.finqa.failure import STRUCTURE, Failure, FailureKind, ProgramError
from finqa_lab.finqa.intervals import Rate, bootstrap_difference, mcnemar_exact, wilson
from finqa_lab.finqa.official import execution_value, program_equal
from finqa_lab.finqa.parse import parse
from finqa_lab.finqa.program import Program
from finqa_lab.finqa.records import Record

Metric = Literal["execution", "program", "program_official"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one question was answered.

    Attributes:
        id: of the record.
        execution: the executed answer equals the record's, by the official rule.
        program: the program means the same as the gold program, its literals read as numbers.
        program_official: the same by the official rule; a program that does not execute to the answer is not counted.
        failure: why the prediction has no answer; None when it has one, or when there is no prediction.
    """

    id: str
    execution: bool = False
    program: bool = False
    program_official: bool = False
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Scorecard:
    """The outcome of every gold question, in the order of the records.

    Attributes:
        outcomes: one for each record.
        missing: ids of records without a prediction.
        duplicates: ids with more than one prediction.
        unknown: ids of predictions without a record.
        unreadable_gold: ids of records whose gold program is withheld or not readable: no program is right there.
    """

    outcomes: tuple[Outcome, ...]
    missing: tuple[str, ...]
    duplicates: tuple[str, ...]
    unknown: tuple[str, ...]
    unreadable_gold: tuple[str, ...]

    def rate(self, metric: Metric) -> Rate:
        """Accuracy by one metric with its 95% Wilson interval."""
        return wilson(sum(self.correct(metric)), len(self.outcomes))

    def correct(self, metric: Metric) -> list[bool]:
        """Whether each question is answered rightly."""
        return [getattr(outcome, metric) for outcome in self.outcomes]

    def structure_errors(self) -> Rate:
        """Share of the questions whose prediction cannot be read as a program."""
        failed = [outcome.failure for outcome in self.outcomes if outcome.failure]
        return wilson(sum(failure.kind in STRUCTURE for failure in failed), len(self.outcomes))

    def failures(self) -> dict[FailureKind, Rate]:
        """Share of the questions whose prediction has no answer, by kind, the most frequent first."""
        counts = Counter(outcome.failure.kind for outcome in self.outcomes if outcome.failure)
        return {kind: wilson(count, len(self.outcomes)) for kind, count in counts.most_common()}

    def summary(self) -> str:
        """A few lines for a log: every rate, and every id problem that there is."""
        lines = [f"{metric}: {self.rate(metric)}" for metric in ("execution", "program", "program_official")]
        lines.append(f"structure errors: {self.structure_errors()}")
        lines += [f"failure, {kind}: {rate}" for kind, rate in self.failures().items()]
        for name in ("missing", "duplicates", "unknown", "unreadable_gold"):
            ids = getattr(self, name)
            if ids:
                lines.append(f"{name}: {len(ids)} ({', '.join(ids[:5])}{', ...' if len(ids) > 5 else ''})")
        return "\n".join(lines)


def score(predictions: Iterable[Mapping], records: Sequence[Record]) -> Scorecard:
    """Score predictions in the official format.

    Args:
        predictions: objects with ``id`` and ``predicted``, a token list or a program text.
        records: the gold questions, each with its executed answer.

    Raises:
        CourseError: when there is no record, a record has no executed answer, or a prediction lacks one of its fields.
    """
    if not records:
        raise CourseError("there is no gold record to score against; give the records of a split")
    first, extra = _by_id(predictions)
    known = {record.id for record in records}
    outcomes, unreadable = [], []
    for record in records:
        if record.exe_ans is None:
            raise CourseError(
                f"record {record.id} has no executed answer (exe_ans); score against a split that has them"
            )
        try:
            gold = parse(record.program or "")
        except ProgramError:
            unreadable.append(record.id)
            gold = None
        outcomes.append(_outcome(record, gold, first[record.id]) if record.id in first else Outcome(record.id))
    return Scorecard(
        tuple(outcomes),
        missing=tuple(record.id for record in records if record.id not in first),
        duplicates=tuple(extra),
        unknown=tuple(name for name in first if name not in known),
        unreadable_gold=tuple(unreadable),
    )


def _by_id(predictions: Iterable[Mapping]) -> tuple[dict[str, str | Sequence[str]], dict[str, None]]:
    """The first prediction of every id, and the ids that have more than one."""
    first, extra = {}, {}
    for number, entry in enumerate(predictions, start=1):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("id"), str):
            raise CourseError(f"prediction no. {number} has no id; each is an object with 'id' and 'predicted'")
        if not isinstance(entry.get("predicted"), str | list | tuple):
            raise CourseError(
                f"prediction no. {number} ({entry['id']}) has no program; 'predicted' is a list of tokens or a text"
            )
        if entry["id"] in first:
            extra[entry["id"]] = None
        else:
            first[entry["id"]] = entry["predicted"]
    return first, extra


def _outcome(record: Record, gold: Program | None, predicted: str | Sequence[str]) -> Outcome:
    try:
        program = parse(predicted)
    except ProgramError as error:
        return Outcome(record.id, failure=error.failure)
    executed = execution_value(program, record.table) == record.exe_ans
    return Outcome(
        record.id,
        execution=executed,
        program=gold is not None and equivalent(gold, program),
        program_official=gold is not None and executed and program_equal(gold, program),
        failure=None if executed else execute(program, record.table).failure,
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on the same questions.

    Attributes:
        difference: accuracy of the second minus that of the first.
        low: lower end of its paired bootstrap interval.
        high: upper end.
        only_first: questions that only the first answers rightly.
        only_second: questions that only the second answers rightly.
        p_value: exact McNemar test of "equally good", two-sided.
    """

    difference: float
    low: float
    high: float
    only_first: int
    only_second: int
    p_value: float


def compare(
    first: Scorecard, second: Scorecard, metric: Metric = "execution", seed: int = 0, confidence: float = 0.95
) -> Comparison:
    """Compare two systems question by question.

    Raises:
        CourseError: when the scorecards are not of the same questions in the same order.
    """
    if [outcome.id for outcome in first.outcomes] != [outcome.id for outcome in second.outcomes]:
        raise CourseError("the two systems were not scored on the same questions; score both against the same records")
    a, b = first.correct(metric), second.correct(metric)
    only_first = sum(x and not y for x, y in zip(a, b))
    only_second = sum(y and not x for x, y in zip(a, b))
    low, high = bootstrap_difference(a, b, seed, confidence=confidence)
    return Comparison(
        (only_second - only_first) / len(a), low, high, only_first, only_second, mcnemar_exact(only_first, only_second)
    )
