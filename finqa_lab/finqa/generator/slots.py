"""Which mention fills a blank: features of the mention, of the blank, and of the choices made before."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from finqa_lab.finqa.generator.mentions import Mention, words, years
from finqa_lab.finqa.generator.skeletons import Skeleton, Slot
from finqa_lab.finqa.literals import read_number
from finqa_lab.finqa.program import ARITHMETIC, OPERATIONS, Reference

CUES = ("from", "to", "between", "percent", "percentage", "portion", "ratio", "of", "average", "total", "change")
CUES += ("increase", "decrease", "difference", "than", "compared", "growth")


def rarity(texts: Iterable[str]) -> dict[str, float]:
    """Inverse document frequency ``log((1 + n) / (1 + df))`` of every word; the empty key holds that of a new word."""
    texts = list(texts)
    seen = Counter(word for text in texts for word in set(words(text)))
    return {"": math.log(1 + len(texts))} | {w: math.log((1 + len(texts)) / (1 + df)) for w, df in seen.items()}


class Candidates:
    """The mentions of one question as feature matrices, float32.

    Attributes:
        mentions: n of them.
        own: n x f, each mention against the question.
        pairs: n x n x r; ``pairs[i, j]`` compares candidate j with the chosen i.
        question: features of the question alone.
    """

    def __init__(self, question: str, mentions: Sequence[Mention], idf: Mapping[str, float]):
        self.mentions = list(mentions)
        asked = words(question)
        self.question = np.array([cue in asked for cue in CUES], np.float32)
        self.own = _own(question, asked, self.mentions, idf)
        self.pairs = _pairs(self.mentions)

    def features(self, slot: np.ndarray, chosen: Sequence[int]) -> np.ndarray:
        """One row for each mention: its own features, the blank's, and how it stands to the last and first choice."""
        n = len(self.mentions)
        nothing = np.zeros((n, self.pairs.shape[2]), np.float32)
        last, first = (self.pairs[chosen[-1]], self.pairs[chosen[0]]) if chosen else (nothing, nothing)
        used = np.zeros((n, 1), np.float32)
        used[list(chosen)] = 1
        context = np.tile(np.concatenate([slot, self.question]), (n, 1))
        return np.concatenate([self.own, last, first, used, context], axis=1)


def slot_features(skeleton: Skeleton, slot: int) -> np.ndarray:
    """Where a blank stands: operations and places that use it, what it is combined with, and the program's size."""
    uses = np.zeros((len(OPERATIONS), 2))
    beside = np.zeros(3)
    for step in skeleton:
        for place, argument in enumerate(step.arguments):
            if argument == Slot(slot):
                uses[OPERATIONS.index(step.operation), place] = 1
                other = step.arguments[1 - place]
                beside[0 if isinstance(other, Slot) else 1 if isinstance(other, Reference) else 2] = 1
    arithmetic = sum(step.operation in ARITHMETIC for step in skeleton)
    index = np.eye(4)[min(slot, 3)]
    return np.concatenate([uses.ravel(), beside, index, [len(skeleton) / 4, arithmetic / 4]]).astype(np.float32)


def _own(question: str, asked: Sequence[str], mentions: Sequence[Mention], idf: Mapping[str, float]) -> np.ndarray:
    if not mentions:
        return np.zeros((0, 0), np.float32)
    dates = years(question)
    known = [mention.year for mention in mentions if mention.year]
    whole = sum(_weight(set(asked), idf), 0.0) or 1.0
    rows = []
    for order, m in enumerate(mentions):
        value = float(read_number(m.text) or 0)
        rows.append(
            [
                *(m.source == source for source in ("table", "text", "question")),
                "%" in m.text,
                m.is_bare,
                bool(years(m.text)),
                value < 0,
                math.log10(abs(value) + 1) / 6,
                *_overlap(m.names, asked, idf, whole),
                *_overlap(m.heads, asked, idf, whole),
                "total" in m.names,
                "million" in m.names or "billion" in m.names,
                m.year is None,
                not dates,
                bool(m.year and dates) and m.year == dates[0],
                bool(m.year) and m.year in dates,
                bool(m.year and dates) and m.year == dates[-1],
                bool(m.year and dates) and m.year == max(dates),
                bool(m.year and dates) and m.year == min(dates),
                bool(m.year) and m.year == max(known),
                bool(m.year) and m.year == min(known),
                m.text in asked,
                order / len(mentions),
                m.column == 1,
                m.column == 2,
                m.column / 5,
                m.fact / 5,
                m.relevance,
            ]
        )
    own = np.array(rows, np.float32)
    names = slice(8, 10)
    return np.concatenate([own, own[:, names] - own[:, names].max(axis=0)], axis=1)


def _overlap(names: frozenset[str], asked: Sequence[str], idf: Mapping[str, float], whole: float) -> list[float]:
    """Share of the names that is asked, share of the question that they make up, and where in the question."""
    shared = names.intersection(asked)
    weights = _weight(shared, idf)
    total = sum(weights)
    place = sum(w * asked.index(word) for w, word in zip(weights, shared)) / (total or 1) / len(asked) if asked else 0
    return [total / (sum(_weight(names, idf)) or 1), total / whole, place]


def _weight(names: Iterable[str], idf: Mapping[str, float]) -> list[float]:
    return [idf.get(name, idf[""]) for name in names]


def _pairs(mentions: Sequence[Mention]) -> np.ndarray:
    n = len(mentions)
    column = np.array([m.column for m in mentions])
    fact = np.array([m.fact for m in mentions])
    year = np.array([m.year or 0 for m in mentions])
    table = np.array([m.source == "table" for m in mentions])
    percent = np.array(["%" in m.text for m in mentions])
    size = np.log10(np.array([abs(float(read_number(m.text) or 0)) for m in mentions]) + 1)
    order = np.arange(n)
    dated = (year[:, None] > 0) & (year > 0)
    step = np.where(dated, year - year[:, None], 0)
    alike = [[len(a.names & b.names) / (len(a.names | b.names) or 1) for b in mentions] for a in mentions]
    features = [
        np.ones((n, n)),
        fact == fact[:, None],
        column == column[:, None],
        (fact == fact[:, None]) & (column == column[:, None]),
        column - column[:, None] == 1,
        column - column[:, None] == -1,
        (year == year[:, None]) & dated,
        step == 1,
        step == -1,
        np.sign(step),
        table == table[:, None],
        percent == percent[:, None],
        order > order[:, None],
        order - order[:, None] == 1,
        np.clip(size - size[:, None], -4, 4) / 2,
        size > size[:, None],
        np.array(alike).reshape(n, n),
    ]
    return np.stack([np.asarray(f, np.float32) for f in features], axis=-1)
