"""Scores of replies against samples, each with its Wilson interval, over all samples and by task.

=============  ====================================================================================================
metric         a number is right when
=============  ====================================================================================================
``exact``      it is the answer after rounding to the decimals in which the answer is printed
``within``     it is at most 1% of the answer away from it, the end of the interval included
``lenient``    it, its hundredfold or its hundredth is: 19 for 0.19, a percentage given as such
``structure``  (a failure) the reply has no answer of the right kind: a number, or a name
=============  ====================================================================================================

A name, or an order of names, is right only as it is, by all three metrics; upper case and the sign between names do not
matter. The denominator is the number of samples: a sample without a reply is wrong and a structure failure.

One percent is wide: 0.19 for 0.19049 is inside. ``exact`` beside it shows how much of a score is rounding.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from finqa_lab.errors import CourseError
from finqa_lab.finqa.intervals import Rate, wilson
from finqa_lab.quantitative.replies import Reader, Reading, read_reply
from finqa_lab.quantitative.task import PLACES, Sample

Metric = Literal["exact", "within", "lenient", "structure"]
METRICS: tuple[Metric, ...] = ("exact", "within", "lenient", "structure")
TOLERANCE = 0.01
"""Largest distance of a right number from the answer, relative to the answer."""

_BETWEEN = re.compile(r"\s*(?:>|,|;|\u2192|->|\bthen\b|\band\b)[\s,]*")
_EDGES = ".!?*_`\"' \t\n"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one sample was answered.

    Attributes:
        id: of the sample.
        task: of the sample.
        exact: right as printed.
        within: right within 1%.
        lenient: right within 1% but for a factor of 100.
        structure: the reply has no answer of the right kind.
        reading: what was read.
        mistake: known mistakes of the sample that give this wrong answer, within 1%.
    """

    id: str
    task: str
    exact: bool
    within: bool
    lenient: bool
    structure: bool
    reading: Reading
    mistake: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scorecard:
    """The outcome of every sample, in the order of the samples.

    Attributes:
        outcomes: one for each sample.
        missing: ids of samples without a reply.
        unknown: ids of replies without a sample; they count for nothing.
    """

    outcomes: tuple[Outcome, ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in the order in which they first occur."""
        return tuple(dict.fromkeys(outcome.task for outcome in self.outcomes))

    def rate(self, metric: Metric, task: str | None = None) -> Rate:
        """Share of the samples, of one task or of all, with its 95% Wilson interval.

        Raises:
            CourseError: when no sample is of the task.
        """
        values = [getattr(outcome, metric) for outcome in self.outcomes if task in (None, outcome.task)]
        if not values:
            raise CourseError(f"no sample is of the task {task!r}; there are {', '.join(self.tasks)}")
        return wilson(sum(values), len(values))

    def correct(self, metric: Metric = "within") -> list[bool]:
        """Whether each sample is answered rightly, for paired tests."""
        return [getattr(outcome, metric) for outcome in self.outcomes]

    def summary(self) -> str:
        """A line for each metric, then one for each task within 1%."""
        lines = [f"{metric}: {self.rate(metric)}" for metric in METRICS]
        lines += [f"within, {task}: {self.rate('within', task)}" for task in self.tasks]
        for name in ("missing", "unknown"):
            ids = getattr(self, name)
            if ids:
                lines.append(f"{name}: {len(ids)} ({', '.join(ids[:5])}{', ...' if len(ids) > 5 else ''})")
        return "\n".join(lines)


def score(replies: Mapping[str, str], samples: Sequence[Sample], reader: Reader = read_reply) -> Scorecard:
    """Score replies.

    Args:
        replies: sample id to the text of the reply.
        samples: what was asked.
        reader: how an answer is found; :func:`finqa_lab.quantitative.replies.read_last_number` shows a bad one.

    Raises:
        CourseError: when there is no sample.
    """
    if not samples:
        raise CourseError("there is no sample to score against; give those of a split")
    known = {sample.id for sample in samples}
    return Scorecard(
        outcomes=tuple(judge(sample, reader(replies.get(sample.id, ""))) for sample in samples),
        missing=tuple(sample.id for sample in samples if sample.id not in replies),
        unknown=tuple(name for name in replies if name not in known),
    )


def judge(sample: Sample, reading: Reading) -> Outcome:
    """Compare what was read with the answer of a sample."""
    found, right = reading.answer, sample.answer
    if found is None or isinstance(found, str) != isinstance(right, str):
        return Outcome(sample.id, sample.task, False, False, False, True, reading)
    if isinstance(right, str):
        same = names(found) == names(right)
        wrong = [name for name, value in sample.mistakes.items() if names(value) == names(found)]
        return Outcome(sample.id, sample.task, same, same, same, False, reading, () if same else tuple(wrong))
    close = within(found, right)
    lenient = any(within(scaled, right) for scaled in (found, found / 100, found * 100))
    exact = round(found, PLACES[sample.unit]) == right
    wrong = () if close else tuple(name for name, value in sample.mistakes.items() if within(found, value))
    return Outcome(sample.id, sample.task, exact, close, lenient, False, reading, wrong)


def within(found: float, right: float, tolerance: float = TOLERANCE) -> bool:
    """Whether a number is at most ``tolerance`` of the right one away from it; the right one is the base.

    The published example of a reference system is outside its own tolerance:

    >>> within(-22.9, -22.60)
    False
    """
    return abs(found - right) <= tolerance * abs(right)


def names(text: str) -> tuple[str, ...]:
    """Names in the order of a text, in lower case.

    >>> names("Oak > Elm, then Pine.")
    ('oak', 'elm', 'pine')
    """
    return tuple(part for part in _BETWEEN.split(text.strip(_EDGES).casefold()) if part)
