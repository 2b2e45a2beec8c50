"""Tokens become text without half characters, and stop strings end it wherever the pieces are cut."""

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models

from finqa_lab.files import data_path
from finqa_lab.serve.http.detokenize import REPLACEMENT, Detokenizer
from finqa_lab.serve.http.stopping import StopStrings


@functools.cache
def shipped() -> Tokenizer:
    return Tokenizer.from_file(str(data_path("models/finqa-tiny/tokenizer.json")))


@functools.cache
def sentence_pieces() -> Tokenizer:
    """The kind of Llama 2: a mark where a word begins, bytes for unknown characters, a space left out at the start."""
    vocabulary = {"<unk>": 0} | {f"<0x{byte:02X}>": 1 + byte for byte in range(256)}
    vocabulary |= {piece: 257 + index for index, piece in enumerate(["\u2581the", "\u2581cat", "s", "\u2581", "."])}
    made = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True, unk_token="<unk>"))
    made.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return made


def pieces(tokenizer: Tokenizer, tokens) -> list[str]:
    detokenizer = Detokenizer(tokenizer)
    return [*(detokenizer.add(token) for token in tokens), detokenizer.flush()]


@given(st.lists(st.integers(0, 2047), max_size=30))
@settings(max_examples=300, deadline=None)
def test_the_pieces_are_the_text_of_all_tokens(tokens):
    assert "".join(pieces(shipped(), tokens)) == shipped().decode(tokens, skip_special_tokens=True)


@given(st.text(st.sampled_from("a \u00e9\u20ac\U0001f600\U0001f468\u200d\U0001f469\u4e2d"), min_size=1, max_size=20))
@settings(max_examples=200, deadline=None)
def test_a_piece_is_never_half_a_character(text):
    made = pieces(shipped(), shipped().encode(text).ids)
    assert "".join(made) == text and REPLACEMENT not in "".join(made)


def test_the_tokens_of_an_emoji_are_really_cut():
    """Without this, the test above could pass because every character is one token."""
    ids = shipped().encode("\U0001f600").ids
    assert len(ids) > 1 and REPLACEMENT in shipped().decode(ids[:1])
    assert pieces(shipped(), ids) == [""] * (len(ids) - 1) + ["\U0001f600", ""]


def test_a_reply_that_breaks_off_in_a_character_ends_as_its_decoded_text_does():
    ids = shipped().encode("a\U0001f600").ids[:-1]
    made = pieces(shipped(), ids)
    assert made[:-1] == ["a"] + [""] * (len(ids) - 1) and set(made[-1]) == {REPLACEMENT}


@given(st.lists(st.sampled_from(["\u2581the", "\u2581cat", "s", "\u2581", ".", "\u4e2d", "\U0001f600"]), max_size=12))
@settings(max_examples=200, deadline=None)
def test_spaces_before_words_and_bytes_of_rare_characters_survive(words):
    tokenizer, tokens = sentence_pieces(), []
    for word in words:
        known = tokenizer.token_to_id(word)
        tokens += [known] if known is not None else [1 + byte for byte in word.encode()]
    made = pieces(tokenizer, tokens)
    assert "".join(made) == tokenizer.decode(tokens) and REPLACEMENT not in "".join(made)


def test_special_tokens_have_no_text():
    end = shipped().token_to_id("<|end|>")
    ids = shipped().encode("net income").ids
    assert "".join(pieces(shipped(), [*ids[:1], end, *ids[1:], end])) == "net income"


def cut(text: str, strings) -> tuple[str, str | None]:
    """The definition, slowly: read character by character until the text read so far ends in a stop string."""
    for end in range(1, len(text) + 1):
        complete = [string for string in strings if text[:end].endswith(string)]
        if complete:
            longest = max(complete, key=len)
            return text[: end - len(longest)], longest
    return text, None


WORDS = st.text("ab.", min_size=1, max_size=4)


@given(st.lists(WORDS, min_size=1, max_size=4), st.lists(st.text("ab.", max_size=5), max_size=8))
@settings(max_examples=500, deadline=None)
def test_the_text_ends_before_the_stop_string_that_is_complete_first(strings, cuts):
    stop = StopStrings(strings)
    shown = "".join(stop.add(piece) for piece in cuts)
    text, found = cut("".join(cuts), strings)
    assert (shown + ("" if stop.found else stop.flush()), stop.found) == (text, found)


@given(st.lists(WORDS, min_size=1, max_size=4), st.text("ab.", max_size=20))
@settings(max_examples=500, deadline=None)
def test_nothing_is_shown_that_a_later_character_would_take_back(strings, text):
    stop, shown = StopStrings(strings), ""
    for end in range(len(text)):
        shown += stop.add(text[end])
        for more in ("a", "b", ".", *strings):
            assert cut(text[: end + 1] + more, strings)[0].startswith(shown)


@pytest.mark.parametrize("text", ["", "no stop here", "E", "EN"])
def test_text_without_a_stop_string_is_complete(text):
    stop = StopStrings(["END"])
    assert "".join(map(stop.add, text)) + stop.flush() == text and stop.found is None
