"""What is in a set of questions: counts, shares and lengths, measured and typed; :mod:`finqa_lab.finqa.card` prints it.

Lengths of questions are over questions, those of reports over pages, each page once. Words are separated by spaces, as
the data set is tokenised; tokens need a counting function.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from finqa_lab.errors import CourseError
from finqa_lab.finqa.failure import ProgramError
from finqa_lab.finqa.faults import answer_kind, fault
from finqa_lab.finqa.pages import Page
from finqa_lab.finqa.parse import parse
from finqa_lab.finqa.program import Constant, literals
from finqa_lab.finqa.records import Problem, Record, read_records

NEAR_EMPTY_WORDS = 2
"""A unit of at most so many words says nothing that a program could use."""
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Spread:
    """A distribution in five numbers; percentiles are interpolated linearly."""

    mean: float
    p5: float
    p50: float
    p95: float
    largest: float


@dataclass(frozen=True)
class Description:
    """Statistics of a set of questions.

    Shares are of the questions unless another whole is named.

    Attributes:
        questions: usable questions.
        pages: distinct pages.
        companies: distinct companies.
        repeated_questions: questions whose text occurs more than once.
        operations: share of the steps of all programs.
        steps: number of steps of the program to share.
        unreadable_programs: ids of questions whose program is withheld or cannot be read; not in the two above.
        constants: constant to how often it is written.
        answer_kinds: kind of the written answer to share; {} in a file without written answers.
        fact_kinds: ``table``, ``text``, ``both``, ``none`` to share.
        gold_facts: number of gold facts to share.
        faults: class of annotation fault to the ids of the questions.
        question_words: words of a question.
        report_words: words of a page's texts, its table left out.
        table_words: words of a page's table.
        candidates: units of a page that can be gold facts.
        sentences: those that are sentences.
        rows: those that are table rows.
        near_empty: share of all units with at most ``NEAR_EMPTY_WORDS`` words, a row written in words.
        duplicate_rows: page ids whose table has two rows of one name, a row without a name left out.
        header_facts: ids of questions with the header row among their gold facts.
        question_tokens: tokens of a question; None without a counting function.
        report_tokens: tokens of all units of a page, rows written in words; None without a counting function.
        left_out: records that were left out, with field and reason.
    """

    questions: int
    pages: int
    companies: int
    repeated_questions: int
    operations: dict[str, float]
    steps: dict[int, float]
    unreadable_programs: list[str]
    constants: dict[str, int]
    answer_kinds: dict[str, float]
    fact_kinds: dict[str, float]
    gold_facts: dict[int, float]
    faults: dict[str, list[str]]
    question_words: Spread
    report_words: Spread
    table_words: Spread
    candidates: Spread
    sentences: Spread
    rows: Spread
    near_empty: float
    duplicate_rows: list[str]
    header_facts: list[str]
    question_tokens: Spread | None
    report_tokens: Spread | None
    left_out: list[dict[str, str]]


def load(where: str | Path, split: str = "dev") -> tuple[list[Record], list[Problem]]:
    """Questions to describe, and what was left out of them.

    Args:
        where: ``"generated"`` for the shipped reports, a folder with ``dev.json`` and so on, or one such file.
        split: ``"train"``, ``"dev"``, ``"test"``, or ``"all"`` of them that are there; not used for a file.

    Raises:
        CourseError: when there is no such split or file.
    """
    if split not in (*SPLITS, "all"):
        raise CourseError(f"the split '{split}' is unknown; choose one of {', '.join(SPLITS)} or all")
    chosen = SPLITS if split == "all" else (split,)
    if str(where) == "generated":
        from finqa_lab.finqa.synthetic.reports import load_reports

        return [record for name in chosen for record in load_reports(name)], []
    where = Path(where)
    files = [where] if where.is_file() else [where / f"{name}.json" for name in chosen]
    if split == "all":
        files = [path for path in files if path.is_file()] or files[:1]
    read = [read_records(path) for path in files]
    return [record for one in read for record in one.records], [problem for one in read for problem in one.problems]


def describe(
    records: Sequence[Record], problems: Sequence[Problem] = (), count_tokens: Callable[[str], int] | None = None
) -> Description:
    """Measure a set of questions.

    Args:
        records: at least one.
        problems: what was left out when they were read.
        count_tokens: tokens of a text, for the two token lengths.

    Raises:
        CourseError: without records.
    """
    if not records:
        raise CourseError("there are no records to describe; give a file with at least one usable record")
    pages = {record.page.filename: record.page for record in records}
    units = [list(page.facts().values()) for page in pages.values()]
    unit_words = [_words(unit) for page_units in units for unit in page_units]
    texts = Counter(record.question for record in records)
    programs, unreadable = _programs(records)
    faults: dict[str, list[str]] = {}
    answered = records if any(record.answer.strip() for record in records) else ()
    for record in answered:
        if (kind := fault(record)) is not None:
            faults.setdefault(kind.value, []).append(record.id)
    return Description(
        questions=len(records),
        pages=len(pages),
        companies=len({page.company for page in pages.values()}),
        repeated_questions=sum(texts[record.question] > 1 for record in records),
        operations=_shares(step.operation for program in programs for step in program),
        steps=dict(sorted(_shares(len(program) for program in programs).items())),
        unreadable_programs=unreadable,
        constants=dict(
            Counter(x.text for program in programs for x in literals(program) if isinstance(x, Constant)).most_common()
        ),
        answer_kinds=_shares(answer_kind(record.answer).value for record in answered),
        fact_kinds=_shares(record.fact_kind for record in records),
        gold_facts=dict(sorted(_shares(len(record.gold_facts) for record in records).items())),
        faults=dict(sorted(faults.items(), key=lambda item: -len(item[1]))),
        question_words=_spread([_words(record.question) for record in records]),
        report_words=_spread([sum(map(_words, page.texts)) for page in pages.values()]),
        table_words=_spread([sum(_words(cell) for row in page.table for cell in row) for page in pages.values()]),
        candidates=_spread([len(page_units) for page_units in units]),
        sentences=_spread([len(page.texts) for page in pages.values()]),
        rows=_spread([len(page.table) for page in pages.values()]),
        near_empty=float(np.mean([words <= NEAR_EMPTY_WORDS for words in unit_words])),
        duplicate_rows=[name for name, page in pages.items() if _has_duplicate_rows(page)],
        header_facts=[record.id for record in records if "table_0" in record.gold_facts],
        question_tokens=_spread([count_tokens(record.question) for record in records]) if count_tokens else None,
        report_tokens=_spread([sum(map(count_tokens, page)) for page in units]) if count_tokens else None,
        left_out=[vars(problem) for problem in problems],
    )


def _programs(records: Sequence[Record]) -> tuple[list, list[str]]:
    programs, unreadable = [], []
    for record in records:
        try:
            programs.append(parse(record.program or ""))
        except ProgramError:
            unreadable.append(record.id)
    return programs, unreadable


def _has_duplicate_rows(page: Page) -> bool:
    names = [row[0] for row in page.table[1:] if row[0].strip()]
    return len(set(names)) < len(names)


def _words(text: str) -> int:
    return len(text.split())


def _shares(values) -> dict:
    counts = Counter(values)
    return {value: count / counts.total() for value, count in counts.most_common()}


def _spread(values: Sequence[float]) -> Spread:
    p5, p50, p95 = np.percentile(values, [5, 50, 95])
    return Spread(float(np.mean(values)), float(p5), float(p50), float(p95), float(max(values)))
