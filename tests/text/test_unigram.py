"""Unigram: Viterbi and EM against enumeration, a likelihood that never falls, SentencePiece's opinion."""

import argparse
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.text import PreSplit, Unigram, train_unigram
from finqa_lab.text.corpus import HELD_OUT
from finqa_lab.text.unigram import viterbi
from finqa_lab.text.unigram_training import Lattices, maximisation, removal_loss, seed_pieces
from tests.text.samples import EMOJI, corpus, mixed_text, texts


def segmentations(word):
    """Every way to cut ``word``: 2 ** (len - 1) of them."""
    if not word:
        return [[]]
    return [[word[:cut], *rest] for cut in range(1, len(word) + 1) for rest in segmentations(word[cut:])]


piece_scores = st.dictionaries(
    st.text("abc", min_size=1, max_size=4), st.floats(-8, -0.1), min_size=1, max_size=15
)


@settings(max_examples=300, deadline=None)
@given(word=st.text("abc", max_size=9), log_p=piece_scores)
def test_viterbi_equals_brute_force(word, log_p):
    def score(pieces):
        return math.fsum(log_p.get(piece, -30.0 if len(piece) == 1 else -math.inf) for piece in pieces)

    longest = max(map(len, log_p))
    pieces, found = viterbi(word, log_p, longest, -30.0)
    assert "".join(pieces) == word
    best = max(score(pieces) for pieces in segmentations(word))
    assert found == pytest.approx(best) and score(pieces) == pytest.approx(best)


def test_viterbi_prefers_the_longest_last_piece_on_a_tie():
    flat = {"a": -1.0, "aa": -1.0, "aaa": -2.0}
    assert viterbi("aaa", flat, 3, -9.0) == (["aaa"], -2.0)


@settings(max_examples=60, deadline=None)
@given(
    words=st.dictionaries(st.text("abc", min_size=1, max_size=7), st.integers(1, 5), min_size=1, max_size=4),
    extra=piece_scores,
)
def test_expectation_equals_enumeration(words, extra):
    log_p = {**dict.fromkeys("abc", -2.0), **extra}
    pieces = list(log_p)
    expected, likelihood = Lattices(words, pieces).expectation(np.array(list(log_p.values())))
    counts, total = Counter(), 0.0
    for word, times in words.items():
        cuts = [cut for cut in segmentations(word) if all(piece in log_p for piece in cut)]
        weights = [math.exp(sum(log_p[piece] for piece in cut)) for cut in cuts]
        total += times * math.log(sum(weights))
        for cut, weight in zip(cuts, weights):
            for piece in cut:
                counts[piece] += times * weight / sum(weights)
    assert likelihood == pytest.approx(total)
    assert expected == pytest.approx(np.array([counts[piece] for piece in pieces]), rel=1e-9, abs=1e-12)


def test_long_words_stay_finite():
    word = "ab" * 2000
    expected, likelihood = Lattices({word: 1}, ["a", "b", "ab"]).expectation(np.log([0.3, 0.3, 0.4]))
    assert np.isfinite(likelihood) and expected @ [1, 1, 2] == pytest.approx(4000)


def test_likelihood_never_falls_between_prunings():
    words = PreSplit().count(corpus(HELD_OUT))
    seeds = seed_pieces(words, 3000, 12)
    log_p, lattices, history = np.array(list(seeds.values())), Lattices(words, list(seeds)), []
    for _ in range(12):
        expected, likelihood = lattices.expectation(log_p)
        history.append(likelihood)
        log_p = maximisation(expected)
    assert all(later >= earlier - 1e-9 * abs(earlier) for earlier, later in zip(history, history[1:]))
    assert history[-1] > history[0] * 0.99 and history[1] > history[0]


def test_training_history_rises_within_each_vocabulary():
    history = []
    trained = train_unigram(corpus(HELD_OUT), 700, rounds=3, history=history)
    assert trained.vocab_size == 700
    for (size, earlier), (next_size, later) in zip(history, history[1:]):
        assert next_size < size or later >= earlier - 1e-9 * abs(earlier)
    assert math.fsum(map(math.exp, trained.log_p.values())) == pytest.approx(1.0, abs=1e-6)


def test_removal_loss_keeps_characters_and_values_pieces():
    pieces = ["a", "b", "ab", "ba"]
    loss = removal_loss(pieces, np.log([0.25, 0.25, 0.4, 0.1]), np.array([1.0, 1.0, 10.0, 0.1]))
    assert np.isinf(loss[:2]).all() and loss[2] > loss[3] > 0
    assert loss[2] == pytest.approx(10 * (math.log(0.4) - 2 * math.log(0.25)))


def natural_lines():
    """About 100 kB that nobody generated: a module of the standard library."""
    source = Path(argparse.__file__).read_text(encoding="utf-8")
    return [" ".join(line.split()) for line in source.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def sentencepiece_model(tmp_path_factory):
    import sentencepiece

    folder = tmp_path_factory.mktemp("sentencepiece")
    (folder / "text.txt").write_text("\n".join(natural_lines()), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text.txt"), model_prefix=str(folder / "model"), vocab_size=700, model_type="unigram",
        num_threads=1, minloglevel=2, normalization_rule_name="identity", character_coverage=1.0,
        split_by_number=False, split_by_unicode_script=False,
    )  # fmt: skip
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "model.model"))


def test_viterbi_equals_sentencepiece(sentencepiece_model):
    model = sentencepiece_model
    log_p = {
        model.id_to_piece(i): model.get_score(i) for i in range(model.vocab_size()) if not model.is_control(i)
    }
    log_p.pop("<unk>")
    longest, unknown = max(map(len, log_p)), min(log_p.values()) - 10.0
    sentences = [*natural_lines(), *"\n".join(corpus(HELD_OUT)).splitlines()]
    compared = 0
    for sentence in sentences:
        theirs = model.encode(sentence, out_type=str)
        plain = "▁" + sentence.replace(" ", "▁")
        ours, score = viterbi(plain, log_p, longest, unknown)
        # SentencePiece squeezes spaces and fuses unknown characters; such sentences are left out
        if "".join(theirs) == plain and all(piece in log_p for piece in theirs):
            total = sum(log_p[piece] for piece in theirs)
            assert ours == theirs or score == pytest.approx(total, abs=1e-4)
            compared += 1
    assert compared > 1000


def test_our_training_is_as_likely_as_that_of_sentencepiece(sentencepiece_model):
    """Same text, same number of pieces, words cut alike: nats for each word's best segmentation."""
    model = sentencepiece_model
    log_p = {model.id_to_piece(i): model.get_score(i) for i in range(3, model.vocab_size())}
    ours = train_unigram(
        [" " + line for line in natural_lines()], 256 + len(log_p), PreSplit(pattern=r" [^ ]+")
    )
    words = " ".join(natural_lines()).split()
    unknown = min(log_p.values()) - 10.0
    theirs_cost = -sum(viterbi("▁" + word, log_p, 16, unknown)[1] for word in words)
    our_cost = -sum(ours.segment(" " + word)[1] for word in words)
    assert 0.9 < our_cost / theirs_cost < 1.02


@given(text=texts)
def test_any_text_comes_back(text):
    small = Unigram({"a": -1.0, "E": -2.0, "n": -2.0, "En": -2.5, " ": -3.0})
    assert small.decode(small.encode(text)) == text


def test_characters_without_a_piece_become_bytes():
    trained = train_unigram(corpus(HELD_OUT), 600)
    assert trained.decode(trained.encode(EMOJI + mixed_text())) == EMOJI + mixed_text()
    assert trained.encode("東") == list("東".encode())


def test_bad_input():
    with pytest.raises(CourseError, match="vocab_size 300 is too small"):
        train_unigram(corpus(HELD_OUT), 300)
    with pytest.raises(CourseError, match="the text is empty"):
        train_unigram([], 3000)
    with pytest.raises(CourseError, match="at least one piece"):
        Unigram({"": -1.0})
    with pytest.raises(CourseError, match="id 300 at position 1"):
        Unigram({"a": -1.0}).decode([65, 300])
    with pytest.raises(CourseError, match="surrogate"):
        Unigram({"a": -1.0}).encode("\udc00")
