import pytest
from hypothesis import given
from hypothesis import strategies as st

from finqa_lab.retrieve.analysis import STOP_WORDS, Analyzer, clean, numbers, stem, years


def test_inflected_words_meet_in_one_stem():
    assert stem("expenses") == stem("expense") == stem("expensed")
    assert stem("leases") == stem("leasing") == stem("leased")
    assert stem("income") != stem("expense")


def test_stop_words_and_stems_can_be_switched_off_separately():
    text = "The leases of the company"
    assert Analyzer(stop_words=False, stemming=False)(text) == ["the", "leases", "of", "the", "company"]
    assert Analyzer(stop_words=True, stemming=False)(text) == ["leases"]
    assert Analyzer(stop_words=False, stemming=True)(text) == ["the", "leas", "of", "the", "compani"]


def test_amounts_stay_whole_and_punctuation_is_no_term():
    assert Analyzer()("$ 1,234.5 , ( 12.5% ) .") == ["1,234.5", "12.5"]


@pytest.mark.parametrize("text", ["", "   ", ". ,", "売上高", "--"])
def test_a_text_without_a_known_letter_or_digit_has_no_term(text):
    assert Analyzer()(text) == []


def test_code_points_of_typographic_marks_are_no_years():
    assert years("the company 2019s 201cnotes 201d , 2014depreciation in 2012") == {"2012"}
    assert numbers("the company 2019s 12 stores") == ["12"]
    assert clean("in 2019 sales") == "in 2019 sales"


def test_digits_of_longer_numbers_are_no_years():
    assert years("20145 shares , 1899 , 2100 , 12/31/2012") == {"2012"}


@given(st.text(max_size=80))
def test_terms_are_lower_case_without_stop_words(text):
    terms = Analyzer(stemming=False)(text)
    assert not STOP_WORDS.intersection(terms)
    assert all(term == term.lower() and term for term in terms)
