"""Checks of lab 10: what a ranking found, and what fits into a budget."""

import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def found_cases(rng: random.Random) -> Iterator[Case]:
    """A ranking without repetitions, the gold units, and k."""
    yield Case(["a", "b"], {"a"}, 1)
    yield Case(["b", "a"], {"a"}, 1, note="found, but behind k")
    yield Case(["a", "b", "c"], {"a", "c"}, 2, note="one of two")
    yield Case(["a", "b", "c"], {"a", "c"}, 3)
    yield Case(["a", "b", "c"], {"a", "b", "c"}, 2, note="more gold units than places")
    yield Case(["a", "b"], {"x", "a"}, 2, note="a gold unit that is not in the ranking")
    for _ in range(6):
        units = list("abcdefgh")
        rng.shuffle(units)
        yield Case(units, set(rng.sample(units, rng.randrange(1, 4))), rng.randrange(1, 6))


def _number(expected, got) -> bool:
    return not isinstance(got, str) and abs(expected - float(got)) < 1e-9


register(
    Check(
        name="rag.recall_at_k",
        task="share of the gold units that are among the first k of the ranking",
        cases=found_cases,
        oracle=lambda ranked, gold, k: len(gold & set(ranked[:k])) / len(gold),
        same=_number,
        why="recall at k says how much of what is needed reaches the reader of k passages.",
        hint="cut the ranking at k, count the gold units in it, divide by the number of gold units.",
        wrong=[
            WrongAnswer(
                "precision",
                lambda ranked, gold, k: len(gold & set(ranked[:k])) / k,
                "divided by k it is the precision; recall divides by the number of gold units.",
            ),
            WrongAnswer(
                "not cut",
                lambda ranked, gold, k: len(gold & set(ranked)) / len(gold),
                "only the first k units of the ranking count.",
            ),
            WrongAnswer(
                "hit or miss",
                lambda ranked, gold, k: float(bool(gold & set(ranked[:k]))),
                "one of two gold units is 0.5, not 1: count them.",
            ),
            WrongAnswer(
                "divided by at most k",
                lambda ranked, gold, k: len(gold & set(ranked[:k])) / min(k, len(gold)),
                "divide by all gold units, also when there are more than k: what does not fit is not found.",
            ),
            WrongAnswer(
                "one place too many",
                lambda ranked, gold, k: len(gold & set(ranked[: k + 1])) / len(gold),
                "ranked[:k] are the first k units; ranked[:k + 1] is one more.",
            ),
        ],
    )
)
register(
    Check(
        name="rag.all_gold_at_k",
        task="True when all gold units are among the first k of the ranking",
        cases=found_cases,
        oracle=lambda ranked, gold, k: gold <= set(ranked[:k]),
        why="a change needs both years: with one of two facts there is no program, so half the recall is no answer.",
        hint="every gold unit must be in ranked[:k]; other units may be there, too. Return True or False.",
        wrong=[
            WrongAnswer(
                "any of them",
                lambda ranked, gold, k: bool(gold & set(ranked[:k])),
                "one gold unit is not enough: all of them.",
            ),
            WrongAnswer(
                "the first k are all gold",
                lambda ranked, gold, k: all(unit in gold for unit in ranked[:k]),
                "go through the gold units, not through the ranking: other units may be among the first k.",
            ),
            WrongAnswer(
                "nothing else allowed",
                lambda ranked, gold, k: gold == set(ranked[:k]),
                "other units may be among the first k: ask for a subset, not for equality.",
            ),
            WrongAnswer(
                "not cut",
                lambda ranked, gold, k: gold <= set(ranked),
                "only the first k units of the ranking count.",
            ),
        ],
    )
)


def pack_cases(rng: random.Random) -> Iterator[Case]:
    """Passages, best first, and the budget in words."""
    yield Case(["a b"], 2, note="it fits exactly")
    yield Case(["a b c"], 2, note="nothing fits")
    yield Case(["a b", "c d e f", "g"], 3, note="the second does not fit, the third does")
    yield Case(["a", "b", "c"], 2)
    yield Case(["a b c d", "e f", "g h"], 5, note="best first: the long one is taken")
    for _ in range(5):
        passages = [" ".join(rng.choices("abcdef", k=rng.randrange(1, 7))) for _ in range(rng.randrange(3, 7))]
        yield Case(passages, rng.randrange(4, 15))


def _pack(passages, budget, stop=False, strict=False, count=lambda text: len(text.split()), order=None) -> list[str]:
    taken, used = [], 0
    for passage in sorted(passages, key=order) if order else passages:
        cost = count(passage)
        if used + cost < budget or (used + cost == budget and not strict):
            taken.append(passage)
            used += cost
        elif stop:
            break
    return taken


def _cut(passages, budget) -> list[str]:
    taken, left = [], budget
    for passage in passages:
        words = passage.split()[:left]
        if words:
            taken.append(" ".join(words))
            left -= len(words)
    return taken


def _shared(passages, budget) -> list[str]:
    return [passage for passage in passages if len(passage.split()) <= budget]


register(
    Check(
        name="rag.pack",
        task="the passages that are taken, best first, whole, while they fit into a budget of words",
        cases=pack_cases,
        oracle=_pack,
        why="half a passage is worse than none: a number whose row name was cut off is a number of nothing.",
        hint="keep a running total; take a passage when the total with it is within the budget, else pass over it.",
        wrong=[
            WrongAnswer(
                "stops at the first that does not fit",
                lambda passages, budget: _pack(passages, budget, stop=True),
                "a passage that does not fit is passed over; a shorter one behind it may still fit.",
            ),
            WrongAnswer(
                "the last is cut",
                _cut,
                "no passage is cut: what does not fit whole is left out.",
            ),
            WrongAnswer(
                "an exact fit refused",
                lambda passages, budget: _pack(passages, budget, strict=True),
                "a total equal to the budget is within it.",
            ),
            WrongAnswer(
                "characters counted",
                lambda passages, budget: _pack(passages, budget, count=len),
                "the budget is in words: len(passage.split()).",
            ),
            WrongAnswer(
                "shortest first",
                lambda passages, budget: _pack(passages, budget, order=lambda text: len(text.split())),
                "the best passage comes first, even when two shorter ones would fit in its place.",
            ),
            WrongAnswer(
                "no running total",
                _shared,
                "each passage takes its words from what is left: add up what was taken.",
            ),
        ],
    )
)
