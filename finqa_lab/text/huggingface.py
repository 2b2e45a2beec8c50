"""Tokenizers as files: the ``tokenizer.json`` layout of Hugging Face, and the ranks that tiktoken wants.

In that layout a piece is a string, so each byte is written as one printable character: the byte-level
alphabet of GPT-2 (Radford et al., 2019). Printable Latin-1 bytes stand for themselves, the other 68 for
characters from U+0100 on.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, write_atomic
from finqa_lab.text.bpe import ByteLevelBPE
from finqa_lab.text.pretokenize import PreSplit

_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHER = sorted(set(range(256)) - set(_PRINTABLE))
CHARACTER_OF = {byte: chr(byte) for byte in _PRINTABLE} | {
    byte: chr(0x100 + n) for n, byte in enumerate(_OTHER)
}
BYTE_OF = {character: byte for byte, character in CHARACTER_OF.items()}
GPT2_ALPHABET = bytes(_PRINTABLE + _OTHER)  # the bytes in the id order of GPT-2 and of `tokenizers` trainers


def bytes_to_piece(data: bytes) -> str:
    """``b" up"`` -> ``"Ġup"``: one printable character a byte."""
    return "".join(CHARACTER_OF[byte] for byte in data)


def piece_to_bytes(piece: str) -> bytes:
    """The inverse of :func:`bytes_to_piece`; KeyError for a character outside the byte-level alphabet."""
    return bytes(BYTE_OF[character] for character in piece)


def to_json(tokenizer: ByteLevelBPE) -> str:
    """``tokenizer.json`` as text; equal tokenizers give equal text."""
    piece = {index: bytes_to_piece(data) for index, data in sorted(tokenizer.pieces.items())}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {
        "type": "Split",
        "pattern": {"Regex": tokenizer.split.pattern},
        "behavior": "Isolated",
        "invert": False,
    }
    by_id = sorted(tokenizer.specials.items(), key=lambda item: item[1])
    state = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": index, "content": name, **flags} for name, index in by_id],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": True,  # a word that is a piece is that piece: whole words of an extension
            "vocab": {text: index for index, text in piece.items()},
            "merges": [[piece[left], piece[right]] for left, right in tokenizer.merges],
        },
    }
    return json.dumps(state, ensure_ascii=False, indent=1) + "\n"


def save_tokenizer(tokenizer: ByteLevelBPE, path: str | os.PathLike) -> Path:
    """Write ``tokenizer.json``; Hugging Face ``tokenizers`` reads it with ``Tokenizer.from_file``."""
    return write_atomic(path, to_json(tokenizer))


def load_tokenizer(path: str | os.PathLike) -> ByteLevelBPE:
    """Read a byte-level BPE ``tokenizer.json``, ours or one of `tokenizers` that uses the same parts.

    Raises:
        CourseError: missing file, not JSON, a part that is absent or of the wrong kind, or a kind of
            tokenizer that this reader would not reproduce exactly (a normalizer, an unknown token, another
            model or pre-split).
    """
    state = read_json(path, "the tokenizer file")

    def fail(reason: str):
        return CourseError(
            f"the tokenizer file {path} cannot be used: {reason}; write it again with save_tokenizer"
        )

    try:
        model, pre_split = state["model"], state["pre_tokenizer"]
        if model["type"] != "BPE" or any(model.get(key) for key in _UNSUPPORTED) or state.get("normalizer"):
            raise fail("it is not a plain byte-level BPE without normalizer")
        parts = pre_split["pretokenizers"] if pre_split["type"] == "Sequence" else [pre_split]
        if [part["type"] for part in parts] != ["Split", "ByteLevel"]:
            raise fail("its pre_tokenizer is not Split followed by ByteLevel")
        if (
            parts[0]["behavior"] != "Isolated"
            or parts[0].get("invert")
            or parts[1].get("use_regex", True)
            or parts[1]["add_prefix_space"]
        ):
            raise fail("its Split must be Isolated and its ByteLevel without use_regex and add_prefix_space")
        split = PreSplit(pattern=parts[0]["pattern"]["Regex"])
        split.split("")  # a pattern that does not compile is found here, not while serving
        for token in state["added_tokens"]:
            if not token.get("special", True) or any(token.get(flag) for flag in _TOKEN_FLAGS):
                raise fail(f"its added token {token['content']!r} is not a plain special token")
        specials = {token["content"]: _integer(token["id"]) for token in state["added_tokens"]}
        pieces = {
            _integer(i): piece_to_bytes(text) for text, i in model["vocab"].items() if text not in specials
        }
        if len(pieces) != len(model["vocab"]) - sum(name in model["vocab"] for name in specials):
            raise fail("two pieces share an id")
        id_of = {data: index for index, data in pieces.items()}
        pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
        merges = [(id_of[piece_to_bytes(left)], id_of[piece_to_bytes(right)]) for left, right in pairs]
        tokenizer = ByteLevelBPE(pieces, merges, split, specials)
        if tokenizer.whole_words and not model.get("ignore_merges"):
            raise fail(
                "it has pieces that no merge makes, but not the setting ignore_merges that would use them"
            )
        return tokenizer
    except KeyError as error:
        raise fail(f"{error} is absent or not a byte-level piece") from None
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise fail(f"a part has the wrong kind ({error})") from None
    except CourseError as error:
        raise error if str(path) in str(error) else fail(str(error)) from None


_TOKEN_FLAGS = ("single_word", "lstrip", "rstrip")
_UNSUPPORTED = (
    "dropout",
    "unk_token",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "fuse_unk",
    "byte_fallback",
)


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"id {value!r} is not a whole number from 0 on")
    return value


def to_tiktoken(tokenizer: ByteLevelBPE, name: str = "finqa_lab"):
    """The same tokenizer as a ``tiktoken.Encoding`` (needs the package ``tiktoken``).

    tiktoken knows no merges, only the rank of each piece: it joins whichever neighbours form the piece of
    lowest rank. That agrees with ours when every piece comes from one merge; a vocabulary extended with whole
    words has no such form.

    Raises:
        CourseError: the tokenizer has whole words, or its bytes and merges are not in the order of their ids.
    """
    import tiktoken

    if tokenizer.whole_words:
        raise CourseError(
            "an extended vocabulary has no tiktoken form: its whole words come from no merge; "
            "export the tokenizer before extending it"
        )
    made = [
        tokenizer.id_of[tokenizer.pieces[left] + tokenizer.pieces[right]] for left, right in tokenizer.merges
    ]
    if made != sorted(made):
        raise CourseError("the ids of the merged pieces do not rise with their rank, which tiktoken needs")
    ranks: Mapping[bytes, int] = dict(tokenizer.id_of)
    return tiktoken.Encoding(
        name, pat_str=tokenizer.split.pattern, mergeable_ranks=ranks, special_tokens=tokenizer.specials
    )
