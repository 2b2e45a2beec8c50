"""Expressions and their automata over bytes, against the package ``regex`` and its partial matching."""

import re

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.serve.structured import dfa as dfa_module
from finqa_lab.serve.structured.dfa import NONE, determinise
from finqa_lab.serve.structured.syntax import (
    DIGIT,
    EMPTY,
    Choice,
    OneOf,
    choice,
    literal,
    one_of,
    optional,
    repeat,
    sequence,
    to_pattern,
    words,
)

ALPHABET = b"ab\x00\xff]"
leaves = st.one_of(st.sets(st.sampled_from(ALPHABET), min_size=1).map(lambda b: OneOf(frozenset(b))), st.just(EMPTY))


def _larger(inner):
    bounds = st.tuples(st.integers(0, 2), st.one_of(st.none(), st.integers(0, 2)))
    repeated = st.tuples(inner, bounds).map(
        lambda drawn: repeat(drawn[0], drawn[1][0], None if drawn[1][1] is None else sum(drawn[1]))
    )
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(repeated, several.map(lambda p: sequence(*p)), several.map(lambda p: choice(*p)))


expressions = st.recursive(leaves, _larger, max_leaves=7)
texts = st.lists(st.sampled_from(ALPHABET), max_size=6).map(bytes)


@settings(max_examples=400, deadline=None)
@given(expressions, texts)
def test_an_automaton_accepts_what_the_pattern_matches_and_lives_on_what_it_can_still_match(expression, text):
    dfa, pattern = determinise(expression), to_pattern(expression)
    assert dfa.accepts(text) == (re.fullmatch(pattern, text, re.DOTALL) is not None)
    assert (dfa.run(text) != NONE) == (regex.fullmatch(pattern, text, regex.DOTALL, partial=True) is not None)


@settings(max_examples=100, deadline=None)
@given(expressions)
def test_every_state_has_a_way_to_an_accepting_one(expression):
    dfa = determinise(expression)
    alive = dfa.accepting.copy()
    for _ in range(len(alive)):
        reached = np.where(dfa.table != NONE, alive[dfa.table], False).any(axis=1)
        alive |= reached
    assert alive.all()


def test_a_choice_without_parts_is_taken_out_and_alone_refused():
    nothing = Choice(())
    dfa = determinise(choice(literal("ab"), sequence(literal("a"), nothing)))
    assert dfa.accepts(b"ab") and len(dfa.table) == 3
    with pytest.raises(CourseError, match="no text at all"):
        determinise(nothing)


def test_a_grammar_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(dfa_module, "MAX_STATES", 20)
    determinise(repeat(DIGIT, 0, 15))
    with pytest.raises(CourseError, match="more than 20 states"):
        determinise(repeat(DIGIT, 0, 40))


def test_letters_of_several_bytes_are_spelled_in_utf8():
    dfa = determinise(words(["é", "ä€"]))
    assert dfa.accepts("ä€".encode()) and not dfa.accepts("ä".encode())
    with pytest.raises(CourseError, match="several bytes"):
        one_of("é")


@pytest.mark.parametrize(("least", "most"), [(-1, 2), (3, 2)])
def test_bounds_that_cross_are_refused(least, most):
    with pytest.raises(CourseError, match="cannot be repeated"):
        repeat(DIGIT, least, most)


def test_a_loop_does_not_leak_into_what_shares_its_entrance():
    shared = choice(repeat(literal("a"), 0, None), literal("b"))  # "ab" would be accepted if the loop led back
    dfa = determinise(sequence(shared, optional(literal("c"))))
    assert [dfa.accepts(text) for text in (b"aaa", b"b", b"ab", b"ac", b"bc")] == [True, True, False, True, True]
