"""What the pre-split of numbers does to addition: do the tokens line up by place value, and how many facts are there?

A model adds by combining the tokens of two operands. Two properties of the tokens bound how well that can be
learned whatever the model is, and both can be measured without training one.

* **Alignment.** 12345 + 678 is cut by place value from the right (12|345 + 678), but not from the left (123|45 + 678).
* **Facts.** One digit a token makes 10 x 10 x 2 facts (two digits and a carry); three digits make two million.

Singh and Strouse (2024, arXiv:2402.14903) measured the effect on large models.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Cutter = Callable[
    [str], Sequence[str]
]  # a number's digits -> its tokens, for example PreSplit("right").split


def cut_places(tokens: Sequence[str]) -> set[int]:
    """Places at which a number is cut, counted from the right: before 10**3 is place 3.

    >>> cut_places(["12", "345"]), cut_places(["123", "45"])
    ({3}, {2})
    """
    places, place = set(), 0
    for token in reversed(tokens[1:]):
        place += len(token)
        places.add(place)
    return places


def aligned(numbers: Sequence[str], cut: Cutter) -> bool:
    """Whether every two of the numbers are cut at the same places, as far as the shorter one reaches.

    >>> aligned(["12345", "678"], lambda number: [number[:-3], number[-3:]] if len(number) > 3 else [number])
    True
    >>> aligned(["12345", "678"], lambda number: [number[:3], number[3:]] if len(number) > 3 else [number])
    False
    """
    cuts = [(len(number), cut_places(cut(number))) for number in numbers]
    for length, places in cuts:
        for other_length, other in cuts:
            reach = min(length, other_length)
            if {p for p in places if p < reach} != {p for p in other if p < reach}:
                return False
    return True


def random_sums(count: int, digits: int, rng: random.Random) -> list[tuple[int, int]]:
    """Operand pairs whose lengths are drawn uniformly from 1 to ``digits``, then their digits."""

    def operand() -> int:
        length = rng.randint(1, digits)
        return rng.randrange(10 ** (length - 1) if length > 1 else 0, 10**length)

    return [(operand(), operand()) for _ in range(count)]


def facts(a: int, b: int, cut: Cutter) -> list[tuple[tuple[str, str, bool], str]]:
    """What one sum teaches a table: for each answer token, (operand tokens at the same index, carry in) -> the token.

    Tokens are indexed from the right. The carry is the true one into the token's lowest place, so a table over
    aligned tokens never contradicts itself.

    >>> facts(57, 68, list)
    [(('7', '8', False), '5'), (('5', '6', True), '2'), (('', '', True), '1')]
    """
    left, right, answer = (list(cut(str(number)))[::-1] for number in (a, b, a + b))
    found, place = [], 0
    for index, token in enumerate(answer):
        operands = tuple(tokens[index] if index < len(tokens) else "" for tokens in (left, right))
        carry = a % 10**place + b % 10**place >= 10**place
        found.append(((*operands, carry), token))
        place += len(token)
    return found


@dataclass(frozen=True)
class TableResult:
    """How a table that only remembers facts does on sums it has not seen.

    Attributes:
        exact: share of the fresh sums with every answer token right.
        keys: distinct facts met in training.
        contradicted: share of the facts met at least twice that came with more than one answer.
    """

    exact: float
    keys: int
    contradicted: float


def learn_table(
    train: Sequence[tuple[int, int]], fresh: Sequence[tuple[int, int]], cut: Cutter
) -> TableResult:
    """Remember the facts of ``train`` (the most frequent answer of each) and answer ``fresh`` from memory."""
    table: dict[tuple[str, str, bool], Counter] = defaultdict(Counter)
    for a, b in train:
        for key, token in facts(a, b, cut):
            table[key][token] += 1
    best = {key: answers.most_common(1)[0][0] for key, answers in table.items()}
    right = sum(all(best.get(key) == token for key, token in facts(a, b, cut)) for a, b in fresh)
    repeated = [answers for answers in table.values() if answers.total() > 1]
    contradicted = sum(len(answers) > 1 for answers in repeated) / max(1, len(repeated))
    return TableResult(right / len(fresh), len(table), contradicted)
