"""The fingerprint: the same for the same behaviour, and naming the part that differs for every other."""

import copy
import json

import pytest

from finqa_lab.errors import CourseError
from finqa_lab.text import (
    ByteLevelBPE,
    CharacterTokenizer,
    PreSplit,
    Unigram,
    fingerprint,
    load_tokenizer,
    require_same_tokenizer,
    save_tokenizer,
)
from tests.text.samples import tokenizer


def variant(**changes):
    base = tokenizer()
    parts = {
        "pieces": base.pieces,
        "merges": base.merges,
        "split": base.split,
        "specials": base.specials,
        **changes,
    }
    return ByteLevelBPE(parts["pieces"], parts["merges"], parts["split"], parts["specials"])


def swapped_pieces():
    pieces = dict(tokenizer().pieces)
    pieces[65], pieces[66] = pieces[66], pieces[65]
    return pieces


CHANGES = {
    "pieces": lambda: variant(pieces=swapped_pieces(), merges=tokenizer().merges[:0]),
    "merges": lambda: variant(merges=[tokenizer().merges[1], tokenizer().merges[0], *tokenizer().merges[2:]]),
    "pre-split": lambda: variant(split=PreSplit("right")),
    "special tokens": lambda: variant(specials={**tokenizer().specials, "<|end|>": 5000}),
    "kind": lambda: Unigram({"a": -1.0}),
}


@pytest.mark.parametrize("part", CHANGES)
def test_each_part_is_named(part):
    with pytest.raises(CourseError, match=f"not the one the model was trained with: .*{part}"):
        require_same_tokenizer(fingerprint(tokenizer()), CHANGES[part]())


def test_a_single_difference_is_named_alone():
    expected = fingerprint(tokenizer(), "Q: {} A:")
    require_same_tokenizer(expected, tokenizer(), "Q: {} A:")
    with pytest.raises(CourseError, match="trained with: its template changed"):
        require_same_tokenizer(expected, tokenizer(), "Q: {} A: ")
    with pytest.raises(CourseError, match="trained with: its pre-split changed"):
        require_same_tokenizer(fingerprint(tokenizer()), variant(split=PreSplit("single")))


def test_layout_does_not_matter(tmp_path):
    base = tokenizer()
    shuffled = ByteLevelBPE(
        dict(sorted(base.pieces.items(), reverse=True)), base.merges, base.split, base.specials
    )
    path = save_tokenizer(base, tmp_path / "tokenizer.json")
    path.write_text(json.dumps(json.loads(path.read_text()), indent=4, sort_keys=True))
    expected = json.loads(json.dumps(fingerprint(base)))
    require_same_tokenizer(expected, shuffled)
    require_same_tokenizer(expected, load_tokenizer(path))


def test_scores_and_symbols_count():
    assert fingerprint(Unigram({"a": -1.0}))["all"] != fingerprint(Unigram({"a": -1.5}))["all"]
    assert fingerprint(CharacterTokenizer("01"))["all"] != fingerprint(CharacterTokenizer("10"))["all"]


@pytest.mark.parametrize("bad", [None, {}, "abc", {"pieces": "x"}])
def test_a_checkpoint_without_fingerprint(bad):
    with pytest.raises(CourseError, match="carries no tokenizer fingerprint"):
        require_same_tokenizer(bad, tokenizer())


def test_a_tampered_fingerprint_is_refused():
    expected = copy.copy(fingerprint(tokenizer()))
    expected["all"] = "0" * 64
    with pytest.raises(CourseError, match="its stored fingerprint changed"):
        require_same_tokenizer(expected, tokenizer())
