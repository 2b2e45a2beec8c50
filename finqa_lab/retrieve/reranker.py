"""A light learned reranker for the units of one report: boosted trees on counted features.

Histogram gradient boosting (G. Ke et al., "LightGBM", 2017, as scikit-learn has it) finds interactions such as "asked
for a change, a row, both years in the header"; two models that draw other features at each split are averaged.
Training on 500 questions takes seconds. All settings were chosen by cross-validation over pages
(``benchmarks/finqa_retrieval.py --choose``).
"""

from collections.abc import Sequence

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier

from finqa_lab.errors import CourseError
from finqa_lab.finqa.pages import Page
from finqa_lab.finqa.records import Record
from finqa_lab.retrieve.features import FeatureMaker
from finqa_lab.retrieve.hybrid import top_k

BOOSTING = {
    "max_iter": 150,
    "learning_rate": 0.05,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 20,
    "l2_regularization": 1.0,
    "max_features": 0.3,
    "early_stopping": False,
}
BOOSTERS = 2
MIXED_FROM = 5


class Ensemble:
    """Classifiers whose log odds are averaged.

    Args:
        models: of scikit-learn, with ``predict_proba``.
    """

    def __init__(self, models: Sequence[ClassifierMixin]):
        self._models = list(models)

    def fit(self, features: np.ndarray, gold: np.ndarray) -> "Ensemble":
        """Learn from units: float [units, features] and bool [units]."""
        for model in self._models:
            model.fit(features, gold)
        return self

    def log_odds(self, features: np.ndarray) -> np.ndarray:
        """Mean of the models' log odds that a unit is gold, float64 [units]."""
        chances = [np.clip(model.predict_proba(features)[:, 1], 1e-6, 1 - 1e-6) for model in self._models]
        return np.mean([np.log(chance / (1 - chance)) for chance in chances], axis=0)


def boosters(count: int = BOOSTERS, seed: int = 0) -> list[HistGradientBoostingClassifier]:
    """Boosted trees that differ by seed only; the first has ``seed``."""
    return [HistGradientBoostingClassifier(**BOOSTING, random_state=seed + number) for number in range(count)]


def mix_kinds(order: np.ndarray, rows: np.ndarray, place: int = MIXED_FROM) -> np.ndarray:
    """Give a place to the best unit of the other kind when all units before it are of one kind.

    About a sixth of the questions need a sentence and a row, and few need five units of one kind.

    >>> mix_kinds(np.array([3, 4, 5, 0]), np.array([False, False, False, True, True, True]), place=3).tolist()
    [3, 4, 0, 5]

    Args:
        order: positions of units, best first.
        rows: bool [units], whether a unit is a table row.
        place: 1 for the first.
    """
    kinds = rows[order]
    others = np.flatnonzero(kinds != kinds[0])
    if not len(others) or others[0] < place:
        return order
    moved = order[others[0]]
    return np.insert(np.delete(order, others[0]), place - 1, moved)


class Reranker:
    """Ranks the units of a report for a question.

    Args:
        maker: describes the units.
        model: fitted on its descriptions.
    """

    def __init__(self, maker: FeatureMaker, model: Ensemble):
        self.maker, self.model = maker, model

    def scores(self, question: str, page: Page) -> np.ndarray:
        """Log odds that a unit is a gold fact, float64 [units], in the order of ``page.source_ids``.

        Raises:
            CourseError: when the question is blank.
        """
        return self.model.log_odds(self.maker.matrix(question, page))

    def rank(self, question: str, page: Page, mixed: bool = True) -> list[str]:
        """Source ids, best first.

        Args:
            question: about the page.
            page: may be one that was not trained on.
            mixed: see to it that both kinds are among the first five, see :func:`mix_kinds`; False sorts by the scores.

        Raises:
            CourseError: when the question is blank.
        """
        scores = self.scores(question, page)
        order = top_k(scores, len(scores))
        if mixed:
            order = mix_kinds(order, self.maker.candidates(page).rows)
        sources = page.source_ids
        return [sources[position] for position in order]


def gold_units(record: Record) -> np.ndarray:
    """Which units of its page are gold facts of a question, bool [units]."""
    return np.array([source in record.gold_facts for source in record.page.source_ids])


def train_reranker(records: Sequence[Record], seed: int = 0) -> Reranker:
    """Train on questions with gold facts; the encoder is fitted on their pages.

    Args:
        records: those without gold facts are left out.
        seed: of the encoder and the boosted trees; the same seed gives the same scores.

    Raises:
        CourseError: when no question has gold facts.
    """
    records = [record for record in records if record.gold_facts]
    if not records:
        raise CourseError("no question has gold facts to learn from; give records of FinQA's train split")
    pages = {record.page.filename: record.page for record in records}
    maker = FeatureMaker.fit(list(pages.values()), seed=seed)
    features = np.vstack([maker.matrix(record.question, record.page) for record in records])
    gold = np.concatenate([gold_units(record) for record in records])
    return Reranker(maker, Ensemble(boosters(seed=seed)).fit(features, gold))
