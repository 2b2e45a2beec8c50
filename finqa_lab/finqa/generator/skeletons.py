"""Skeletons of programs, and which of them a question asks for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from finqa_lab.finqa.program import Number, Program, RowName, Step

STRENGTH, RARE = 30.0, 2
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
    """Multinomial logistic regression on TF-IDF of the question's words and pairs of words."""

    def __init__(self, questions: Sequence[str], skeletons: Sequence[Skeleton]):
        """Fit on the questions and the skeletons of their programs; at least two skeletons must differ."""
        self.skeletons = list(dict.fromkeys(skeletons))
        number = {skeleton: index for index, skeleton in enumerate(self.skeletons)}
        self._pipeline = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=RARE, token_pattern=r"[^\s]+"),
            LogisticRegression(C=STRENGTH, max_iter=300),
        ).fit(questions, [number[skeleton] for skeleton in skeletons])

    def best(self, question: str, count: int) -> list[tuple[Skeleton, float]]:
        """The ``count`` most probable skeletons with their log probabilities, the best first."""
        scores = self._pipeline.predict_log_proba([question])[0]
        return [(self.skeletons[i], float(scores[i])) for i in np.argsort(-scores, kind="stable")[:count]]
