"""Skeletons of programs, and which of them a question asks for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import hstack
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from finqa_lab.finqa.generator.mentions import Evidence, words
from finqa_lab.finqa.program import Number, Program, RowName, Step

STRENGTH, RARE, WEIGHT = 30.0, 2, 0.2
"""Inverse regularisation of the classifier, and in how many questions a word or pair must occur to count; both chosen
by cross-validation, the first only between 10 and 100."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A blank of a skeleton; equal arguments are one blank, filled once."""

    index: int

    def __str__(self) -> str:
        return f"N{self.index}"


Skeleton = tuple[Step, ...]


def split(program: Program) -> tuple[Skeleton, list[str]]:
    """A program without its numbers and row names, and these in the order of their first use.

    >>> from finqa_lab.finqa.parse import parse
    >>> skeleton, arguments = split(parse("subtract(58, 57), divide(#0, 57)"))
    >>> ", ".join(map(str, skeleton)), arguments
    ('subtract(N0, N1), divide(#0, N1)', ['58', '57'])
    """
    arguments: dict[str, Slot] = {}

    def blank(argument):
        if isinstance(argument, Number | RowName):
            return arguments.setdefault(argument.text, Slot(len(arguments)))
        return argument

    return tuple(Step(s.operation, blank(s.first), blank(s.second)) for s in program), list(arguments)


def fill(skeleton: Skeleton, arguments: Sequence[Number | RowName]) -> Program:
    """The program with ``arguments[i]`` in blank ``i``."""

    def filled(argument):
        return arguments[argument.index] if isinstance(argument, Slot) else argument

    return tuple(Step(step.operation, filled(step.first), filled(step.second)) for step in skeleton)


class SkeletonClassifier:
    """Multinomial logistic regression on TF-IDF of the question's words and pairs of words, and marks of the facts."""

    def __init__(self, evidence: Sequence[Evidence], skeletons: Sequence[Skeleton]):
        """Fit on what questions are answered from and the skeletons of their programs; two skeletons must differ."""
        self.skeletons = list(dict.fromkeys(skeletons))
        number = {skeleton: index for index, skeleton in enumerate(self.skeletons)}
        self._words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=RARE, token_pattern=r"[^\s]+")
        self._marks = CountVectorizer(analyzer=marks, binary=True, min_df=RARE)
        questions = [one.question for one in evidence]
        features = hstack([self._words.fit_transform(questions), WEIGHT * self._marks.fit_transform(evidence)])
        self._model = LogisticRegression(C=STRENGTH, max_iter=300)
        self._model.fit(features.tocsr(), [number[skeleton] for skeleton in skeletons])

    def best(self, evidence: Evidence, count: int) -> list[tuple[Skeleton, float]]:
        """The ``count`` most probable skeletons with their log probabilities, the best first."""
        features = hstack([self._words.transform([evidence.question]), WEIGHT * self._marks.transform([evidence])])
        scores = self._model.predict_log_proba(features.tocsr())[0]
        return [(self.skeletons[i], float(scores[i])) for i in np.argsort(-scores, kind="stable")[:count]]


def marks(evidence: Evidence) -> list[str]:
    """What the facts are like: how many of which kind, how many numbers, percent signs, columns, units.

    >>> marks(Evidence("", {"text_3": "1.5 million at 5%"}, [["", "2004"]]))
    ['text 1', 'table 0', 'question numbers 0', 'percent', 'columns 1', 'million']
    """
    kinds = [source.partition("_")[0] for source in evidence.facts]
    text = " ".join(evidence.facts.values())
    found = [f"{kind} {min(kinds.count(kind), 4)}" for kind in ("text", "table")]
    found.append(f"question numbers {min(sum(word[0].isdigit() for word in words(evidence.question)), 4)}")
    found += ["percent"] * ("%" in text)
    found.append(f"columns {min(len(evidence.table[0]) - 1, 6) if evidence.table else 0}")
    return found + [unit for unit in ("thousand", "million", "billion", "total", "average") if unit in text]
