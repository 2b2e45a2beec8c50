"""The pre-split: the four digit policies, nothing lost, and counting that equals splitting."""

from collections import Counter

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.text.pretokenize import PATTERNS, PreSplit
from tests.text.samples import EMOJI, mixed_text, texts


@pytest.mark.parametrize(
    "digits, words",
    [
        ("left", ["123", "456", "7"]),
        ("right", ["1", "234", "567"]),
        ("single", list("1234567")),
        ("whole", ["1234567"]),
    ],
)
def test_digit_policies(digits, words):
    assert PreSplit(digits).split("1234567") == words


def test_known_splits():
    split = PreSplit().split
    assert split("We'll pay $1,234.50 (in 2024).") == [
        "We", "'ll", " pay", " $", "1", ",", "234", ".", "50", " (", "in", " ", "202", "4", ").",
    ]  # fmt: skip
    assert split("a\n\n  b") == ["a", "\n\n", " ", " b"]
    assert split("$AAPL up") == ["$AAPL", " up"]
    assert split(" $AAPL") == [" $", "AAPL"]


@pytest.mark.parametrize("digits", PATTERNS)
@given(text=texts)
@example(text=EMOJI)
def test_words_join_to_the_text(digits, text):
    assert "".join(PreSplit(digits).split(text)) == text


@pytest.mark.parametrize("digits", [255, 256, 257, 1000])
@pytest.mark.parametrize("around", ["{}", "a{}b", "$ {},5", " {}\n12345", "\u0663\u00bd{} \u4e00"])
def test_a_huge_number_is_cut_as_the_pattern_cuts_it(digits, around):
    text = around.format("7" * digits)
    assert PreSplit("right").split(text) == regex.findall(PATTERNS["right"], text)


def test_a_huge_number_is_cut_in_linear_time():
    # With the pattern alone this would take more than half an hour: it is quadratic, and 20,000 digits take a second.
    words = PreSplit("right").split("1" * 1_000_000)
    assert (words[0], len(words)) == ("1", 333_334)


lines = st.lists(st.text(st.sampled_from("ab '.9\n\r\t\x0b\x1c\x85\u2028 "), max_size=12), max_size=6)


@pytest.mark.parametrize("digits", PATTERNS)
@given(documents=lines)
@example(documents=["a\n", "\na\n", "b"])
@example(documents=["a)\n", " \r b\n", "\n"])
def test_count_equals_splitting_each_document(digits, documents):
    split = PreSplit(digits)
    plain = sum((Counter(split.split(text)) for text in documents), Counter())
    assert split.count(documents) == plain
    assert split.count(documents * 2) == plain + plain


def test_count_of_real_text():
    assert PreSplit().count([mixed_text()]) == Counter(PreSplit().split(mixed_text()))
    assert PreSplit(pattern=r"\S+").count(["a b\n", "b"]) == Counter({"a": 1, "b": 2})


def test_equality_follows_the_pattern():
    assert PreSplit("right") == PreSplit(pattern=PATTERNS["right"]) != PreSplit("left")


def test_bad_policy_and_bad_pattern():
    with pytest.raises(CourseError, match="unknown digit policy 'pairs'; choose one of left, right"):
        PreSplit("pairs")
    with pytest.raises(CourseError, match="does not compile"):
        PreSplit(pattern="(").split("a")
