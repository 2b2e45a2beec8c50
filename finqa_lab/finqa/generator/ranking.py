"""Reordering whole programs: what only a complete program shows.

Skeleton and arguments are chosen by separate scores that do not see the result. A share above 100 times the whole, a
gold fact that nothing uses, an operand of a year that nobody asked for: such things are visible in the finished
program. A second network learns from them which proposal is right, on proposals for questions that the first stage was
not trained on (M. Collins, T. Koo, "Discriminative Reranking for Natural Language Parsing", Computational Linguistics
31(1), 2005).
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from finqa_lab.finqa.generator.mentions import Evidence, words, years
from finqa_lab.finqa.generator.network import ListwiseNetwork
from finqa_lab.finqa.generator.search import Proposal
from finqa_lab.finqa.program import OPERATIONS, Constant, literals

KEPT, EPOCHS = 30, 30
"""Proposals that are reordered, and passes of training."""

_SHARE = ("percent", "percentage", "portion", "rate", "ratio", "growth", "return", "margin", "%")
_CUES = (
    _SHARE,
    ("average", "mean"),
    ("total", "sum", "combined", "together"),
    ("change", "difference", "increase", "decrease", "growth", "decline"),
    ("did", "does", "is", "was", "were", "are", "do"),
    ("million", "millions"),
    ("thousand", "thousands", "billion", "billions"),
    ("many", "much"),
)
_CONSTANTS = ("const_100", "const_1000", "const_2", "const_1", "const_1000000")


class ProgramRanker:
    """Reorders proposals.

    Args:
        examples: evidence, its proposals by score, a mask of the right ones; lists without a right one teach nothing.
        idf: rarity of words.
        seed: of the network.
    """

    def __init__(
        self, examples: Sequence[tuple[Evidence, Sequence[Proposal], np.ndarray]], idf: Mapping[str, float], seed: int
    ):
        self._idf = idf
        lists = [(self._features(evidence, found), mask) for evidence, found, mask in examples if mask.any()]
        self._network = ListwiseNetwork(lists, seed, EPOCHS)

    def order(self, evidence: Evidence, found: Sequence[Proposal]) -> list[Proposal]:
        """The first :data:`KEPT` proposals, the most probable first."""
        found = list(found[:KEPT])
        if not found:
            return []
        scores = self._network.log_probabilities(self._features(evidence, found))
        return [found[i] for i in np.argsort(-scores, kind="stable")]

    def _features(self, evidence: Evidence, found: Sequence[Proposal]) -> np.ndarray:
        asked = words(evidence.question)
        cues = [any(word in asked for word in group) for group in _CUES]
        first = asked[0] in _CUES[4] if asked else False
        shared = [first, *cues, len(evidence.facts) / 4, len(asked) / 20]
        scores = np.array([proposal.score for proposal in found])
        probability = np.exp(scores - np.logaddexp.reduce(scores))
        agreement: dict[float | str, float] = {}
        for proposal, one in zip(found, probability):
            agreement[proposal.value] = agreement.get(proposal.value, 0.0) + one
        rows = [
            [
                proposal.of_skeleton,
                proposal.of_filling,
                proposal.score - scores[0],
                order / KEPT,
                one,
                agreement[proposal.value],
                math.log(agreement[proposal.value] + 1e-6),
                *_of_value(proposal.value),
                *_of_program(proposal),
                *_of_operands(proposal, evidence, asked, self._idf),
                *shared,
            ]
            for order, (proposal, one) in enumerate(zip(found, probability))
        ]
        return np.array(rows, np.float32)


def _of_value(value: float | str) -> list[float]:
    if isinstance(value, str):
        return [1.0] + [0.0] * 9
    size = abs(value)
    bounds = [size < 0.005, size < 1, size < 2, size < 20, size < 100.5, size < 1e4]
    return [0.0, value < 0, float(value).is_integer(), math.log10(size + 1e-3) / 4, *bounds]


def _of_program(proposal: Proposal) -> list[float]:
    operations = [step.operation for step in proposal.program]
    constants = {argument.text for argument in literals(proposal.program) if isinstance(argument, Constant)}
    one_hot = [operation == operations[-1] for operation in OPERATIONS]
    return [
        *one_hot,
        *(operation == operations[0] for operation in OPERATIONS),
        len(operations) / 3,
        len(proposal.mentions) / 4,
        len(constants),
        *(constant in constants for constant in _CONSTANTS),
    ]


def _of_operands(proposal: Proposal, evidence: Evidence, asked: Sequence[str], idf: Mapping[str, float]) -> list[float]:
    used = proposal.mentions
    facts = {mention.fact for mention in used} - {-1}
    relevance = [mention.relevance for mention in used if mention.fact >= 0] or [0.0]
    wanted = set(years(evidence.question))
    given = {mention.year for mention in used if mention.year}
    table = [mention for mention in used if mention.source == "table"]
    overlap = [_quoted(mention.names | mention.heads, asked, idf) for mention in used if mention.fact >= 0] or [0.0]
    return [
        len(facts) / max(len(evidence.facts), 1),
        len(facts) == len(evidence.facts),
        len(facts),
        0 in facts,
        len(table) / max(len(used), 1),
        len({mention.fact for mention in table}) == 1,
        len({mention.column for mention in table}) == 1,
        sum(mention.source == "question" for mention in used),
        sum(mention.is_bare for mention in used),
        sum("%" in mention.text for mention in used),
        sum(bool(years(mention.text)) for mention in used),
        len(wanted & given) / max(len(wanted), 1),
        len(given - wanted),
        not wanted,
        sum(relevance) / len(relevance),
        min(relevance),
        sum(overlap) / len(overlap),
        min(overlap),
        len({mention.text for mention in used}) < len(used),
    ]


def _quoted(names: frozenset[str], asked: Sequence[str], idf: Mapping[str, float]) -> float:
    """Share of the names that the question quotes, by rarity."""
    weight = {name: idf.get(name, idf[""]) for name in names}
    return sum(weight[name] for name in names.intersection(asked)) / (sum(weight.values()) or 1.0)
