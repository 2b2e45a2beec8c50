"""Encoding: equal to tiktoken and Hugging Face, lossless on any bytes, special tokens whole or not at all."""

import random
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.text import ByteLevelBPE, to_tiktoken
from finqa_lab.text.bpe import _merge_long, _merge_short
from finqa_lab.text.huggingface import to_json
from finqa_lab.text.pretokenize import PATTERNS
from finqa_lab.text.recount import encode_by_rank
from tests.text.samples import EMOJI, SPECIALS, mixed_text, texts, tokenizer


@pytest.fixture(scope="module")
def engines():
    """For each digit policy: our tokenizer, tiktoken and Hugging Face with our merges."""
    from tokenizers import Tokenizer

    ours = {digits: tokenizer(digits) for digits in PATTERNS}
    return {d: (t, to_tiktoken(t), Tokenizer.from_str(to_json(t))) for d, t in ours.items()}


@pytest.mark.parametrize("digits", PATTERNS)
def test_three_engines_agree_on_200_kb(engines, digits):
    ours, tiktoken, huggingface = engines[digits]
    ids = ours.encode(mixed_text())
    assert len(mixed_text().encode()) > 200_000
    assert tiktoken.encode_ordinary(mixed_text()) == ids
    assert huggingface.encode(mixed_text(), add_special_tokens=False).ids == ids
    assert ours.decode(ids) == mixed_text() == tiktoken.decode(ids)


@pytest.mark.parametrize("digits", PATTERNS)
@settings(max_examples=150, deadline=None)
@given(text=texts)
@example(text=EMOJI)
@example(text="".join(map(chr, range(256))))
@example(text="1234567 12'S \u017f's 'LL\r\n\r\n  x")
def test_three_engines_agree_on_any_text(engines, digits, text):
    ours, tiktoken, huggingface = engines[digits]
    ids = ours.encode(text)
    assert ids == tiktoken.encode_ordinary(text)
    if not any(name in text for name in SPECIALS):
        assert ids == huggingface.encode(text, add_special_tokens=False).ids
    assert ours.decode(ids) == text


def test_engines_agree_on_every_character_of_the_basic_plane(engines):
    """White space, letters, numbers and signs are the same classes in all three."""
    ours, tiktoken, huggingface = engines["left"]
    known = [chr(c) for c in range(0x10000) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
    text = "".join(f"a{character}b{character}{character} 1{character}2\n" for character in known)
    ids = ours.encode(text)
    assert ids == tiktoken.encode_ordinary(text) == huggingface.encode(text, add_special_tokens=False).ids


@settings(deadline=None)
@given(parts=st.lists(st.one_of(texts, st.sampled_from(SPECIALS)), max_size=6))
def test_engines_agree_with_specials_allowed(engines, parts):
    ours, tiktoken, huggingface = engines["left"]
    text = "".join(parts)
    ids = ours.encode(text, allowed_special="all")
    assert ids == huggingface.encode(text, add_special_tokens=False).ids
    assert ours.decode(ids) == text
    if "<|end|>ing" not in text:  # where two specials begin alike, tiktoken takes either one
        assert ids == tiktoken.encode(text, allowed_special="all")


def test_every_byte_value():
    ours, tiktoken = tokenizer(), to_tiktoken(tokenizer())
    for value in range(256):
        data = bytes([value])
        assert ours.encode_bytes(data) == [ours.id_of[data]] == [tiktoken.encode_single_token(data)]
        for context in (b"a%cb", b" %c", b"%c1", b"\xf0\x9f%c"):
            data = context % value
            assert (
                ours.decode_bytes(ours.encode_bytes(data))
                == data
                == tiktoken.decode_bytes(ours.encode_bytes(data))
            )


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_come_back(data):
    ours = tokenizer()
    assert ours.decode_bytes(ours.encode_bytes(data)) == data
    if data.decode("utf-8", "ignore").encode() == data:
        assert ours.encode_bytes(data) == ours.encode(data.decode())


@settings(max_examples=300, deadline=None)
@given(word=st.text("aerst ", min_size=1, max_size=90).map(str.encode))
def test_both_merge_loops_equal_the_definition(word):
    ours = tokenizer()
    expected = encode_by_rank(word, ours.merges)
    assert _merge_short(list(word), ours._merge_of) == expected == _merge_long(list(word), ours._merge_of)


def test_long_words_take_the_heap_and_agree_with_tiktoken():
    rng = random.Random(0)
    for word in ("a" * 5000, "".join(rng.choices("enrstaoil", k=20_000)), "=" * 3001):
        assert tokenizer().encode(word) == to_tiktoken(tokenizer()).encode_ordinary(word)


def test_specials_are_ordinary_text_unless_allowed():
    ours = tokenizer()
    end = ours.specials["<|end|>"]
    assert end not in ours.encode("a<|end|>b") and ours.decode(ours.encode("a<|end|>b")) == "a<|end|>b"
    assert ours.encode("a<|end|>b", allowed_special="all") == [*ours.encode("a"), end, *ours.encode("b")]
    assert ours.encode("<|end|><|user|>", allowed_special=["<|end|>"])[0] == end
    assert ours.specials["<|user|>"] not in ours.encode("<|end|><|user|>", allowed_special=["<|end|>"])
    assert ours.encode("<|end|>ing", allowed_special="all") == [ours.specials["<|end|>ing"]], (
        "the longest wins"
    )


@given(left=texts, right=texts)
def test_specials_never_split_nor_merge(left, right):
    ours = tokenizer()
    ids = ours.encode(left + "<|user|>" + right, allowed_special={"<|user|>"})
    assert ids == [*ours.encode(left), ours.specials["<|user|>"], *ours.encode(right)]


def test_the_cache_changes_nothing_and_is_bounded(monkeypatch):
    import finqa_lab.text.bpe as module

    fresh = ByteLevelBPE(tokenizer().pieces, tokenizer().merges)
    monkeypatch.setattr(module, "_CACHE_WORDS", 10)
    first, again = fresh.encode(mixed_text()[:20_000]), fresh.encode(mixed_text()[:20_000])
    assert first == again == tokenizer().encode(mixed_text()[:20_000])
    assert len(fresh._cache) <= 10


def test_bad_input_is_one_sentence():
    ours = tokenizer()
    with pytest.raises(
        CourseError, match=r"unknown special token '<\|nope\|>'; this tokenizer has: <\|end\|>"
    ):
        ours.encode("a", allowed_special=["<|nope|>"])
    with pytest.raises(CourseError, match="character 2 is half a surrogate pair"):
        ours.encode("ab\ud800")
    with pytest.raises(CourseError, match="id 999999 at position 1 is not in the vocabulary of 1500 ids"):
        ours.decode([65, 999999])


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda p, m: (p, [(97, 5000)]), "merge 0 of the tokenizer joins 97 and 5000"),
        (lambda p, m: ({k: v for k, v in p.items() if k != 65}, []), "no piece for byte 0x41"),
        (lambda p, m: ({**p, 7000: b"A"}, m), "two ids"),
        (lambda p, m: (p, [*m, m[0]]), "lists a merge twice"),
    ],
)
def test_inconsistent_parts_are_refused(change, message):
    pieces, merges = change(tokenizer().pieces, tokenizer().merges)
    with pytest.raises(CourseError, match=message):
        ByteLevelBPE(pieces, merges)


def test_a_special_needs_its_own_id():
    with pytest.raises(CourseError, match=r"special token '<\|end\|>' needs"):
        ByteLevelBPE.from_merges([(97, 98)], specials={"<|end|>": 256})
