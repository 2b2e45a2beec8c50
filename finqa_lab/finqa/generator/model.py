"""Training a generator, and asking it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from finqa_lab.errors import CourseError
from finqa_lab.finqa.failure import ProgramError
from finqa_lab.finqa.generator.mentions import Evidence
from finqa_lab.finqa.generator.network import ListwiseNetwork
from finqa_lab.finqa.generator.ranking import KEPT, ProgramRanker
from finqa_lab.finqa.generator.search import Proposal, Proposer, candidates, slot_kinds
from finqa_lab.finqa.generator.skeletons import Skeleton, SkeletonClassifier, split
from finqa_lab.finqa.generator.slots import rarity, slot_features
from finqa_lab.finqa.literals import read_number
from finqa_lab.finqa.parse import parse
from finqa_lab.finqa.program import Number, Program, RowName
from finqa_lab.finqa.records import Record

FOLDS = 4
"""Parts of the training pages; the ranker learns from proposals for a part that were learned without it."""


@dataclass(frozen=True)
class Generator:
    """A trained generator.

    Attributes:
        proposer: proposes programs.
        ranker: reorders them; None leaves the proposer's order.
    """

    proposer: Proposer
    ranker: ProgramRanker | None

    def propose(self, evidence: Evidence) -> list[Proposal]:
        """Programs that execute with their values, the most probable first; none when the facts have no number."""
        found = self.proposer.propose(evidence)
        return self.ranker.order(evidence, found) if self.ranker else found

    def predict(self, evidence: Evidence) -> list[Program]:
        """The programs of :meth:`propose`."""
        return [proposal.program for proposal in self.propose(evidence)]


@dataclass(frozen=True)
class _Example:
    page: str
    evidence: Evidence
    skeleton: Skeleton
    arguments: tuple[str, ...]
    gold: frozenset[str]
    answer: float | str | None


def train(records: Sequence[Record], evidence: Sequence[Evidence] | None = None, seed: int = 0) -> Generator:
    """Fit a generator on records with programs.

    Records without a readable program, and blanks whose number no fact states, teach nothing and are passed over.

    Args:
        records: of a train split.
        evidence: what each record is answered from, in the order of the records; default their gold facts. To be used
            behind a retriever, train on what that retriever finds.
        seed: of the networks and of the parts.

    Raises:
        CourseError: when the readable programs have fewer than two skeletons, or no blank that a fact can fill.
    """
    examples = list(_examples(records, evidence or [Evidence.gold(record) for record in records]))
    proposer = _fit(examples, seed)
    pages = sorted({example.page for example in examples})
    Random(seed).shuffle(pages)
    part = {page: number % FOLDS for number, page in enumerate(pages)}
    lists = []
    for fold in range(FOLDS):
        try:
            other = _fit([e for e in examples if part[e.page] != fold], seed)
        except CourseError:
            return Generator(proposer, None)  # too few pages to hold any back
        for example in examples:
            if part[example.page] == fold and example.evidence.facts:
                found = other.propose(example.evidence)[:KEPT]
                right = np.array([proposal.value == example.answer for proposal in found], bool)
                lists.append((example.evidence, found, right))
    ranked = any(right.any() for _, _, right in lists)
    return Generator(proposer, ProgramRanker(lists, proposer.idf, seed) if ranked else None)


def _examples(records: Sequence[Record], evidence: Sequence[Evidence]) -> Iterable[_Example]:
    for record, one in zip(records, evidence, strict=True):
        try:
            skeleton, arguments = split(parse(record.program or ""))
        except ProgramError:
            continue
        gold = frozenset(record.gold_facts)
        yield _Example(record.page.filename, one, skeleton, tuple(arguments), gold, record.exe_ans)


def _fit(examples: Sequence[_Example], seed: int) -> Proposer:
    idf = rarity(text for e in examples for text in (e.evidence.question, *e.evidence.facts.values()))
    lists = [pair for example in examples for pair in _lists(example, idf)]
    if len({example.skeleton for example in examples}) < 2 or not lists:
        raise CourseError(
            f"{len(examples)} records hold too little to train a generator: it needs two kinds of programs and "
            "facts that state their numbers; give more records of a train split"
        )
    classifier = SkeletonClassifier([e.evidence for e in examples], [e.skeleton for e in examples])
    return Proposer(classifier, ListwiseNetwork(lists, seed), idf)


def _lists(example: _Example, idf: dict[str, float]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Feature matrix and right mentions of every blank, the earlier blanks filled rightly."""
    lists, chosen, pools = [], {Number: [], RowName: []}, {}
    for slot, (kind, text) in enumerate(zip(slot_kinds(example.skeleton), example.arguments)):
        if kind not in pools:
            pools[kind] = candidates(example.evidence, kind, idf)
        pool = pools[kind]
        if kind is RowName:
            right = np.array([mention.text == text for mention in pool.mentions], bool)
        else:
            right = np.array([read_number(mention.text) == read_number(text) for mention in pool.mentions], bool)
        if right.any():
            lists.append((pool.features(slot_features(example.skeleton, slot), chosen[kind]), right))
            chosen[kind].append(int(right.argmax()))
    return lists
