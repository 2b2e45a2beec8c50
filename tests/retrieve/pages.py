"""Small made-up pages for the tests of retrieval."""

import random

from finqa_lab.finqa.pages import Page
from finqa_lab.finqa.records import Record, parse_record
from tests.finqa_data import raw_record

NOUNS = "sales income tax cash debt lease pension goodwill revenue interest shares dividends inventory equity".split()
ADJECTIVES = "net gross total deferred operating average current annual".split()


def acme() -> Page:
    """The page of :func:`tests.finqa_data.raw_record`."""
    return parse_record(raw_record()).page


def page(number: int, texts: int = 6, rows: int = 4) -> Page:
    """A made-up page; the same number gives the same page."""
    rng = random.Random(number)

    def sentence() -> str:
        words = [rng.choice(ADJECTIVES + NOUNS) for _ in range(rng.randrange(4, 12))]
        return f"{' '.join(words)} was $ {rng.randrange(10, 999)} million in {rng.randrange(2005, 2018)} ."

    names = rng.sample([f"{one} {two}" for one in ADJECTIVES for two in NOUNS], rows)
    table = [["", "2016", "2015"]] + [[name, str(rng.randrange(1000)), str(rng.randrange(1000))] for name in names]
    sentences = [sentence() for _ in range(texts)]
    cut = rng.randrange(texts + 1)
    return Page(f"P{number}/2016/page_1.pdf", tuple(sentences[:cut]), tuple(sentences[cut:]), tuple(map(tuple, table)))


def records(count: int) -> list[Record]:
    """Questions that quote the name of their one gold row; two questions a page."""
    made = []
    for number in range(count):
        report = page(number // 2)
        row = 1 + number % (len(report.table) - 1)
        source = f"table_{row}"
        question = f"what was the percentage change in {report.table[row][0]} from 2015 to 2016?"
        gold = {source: report.facts()[source]}
        made.append(Record(f"{report.filename}-{number}", report, question, gold_facts=gold))
    return made
