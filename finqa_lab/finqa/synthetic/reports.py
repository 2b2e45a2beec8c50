"""Pages and questions put together: the course's own data set in FinQA's schema, made by one command.

``python -m finqa_lab.finqa.synthetic.reports`` writes ``data/reports`` again, byte for byte: ``pages.json`` holds every
page once, ``questions.json`` the questions of each split. Every answer is computed by the executor.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import replace

from finqa_lab.files import data_path, read_json, register_data
from finqa_lab.finqa.execute import execute
from finqa_lab.finqa.pages import Page
from finqa_lab.finqa.records import Record, parse_record
from finqa_lab.finqa.synthetic.asking import Draft, Question
from finqa_lab.finqa.synthetic.notes import facts
from finqa_lab.finqa.synthetic.prose import sentences
from finqa_lab.finqa.synthetic.questions import FAMILIES
from finqa_lab.finqa.synthetic.sectors import KINDS, SECTORS, STEMS
from finqa_lab.finqa.synthetic.statements import STATEMENTS
from finqa_lab.finqa.synthetic.tables import Statement
from finqa_lab.finqa.synthetic.wording import called, opened

PAGES, QUESTIONS = "reports/pages.json", "reports/questions.json"
COMMAND = "python -m finqa_lab.finqa.synthetic.reports"
REPORTS, QUESTIONS_EACH, SEED = 300, 5, 0
SPLITS = {"train": 0.8, "dev": 0.1, "test": 0.1}
"""Shares of the pages; no page is in two splits."""


def make_page(rng: random.Random, number: int) -> tuple[Page, Draft]:
    """A page and what can be asked about it."""
    sector, last = rng.choice(SECTORS), rng.randrange(2003, 2019)
    stem = rng.choice(STEMS)
    company = f"{stem} {rng.choice(KINDS)}"
    short = [company, stem, "the company", "the company", "the registrant"]
    notes = facts(rng, sector, last, stem if rng.random() < 0.3 else "the company")
    table = rng.choice(STATEMENTS)(rng, sector, last, company)
    taken = next(note.values["place"] for note in notes if note.topic == "acquisition")
    others = sentences(rng, sector, last, short, items_of(rng, table), taken, rng.randrange(4, 26))
    texts = [*(note.text for note in notes), *others]
    rng.shuffle(texts)
    texts.insert(0, f"{company} reports on the year ended december 31 , {last} .")
    cut = rng.randrange(1, len(texts))
    filename = f"{stem[:4].upper()}/{last}/page_{number}.pdf"
    page = Page(filename, tuple(texts[:cut]), tuple(texts[cut:]), table.cells)
    return page, Draft(sector, table, {note.topic: note for note in notes}, last, company)


def items_of(rng: random.Random, table: Statement) -> list[str]:
    """What the sentences around a table call its rows; of a table whose rows are years, its columns."""
    rows = [i for i in table.usable if not table.names[i].isdigit() and table.names[i] not in ("other", "thereafter")]
    if table.whole is not None:
        rows.append(table.whole)
    found = [called(rng, table.names[i], table.said[i], 0.7) for i in rows]
    return found if len(found) > 1 else [*found, *table.columns, "future minimum payments"]


def ask(rng: random.Random, draft: Draft) -> Question:
    """One question; families that the page does not offer are drawn again."""
    families, weights = zip(*FAMILIES)
    while True:
        question = rng.choices(families, weights)[0](rng, draft)
        if question is not None:
            return replace(question, text=opened(rng, question.text, draft.company, bool(question.rows)))


def make_records(reports: int = REPORTS, each: int = QUESTIONS_EACH, seed: int = SEED) -> Iterator[Record]:
    """Records of ``reports`` pages with up to ``each`` different questions.

    >>> record = next(make_records(reports=1))
    >>> record.id.split("/")[-1], record.exe_ans == execute(record.program, record.table).value
    ('page_0.pdf-1', True)
    """
    rng = random.Random(seed)
    for number in range(reports):
        page, draft = make_page(rng, number)
        found = page.facts()
        names = {page.table[i][0]: f"table_{i}" for i in range(1, len(page.table))}
        asked: set[str] = set()
        while len(asked) < each:
            question = ask(rng, draft)
            result = execute(question.program, page.table)
            if question.text in asked or result.failure is not None:
                continue
            asked.add(question.text)
            gold = [names[row] for row in question.rows]
            gold += [f"text_{page.texts.index(draft.notes[topic].text)}" for topic in question.topics]
            yield Record(
                id=f"{page.filename}-{len(asked)}",
                page=page,
                question=question.text,
                answer=_as_written(result.value, question.program),
                program=question.program,
                exe_ans=result.value,
                gold_facts={source: found[source] for source in gold},
            )


def _as_written(value: float | str, program: str) -> str:
    """The answer as a person would write it: a last division as a percentage, otherwise two decimals."""
    if isinstance(value, str):
        return value
    if program.rpartition("), ")[2].startswith("divide(") and "const_" not in program:
        return f"{100 * value:.1f}%"
    return f"{value:.2f}".rstrip("0").rstrip(".")


def split_of(position: int, reports: int) -> str:
    """Which split a page belongs to, by its place among the pages.

    >>> [split_of(position, 10) for position in (0, 7, 8, 9)]
    ['train', 'train', 'dev', 'test']
    """
    share = (position + 0.5) / reports
    if share < SPLITS["train"]:
        return "train"
    return "dev" if share < SPLITS["train"] + SPLITS["dev"] else "test"


def load_reports(split: str) -> list[Record]:
    """The shipped records of ``"train"``, ``"dev"`` or ``"test"``.

    Raises:
        CourseError: when a file of ``data/reports`` is missing or changed.
        KeyError: for another split.
    """
    pages = read_json(data_path(PAGES), "the pages")
    return [
        parse_record(pages[entry["filename"]] | entry)
        for entry in read_json(data_path(QUESTIONS), "the questions")[split]
    ]


def main() -> None:
    """Write both files."""
    pages: dict[str, dict] = {}
    questions: dict[str, list[dict]] = {name: [] for name in SPLITS}
    for record in make_records():
        raw = record.to_json()
        pages.setdefault(record.page.filename, {name: raw[name] for name in ("pre_text", "post_text", "table")})
        split = split_of(len(pages) - 1, REPORTS)
        questions[split].append({"id": raw["id"], "filename": raw["filename"], "qa": raw["qa"]})
    for name, content in ((PAGES, pages), (QUESTIONS, questions)):
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        print(register_data(name, (text + "\n").encode(), COMMAND))


if __name__ == "__main__":
    main()
