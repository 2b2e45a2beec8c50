"""Questions of FinQA with their page, program, answers and gold facts: the official JSON schema, typed.

A record that breaks the schema is never dropped in silence: it ends the reading with one sentence (``strict``), or is
left out, counted and named in ``Records.problems``. Known quirks are not faults: blank human answers, answers that
contradict the program, repeated questions, duplicate row names, a header row as gold fact, missing optional fields.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, write_atomic
from finqa_lab.finqa.pages import Invalid, Page, as_object, existing, kind, parse_page

RECORD_FIELDS = ("id", "filename", "pre_text", "post_text", "table", "qa")
QA_FIELDS = ("question", "answer", "steps", "program", "gold_inds", "exe_ans")


@dataclass(frozen=True)
class Step:
    """One step of the annotator's own derivation, as text: ``op`` such as ``"divide1-1"``, two arguments, result."""

    op: str
    arg1: str
    arg2: str
    res: str


@dataclass(frozen=True)
class Record:
    """One question.

    Attributes:
        id: unique name, the page id and a number: ``"AAPL/2004/page_44.pdf-2"``.
        page: the page that the question is about.
        question: lower-cased text.
        answer: what the annotator wrote, possibly blank, possibly contradicting the program.
        program: gold program; None where the file withholds it.
        exe_ans: the program's executed answer, a finite number or ``"yes"``/``"no"``; None where withheld.
        gold_facts: source id (``text_i`` or ``table_i``) to the fact's text as the file spells it.
        steps: the annotator's derivation; () where missing.
        extra: other fields of the record, as parsed (``table_ori``, ...).
        qa_extra: other fields of its ``qa`` object (``explanation``, ``program_re``, ...).
    """

    id: str
    page: Page
    question: str
    answer: str = ""
    program: str | None = None
    exe_ans: float | str | None = None
    gold_facts: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    extra: Mapping = field(default_factory=dict)
    qa_extra: Mapping = field(default_factory=dict)

    @property
    def table(self) -> tuple[tuple[str, ...], ...]:
        """The page's table."""
        return self.page.table

    @property
    def fact_kind(self) -> str:
        """``"text"``, ``"table"`` or ``"both"``: where the gold facts are; ``"none"`` without any."""
        kinds = {source.split("_")[0] for source in self.gold_facts}
        return "both" if len(kinds) == 2 else min(kinds, default="none")

    def to_json(self) -> dict:
        """The record in the official schema; fields that are withheld or missing stay absent."""
        page = self.page
        steps = [vars(step) for step in self.steps]
        qa = {"steps": steps, "program": self.program, "gold_inds": dict(self.gold_facts), "exe_ans": self.exe_ans}
        return {
            "id": self.id,
            "filename": page.filename,
            "pre_text": list(page.pre_text),
            "post_text": list(page.post_text),
            "table": [list(row) for row in page.table],
            "qa": {"question": self.question, "answer": self.answer}
            | {name: value for name, value in qa.items() if value not in (None, [], {})}
            | dict(self.qa_extra),
        } | dict(self.extra)


@dataclass(frozen=True)
class Problem:
    """A record left out: its id (or position), the field, and what is wrong with it."""

    record: str
    field: str
    reason: str

    def __str__(self) -> str:
        return f"record {self.record}: {self.field}: {self.reason}"


@dataclass(frozen=True)
class Records:
    """The usable records of a file, in its order, and what was left out."""

    records: tuple[Record, ...]
    problems: tuple[Problem, ...]

    def summary(self) -> str:
        """One line for a log; every exclusion is counted, the first five are named."""
        if not self.problems:
            return f"{len(self.records)} records read"
        named = "; ".join(map(str, self.problems[:5])) + ("; ..." if len(self.problems) > 5 else "")
        return f"{len(self.records)} records read, {len(self.problems)} left out: {named}"


def read_records(path: str | os.PathLike, strict: bool = False) -> Records:
    """Read a file in the official schema (a JSON list of records).

    Args:
        path: ``train.json`` and the like. A list whose records keep ``question``, ``program`` and ``exe_ans`` at their
            top level instead of in ``qa``, without texts, is read too.
        strict: raise at the first record that breaks the schema instead of leaving it out.

    Raises:
        CourseError: when the file is missing, is not JSON (truncated, say) or not a list, or when no record is usable;
            with ``strict`` also naming the first bad record and field.
    """
    raw = read_json(existing(path), "the FinQA file")
    if not isinstance(raw, list):
        raise CourseError(f"{path} holds {kind(raw)}, not a list of records; give a file like FinQA's train.json")
    records, problems = {}, []
    for position, entry in enumerate(raw):
        name = entry["id"] if isinstance(entry, dict) and isinstance(entry.get("id"), str) else f"no. {position + 1}"
        try:
            record = parse_record(entry)
            if record.id in records:
                raise Invalid("id", "is the id of an earlier record")
            records[record.id] = record
        except Invalid as invalid:
            problems.append(Problem(name, invalid.field, invalid.reason))
            if strict:
                raise CourseError(f"{path}, {problems[-1]}; mend it, or read without strict to leave it out") from None
    if not records:
        first = f": {problems[0]}" if problems else ""
        raise CourseError(f"{path} has no usable record among {len(raw)}{first}")
    return Records(tuple(records.values()), tuple(problems))


def write_records(path: str | os.PathLike, records: Iterable[Record]) -> Path:
    """Write records in the official schema; reading them back gives equal records.

    Raises:
        CourseError: when the file cannot be written.
    """
    text = json.dumps([record.to_json() for record in records], indent=1, ensure_ascii=False, allow_nan=False)
    return write_atomic(path, text + "\n")


def parse_record(raw: object) -> Record:
    """One record from its JSON value.

    Raises:
        Invalid: naming the first field that breaks the schema.
    """
    raw = as_object(raw, "record")
    name = _text(raw, "id", "id")
    nested = "qa" in raw
    qa = as_object(raw["qa"], "qa") if nested else raw
    prefix = "qa." if nested else ""
    page = parse_page(raw, _text(raw, "filename", "filename", name.rpartition("-")[0] or name))
    program = qa.get("program")
    if program is not None and not isinstance(program, str):
        raise Invalid(f"{prefix}program", f"is {kind(program)}, not text")
    known = RECORD_FIELDS if nested else RECORD_FIELDS + QA_FIELDS
    return Record(
        id=name,
        page=page,
        question=_text(qa, "question", f"{prefix}question"),
        answer=_text(qa, "answer", f"{prefix}answer", ""),
        program=program,
        exe_ans=_executed(qa.get("exe_ans"), f"{prefix}exe_ans"),
        gold_facts=_gold(qa.get("gold_inds", {}), page, f"{prefix}gold_inds"),
        steps=_steps(qa.get("steps", []), f"{prefix}steps"),
        extra={key: value for key, value in raw.items() if key not in known},
        qa_extra={key: value for key, value in qa.items() if key not in QA_FIELDS} if nested else {},
    )


def _text(raw: Mapping, key: str, field: str, default: str | None = None) -> str:
    value = raw.get(key, default)
    if not isinstance(value, str):
        raise Invalid(field, "is missing" if value is None else f"is {kind(value)}, not text")
    return value


def _executed(value: object, field: str) -> float | str | None:
    if value is None or value in ("yes", "no"):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Invalid(field, f'is {value!r}, neither a finite number nor "yes" or "no"')
    return value


def _gold(value: object, page: Page, field: str) -> dict[str, str]:
    known = set(page.source_ids)
    for source, fact in as_object(value, field).items():
        if source not in known:
            raise Invalid(field, f"'{source}' points to nothing on the page")
        if not isinstance(fact, str):
            raise Invalid(f"{field}.{source}", f"is {kind(fact)}, not text")
    return dict(value)


def _steps(value: object, field: str) -> tuple[Step, ...]:
    if not isinstance(value, list):
        raise Invalid(field, f"is {kind(value)}, not a list")
    names = ("op", "arg1", "arg2", "res")
    for number, step in enumerate(value):
        if set(as_object(step, f"{field}[{number}]")) != set(names):
            raise Invalid(f"{field}[{number}]", f"has the fields {', '.join(step)}, not {', '.join(names)}")
        for name in names:
            _text(step, name, f"{field}[{number}].{name}")
    return tuple(Step(**step) for step in value)
