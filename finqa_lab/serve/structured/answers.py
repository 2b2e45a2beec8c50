"""The grammar of a reply with one number: ``{"answer": -12.5}``.

The number is one of JSON (RFC 8259, section 6): no leading zero, no plus sign, digits on both sides of the point. Its
digits are bounded, so the reply is finite, and what is read is a finite float; an exponent has at most two digits.
"""

import json
from collections.abc import Collection
from functools import lru_cache

from tokenizers import Tokenizer

from finqa_lab.errors import CourseError
from finqa_lab.serve.structured.automaton import GrammarAutomaton, compile_expression
from finqa_lab.serve.structured.syntax import (
    DIGIT,
    EMPTY,
    Expression,
    choice,
    literal,
    one_of,
    optional,
    repeat,
    sequence,
    words,
)

DIGITS, DECIMALS = 12, 6
"""Digits before and behind the point, unless the caller says otherwise."""
_NONZERO = one_of("123456789")
_MINUS = literal("-")


def answer_json(
    tokenizer: Tokenizer,
    end: int | Collection[int],
    *,
    digits: int = DIGITS,
    decimals: int = DECIMALS,
    exponent: int = 0,
    texts: tuple[str, ...] = (),
    vocabulary: int | None = None,
) -> GrammarAutomaton:
    """Replies ``{"answer": number}`` and nothing around them; the automaton is compiled once and kept.

    Args:
        tokenizer: of the model, byte-level.
        end: ids of the tokens that end a reply.
        digits: at most so many before the point.
        decimals: at most so many behind it.
        exponent: digits of the exponent, 0 to 2; FinQA's reader takes no number of more than 40 digits, so none there.
        texts: answers that are no numbers, such as ``("yes", "no")``, written as JSON strings.
        vocabulary: V of the model, where it has more rows than the tokenizer has tokens.

    Raises:
        CourseError: as of :func:`finqa_lab.serve.structured.automaton.compile_expression`, or a bound out of range.
    """
    ends = frozenset((end,) if isinstance(end, int) else end)
    return _compiled(tokenizer, ends, digits, decimals, exponent, tuple(texts), vocabulary)


@lru_cache(maxsize=32)
def _compiled(tokenizer, ends, digits, decimals, exponent, texts, vocabulary) -> GrammarAutomaton:
    return compile_expression(answer(digits, decimals, exponent, texts), tokenizer, ends, vocabulary)


def answer(
    digits: int = DIGITS, decimals: int = DECIMALS, exponent: int = 0, texts: Collection[str] = ()
) -> Expression:
    """The grammar of the reply.

    >>> from finqa_lab.serve.structured.dfa import determinise
    >>> dfa = determinise(answer(digits=3, decimals=2))
    >>> [dfa.accepts(b'{"answer": %s}' % number) for number in (b"-12.5", b"012", b"1.", b"1234")]
    [True, False, False, False]
    """
    number = json_number(digits, decimals, exponent)
    quoted = words(json.dumps(text, ensure_ascii=False) for text in texts)
    value = choice(number, quoted) if texts else number
    return sequence(literal('{"answer": '), value, literal("}"))


def json_number(digits: int, decimals: int, exponent: int = 0) -> Expression:
    """A number of JSON with bounded digits.

    Raises:
        CourseError: when a bound is out of range.
    """
    if not 1 <= digits <= 40 or not 0 <= decimals <= 40:
        raise CourseError(f"a number has 1 to 40 digits and 0 to 40 decimals, not {digits} and {decimals}")
    if not 0 <= exponent <= 2:
        raise CourseError(f"an exponent has 0 to 2 digits, not {exponent}: with three the number may be infinite")
    part = optional(sequence(literal("."), repeat(DIGIT, 1, decimals))) if decimals else EMPTY
    power = optional(sequence(one_of("eE"), optional(one_of("+-")), repeat(DIGIT, 1, exponent))) if exponent else EMPTY
    return sequence(optional(_MINUS), whole_number(digits), part, power)


def whole_number(digits: int) -> Expression:
    """Digits without a leading zero."""
    return choice(literal("0"), sequence(_NONZERO, repeat(DIGIT, 0, digits - 1)))
