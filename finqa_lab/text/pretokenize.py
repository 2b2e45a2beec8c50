"""Pre-split: cut text into words before any tokenizer sees it, so that no token crosses a word's end.

The pattern follows the one of GPT-4 (``cl100k_base`` in OpenAI's ``tiktoken``): English contractions, a run
of letters with at most one leading space or sign, numbers, a run of signs, line ends, spaces. The rule for
numbers is a choice of its own:

==========  =========================================  ==============
policy      rule                                       ``1234567``
==========  =========================================  ==============
``left``    groups of three from the left (GPT-4)      123 456 7
``right``   groups of three from the right             1 234 567
``single``  one digit a word (Llama 2)                 1 2 3 4 5 6 7
``whole``   the number is one word                     1234567
==========  =========================================  ==============

Only constructs on which Python's ``regex``, Rust's ``fancy-regex`` (tiktoken) and Oniguruma (Hugging Face
``tokenizers``) agree are used: no case-insensitive group, no possessive interval.
"""

from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from itertools import chain

import regex

from finqa_lab.errors import CourseError

DIGITS = {
    "left": r"\p{N}{1,3}",
    "right": r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))",
    "single": r"\p{N}",
    "whole": r"\p{N}+",
}
_BEFORE = r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?+\p{L}+|"
_AFTER = r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
PATTERNS = {policy: _BEFORE + digits + _AFTER for policy, digits in DIGITS.items()}

# A line with its line end and the blank lines that follow. Every pattern above puts a word boundary after the
# last line end of a run of white space, so lines can be split apart from each other.
_LINE = regex.compile(r"[^\n]*+\n(?:\s*[\r\n])?+|[^\n]++")

# The pattern of policy `right` looks ahead to the end of a number from each of its groups, which is quadratic in the
# digits of one number. A text that holds a number this long is cut by `whole`, and its numbers by arithmetic.
_HUGE_NUMBER = regex.compile(r"\p{N}{256}")
_NUMBER = regex.compile(r"\p{N}")


class PreSplit:
    """A compiled pre-split pattern; two are equal when their patterns are.

    Args:
        digits: one of ``left``, ``right``, ``single``, ``whole``.
        pattern: any other pattern instead (as read from a ``tokenizer.json``).

    Raises:
        CourseError: unknown policy, or a pattern that does not compile.

    >>> PreSplit("right").split("Up 12345.60")
    ['Up', ' ', '12', '345', '.', '60']
    """

    def __init__(self, digits: str = "left", *, pattern: str | None = None):
        if pattern is None and digits not in PATTERNS:
            raise CourseError(f"unknown digit policy '{digits}'; choose one of {', '.join(PATTERNS)}")
        self.pattern = PATTERNS[digits] if pattern is None else pattern

    @cached_property
    def _compiled(self) -> regex.Pattern:
        try:
            return regex.compile(self.pattern)
        except regex.error as error:
            raise CourseError(
                f"the pre-split pattern does not compile ({error}); use one of {', '.join(PATTERNS)}"
            ) from None

    @property
    def digits(self) -> str | None:
        """Name of the digit policy, or None for a pattern of one's own."""
        return next((policy for policy, pattern in PATTERNS.items() if pattern == self.pattern), None)

    def split(self, text: str) -> list[str]:
        """The words of ``text`` in order; joined they give ``text`` back (for the four policies above).

        Linear in the text for the four policies. The exported pattern of policy ``right`` is not: in another
        engine a number of n digits costs n/3 looks ahead of up to n digits.
        """
        if self.pattern == PATTERNS["right"] and _HUGE_NUMBER.search(text):
            return list(chain.from_iterable(map(_cut_from_the_right, PreSplit("whole").split(text))))
        return self._compiled.findall(text)

    def count(self, texts: Iterable[str]) -> Counter:
        """How often each word occurs in ``texts``; no word crosses from one text to the next.

        Equal lines are split once and multiplied, because most of the time of training a fast tokenizer is
        spent in the pattern, and real text repeats its lines.

        >>> PreSplit().count(["a a", "a"])
        Counter({'a': 2, ' a': 1})
        """
        if self.digits is None:  # nothing is known about where such a pattern cuts
            return Counter(chain.from_iterable(map(self.split, texts)))
        lines: Counter = Counter()
        for text in texts:
            lines.update(_LINE.findall(text))
        joined = [line for line, times in lines.items() if times == 1 and _can_be_joined(line)]
        words = Counter(self.split("".join(joined)))
        for line, times in lines.items():
            if times > 1 or not _can_be_joined(line):
                for word in self.split(line):
                    words[word] += times
        return words

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PreSplit) and self.pattern == other.pattern

    def __hash__(self) -> int:
        return hash(self.pattern)

    def __repr__(self) -> str:
        return f"PreSplit({self.digits!r})" if self.digits else f"PreSplit(pattern={self.pattern!r})"


def _cut_from_the_right(word: str) -> list[str]:
    """A word of policy ``whole`` as the words of policy ``right``: a number in groups of three, others as they are."""
    if len(word) <= 3 or not _NUMBER.match(word):
        return [word]
    first = (len(word) - 1) % 3 + 1
    return [word[:first], *(word[i : i + 3] for i in range(first, len(word), 3))]


def _can_be_joined(line: str) -> bool:
    """Whether a line can stand before and after others without changing where the pattern cuts.

    It must end in a line end, and its leading white space must hold none: ``"a\\n"`` can, ``"a"`` and
    ``"\\na\\n"`` cannot.
    """
    return line[-1] in "\r\n" and not line.lstrip(" \t")[0].isspace()
