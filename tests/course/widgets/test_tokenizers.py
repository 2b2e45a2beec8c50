"""The tokenizer explorer: nothing of the text is lost, numbers are cut as the policies say, any text can be drawn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finqa_lab.course.widgets import tokenizers
from finqa_lab.course.widgets.tokenizers import NAMES, STILL, Cut, cut, visible
from finqa_lab.errors import CourseError


@pytest.mark.parametrize("name", NAMES)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(lambda text: text.split())
)
def test_the_pieces_joined_are_the_text(name, text):
    assert b"".join(cut(text, name).pieces) == text.encode()


def test_the_numbers_of_the_chapter():
    found = {name: cut(STILL[2], name) for name in NAMES}
    assert [one.numbers[0] for one in found.values()] == ["12|3|4|56|7", "1|234|567", "1|2|3|4|5|6|7"]
    assert [len(one.pieces) for one in found.values()] == [19, 14, 23]
    sentence = [cut(STILL[0], name) for name in NAMES]
    assert [(len(one.pieces), round(one.tokens_per_word, 2)) for one in sentence] == [
        (30, 3.75),
        (23, 2.88),
        (29, 3.62),
    ]


@given(number=st.integers(0, 10**12))
def test_policies_hold_for_every_number(number):
    text = str(number)
    assert cut(text, "finqa-tiny").numbers == ["|".join(text)]
    groups = cut(text, "filings").numbers[0].split("|")
    ends = {len(text) - len("".join(groups[: place + 1])) for place in range(len(groups))}
    assert {place for place in range(0, len(text), 3)} <= ends | {0}, "every third place from the right is a border"


def test_a_token_that_reaches_into_a_number_does_not_hide_its_cuts():
    assert Cut((b"a 1", b"2,3", b"4 b"), 3).numbers == ["1|2,3|4"]


def test_what_cannot_be_seen_is_shown():
    assert [visible(piece) for piece in (b" a", b"\n", b"\xc3", "é".encode())] == ["␣a", "<0A>", "<C3>", "é"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "no word"), (" \t", "no word"), ("a" * 401, "shorten it to 400"), ("a \ud800", "half a")],
    ids=range(4),
)
def test_a_text_that_cannot_be_cut_is_one_sentence(text, said):
    with pytest.raises(CourseError, match=said):
        tokenizers.draw(text)


@pytest.mark.parametrize("text", ["$x$ and $", "多少 净利润 é 🙂", "\\alpha_1 {", "a" * 400, "1 " * 200], ids=range(5))
def test_any_text_is_drawn(text):
    assert "<figure" in tokenizers.draw(text).markup()


def test_the_same_tokenizer_twice_is_shown_once():
    assert tokenizers.draw("net income", "general", "general", "general").below.count("<tr>") == 2
