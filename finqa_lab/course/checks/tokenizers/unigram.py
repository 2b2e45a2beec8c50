"""Digits, and Unigram: groups of three, Viterbi, the E step."""

import itertools
import math
import random
from collections.abc import Iterator

import numpy as np

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def _groups(number: str) -> list[str]:
    first = len(number) % 3
    return [part for part in (number[:first], *(number[i : i + 3] for i in range(first, len(number), 3))) if part]


def _digit_cases(rng: random.Random) -> Iterator[Case]:
    for number in ("7", "42", "123", "1234", "12345", "123456", "1002003", "0007"):
        yield Case(number)
    for size in range(4, 12):
        yield Case("".join(rng.choices("0123456789", k=size)))


register(
    Check(
        name="tokenizers.group_digits",
        task="cut a number into groups of three digits, counted from the right",
        cases=_digit_cases,
        oracle=_groups,
        why="only groups counted from the right hold the same powers of ten in numbers of different lengths.",
        hint="the first group has len(number) % 3 digits (or three); all others have three.",
        wrong=[
            WrongAnswer(
                "from-the-left",
                lambda number: [number[i : i + 3] for i in range(0, len(number), 3)],
                "you count from the left, as GPT-4 does: 1234 gives 123|4, but it must give 1|234.",
            ),
            WrongAnswer(
                "padded",
                lambda number: [
                    number.zfill(-(-len(number) // 3) * 3)[i : i + 3] for i in range(0, -(-len(number) // 3) * 3, 3)
                ],
                "zeros appear that the text does not have; joined, the groups must give the number back.",
            ),
            WrongAnswer(
                "reversed",
                lambda number: _groups(number)[::-1],
                "the groups are right but stand in reverse; keep the order of the text.",
            ),
            WrongAnswer(
                "through-int",
                lambda number: f"{int(number):,}".split(","),
                "leading zeros are lost on the way through int; cut the string itself.",
            ),
            WrongAnswer(
                "empty-group",
                lambda number: [
                    number[: len(number) % 3],
                    *(number[i : i + 3] for i in range(len(number) % 3, len(number), 3)),
                ],
                "there is an empty first group when the length is a multiple of three; leave it out.",
            ),
        ],
    )
)


def _segmentations(word: str, pieces) -> Iterator[list[str]]:
    if not word:
        yield []
    for size in range(1, len(word) + 1):
        if word[:size] in pieces:
            for rest in _segmentations(word[size:], pieces):
                yield [word[:size], *rest]


def _best_by(score):
    return lambda word, log_p: max(_segmentations(word, log_p), key=lambda pieces: score(pieces, log_p))


def _total(pieces, log_p) -> float:
    return math.fsum(log_p[piece] for piece in pieces)


def _longest_match(word, log_p):
    pieces = []
    while word:
        size = max(n for n in range(1, len(word) + 1) if word[:n] in log_p)
        pieces.append(word[:size])
        word = word[size:]
    return pieces


def _most_probable_first(word, log_p):
    pieces = []
    while word:
        best = max((word[:n] for n in range(1, len(word) + 1) if word[:n] in log_p), key=log_p.get)
        pieces.append(best)
        word = word[len(best) :]
    return pieces


def _viterbi_cases(rng: random.Random) -> Iterator[Case]:
    yield Case("", {"a": -1.0})
    yield Case("ab", {"a": -1.0, "b": -1.0, "ab": -1.5})
    yield Case("ab", {"a": -1.0, "b": -1.0, "ab": -2.5}, note="two probable pieces beat one improbable")
    yield Case("abc", {"a": -1.0, "b": -2.0, "c": -2.0, "ab": -2.2, "bc": -2.3}, note="a long start can cost more")
    yield Case("aaab", {"a": -0.6, "b": -3.0, "ab": -1.0, "aa": -2.5, "aaa": -1.9})
    for size in range(4, 9):
        scores = {"".join(p): -rng.uniform(1, 6) for n in (1, 2, 3) for p in itertools.product("ab", repeat=n)}
        words = ("".join(rng.choices("ab", k=size)) for _ in itertools.count())
        yield Case(next(word for word in words if _has_one_best(word, scores)), scores)


def _has_one_best(word: str, log_p) -> bool:
    """Whether the best segmentation is the only one: 'b|bb' and 'bb|b' always tie, and either would be right."""
    totals = sorted((_total(pieces, log_p) for pieces in _segmentations(word, log_p)), reverse=True)
    return totals[0] - totals[1] > 1e-6


register(
    Check(
        name="tokenizers.viterbi",
        task="find the most probable segmentation of a word",
        cases=_viterbi_cases,
        oracle=_best_by(_total),
        why="a greedy cut is locally best and globally wrong, and the model was trained on the global one.",
        hint="best[j] = max over i of best[i] + log_p[word[i:j]]; remember the i, then walk back from the end.",
        wrong=[
            WrongAnswer("longest-match", _longest_match, "you take the longest piece from the left; sum the scores."),
            WrongAnswer(
                "greedy-score",
                _most_probable_first,
                "you take the most probable piece at each step, which favours short pieces; compare whole paths.",
            ),
            WrongAnswer(
                "fewest-pieces",
                _best_by(lambda pieces, log_p: (-len(pieces), _total(pieces, log_p))),
                "you take the fewest pieces; several probable pieces can have the higher product.",
            ),
            WrongAnswer(
                "mean-score",
                _best_by(lambda pieces, log_p: _total(pieces, log_p) / max(1, len(pieces))),
                "you compare the mean score of a piece; the probability of a segmentation is the product, so add.",
            ),
            WrongAnswer(
                "least-probable",
                _best_by(lambda pieces, log_p: -_total(pieces, log_p)),
                "log probabilities are negative: the best path has the largest sum, the one nearest to zero.",
            ),
            WrongAnswer(
                "reversed",
                lambda word, log_p: _best_by(_total)(word, log_p)[::-1],
                "the pieces are right but stand in reverse: the walk from the end finds the last piece first.",
            ),
            WrongAnswer(
                "uncut",
                lambda word, log_p: [word] if word else [],
                "the word is never cut. If best starts at 0 everywhere, no negative sum can beat it: start at minus "
                "infinity, with best[0] = 0 alone.",
            ),
        ],
    )
)


def _expected(words, log_p, weight=None, times=True, normal=True, distinct=False):
    found = dict.fromkeys(log_p, 0.0)
    for word, count in words.items():
        cuts = list(_segmentations(word, log_p))
        weights = [1.0 if weight == "uniform" else math.exp(_total(cut, log_p)) for cut in cuts]
        if weight == "best":
            weights = [float(n == int(np.argmax(weights))) for n in range(len(cuts))]
        for cut, share in zip(cuts, weights):
            for piece in set(cut) if distinct else cut:
                found[piece] += (count if times else 1) * share / (sum(weights) if normal else 1.0)
    return found


def _expectation_cases(rng: random.Random) -> Iterator[Case]:
    log = {piece: math.log(p) for piece, p in {"a": 0.5, "b": 0.25, "ab": 0.25}.items()}
    yield Case({"a": 1}, log)
    yield Case({"ab": 1}, log, note="a|b has probability 1/8 and ab has 1/4, so ab is used 2/3 of the time")
    yield Case({"ab": 3}, log, note="a word that occurs three times counts three times")
    yield Case({"abab": 2, "aab": 1}, log)
    for size in range(3, 7):
        scores = {"".join(p): -rng.uniform(1, 4) for n in (1, 2) for p in itertools.product("ab", repeat=n)}
        yield Case({"".join(rng.choices("ab", k=size)): rng.randint(1, 4), "ab": 2}, scores)


register(
    Check(
        name="tokenizers.expected_counts",
        task="compute how often each piece is expected to be used (the E step)",
        cases=_expectation_cases,
        oracle=_expected,
        why="EM raises the likelihood only if each segmentation counts with its posterior probability.",
        hint="for each word: weight of a segmentation = its probability / the sum over all of them, times the count.",
        wrong=[
            WrongAnswer(
                "unnormalised",
                lambda words, log_p: _expected(words, log_p, normal=False),
                "divide the probability of a segmentation by the sum over all segmentations of the word: the shares "
                "of one word add up to 1.",
            ),
            WrongAnswer(
                "best-only",
                lambda words, log_p: _expected(words, log_p, weight="best"),
                "you count the best segmentation only (hard EM); every segmentation counts with its share.",
            ),
            WrongAnswer(
                "uniform",
                lambda words, log_p: _expected(words, log_p, weight="uniform"),
                "you weight all segmentations alike; use exp of the sum of the log probabilities.",
            ),
            WrongAnswer(
                "word-once",
                lambda words, log_p: _expected(words, log_p, times=False),
                "multiply by how often the word occurs.",
            ),
            WrongAnswer(
                "once-per-segmentation",
                lambda words, log_p: _expected(words, log_p, distinct=True),
                "a piece that stands twice in a segmentation, as 'a' in a|a|b, counts twice.",
            ),
            WrongAnswer(
                "unused-missing",
                lambda words, log_p: {piece: n for piece, n in _expected(words, log_p).items() if n},
                "each piece of log_p has an entry, those that are never used with 0.0: start from "
                "dict.fromkeys(log_p, 0.0).",
            ),
        ],
    )
)
