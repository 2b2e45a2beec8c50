"""From text to the terms that are matched: words and numbers, without stop words, reduced to stems.

The stemmer is Snowball's English one (M. F. Porter, "Snowball: A language for stemming algorithms", 2001) from the
maintained pure-Python package ``snowballstemmer``; stems of words already seen are remembered.
"""

import re
from dataclasses import dataclass
from functools import cache

import snowballstemmer

STOP_WORDS = frozenset(
    "a an and are as at be between but by company did do does during for from had has have how if in into is it"
    " its much no not of on or s such than that the their then there these they this to was were what which will"
    " with".split()
)
"""Function words, the words that questions open with, and "company", which every report says of itself."""

_TERM = re.compile(r"[a-z]+|\d+(?:[.,]\d+)*")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
# FinQA's text went through a filter that turned typographic marks into their code points: "the company 2019s" has an
# apostrophe, "201cnotes 201d" quotation marks, "2014depreciation" a dash. None of them is a year.
_MARKS = re.compile(r"\b201[cd]|\b2019(?=s\b)|\b201[34](?=[a-z])")
_stemmer = snowballstemmer.stemmer("english")


@cache
def stem(word: str) -> str:
    """Stem of a lower-case word; numbers stay.

    >>> [stem(word) for word in ("operating", "operations", "2,004")]
    ['oper', 'oper', '2,004']
    """
    return _stemmer.stemWord(word)


def clean(text: str) -> str:
    """Lower case, typographic marks in place of their code points removed.

    >>> clean("The company 2019s 201cnotes 201d due 2019")
    'the company s notes  due 2019'
    """
    return _MARKS.sub("", text.lower())


def numbers(text: str) -> list[str]:
    """Numbers as written, years included; digits inside a word are none.

    >>> numbers("$ 5,464 in 2004 , or 6.5% of q3")
    ['5,464', '2004', '6.5', '3']
    """
    return _NUMBER.findall(clean(text))


def years(text: str) -> set[str]:
    """Four-digit years from 1900 to 2099.

    >>> sorted(years("from 2014 to 2016 ; the firm 2019s 20145 shares"))
    ['2014', '2016']
    """
    return set(_YEAR.findall(clean(text)))


@dataclass(frozen=True)
class Analyzer:
    """Splits text into terms.

    >>> Analyzer()("What was the company's net revenues in 2008?")
    ['net', 'revenu', '2008']
    >>> Analyzer(stop_words=False, stemming=False)("The net revenues")
    ['the', 'net', 'revenues']

    Attributes:
        stop_words: leave out :obj:`STOP_WORDS`.
        stemming: reduce words to stems.
    """

    stop_words: bool = True
    stemming: bool = True

    def __call__(self, text: str) -> list[str]:
        """Terms in the order of the text."""
        terms = _TERM.findall(clean(text))
        if self.stop_words:
            terms = [term for term in terms if term not in STOP_WORDS]
        return [stem(term) for term in terms] if self.stemming else terms
