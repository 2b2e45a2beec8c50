"""How well a ranking finds the gold facts of a question: recall, all gold found, reciprocal rank, discounted gain.

Recall rewards every fact; a program, however, can only be written when *all* its facts are there, so the share of
questions with all gold facts among the first k says more about what a reader of the context can do. nDCG: K. Jarvelin,
J. Kekalainen, "Cumulated gain-based evaluation of IR techniques", 2002, with gain 1 for a gold fact.

A unit is named by any hashable value: a source id within a report, a pair (page id, source id) in a corpus. A unit
that a ranking repeats (overlapping windows) counts where it stands first.
"""

import math
from collections.abc import Hashable, Iterable, Sequence

KS = (1, 3, 5, 10)
"""Cut-offs that :func:`measure` reports."""


def distinct(units: Iterable[Hashable]) -> list:
    """Every unit once, at its first place.

    >>> distinct(["text_3", "table_1", "text_3"])
    ['text_3', 'table_1']
    """
    return list(dict.fromkeys(units))


def recall(ranked: Sequence[Hashable], gold: Iterable[Hashable], k: int) -> float:
    """Share of the gold units among the first k.

    >>> recall(["table_1", "text_0", "text_4"], {"table_1", "text_4"}, k=2)
    0.5

    Raises:
        ValueError: when there is no gold unit or k < 1.
    """
    gold = _checked(gold, k)
    return len(gold.intersection(distinct(ranked)[:k])) / len(gold)


def all_gold(ranked: Sequence[Hashable], gold: Iterable[Hashable], k: int) -> float:
    """1.0 when all gold units are among the first k, else 0.0; impossible when there are more than k of them.

    >>> all_gold(["table_1", "text_0", "text_4"], {"table_1", "text_4"}, k=3)
    1.0

    Raises:
        ValueError: as :func:`recall`.
    """
    gold = _checked(gold, k)
    return float(gold.issubset(distinct(ranked)[:k]))


def first_gold(ranked: Sequence[Hashable], gold: Iterable[Hashable]) -> float:
    """1 / rank of the first gold unit, 0.0 without one; its mean over questions is the MRR.

    >>> first_gold(["text_0", "table_1"], {"table_1"})
    0.5

    Raises:
        ValueError: when there is no gold unit.
    """
    gold = _checked(gold, 1)
    return next((1 / rank for rank, unit in enumerate(ranked, 1) if unit in gold), 0.0)


def ndcg(ranked: Sequence[Hashable], gold: Iterable[Hashable], k: int) -> float:
    """Sum of 1 / log2(1 + rank) over the gold units among the first k, divided by the largest possible sum.

    >>> round(ndcg(["text_0", "table_1"], {"table_1"}, k=5), 4)  # 1 / log2(3)
    0.6309

    Raises:
        ValueError: as :func:`recall`.
    """
    gold = _checked(gold, k)
    gain = sum(1 / math.log2(1 + rank) for rank, unit in enumerate(distinct(ranked)[:k], 1) if unit in gold)
    return gain / sum(1 / math.log2(1 + rank) for rank in range(1, min(k, len(gold)) + 1))


def measure(ranked: Sequence[Hashable], gold: Iterable[Hashable], ks: Sequence[int] = KS) -> dict[str, float]:
    """All measures of one question: ``recall@k``, ``all@k``, ``ndcg@k`` for every k, and ``mrr``.

    >>> measure(["table_1"], {"table_1"}, ks=(1,))
    {'mrr': 1.0, 'recall@1': 1.0, 'all@1': 1.0, 'ndcg@1': 1.0}

    Args:
        ranked: units, best first.
        gold: units that the question needs.
        ks: cut-offs, each at least 1.

    Raises:
        ValueError: when there is no gold unit or a k < 1.
    """
    ranked, gold = distinct(ranked), set(gold)
    found = {"mrr": first_gold(ranked, gold)}
    for k in ks:
        found[f"recall@{k}"] = recall(ranked, gold, k)
        found[f"all@{k}"] = all_gold(ranked, gold, k)
        found[f"ndcg@{k}"] = ndcg(ranked, gold, k)
    return found


def _checked(gold: Iterable[Hashable], k: int) -> set:
    gold = set(gold)
    if not gold or k < 1:
        raise ValueError(f"{len(gold)} gold units and k = {k}: both must be at least 1")
    return gold
