"""The beam search over skeletons and fillings."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from finqa_lab.finqa.execute import execute
from finqa_lab.finqa.generator.mentions import Evidence, Mention, number_mentions, row_mentions
from finqa_lab.finqa.generator.network import ListwiseNetwork
from finqa_lab.finqa.generator.skeletons import Skeleton, SkeletonClassifier, Slot, fill
from finqa_lab.finqa.generator.slots import Candidates, slot_features
from finqa_lab.finqa.program import TABLE, Number, Program, RowName

SKELETONS, BEAM = 15, 5
"""Skeletons tried for a question, and fillings kept for each."""


@dataclass(frozen=True)
class Proposal:
    """A program that executes, and how it was found.

    Attributes:
        program: the program.
        skeleton: its skeleton.
        mentions: what fills its blanks, in order; the most probable choice when several give the same program.
        value: the executed value.
        of_skeleton: log probability of the skeleton.
        of_filling: log probability of the filling, summed over the choices that give the program.
    """

    program: Program
    skeleton: Skeleton
    mentions: tuple[Mention, ...]
    value: float | str
    of_skeleton: float
    of_filling: float

    @property
    def score(self) -> float:
        """Log probability of skeleton and filling."""
        return self.of_skeleton + self.of_filling


@dataclass(frozen=True)
class Proposer:
    """Proposes programs.

    Attributes:
        classifier: scores skeletons.
        filler: scores mentions for a blank.
        idf: rarity of words in the training facts.
    """

    classifier: SkeletonClassifier
    filler: ListwiseNetwork
    idf: Mapping[str, float]

    def propose(self, evidence: Evidence) -> list[Proposal]:
        """Programs that execute, the most probable first; none when the facts offer nothing to fill one with."""
        numbers, rows = (candidates(evidence, kind, self.idf) for kind in (Number, RowName))
        if not evidence.facts or not (numbers.mentions or rows.mentions):
            return []
        found: dict[Program, Proposal] = {}
        for skeleton, start in self.classifier.best(evidence, SKELETONS):
            for mentions, score in self._fillings(skeleton, numbers, rows):
                kinds = slot_kinds(skeleton)
                program = fill(skeleton, [kind(mention.text) for kind, mention in zip(kinds, mentions)])
                if program in found:
                    old = found[program]
                    score = float(np.logaddexp(old.of_filling, score))
                    found[program] = Proposal(program, skeleton, old.mentions, old.value, start, score)
                    continue
                result = execute(program, evidence.table)
                if result.failure is None:
                    found[program] = Proposal(program, skeleton, mentions, result.value, start, score)
        return sorted(found.values(), key=lambda proposal: -proposal.score)

    def _fillings(
        self, skeleton: Skeleton, numbers: Candidates, rows: Candidates
    ) -> list[tuple[tuple[Mention, ...], float]]:
        kinds = slot_kinds(skeleton)
        beam: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
        for slot, kind in enumerate(kinds):
            pool = rows if kind is RowName else numbers
            if not pool.mentions:
                return []
            where = slot_features(skeleton, slot)
            earlier = [[c for c, other in zip(chosen, kinds) if other is kind] for chosen, _ in beam]
            found = self.filler.log_probabilities(np.stack([pool.features(where, chosen) for chosen in earlier]))
            grown = [
                ((*chosen, int(i)), score + float(scores[i]))
                for (chosen, score), scores in zip(beam, found)
                for i in np.argsort(-scores)[:BEAM]
            ]
            beam = sorted(grown, key=lambda item: -item[1])[:BEAM]
        pools = [rows.mentions if kind is RowName else numbers.mentions for kind in kinds]
        return [(tuple(pool[c] for pool, c in zip(pools, chosen)), score) for chosen, score in beam]


def candidates(evidence: Evidence, kind: type, idf: Mapping[str, float]) -> Candidates:
    """What can fill a blank of the kind ``Number`` or ``RowName``."""
    found = row_mentions(evidence) if kind is RowName else number_mentions(evidence)
    return Candidates(evidence.question, found, idf)


def slot_kinds(skeleton: Skeleton) -> list[type]:
    """``Number`` or ``RowName`` for each blank, in order."""
    kinds = {}
    for step in skeleton:
        for argument in step.arguments:
            if isinstance(argument, Slot):
                kinds[argument.index] = RowName if step.operation in TABLE else Number
    return [kinds[index] for index in range(len(kinds))]
