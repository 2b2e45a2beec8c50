import pytest
from hypothesis import given
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.finqa.pages import Page
from finqa_lab.retrieve.chunks import Chunker
from tests.retrieve.pages import acme, page


@pytest.mark.parametrize("rows", ["plain", "header", "sentences"])
def test_sentence_chunks_hold_exactly_one_unit_in_the_order_of_the_page(rows):
    report = acme()
    chunks = Chunker(rows=rows).chunks(report)
    assert [chunk.sources for chunk in chunks] == [(source,) for source in report.source_ids]
    assert all(chunk.page == report.filename for chunk in chunks)
    assert [chunk.text for chunk in chunks[: len(report.texts)]] == list(report.texts)


def test_the_three_texts_of_a_row():
    texts = {rows: Chunker(rows=rows).chunks(acme())[-3].text for rows in ("plain", "header", "sentences")}
    assert texts["plain"] == "tools $ 384.3 $ 306.7"
    assert texts["header"].split() == "2018 2017 tools $ 384.3 $ 306.7".split()
    assert texts["sentences"] == "the tools of 2018 is $ 384.3 ; the tools of 2017 is $ 306.7 ;"


def test_names_and_numbers_of_chunks():
    chunks = {chunk.sources[0]: chunk for chunk in Chunker().chunks(acme())}
    assert chunks["table_3"].name == "total net sales" and chunks["table_3"].numeric
    assert chunks["table_0"].name == "" and not chunks["table_0"].numeric
    assert chunks["text_2"].numeric and not chunks["text_0"].numeric and not chunks["text_4"].numeric


def test_a_row_of_dashes_has_no_number_even_when_its_name_has_one():
    report = Page("p", (), (), (("", "2018"), ("notes due 2020", "--")))
    assert not Chunker().chunks(report)[1].numeric


@given(st.integers(0, 30), st.integers(1, 40), st.data())
def test_windows_cover_every_text_in_order_and_share_the_overlap(number, words, data):
    overlap = data.draw(st.integers(0, words - 1))
    report = page(number, texts=5)
    windows = [
        chunk for chunk in Chunker("window", words=words, overlap=overlap).chunks(report) if "text" in chunk.sources[0]
    ]
    assert {source for window in windows for source in window.sources} == {f"text_{i}" for i in range(5)}
    assert all(len(window.text.split()) <= words for window in windows)
    before = set(report.source_ids[: len(report.pre_text)])
    for side, texts in ((True, report.pre_text), (False, report.post_text)):
        pieces = [window.text.split() for window in windows if (window.sources[0] in before) == side]
        for first, second in zip(pieces, pieces[1:]):
            assert len(first) == words and first[words - overlap :] == second[:overlap]
        joined = pieces[0] + [word for piece in pieces[1:] for word in piece[overlap:]] if pieces else []
        assert joined == " ".join(texts).split()


def test_a_window_names_exactly_the_units_it_has_words_of():
    report = Page("p", ("a b c", "d e", "f g h i"), (), (("", "x"),))
    windows = Chunker("window", words=4, overlap=1).chunks(report)[:-1]
    assert [(window.text, window.sources) for window in windows] == [
        ("a b c d", ("text_0", "text_1")),
        ("d e f g", ("text_1", "text_2")),
        ("g h i", ("text_2",)),
    ]


def test_a_page_without_text_and_a_page_with_an_empty_text_are_cut():
    assert [c.sources for c in Chunker("window").chunks(Page("p", (), (), (("", "x"),)))] == [("table_0",)]
    chunks = Chunker().chunks(Page("p", ("", "sales"), (), (("", "x"),)))
    assert [chunk.text for chunk in chunks[:2]] == ["", "sales"]


@pytest.mark.parametrize(
    "settings, problem",
    [
        ({"text": "page"}, "'page' is unknown"),
        ({"rows": "cells"}, "'cells' is unknown"),
        ({"words": 10, "overlap": 10}, "overlap of 10"),
        ({"overlap": -1}, "overlap of -1"),
    ],
)
def test_unknown_settings_are_refused_in_one_sentence(settings, problem):
    with pytest.raises(CourseError, match=problem):
        Chunker(**settings)


def test_settings_name_what_changes_the_cut_and_nothing_else():
    assert Chunker(words=50).settings() == Chunker(words=60).settings() == {"text": "sentence", "rows": "sentences"}
    assert Chunker("window", words=50).settings() != Chunker("window", words=60).settings()
