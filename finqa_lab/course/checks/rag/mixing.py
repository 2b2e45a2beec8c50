"""Checks of lab 10: two ways to make one ranking of two."""

import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def ranking_cases(rng: random.Random) -> Iterator[Case]:
    """Rankings of unit names, best first; not every unit is in every ranking."""
    yield Case([["a"]])
    yield Case([["a", "b"], ["b", "a"]])
    yield Case([["a", "b", "c"], ["c"]], note="the second ranking has only c")
    yield Case([["a"], ["b"]], note="nothing in common")
    for _ in range(4):
        units = "abcdefgh"[: rng.randrange(3, 9)]
        yield Case([rng.sample(units, rng.randrange(2, len(units) + 1)) for _ in range(rng.randrange(2, 4))])


def _fuse(rankings, first=1, constant=60, missing=False, best=False, invert=True) -> dict[str, float]:
    units = dict.fromkeys(unit for ranking in rankings for unit in ranking)
    scores = {}
    for unit in units:
        ranks = [ranking.index(unit) + first for ranking in rankings if unit in ranking]
        if missing:
            ranks += [len(ranking) + first for ranking in rankings if unit not in ranking]
        parts = [1 / (constant + rank) if invert else constant + rank for rank in ranks]
        scores[unit] = max(parts) if best else sum(parts)
    return scores


register(
    Check(
        name="rag.reciprocal_rank_fusion",
        task="fused score of every unit: the sum of 1 / (60 + rank) over the rankings that have it",
        cases=ranking_cases,
        oracle=_fuse,
        same=lambda expected, got: (
            isinstance(got, dict)
            and expected.keys() == got.keys()
            and all(abs(expected[unit] - got[unit]) < 1e-9 for unit in expected)
        ),
        why="ranks can be added where scores cannot: BM25 has no upper end, an inner product ends at 1.",
        hint="go through the rankings, count ranks from 1, and add to what the unit has so far.",
        wrong=[
            WrongAnswer(
                "ranks from zero",
                lambda rankings: _fuse(rankings, first=0),
                "the best unit has rank 1, so it gets 1 / 61.",
            ),
            WrongAnswer(
                "missing units ranked last",
                lambda rankings: _fuse(rankings, missing=True),
                "a ranking that does not have a unit adds nothing to it.",
            ),
            WrongAnswer(
                "constant left out",
                lambda rankings: _fuse(rankings, constant=0),
                "without the 60, one first place outweighs everything: 1 against 1/2, instead of 1/61 against 1/62.",
            ),
            WrongAnswer(
                "best rank only",
                lambda rankings: _fuse(rankings, best=True),
                "the parts are added: a unit that both rankings like should beat one that only one of them likes.",
            ),
            WrongAnswer(
                "ranks added as they are",
                lambda rankings: _fuse(rankings, constant=0, invert=False),
                "a low rank is good and a high score should be: add 1 / (60 + rank), not the rank.",
            ),
        ],
    )
)


def score_cases(rng: random.Random) -> Iterator[Case]:
    """Sparse scores, dense scores of the same units, and the weight of the sparse ones."""
    yield Case([0.0, 10.0], [0.9, 0.1], 1.0, note="sparse only")
    yield Case([2.0, 4.0, 3.0], [0.1, 0.3, 0.5], 0.5)
    yield Case([2.0, 4.0, 3.0], [0.1, 0.3, 0.5], 0.25)
    yield Case([0.0, 0.0], [0.2, 0.4], 0.5, note="no term of the question occurs: equal scores become 0")
    yield Case([3.0, 1.0], [-0.2, 0.4], 0.5, note="an inner product can be negative")
    for _ in range(4):
        size = rng.randrange(3, 7)
        sparse, dense = ([round(rng.uniform(*ends), 2) for _ in range(size)] for ends in ((0, 20), (-0.3, 1)))
        yield Case(sparse, dense, rng.choice([0.2, 0.4, 0.7]))


def _scaled(scores, low=None, high=None) -> list[float]:
    low, high = min(scores) if low is None else low, max(scores) if high is None else high
    return [(score - low) / (high - low) if high > low else 0.0 for score in scores]


def _blend(sparse, dense, weight, scale=_scaled, swap=False) -> list[float]:
    share = 1 - weight if swap else weight
    return [share * a + (1 - share) * b for a, b in zip(scale(sparse), scale(dense))]


def _together(sparse, dense, weight) -> list[float]:
    ends = min(sparse + dense), max(sparse + dense)
    return _blend(sparse, dense, weight, scale=lambda scores: _scaled(scores, *ends))


def _undefined(scores) -> list[float]:
    low, high = min(scores), max(scores)
    return [(score - low) / (high - low) for score in scores]


register(
    Check(
        name="rag.blend",
        task="weight times the sparse scores plus (1 - weight) times the dense ones, each scaled to [0, 1] first",
        cases=score_cases,
        oracle=_blend,
        same=lambda expected, got: (
            len(got) == len(expected) and all(abs(a - float(b)) < 1e-9 for a, b in zip(expected, got))
        ),
        why="unscaled, the retriever with the larger numbers decides alone, whatever the weight says.",
        hint="scale each list by its own least and largest score, then mix unit by unit.",
        wrong=[
            WrongAnswer(
                "not scaled",
                lambda sparse, dense, weight: _blend(sparse, dense, weight, scale=list),
                "BM25 scores go to 20 and inner products to 1: scale both to [0, 1] before you mix.",
            ),
            WrongAnswer(
                "divided by the largest only",
                lambda sparse, dense, weight: _blend(
                    sparse, dense, weight, scale=lambda scores: _scaled(scores, low=0.0)
                ),
                "subtract the least score as well: an inner product can be negative, and rarely is 0.",
            ),
            WrongAnswer(
                "weights exchanged",
                lambda sparse, dense, weight: _blend(sparse, dense, weight, swap=True),
                "the weight belongs to the sparse scores; 1 - weight to the dense ones.",
            ),
            WrongAnswer(
                "scaled together",
                _together,
                "each list is scaled by its own least and largest score, not by those of both.",
            ),
            WrongAnswer(
                "equal scores divided by zero",
                lambda sparse, dense, weight: _blend(sparse, dense, weight, scale=_undefined),
                "when all scores of a list are equal there is nothing to divide by: they become 0.",
            ),
        ],
    )
)
