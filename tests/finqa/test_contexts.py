"""Lines know their units; contexts hold what they promise, within their budget, in the order they promise."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.finqa.contexts import (
    Packing,
    Passage,
    count_words,
    gold,
    gold_with_noise,
    pack,
    retrieved,
    retriever_aligned,
)
from finqa_lab.finqa.linearise import ROW_STYLES, joined, linearise, reading_order, row_pairs, unit_text
from finqa_lab.finqa.pages import Page
from finqa_lab.finqa.records import parse_record
from finqa_lab.finqa.synthetic.reports import load_reports
from tests.finqa_data import raw_record

RECORD = parse_record(raw_record(gold_inds={"table_3": "", "text_2": ""}))
PAGE = RECORD.page
RANKING = ["table_1", "text_2", "text_0", "table_2", "text_1", "table_3", "text_3"]


@pytest.mark.parametrize("style", ROW_STYLES)
def test_every_line_of_a_page_knows_its_unit(style):
    lines = linearise(PAGE, style)
    assert [line.source for line in lines] == reading_order(PAGE)
    assert reading_order(PAGE)[:3] == ["text_0", "text_1", "table_0"] and reading_order(PAGE)[-1] == "text_4"
    text, sources = joined(lines)
    rows = text.split("\n")
    assert len(rows) == len(sources) and set(sources) == set(PAGE.source_ids)
    row = next(line for line, source in zip(rows, sources) if source == "table_3")
    assert "total net sales" in row and "$ 500.0" in row and "$ 400.0" in row


def test_markdown_has_one_header_on_a_page_and_one_a_row_alone():
    text, sources = joined(linearise(PAGE, "markdown"))
    assert sources.count("table_0") == 2 and text.count("| --- | --- | --- |") == 1
    assert unit_text(PAGE, "table_1", "markdown").split("\n") == [
        "|  | 2018 | 2017 |", "| --- | --- | --- |", "| tools | $ 384.3 | $ 306.7 |"
    ]  # fmt: skip
    assert unit_text(PAGE, "table_0", "markdown").count("\n") == 1


def test_a_line_break_in_a_sentence_cannot_shift_the_sources():
    page = Page("p", ("a\nb\u2028c",), (), (("", "1\n2"), ("x\n| y", "3")))
    for style in ROW_STYLES:
        text, sources = joined(linearise(page, style))
        assert len(text.splitlines()) == len(sources) == (4 if style == "markdown" else 3)
    assert joined(linearise(page))[0].startswith("a b c\n")


def test_pairs_leave_out_empty_cells_and_survive_an_empty_name():
    assert row_pairs(("", "a", "b"), ("", "1", " ")) == "a = 1"
    assert row_pairs(("",), ("name",)) == "name:"


def test_unknown_styles_and_units_are_one_sentence():
    with pytest.raises(CourseError, match="row style 'html' is unknown; choose one of sentences"):
        linearise(PAGE, "html")
    for source in ("table_4", "text_5", "text_-1", "text_01", "row_1", "text_٣", "text_" + "9" * 5000):
        with pytest.raises(CourseError, match=f"has no unit '{source}'"):
            unit_text(PAGE, source)
    assert {source: unit_text(PAGE, source) for source in PAGE.source_ids} == PAGE.facts()


def test_gold_facts_stand_in_reading_order():
    assert gold(RECORD).sources == ["table_3", "text_2"] and gold(RECORD).recall(RECORD) == 1.0
    assert gold(RECORD).passages[0].text == PAGE.facts()["table_3"]
    with pytest.raises(CourseError, match="has no gold facts"):
        gold(parse_record(raw_record(gold_inds={})))


def test_noise_is_other_units_of_the_page_and_reproducible():
    first = gold_with_noise(RECORD, 4, random.Random(1))
    assert first == gold_with_noise(RECORD, 4, random.Random(1)) != gold_with_noise(RECORD, 4, random.Random(2))
    assert len(set(first.sources)) == 6 and first.recall(RECORD) == 1.0
    assert sorted(gold_with_noise(RECORD, 99, random.Random(1)).sources) == sorted(PAGE.source_ids)
    places = {gold_with_noise(RECORD, 4, random.Random(seed)).sources.index("table_3") for seed in range(60)}
    assert places == set(range(6))  # a gold fact has no place of its own that a model could learn
    with pytest.raises(CourseError, match="-1 other units"):
        gold_with_noise(RECORD, -1, random.Random(1))


def test_retrieved_is_the_top_of_the_ranking_and_reads_no_gold_facts():
    context = retrieved(RECORD, RANKING, 3)
    assert context.sources == RANKING[:3] and context.recall(RECORD) == 0.5
    assert retrieved(PAGE, RANKING, 3) == context == retrieved(RECORD, ["table_1", *RANKING], 3)
    assert retrieved(RECORD, RANKING, 3, Packing(reading_order=True)).sources == ["text_0", "table_1", "text_2"]
    with pytest.raises(CourseError, match="the ranking names 'text_77'"):
        retrieved(RECORD, ["text_77"], 3)
    with pytest.raises(CourseError, match="give k from 1"):
        retrieved(RECORD, RANKING, 0)


def test_aligned_is_what_retrieval_returned_when_it_found_everything():
    assert retriever_aligned(RECORD, RANKING, 6).sources == RANKING[:6]


def test_aligned_puts_missed_gold_facts_at_their_rank_in_place_of_the_worst_distractors():
    assert retriever_aligned(RECORD, RANKING, 4).sources == ["table_1", "text_2", "text_0", "table_3"]
    assert retriever_aligned(RECORD, ["table_1", "text_0"], 3).sources == ["table_1", "table_3", "text_2"]
    assert retriever_aligned(RECORD, RANKING, 1).sources == ["text_2", "table_3"]
    assert retriever_aligned(RECORD, RANKING, 3, with_gold=False).sources == ["table_1", "text_0", "table_2"]


def test_a_small_budget_drops_distractors_before_gold_facts():
    needed = sum(count_words(passage.text) for passage in gold(RECORD).passages)
    packing = Packing(budget=needed)
    for context in (
        gold_with_noise(RECORD, 5, random.Random(3), packing),
        retriever_aligned(RECORD, RANKING, 6, packing),
    ):
        assert sorted(context.sources) == ["table_3", "text_2"] and context.tokens == needed
        assert len(context.dropped) == len(set(context.dropped)) >= 4
    assert retriever_aligned(RECORD, RANKING, 4, packing).sources == ["text_2", "table_3"]


def test_overhead_counts_for_every_passage_and_a_negative_budget_is_refused():
    passages = [Passage("p", f"text_{i}", "one word") for i in range(3)]
    context = pack(passages, Packing(budget=9, overhead=2))
    assert len(context.passages) == 2 and context.tokens == 8
    assert pack(passages, Packing(budget=0)).passages == ()
    with pytest.raises(CourseError, match="is negative"):
        pack(passages, Packing(budget=-1))


@given(st.lists(st.text("ab ", max_size=20), max_size=8), st.integers(0, 12), st.integers(0, 3))
def test_packing_loses_nothing_cuts_nothing_and_keeps_to_the_budget(texts, budget, overhead):
    passages = [Passage("p", f"text_{i}", text) for i, text in enumerate(texts)]
    context = pack(passages, Packing(budget=budget, overhead=overhead))
    assert sorted([*context.passages, *context.dropped], key=passages.index) == passages
    assert sum(count_words(p.text) + overhead for p in context.passages) == context.tokens <= budget
    left = budget - context.tokens
    assert all(count_words(passage.text) + overhead > left for passage in context.dropped)


def long_record():
    raw = raw_record(gold_inds={"text_3000": "", "table_3": ""})
    raw["pre_text"] = [f"sentence {number} of a report of a hundred pages ." for number in range(4000)]
    return parse_record(raw)


def test_a_report_of_a_hundred_pages_fits_a_budget_with_its_gold_facts():
    record = long_record()
    packing = Packing(budget=200)
    for context in (
        gold_with_noise(record, 2000, random.Random(1), packing),
        retriever_aligned(record, record.page.source_ids, 2000, packing),
    ):
        assert context.tokens <= 200 and context.recall(record) == 1.0
        assert len(context.passages) + len(context.dropped) in (2000, 2002)
    assert retrieved(record, record.page.source_ids, 4000, packing).recall(record) == 0.0


def test_a_table_that_is_only_a_header_can_be_read_in_every_style():
    record = parse_record(raw_record(gold_inds={"table_0": ""}) | {"table": [["net sales"]]})
    for style in ROW_STYLES:
        assert "net sales" in gold(record, Packing(style=style)).passages[0].text


def test_every_generated_record_has_all_contexts():
    for record in load_reports("dev"):
        ranking = list(reversed(record.page.source_ids))
        assert gold(record).recall(record) == 1.0 == retriever_aligned(record, ranking, 5).recall(record)
        assert len(retrieved(record, ranking, 5).passages) == 5
