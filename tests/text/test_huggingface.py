"""Files: round trip, Hugging Face reads ours and we read theirs, and each damage is one sentence."""

import json

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from finqa_lab.errors import CourseError
from finqa_lab.text import (
    ByteLevelBPE,
    extend_vocabulary,
    fingerprint,
    load_tokenizer,
    save_tokenizer,
    to_tiktoken,
)
from finqa_lab.text.huggingface import BYTE_OF, bytes_to_piece, piece_to_bytes, to_json
from tests.text.samples import EMOJI, corpus, mixed_text, tokenizer


def test_alphabet_is_the_one_of_hugging_face():
    assert sorted(BYTE_OF) == sorted(pre_tokenizers.ByteLevel.alphabet())
    assert bytes_to_piece(b" up\n") == "ĠupĊ" and piece_to_bytes("ĠupĊ") == b" up\n"
    hidden = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str("é\x00 ")
    assert bytes_to_piece("é\x00 ".encode()) == hidden[0][0]


@pytest.mark.parametrize("digits", ["left", "right", "single", "whole"])
def test_round_trip(tmp_path, digits):
    ours, path = tokenizer(digits), tmp_path / "tokenizer.json"
    save_tokenizer(ours, path)
    again = load_tokenizer(path)
    assert again.encode(mixed_text(), "all") == ours.encode(mixed_text(), "all")
    assert to_json(again) == to_json(ours) and fingerprint(again) == fingerprint(ours)
    assert again.split.digits == digits


def test_hugging_face_reads_our_file_and_its_decoder_gives_the_text(tmp_path):
    theirs = Tokenizer.from_file(str(save_tokenizer(tokenizer(), tmp_path / "tokenizer.json")))
    ids = theirs.encode(EMOJI + "<|end|>", add_special_tokens=False).ids
    assert ids == tokenizer().encode(EMOJI + "<|end|>", allowed_special="all")
    assert theirs.decode(ids, skip_special_tokens=False) == EMOJI + "<|end|>"


def test_we_read_a_tokenizer_trained_by_hugging_face(tmp_path):
    theirs = Tokenizer(models.BPE())
    theirs.pre_tokenizer = Tokenizer.from_str(to_json(tokenizer())).pre_tokenizer
    theirs.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        show_progress=False,
        special_tokens=["<s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    theirs.train_from_iterator(corpus()[:50], trainer)
    theirs.save(str(tmp_path / "theirs.json"))
    ours = load_tokenizer(tmp_path / "theirs.json")
    assert ours.specials == {"<s>": 0} and ours.vocab_size == 700
    assert ours.encode(mixed_text()) == theirs.encode(mixed_text(), add_special_tokens=False).ids


def test_an_extended_vocabulary_keeps_its_whole_words(tmp_path):
    extended, parts = extend_vocabulary(tokenizer(), [" WidgetCo", " EBITDAX", "Ωmega"])
    again = load_tokenizer(save_tokenizer(extended, tmp_path / "tokenizer.json"))
    text = "The WidgetCo EBITDAX, EBITDAXY\nΩmega WidgetCos" + mixed_text()[:3000]
    assert again.encode(text) == extended.encode(text) and set(parts) <= set(again.encode(text))
    assert Tokenizer.from_str(to_json(extended)).encode(
        text, add_special_tokens=False
    ).ids == extended.encode(text)
    with pytest.raises(CourseError, match="extended vocabulary has no tiktoken form"):
        to_tiktoken(extended)


def test_tiktoken_needs_ids_in_rank_order():
    base = {i: bytes([i]) for i in range(256)}
    swapped = ByteLevelBPE({**base, 257: b"ab", 256: b"cd"}, [(97, 98), (99, 100)])
    with pytest.raises(CourseError, match="do not rise with their rank"):
        to_tiktoken(swapped)


def damaged(change):
    state = json.loads(to_json(tokenizer()))
    change(state)
    return json.dumps(state)


DAMAGES = {
    "is not JSON at line": lambda: to_json(tokenizer())[:5000],
    "'model' is absent": lambda: damaged(lambda s: s.pop("model")),
    "'vocab' is absent": lambda: damaged(lambda s: s["model"].pop("vocab")),
    "not a plain byte-level BPE": lambda: damaged(lambda s: s.update(normalizer={"type": "NFC"})),
    "not a plain byte-level BPE ": lambda: damaged(lambda s: s["model"].update(type="WordPiece")),
    "not Split followed by ByteLevel": lambda: damaged(lambda s: s["pre_tokenizer"]["pretokenizers"].pop()),
    "must be Isolated": lambda: damaged(
        lambda s: s["pre_tokenizer"]["pretokenizers"][0].update(behavior="Removed")
    ),
    "does not compile": lambda: damaged(
        lambda s: s["pre_tokenizer"]["pretokenizers"][0].update(pattern={"Regex": "("})
    ),
    "is absent or not a byte-level piece": lambda: damaged(
        lambda s: s["model"]["merges"].append(["a", "ZZZZ"])
    ),
    "lists a merge twice": lambda: damaged(lambda s: s["model"]["merges"].append(s["model"]["merges"][0])),
    "is absent or not a byte-level piece ": lambda: damaged(
        lambda s: s["model"]["vocab"].update({"東": 9000})
    ),
    "two pieces share an id": lambda: damaged(lambda s: s["model"]["vocab"].update(abcxyz=1400)),
    "no piece for byte 0x01": lambda: damaged(lambda s: s["model"]["vocab"].pop("ā")),
    "is not a whole number": lambda: damaged(lambda s: s["model"]["vocab"].update(abcxyz="300")),
    "'\\$AAPL' is not a plain special token": lambda: damaged(
        lambda s: s["added_tokens"].append({"id": 9000, "content": "$AAPL", "special": False})
    ),
    "'<m>' is not a plain special token": lambda: damaged(
        lambda s: s["added_tokens"].append({"id": 9000, "content": "<m>", "lstrip": True})
    ),
    "pieces that no merge makes": lambda: damaged(
        lambda s: (s["model"].update(ignore_merges=False), s["model"]["vocab"].update(WidgetCo=9000))
    ),
    "a part has the wrong kind": lambda: "[1, 2]",
    "a part has the wrong kind ": lambda: damaged(lambda s: s["model"].update(merges=[["a", "b", "c"]])),
    "special token '<x>' needs": lambda: damaged(
        lambda s: s["added_tokens"].append({"id": 65, "content": "<x>"})
    ),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_a_damaged_file_is_one_sentence(tmp_path, message):
    path = tmp_path / "tokenizer.json"
    path.write_text(DAMAGES[message](), encoding="utf-8")
    with pytest.raises(CourseError, match=message.strip()) as caught:
        load_tokenizer(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(CourseError, match="the tokenizer file .*nowhere.json is missing"):
        load_tokenizer(tmp_path / "nowhere.json")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = save_tokenizer(tokenizer(), tmp_path / "tokenizer.json")
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("finqa_lab.files.os.fsync", full)
    with pytest.raises(CourseError, match="No space left"):
        save_tokenizer(tokenizer("right"), path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["tokenizer.json"]
