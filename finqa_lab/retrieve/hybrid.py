"""Scores of several retrievers made into one ranking.

Scores of different retrievers have different scales. Min-max normalisation brings them to [0, 1] before they are
added; reciprocal rank fusion looks at ranks only (G. Cormack et al., "Reciprocal Rank Fusion outperforms Condorcet and
individual Rank Learning Methods", SIGIR 2009). All functions take one score a candidate, higher is better.
"""

from collections.abc import Sequence

import numpy as np
import torch


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """Positions of the k best scores, best first; among equals the earlier position wins.

    >>> top_k(np.array([0.1, 0.7, 0.3, 0.7]), 3).tolist()
    [1, 3, 2]

    Args:
        scores: float array of length n.
        k: how many; all n when it is larger.
    """
    scores = np.asarray(scores)
    if 0 < k < len(scores):
        # np.partition takes milliseconds where most scores are equal, as those of a sparse search are; topk does not.
        threshold = torch.topk(torch.from_numpy(np.ascontiguousarray(scores)), k, sorted=False).values.min().item()
        kept = np.flatnonzero(scores >= threshold)
        return kept[np.argsort(-scores[kept], kind="stable")][:k]
    if k == 0:
        return np.empty(0, dtype=np.int64)
    return np.argsort(-scores, kind="stable")


def ranks(scores: np.ndarray) -> np.ndarray:
    """Rank of every candidate, 0 for the best; among equals the earlier position is better.

    >>> ranks(np.array([0.1, 0.7, 0.3, 0.7])).tolist()
    [3, 0, 2, 1]
    """
    ranked = np.empty(len(scores), dtype=np.int64)
    ranked[top_k(scores, len(scores))] = np.arange(len(scores))
    return ranked


def min_max(scores: np.ndarray) -> np.ndarray:
    """Scores moved and scaled to [0, 1]; equal scores all become 0.

    >>> min_max(np.array([2.0, 4.0, 3.0])).tolist()
    [0.0, 1.0, 0.5]
    """
    scores = np.asarray(scores, dtype=np.float64)
    if not len(scores):
        return scores
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.zeros(len(scores))


def weighted(scores: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Weighted sum of min-max normalised scores.

    Raises:
        ValueError: when the numbers of score arrays and weights differ.
    """
    if len(scores) != len(weights) or not len(scores):
        raise ValueError(f"{len(scores)} score arrays and {len(weights)} weights")
    return sum(weight * min_max(one) for one, weight in zip(scores, weights))


def reciprocal_rank(scores: Sequence[np.ndarray], constant: int = 60) -> np.ndarray:
    """Sum of ``1 / (constant + rank)`` over the retrievers, ranks from 1.

    Args:
        scores: one array a retriever, over the same candidates.
        constant: the paper's 60: the larger, the less the first places stand out.
    """
    return sum(1.0 / (constant + 1 + ranks(one)) for one in scores)
