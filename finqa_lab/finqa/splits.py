"""A split of FinQA on disk, and estimates for the whole split from a part of it that is not a random sample.

Some public copies hold only the questions that a system got wrong. A mean over such a file is biased; when it is known
which questions are the complete list of one kind and which are a sample of the rest, weighting the two *strata* by
their sizes in the split gives an unbiased estimate (W. G. Cochran, "Sampling Techniques", 3rd ed., 1977, chapter 5).
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist, fmean, variance

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json
from finqa_lab.finqa.pages import Page, read_pages
from finqa_lab.finqa.records import Record, Records, read_records


@dataclass(frozen=True)
class Estimate:
    """A mean with half of its 95% interval, and how many questions it rests on."""

    value: float
    half: float
    count: int

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} +- {100 * self.half:.1f}"


@dataclass(frozen=True)
class Strata:
    """Groups of questions and the share of the whole split that each stands for.

    Attributes:
        members: question id to name of its group.
        shares: name of a group to its share; they add up to 1.
    """

    members: Mapping[str, str]
    shares: Mapping[str, float]

    def mean(self, values: Mapping[str, float]) -> Estimate:
        """Weighted mean over the groups that have values; the shares of these are scaled to add up to 1.

        >>> strata = Strata({"a": "hard", "b": "hard", "c": "rest", "d": "rest"}, {"hard": 0.25, "rest": 0.75})
        >>> print(strata.mean({"a": 0.0, "b": 0.0, "c": 1.0, "d": 0.0}))
        37.5 +- 73.5

        Args:
            values: question id to its value, 0 or 1 for right and wrong. Ids without a group are refused.

        Raises:
            CourseError: when there is no value, or an id is in no group.
        """
        groups: dict[str, list[float]] = {}
        for name, value in values.items():
            if name not in self.members:
                raise CourseError(f"question {name} is in no stratum; mend the strata file or drop it")
            groups.setdefault(self.members[name], []).append(value)
        if not groups:
            raise CourseError("there is nothing to average; give at least one question")
        total = sum(self.shares[group] for group in groups)
        middle = spread = 0.0
        for group, found in groups.items():
            share = self.shares[group] / total
            middle += share * fmean(found)
            spread += share**2 * (variance(found) if len(found) > 1 else 0.0) / len(found)
        return Estimate(middle, NormalDist().inv_cdf(0.975) * math.sqrt(spread), len(values))


def whole(ids: Sequence[str]) -> Strata:
    """One group: every question counts the same."""
    return Strata(dict.fromkeys(ids, "all"), {"all": 1.0})


def read_strata(path: str | os.PathLike) -> Strata:
    """Read ``{"split_size": n, "hard": [ids], "sample": [ids]}``: all hard questions, and a sample of the others.

    Raises:
        CourseError: when the file is missing or lacks a field.
    """
    raw = read_json(path, "the strata file")
    try:
        size, hard, sample = int(raw["split_size"]), list(raw["hard"]), list(raw["sample"])
    except (KeyError, TypeError, ValueError) as error:
        raise CourseError(f"{path} needs split_size, hard and sample ({error!r})") from None
    if not 0 < len(hard) < size or set(hard) & set(sample):
        raise CourseError(f"{path}: {len(hard)} hard questions of {size}, and no question may be in both lists")
    members = dict.fromkeys(hard, "hard") | dict.fromkeys(sample, "sample")
    return Strata(members, {"hard": len(hard) / size, "sample": 1 - len(hard) / size})


@dataclass(frozen=True)
class Split:
    """The usable questions of a split, what was left out of it, and how its questions are weighted."""

    name: str
    read: Records
    strata: Strata

    @property
    def records(self) -> tuple[Record, ...]:
        """The usable questions."""
        return self.read.records


def read_split(folder: str | os.PathLike, name: str) -> Split:
    """``folder/name.json``, weighted by ``name_strata.json`` when there is one, otherwise each question the same.

    Raises:
        CourseError: when the file is missing or has no usable record, or the strata do not fit.
    """
    folder = Path(folder)
    read = read_records(folder / f"{name}.json")
    path = folder / f"{name}_strata.json"
    strata = read_strata(path) if path.is_file() else whole([record.id for record in read.records])
    without = [record.id for record in read.records if record.id not in strata.members]
    if without:
        raise CourseError(f"{path}: {len(without)} questions of {name}.json are in no stratum, {without[0]} first")
    return Split(name, read, strata)


def read_corpus(folder: str | os.PathLike, *splits: Split) -> dict[str, Page]:
    """All pages that can be searched: those of the splits, and of ``folder/reports.json`` when there is one.

    Raises:
        CourseError: when a page of the file breaks the schema.
    """
    pages = {record.page.filename: record.page for split in splits for record in split.records}
    path = Path(folder) / "reports.json"
    return pages | (read_pages(path) if path.is_file() else {})
