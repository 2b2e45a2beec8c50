"""Training: exactly the merges of the plain recount, and of the trainer of Hugging Face."""

import json
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.text import PreSplit, bpe_training, train_bpe, train_merges
from finqa_lab.text.huggingface import GPT2_ALPHABET, bytes_to_piece, to_json
from finqa_lab.text.recount import BYTES, best_pair, count_pairs, encode_by_rank, merge, train_by_recount
from tests.text.samples import SPECIALS, corpus, mixed_text

words = st.dictionaries(
    st.one_of(st.text("ab", min_size=1, max_size=16), st.text("abcdefgh", min_size=1, max_size=10)).map(
        str.encode
    ),
    st.integers(1, 4),
    max_size=12,
)


def test_the_plain_functions():
    assert count_pairs([1, 1, 1, 2], 3) == {(1, 1): 6, (1, 2): 3}
    assert merge([1, 1, 1, 1, 1], (1, 1), 9) == [9, 9, 1]
    assert best_pair({(3, 1): 2, (2, 9): 2, (2, 8): 1}) == (2, 9)
    assert encode_by_rank(b"aab", [(97, 98), (97, 256)]) == [257]


@settings(max_examples=400, deadline=None)
@given(words=words, merges=st.integers(0, 40))
@example(words={b"aaaaaaa": 2, b"aaa": 1}, merges=9)
@example(words={}, merges=3)
def test_merges_equal_the_recount(words, merges):
    assert train_merges(words, merges) == train_by_recount(words, merges)


@settings(max_examples=100, deadline=None)
@given(words=words, seed=st.integers(0, 999))
def test_merges_equal_the_recount_for_any_order_of_the_alphabet(words, seed):
    alphabet = bytes(random.Random(seed).sample(range(256), 256))
    assert train_merges(words, 30, alphabet) == train_by_recount(words, 30, alphabet)


def test_merges_equal_the_recount_on_text(monkeypatch):
    counted = {word.encode(): n for word, n in PreSplit().count([mixed_text()[:60_000]]).items()}
    expected = train_by_recount(counted, 300)
    info = {}
    assert train_merges(counted, 300, info=info) == expected
    assert info["batches"] < 300, "several merges a batch, or the speed is gone"
    monkeypatch.setattr(
        bpe_training, "_CANDIDATES", 7
    )  # the candidate list must refill often and change nothing
    assert train_merges(counted, 300) == expected


@pytest.mark.parametrize("digits", ["left", "right", "single", "whole"])
def test_merges_equal_those_of_hugging_face(digits):
    """`tokenizers` breaks ties the same way once the bytes are numbered as its alphabet numbers them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    documents = corpus()
    ours = train_bpe(documents, 3000, PreSplit(digits), alphabet=GPT2_ALPHABET)
    theirs = Tokenizer(models.BPE())
    theirs.pre_tokenizer = Tokenizer.from_str(to_json(ours)).pre_tokenizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=3000, show_progress=False, initial_alphabet=alphabet)
    theirs.train_from_iterator(documents, trainer)
    merges = [tuple(pair) for pair in json.loads(theirs.to_str())["model"]["merges"]]
    assert merges == [tuple(bytes_to_piece(ours.pieces[i]) for i in pair) for pair in ours.merges]


def test_ids_and_specials_after_training():
    tokenizer = train_bpe(["low lower<|end|>lowest"] * 3, 262, specials=SPECIALS)
    assert tokenizer.vocab_size == 262 and len(tokenizer.merges) == 3
    assert tokenizer.specials == {"<|end|>": 259, "<|user|>": 260, "<|end|>ing": 261}
    assert not any(b"|" in piece and len(piece) > 1 for piece in tokenizer.pieces.values()), (
        "specials are not learned"
    )


def test_fewer_merges_than_asked_when_nothing_is_left():
    assert train_bpe(["ab"], 1000).vocab_size == 257


def test_alphabet_is_a_permutation():
    assert sorted(GPT2_ALPHABET) == list(BYTES)


def test_bad_input():
    with pytest.raises(CourseError, match="vocab_size 256 is too small: 256 bytes and 1 special"):
        train_bpe(["a"], 256, specials=["<|end|>"])
    with pytest.raises(CourseError, match=r"pass \[text\]"):
        train_bpe("a long text", 300)
    with pytest.raises(CourseError, match="surrogate"):
        train_bpe(["a\ud800"], 300)
