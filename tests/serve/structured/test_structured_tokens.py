"""Automata over tokens: against brute force on small vocabularies, and against ``regex`` on the real one."""

import itertools
import random
from functools import cache

import pytest
import regex
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from finqa_lab.errors import CourseError
from finqa_lab.files import data_path
from finqa_lab.serve.structured.answers import answer, answer_json
from finqa_lab.serve.structured.automaton import compile_expression, over_tokens
from finqa_lab.serve.structured.budget import within
from finqa_lab.serve.structured.dfa import determinise
from finqa_lab.serve.structured.programs import grammar, program
from finqa_lab.serve.structured.syntax import DIGIT, choice, literal, optional, repeat, sequence, to_pattern, words
from finqa_lab.serve.structured.trie import build_trie, token_bytes

END = 2044
SMALL = {0: b"a", 1: b"ab", 2: b"b", 3: b"abc", 4: b"ca", 5: b"d", 6: b"bd"}
SMALL_END = 7


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(data_path("models/finqa-tiny/tokenizer.json")))


def small(expression, pieces=SMALL):
    return over_tokens(determinise(expression), build_trie(pieces), frozenset((SMALL_END,)), 8)


def spellings(pattern: bytes, pieces, longest: int) -> set[tuple[int, ...]]:
    """Every run of at most ``longest`` tokens whose text matches, by brute force."""
    found = set()
    for length in range(longest + 1):
        for run in itertools.product(pieces, repeat=length):
            if regex.fullmatch(pattern, b"".join(pieces[token] for token in run)):
                found.add(run)
    return found


def replies(automaton, longest: int, start=None) -> set[tuple[int, ...]]:
    """Every complete run of at most ``longest`` tokens that the masks allow, without the end token."""
    found, waiting = set(), [((), automaton.start if start is None else start)]
    while waiting:
        run, state = waiting.pop()
        for token in torch.nonzero(automaton.allowed(state)).flatten().tolist():
            if token == SMALL_END:
                found.add(run)
            elif len(run) < longest:
                waiting.append(((*run, token), automaton.step(state, token)))
    return found


GRAMMARS = [
    words(["abc", "abd", "ca"]),
    sequence(optional(literal("ab")), repeat(literal("a"), 0, 2)),
    choice(literal("abca"), sequence(literal("d"), repeat(choice(literal("b"), literal("ca")), 1, 2))),
    repeat(literal("ab"), 0, None),
    sequence(literal("a"), choice(literal("c"), literal("b"))),  # "c" alone is no token: a dead end over tokens
]


@pytest.mark.parametrize("expression", GRAMMARS)
def test_the_masks_allow_exactly_the_spellings_of_the_language(expression):
    automaton = small(expression)
    wanted = spellings(to_pattern(expression), SMALL, 5)
    assert replies(automaton, 5) == wanted
    lengths = {len(run) + 1 for run in wanted}
    assert automaton.shortest == min(lengths)
    if automaton.longest is not None:
        assert automaton.longest == max(lengths)


def test_a_cycle_has_no_longest_reply():
    assert small(GRAMMARS[3]).longest is None


@pytest.mark.parametrize("expression", GRAMMARS)
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 6])
def test_a_budget_allows_exactly_the_replies_that_fit_it(expression, limit):
    automaton = small(expression)
    wanted = {run for run in spellings(to_pattern(expression), SMALL, limit - 1)}
    if not wanted:
        with pytest.raises(CourseError, match="the shortest of the grammar has"):
            within(automaton, limit)
        return
    bounded = within(automaton, limit)
    assert replies(bounded, 10) == wanted
    assert bounded.longest <= limit or bounded is automaton


def test_a_budget_above_the_longest_reply_is_the_grammar_itself():
    automaton = small(GRAMMARS[0])
    assert within(automaton, automaton.longest) is automaton
    assert within(automaton, automaton.longest - 1) is not automaton


def test_no_state_is_without_a_token_and_dead_ends_over_tokens_are_gone():
    automaton = small(GRAMMARS[4])
    assert replies(automaton, 5) == {(1,), (0, 2)}
    for state in range(automaton.states):
        assert automaton.allowed(state).any()
    # "ac" can be begun with the token "a", but not finished without a token for "c"
    assert replies(small(words(["ac", "b"])), 5) == {(2,)}


def test_behind_the_end_nothing_but_the_end_is_left():
    automaton = small(words(["b"]))
    state = automaton.step(automaton.step(0, 2), SMALL_END)
    assert torch.nonzero(automaton.allowed(state)).flatten().tolist() == [SMALL_END]
    assert automaton.step(state, SMALL_END) == state


def test_a_token_that_is_not_allowed_is_refused():
    with pytest.raises(CourseError, match="token 5 is not allowed in state 0"):
        small(words(["b"])).step(0, 5)


def test_a_grammar_that_the_tokens_cannot_spell_is_refused():
    with pytest.raises(CourseError, match="no sequence of the tokenizer's tokens spells"):
        small(words(["xyz"]))


@pytest.mark.parametrize(
    ("automaton", "expression"),
    [
        (
            lambda: answer_json(tokenizer(), END, exponent=2, texts=("yes", "no")),
            answer(exponent=2, texts=("yes", "no")),
        ),
        (lambda: program(tokenizer(), END, steps=3), grammar(steps=3)),
    ],
)
def test_on_the_real_vocabulary_a_mask_holds_the_tokens_that_partial_matching_allows(automaton, expression):
    automaton, pattern, pieces = automaton(), regex.compile(to_pattern(expression)), token_bytes(tokenizer())
    rng, compared = random.Random(0), 0
    for _ in range(12):
        state, text = automaton.start, b""
        while True:
            mask = automaton.allowed(state)
            wanted = {token for token, data in pieces.items() if pattern.fullmatch(text + data, partial=True)}
            assert set(torch.nonzero(mask).flatten().tolist()) - {END} == wanted, text
            assert bool(mask[END]) == (pattern.fullmatch(text) is not None), text
            compared += 1
            if not wanted or (mask[END] and rng.random() < 0.3):
                break
            token = rng.choice(sorted(wanted))
            state, text = automaton.step(state, token), text + pieces[token]
    assert compared > 150


def test_special_tokens_are_never_allowed_inside_a_reply():
    automaton = answer_json(tokenizer(), END)
    for state in range(automaton.states - 1):
        assert not automaton.allowed(state)[[2045, 2046, 2047]].any()


def test_a_wider_model_gets_masks_of_its_own_width():
    assert answer_json(tokenizer(), END, vocabulary=2100).allowed(0).shape == (2100,)
    with pytest.raises(CourseError, match="the model has 100 rows but the tokenizer 2,048 tokens"):
        answer_json(tokenizer(), END, vocabulary=100)


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ((), "needs an end token"),
        (9999, "end token 9999 is not in the vocabulary"),
        (300, "is ordinary text"),
    ],
)
def test_a_missing_end_token_is_an_error(end, message):
    with pytest.raises(CourseError, match=message):
        answer_json(tokenizer(), end)


def test_several_end_tokens_all_end():
    automaton = answer_json(tokenizer(), (END, 2046))
    state = automaton.start
    for token in tokenizer().encode('{"answer": 1}').ids:
        state = automaton.step(state, token)
    assert torch.nonzero(automaton.allowed(state)).flatten().tolist() == [END, 2046]


def test_a_tokenizer_without_the_byte_alphabet_is_refused():
    pieces = {"▁a": 0, "b": 1, "</s>": 2}
    unigram = Tokenizer(models.WordLevel(pieces, unk_token="</s>"))
    unigram.add_special_tokens(["</s>"])
    with pytest.raises(CourseError, match="its decoder is not ByteLevel"):
        compile_expression(literal("b"), unigram, 2)
    unigram.pre_tokenizer, unigram.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    disguised = Tokenizer.from_str(unigram.to_str())
    with pytest.raises(CourseError, match="token 0 holds '▁', which stands for no byte"):
        compile_expression(literal("b"), disguised, 2)


def test_compiled_grammars_are_kept_by_what_they_were_made_from():
    first = answer_json(tokenizer(), END, digits=5)
    assert answer_json(tokenizer(), [END], digits=5) is first
    assert answer_json(tokenizer(), END, digits=6) is not first
    assert program(tokenizer(), END, operations=["add", "divide"]) is program(
        tokenizer(), END, operations=["divide", "add"]
    )


def test_a_token_reaches_from_one_part_of_the_grammar_into_the_next():
    automaton = program(tokenizer(), END, steps=2)
    state = automaton.start
    for token in tokenizer().encode("divide(1, 2").ids:
        state = automaton.step(state, token)
    closing = tokenizer().token_to_id("),")
    assert automaton.allowed(state)[closing]
    assert not automaton.allowed(automaton.step(state, closing))[END]
    assert DIGIT.bytes == frozenset(b"0123456789")
