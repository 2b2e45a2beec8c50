"""Checks of lab 13: which tokens a grammar allows, and how to choose among them."""

import math
import random
from collections.abc import Iterator

import numpy as np
import regex

from finqa_lab.course.checking import Case, Check, WrongAnswer, register

NUMBER = r'\{"answer": -?\d{1,6}(\.\d{1,4})?\}'


def _allowed(pattern: str, written: str, pieces: list[str], end: int, **wrong) -> list[int]:
    found = []
    for token, piece in enumerate(pieces):
        if token == end:
            complete = (regex.match if wrong.get("end_by_match") else regex.fullmatch)(pattern, written) is not None
            if wrong.get("end_always"):
                complete = True
            if wrong.get("end_never"):
                complete = False
            if complete:
                found.append(token)
            continue
        text = piece if wrong.get("piece_alone") else written + piece
        if wrong.get("first_character"):
            text = written + piece[:1]
        if wrong.get("complete_only"):
            ok = regex.fullmatch(pattern, text) is not None
        elif wrong.get("search"):
            ok = regex.match(pattern, text) is not None or regex.fullmatch(pattern, text, partial=True) is not None
        else:
            ok = regex.fullmatch(pattern, text, partial=True) is not None
        if ok:
            found.append(token)
    if wrong.get("end_instead") and end in found:
        return [end]
    if wrong.get("end_last_or_first"):
        return [*(token for token in found if token == end), *(token for token in found if token != end)]
    if wrong.get("flags"):
        return [token in found for token in range(len(pieces))]
    if wrong.get("pieces"):
        return [pieces[token] for token in found]
    return found


PIECES = ["<end>", "{", '{"', "answer", '":', '": ', " ", "-", "1", "2", "12", ".", ".5", "}", '"}', "1}", "a", "}}"]


def allowed_cases(rng: random.Random) -> Iterator[Case]:
    """A pattern, what is written so far, the text of every token, and the id of the end token."""
    yield Case("ab", "", ["<end>", "a", "b", "ab", "ac"], 0, note="the first token")
    yield Case("ab", "a", ["<end>", "a", "b", "ab"], 0)
    yield Case("ab", "ab", ["<end>", "a", "b", "ab"], 0, note="complete")
    yield Case("ab?", "a", ["<end>", "a", "b", "bb"], 0, note="complete, and it may go on")
    yield Case("ab?", "a", ["a", "b", "bb", "<end>"], 3, note="the end token has the last id")
    yield Case("a(bc)?", "ab", ["<end>", "b", "c"], 0, note="a match is written, and a letter more")
    written = ["", "{", '{"', '{"answer', '{"answer": ', '{"answer": 12', '{"answer": 12.5', '{"answer": 12}']
    for text in written:
        yield Case(NUMBER, text, PIECES, 0)
    for _ in range(3):
        yield Case(NUMBER, rng.choice(written), rng.sample(PIECES[1:], 12) + ["<end>"], 12)


register(
    Check(
        name="serving.allowed_tokens",
        task="ids of the tokens that may come next",
        cases=allowed_cases,
        oracle=_allowed,
        why="one token too many and a reply can be malformed; one too few and the right answer cannot be written.",
        hint="a token may come when what is written, with the whole token behind it, can still become a match; the "
        "end token exactly when what is written is a match.",
        wrong=[
            WrongAnswer(
                "the end is always allowed",
                lambda *a: _allowed(*a, end_always=True),
                "a reply that ends early is malformed: allow the end token only behind a complete match.",
            ),
            WrongAnswer(
                "the end is never allowed",
                lambda *a: _allowed(*a, end_never=True),
                "without the end token a complete reply could not stop.",
            ),
            WrongAnswer(
                "the token alone",
                lambda *a: _allowed(*a, piece_alone=True),
                "match what is written with the token behind it, not the token by itself.",
            ),
            WrongAnswer(
                "its first character",
                lambda *a: _allowed(*a, first_character=True),
                "a token has several characters, and all of them are written: match the whole token.",
            ),
            WrongAnswer(
                "complete matches only",
                lambda *a: _allowed(*a, complete_only=True),
                "most tokens lead to a beginning of a match, not to a whole one: use partial matching.",
            ),
            WrongAnswer(
                "a match and more",
                lambda *a: _allowed(*a, search=True),
                "nothing may stand behind the match: use fullmatch, for the whole text.",
            ),
            WrongAnswer(
                "the end whenever possible",
                lambda *a: _allowed(*a, end_instead=True),
                "behind a complete reply a longer one may begin, 12 behind 1: the end is one choice among others.",
            ),
            WrongAnswer(
                "the end behind a match and more",
                lambda *a: _allowed(*a, end_by_match=True),
                "for the end token all that is written must be a match, not its beginning: fullmatch, without partial.",
            ),
            WrongAnswer(
                "the end in front",
                lambda *a: _allowed(*a, end_last_or_first=True),
                "the ids are ascending, and the end token's id can be any: put it where it belongs.",
            ),
            WrongAnswer(
                "a flag for each token",
                lambda *a: _allowed(*a, flags=True),
                "return the ids of the allowed tokens, not True or False for every token.",
            ),
            WrongAnswer(
                "texts of the tokens",
                lambda *a: _allowed(*a, pieces=True),
                "return the ids, that is the positions in `pieces`, not the texts.",
            ),
        ],
    )
)


def _masked(logits: np.ndarray, allowed: list[int], **wrong) -> np.ndarray:
    logits = np.asarray(logits, dtype=float)
    keep = np.zeros(len(logits), dtype=bool)
    keep[allowed] = True
    if wrong.get("zero"):
        scores = np.where(keep, logits, 0.0)
    elif wrong.get("added"):
        scores = logits + keep
    else:
        scores = np.where(keep, logits, -math.inf)
    if wrong.get("inverted"):
        scores = np.where(keep, -math.inf, logits)
    if wrong.get("after"):
        whole = np.exp(logits - logits.max())
        return np.where(keep, whole / whole.sum(), 0.0)
    if wrong.get("uniform"):
        return keep / keep.sum()
    if wrong.get("greedy"):
        return np.eye(len(logits))[scores.argmax()]
    if wrong.get("no_exponential"):
        return np.where(keep, logits, 0.0) / logits[keep].sum()
    exponents = np.exp(scores - scores.max())
    found = exponents / exponents.sum()
    return found[allowed] if wrong.get("allowed_alone") else found


def masked_cases(rng: random.Random) -> Iterator[Case]:
    """Logits of all tokens, and the ids that are allowed."""
    yield Case(np.array([1.0, 2.0, 3.0]), [0, 1], note="the best token is forbidden")
    yield Case(np.array([-5.0, -6.0, -1.0]), [0, 1], note="all logits are negative")
    yield Case(np.array([0.5, 0.1]), [1], note="a single token is left")
    for _ in range(3):
        yield Case(np.array([rng.gauss(0, 3) for _ in range(8)]), sorted(rng.sample(range(8), 3)))


register(
    Check(
        name="serving.masked_probabilities",
        task="probabilities of the next token among those that are allowed",
        cases=masked_cases,
        oracle=_masked,
        why="a mask that leaks a little leaks in every thousandth reply.",
        hint="give forbidden tokens the logit minus infinity, then take the softmax.",
        wrong=[
            WrongAnswer(
                "logit zero",
                lambda *a: _masked(*a, zero=True),
                "a logit of 0 is a weight of 1 before the sum, not of 0: use minus infinity.",
            ),
            WrongAnswer(
                "one added to the allowed",
                lambda *a: _masked(*a, added=True),
                "a bonus makes the others less likely, not impossible.",
            ),
            WrongAnswer(
                "mask upside down",
                lambda *a: _masked(*a, inverted=True),
                "you forbade the tokens that are allowed.",
            ),
            WrongAnswer(
                "masked behind the softmax",
                lambda *a: _masked(*a, after=True),
                "the probabilities must sum to 1 again: mask before the softmax, or divide by what is left.",
            ),
            WrongAnswer(
                "all alike",
                lambda *a: _masked(*a, uniform=True),
                "among the allowed tokens the model still decides: keep their logits.",
            ),
            WrongAnswer(
                "the best alone",
                lambda *a: _masked(*a, greedy=True),
                "that chooses already; asked for are the probabilities of all allowed tokens.",
            ),
            WrongAnswer(
                "shares of the logits",
                lambda *a: _masked(*a, no_exponential=True),
                "logits can be negative and are no weights: the softmax takes their exponentials first.",
            ),
            WrongAnswer(
                "the allowed tokens alone",
                lambda *a: _masked(*a, allowed_alone=True),
                "the result has a place for every token of the vocabulary; at the forbidden ones it is 0.",
            ),
        ],
    )
)
