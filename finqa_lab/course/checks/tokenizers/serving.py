"""Measuring, extending and serving: fertility, new rows, fingerprints."""

import hashlib
import json
import random
import re
from collections.abc import Iterator

import numpy as np

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def _tokenise(text: str) -> list[str]:
    return [text[i : i + 3] for i in range(0, len(text), 3)]


def _fertility(encode, text):
    tokens = len(encode(text))
    return tokens / len(text.split()), len(text.encode("utf-8")) / tokens


def _fertility_cases(rng: random.Random) -> Iterator[Case]:
    yield Case(_tokenise, "abc")
    yield Case(_tokenise, "net sales")
    yield Case(_tokenise, "the the the the", note="a word counts as often as it occurs, and so does a token")
    yield Case(_tokenise, "€12,4m à Zürich", note="bytes, not characters")
    yield Case(_tokenise, "Revenue rose\n12.5%.\n", note="words are separated by any white space")
    for size in range(2, 6):
        yield Case(_tokenise, " ".join("".join(rng.choices("abé€", k=rng.randint(1, 7))) for _ in range(size)))


register(
    Check(
        name="tokenizers.fertility",
        task="measure a tokenizer on a text: (tokens per word, bytes per token)",
        cases=_fertility_cases,
        oracle=_fertility,
        why="requests are billed by tokens and a context holds a fixed number of them.",
        hint="tokens = len(encode(text)); words = text.split(); bytes = the length of the UTF-8 form.",
        wrong=[
            WrongAnswer(
                "inverted",
                lambda encode, text: tuple(1 / value for value in _fertility(encode, text)),
                "both ratios are upside down: tokens / words, and bytes / tokens.",
            ),
            WrongAnswer(
                "characters",
                lambda encode, text: (len(encode(text)) / len(text.split()), len(text) / len(encode(text))),
                "len(text) counts characters; the euro sign is three bytes in UTF-8.",
            ),
            WrongAnswer(
                "distinct",
                lambda encode, text: (
                    len(encode(text)) / len(set(text.split())),
                    len(text.encode()) / len(encode(text)),
                ),
                "you divide by the number of different words; count every word as often as it occurs.",
            ),
            WrongAnswer(
                "single-spaces",
                lambda encode, text: (
                    len(encode(text)) / len(text.split(" ")),
                    len(text.encode()) / len(encode(text)),
                ),
                "split() without argument splits at any white space; split(' ') makes empty words of double spaces "
                "and misses line ends.",
            ),
        ],
    )
)


def _rows_with(make):
    def rows(table, parts):
        return np.vstack([table, *(make(table, old) for old in parts.values())])

    return rows


def _rows_cases(rng: random.Random) -> Iterator[Case]:
    # Small tables, so that the example in the message shows the new rows too.
    yield Case(np.array([[1.0, 0.0], [3.0, 6.0]]), {2: [0, 1]})
    yield Case(np.array([[1.0, 0.0], [3.0, 6.0], [9.0, 9.0]]), {3: [1, 0]}, note="the other rows do not matter")
    yield Case(np.array([[1.0, 0.0], [4.0, 9.0]]), {2: [0, 0, 1]}, note="a piece that occurs twice counts twice")
    numbers = np.random.default_rng(rng.randint(0, 10**6))
    for count in (1, 2, 3):
        table = numbers.normal(size=(3, 2))
        yield Case(table, {3 + n: [rng.randint(0, 2) for _ in range(rng.randint(2, 4))] for n in range(count)})


register(
    Check(
        name="tokenizers.mean_rows",
        task="append one embedding row for each new token: the mean of the rows of its old pieces",
        cases=_rows_cases,
        oracle=_rows_with(lambda table, old: table[old].mean(axis=0)),
        why="a row far from the others (zeros, a sum) makes the model's first predictions worse than before.",
        hint="for each new id in order: table[old ids] has shape (pieces, width); average over the pieces, then stack.",
        wrong=[
            WrongAnswer(
                "sum",
                _rows_with(lambda table, old: table[old].sum(axis=0)),
                "you add the rows; a sum of four rows is four times too long. Divide by their number.",
            ),
            WrongAnswer(
                "zeros",
                _rows_with(lambda table, old: np.zeros(table.shape[1])),
                "the new rows are zero, so all new tokens look alike to the model.",
            ),
            WrongAnswer(
                "first-piece",
                _rows_with(lambda table, old: table[old[0]]),
                "only the first piece is used; ' EBITDA' would start as a copy of ' E'.",
            ),
            WrongAnswer(
                "whole-table",
                _rows_with(lambda table, old: table.mean(axis=0)),
                "you average the whole table; average the rows of the token's own pieces.",
            ),
            WrongAnswer(
                "distinct-pieces",
                _rows_with(lambda table, old: table[sorted(set(old))].mean(axis=0)),
                "a piece that occurs twice in the word counts twice.",
            ),
            WrongAnswer(
                "one-number",
                _rows_with(lambda table, old: np.full(table.shape[1], table[old].mean())),
                "all numbers of a new row are the same: mean() without axis averages over the width as well; axis=0 "
                "averages over the pieces only.",
            ),
            WrongAnswer(
                "over-width",
                _rows_with(lambda table, old: table[old].mean(axis=1)),
                "you average over the width: axis=1 gives one number for each piece, axis=0 one for each column.",
            ),
        ],
    )
)


def _canonical(state) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode("utf-8")).hexdigest()


def _is_hex(value) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-fA-F]{64}", value) is not None


_STATE = {"merges": [[97, 98], [256, 99]], "specials": {"<|end|>": 258, "<|user|>": 259}, "pattern": "\\p{N}"}
_CHANGED = [
    {**_STATE, "merges": [[256, 99], [97, 98]]},
    {**_STATE, "merges": [[97, 98]]},
    {**_STATE, "specials": {"<|end|>": 259, "<|user|>": 258}},
    {**_STATE, "specials": {}},
    {**_STATE, "pattern": "\\p{N}{1,3}"},
]
_REORDERED = dict(reversed([*{**_STATE, "specials": dict(reversed(_STATE["specials"].items()))}.items()]))


def _fingerprint_cases(rng: random.Random) -> Iterator[Case]:
    yield Case(_STATE, dict(_STATE), note="the same state")
    yield Case(_STATE, _REORDERED, note="the same state, its keys in another order")
    for changed in _CHANGED:
        yield Case(_STATE, changed)
    pairs = [[rng.randint(0, 255), rng.randint(0, 255)] for _ in range(6)]
    yield Case({**_STATE, "merges": pairs}, {**_STATE, "merges": [*pairs[:-1], [0, 300]]})


register(
    Check(
        name="tokenizers.fingerprint",
        task="give equal tokenizer states equal hex strings, and different states different ones",
        cases=_fingerprint_cases,
        oracle=lambda one, other: {"equal": _canonical(one) == _canonical(other), "64 hex digits": True},
        call=lambda fingerprint, one, other: {
            "equal": fingerprint(one) == fingerprint(other),
            "64 hex digits": _is_hex(fingerprint(one)),
        },
        why="a server that cannot tell two tokenizers apart serves confident nonsense.",
        hint="json.dumps(state, sort_keys=True) is the same text for the same state; hash that text.",
        wrong=[
            WrongAnswer(
                "key-order",
                lambda state: hashlib.sha256(json.dumps(state).encode()).hexdigest(),
                "the same state with its keys in another order must give the same fingerprint; sort the keys.",
            ),
            WrongAnswer(
                "merges-only",
                lambda state: _canonical(state["merges"]),
                "only the merges are hashed; special tokens and the pre-split pattern change the ids too.",
            ),
            WrongAnswer(
                "sorted-merges",
                lambda state: _canonical({**state, "merges": sorted(state["merges"])}),
                "the order of the merges is their rank, so it must count; sort keys, never lists.",
            ),
            WrongAnswer(
                "sizes",
                lambda state: _canonical({key: len(value) for key, value in state.items()}),
                "two tokenizers of the same size are not the same tokenizer; hash the contents.",
            ),
            WrongAnswer(
                "not-hex",
                lambda state: hashlib.sha256(json.dumps(state, sort_keys=True).encode()).digest(),
                "equal and unequal states are told apart, but the answer is not a string of 64 hex digits; take "
                "hashlib.sha256(...).hexdigest(). Python's hash() would not do: it changes from run to run.",
            ),
        ],
    )
)
