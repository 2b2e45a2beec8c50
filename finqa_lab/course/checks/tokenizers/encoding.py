"""The check of encoding one word by the rank of the merges."""

import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register
from finqa_lab.text.recount import merge


def _encode(word: str, merges) -> list[int]:
    ids = list(word.encode("utf-8"))
    for rank, pair in enumerate(merges):
        ids = merge(ids, tuple(pair), 256 + rank)
    return ids


def _encode_by_position(word, merges):
    ids, new_id = list(word.encode("utf-8")), {tuple(pair): 256 + rank for rank, pair in enumerate(merges)}
    i = 0
    while i < len(ids) - 1:
        pair = (ids[i], ids[i + 1])
        if pair in new_id:
            ids[i : i + 2] = [new_id[pair]]
            i = 0
        else:
            i += 1
    return ids


def _encode_longest_piece(word, merges):
    pieces = {bytes([byte]): byte for byte in range(256)}
    by_id = {byte: bytes([byte]) for byte in range(256)}
    for new_id, (left, right) in enumerate(merges, start=256):
        by_id[new_id] = by_id[left] + by_id[right]
        pieces[by_id[new_id]] = new_id
    data, ids = word.encode("utf-8"), []
    while data:
        size = max(n for n in range(1, len(data) + 1) if data[:n] in pieces)
        ids.append(pieces[data[:size]])
        data = data[size:]
    return ids


def _encode_characters(word, merges):
    ids = [ord(character) for character in word]
    for rank, pair in enumerate(merges):
        ids = merge(ids, tuple(pair), 256 + rank)
    return ids


def _encode_last_rank_first(word, merges):
    ids, rank_of = list(word.encode("utf-8")), {tuple(pair): rank for rank, pair in enumerate(merges)}
    while True:
        known = [pair for pair in zip(ids, ids[1:]) if pair in rank_of]
        if not known:
            return ids
        pair = max(known, key=rank_of.get)
        ids = merge(ids, pair, 256 + rank_of[pair])


def _encode_cases(rng: random.Random) -> Iterator[Case]:
    a, b, c, d = b"abcd"
    yield Case("", [])
    yield Case("ab", [(a, b)])
    yield Case("abc", [(b, c), (a, b)], note="'bc' was learned first, so it gets the b")
    yield Case("abab", [(a, b), (256, 256)], note="merges build on merges")
    yield Case("abcd", [(a, b), (c, d), (256, c)], note="'cd' outranks 'abc', though 'abc' is longer")
    yield Case("abc", [(b, c), (a, 256), (a, b)], note="'bc' first, and then 'abc' from it")
    yield Case("é", [(a, b)], note="one character, two bytes")
    merges = [(a, b), (b, c), (256, c), (256, 256), (257, a)]
    for size in range(3, 9):
        yield Case("".join(rng.choices("abc", k=size)), merges)


register(
    Check(
        name="tokenizers.encode_word",
        task="encode one word: UTF-8 bytes, then the merges in the order of their rank",
        cases=_encode_cases,
        oracle=_encode,
        why="a production tokenizer applies the lowest rank first; any other order gives ids the model never saw.",
        hint="start from the bytes; for each merge in order, replace all of its occurrences by 256 + its rank.",
        wrong=[
            WrongAnswer(
                "by-position",
                _encode_by_position,
                "you merge whatever fits first from the left; the pair of lowest rank goes first, wherever it is.",
            ),
            WrongAnswer(
                "longest-piece",
                _encode_longest_piece,
                "you take the longest known piece from the left, as WordPiece does; BPE replays its merges.",
            ),
            WrongAnswer(
                "characters",
                _encode_characters,
                "ord('é') is 233, but its UTF-8 form is the two bytes 195 and 169: encode the word first.",
            ),
            WrongAnswer(
                "last-rank-first",
                _encode_last_rank_first,
                "you apply the highest rank first; the earliest learned merge has the lowest rank and goes first.",
            ),
        ],
    )
)
