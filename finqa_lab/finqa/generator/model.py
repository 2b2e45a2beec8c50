"""Training, and the beam search over skeletons and fillings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from finqa_lab.errors import CourseError
from finqa_lab.finqa.execute import Table, execute
from finqa_lab.finqa.failure import ProgramError
from finqa_lab.finqa.generator.mentions import number_mentions, row_mentions
from finqa_lab.finqa.generator.skeletons import Skeleton, SkeletonClassifier, Slot, fill, split
from finqa_lab.finqa.generator.slots import Candidates, SlotFiller, rarity, slot_features
from finqa_lab.finqa.literals import read_number
from finqa_lab.finqa.parse import parse
from finqa_lab.finqa.program import TABLE, Number, Program, RowName
from finqa_lab.finqa.records import Record

SKELETONS, BEAM = 15, 5
"""Skeletons tried for a question, and fillings kept for each."""


@dataclass(frozen=True)
class Generator:
    """A trained generator.

    Attributes:
        classifier: scores skeletons.
        filler: scores mentions for a blank.
        idf: rarity of words in the training facts.
    """

    classifier: SkeletonClassifier
    filler: SlotFiller
    idf: Mapping[str, float]

    def predict(self, question: str, facts: Mapping[str, str], table: Table) -> list[Program]:
        """Programs that execute, the most probable first; none when the facts offer nothing to fill one with.

        Args:
            question: its text.
            facts: source id (``text_i`` or ``table_i``) to the text of the facts to answer from.
            table: rows of cells, row 0 the header; table facts are read from it, and programs executed on it.
        """
        numbers, rows = (_candidates(question, facts, table, of_rows, self.idf) for of_rows in (False, True))
        if not facts or not (numbers.mentions or rows.mentions):
            return []
        scores: dict[Program, float] = {}
        for skeleton, start in self.classifier.best(question, SKELETONS):
            for arguments, score in self._fillings(skeleton, numbers, rows):
                program = fill(skeleton, arguments)
                scores[program] = np.logaddexp(scores.get(program, -np.inf), start + score)
        ranked = sorted(scores, key=scores.get, reverse=True)
        return [program for program in ranked if execute(program, table).failure is None]

    def _fillings(self, skeleton: Skeleton, numbers: Candidates, rows: Candidates) -> list[tuple[list, float]]:
        kinds = slot_kinds(skeleton)
        beam: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
        for slot, kind in enumerate(kinds):
            candidates = rows if kind is RowName else numbers
            if not candidates.mentions:
                return []
            where, grown = slot_features(skeleton, slot), []
            for chosen, score in beam:
                earlier = [c for c, earlier_kind in zip(chosen, kinds) if earlier_kind is kind]
                found = self.filler.log_probabilities(candidates.features(where, earlier))
                grown += [((*chosen, int(i)), score + float(found[i])) for i in np.argsort(-found)[:BEAM]]
            beam = sorted(grown, key=lambda item: -item[1])[:BEAM]
        pools = [rows.mentions if kind is RowName else numbers.mentions for kind in kinds]
        return [([k(p[c].text) for k, p, c in zip(kinds, pools, chosen)], score) for chosen, score in beam]


def slot_kinds(skeleton: Skeleton) -> list[type]:
    """``Number`` or ``RowName`` for each blank, in order."""
    kinds = {}
    for step in skeleton:
        for argument in step.arguments:
            if isinstance(argument, Slot):
                kinds[argument.index] = RowName if step.operation in TABLE else Number
    return [kinds[index] for index in range(len(kinds))]


def train(records: Sequence[Record], seed: int = 0) -> Generator:
    """Fit a generator on records with programs and gold facts.

    Records without a readable program, and blanks whose number no gold fact states, teach nothing and are passed over.

    Raises:
        CourseError: when the readable programs have fewer than two skeletons, or no blank that a fact can fill.
    """
    idf = rarity(text for record in records for text in (record.question, *record.gold_facts.values()))
    questions, skeletons, lists = [], [], []
    for record in records:
        try:
            skeleton, arguments = split(parse(record.program or ""))
        except ProgramError:
            continue
        questions.append(record.question)
        skeletons.append(skeleton)
        lists += _lists(record, skeleton, arguments, idf)
    if len(set(skeletons)) < 2 or not lists:
        raise CourseError(
            f"{len(records)} records hold too little to train a generator: it needs two kinds of programs and gold "
            "facts that state their numbers; give more records of a train split"
        )
    return Generator(SkeletonClassifier(questions, skeletons), SlotFiller(lists, seed), idf)


def _candidates(question: str, facts: Mapping[str, str], table: Table, of_rows: bool, idf: Mapping) -> Candidates:
    found = row_mentions(facts, table) if of_rows else number_mentions(question, facts, table)
    return Candidates(question, found, idf)


def _lists(record: Record, skeleton: Skeleton, arguments: Sequence[str], idf: Mapping[str, float]) -> list:
    """Feature matrix and right mentions of every blank, the earlier blanks filled rightly."""
    lists, chosen, pools = [], {Number: [], RowName: []}, {}
    for slot, (kind, text) in enumerate(zip(slot_kinds(skeleton), arguments)):
        if kind not in pools:
            pools[kind] = _candidates(record.question, record.gold_facts, record.table, kind is RowName, idf)
        pool = pools[kind]
        if kind is RowName:
            right = np.array([mention.text == text for mention in pool.mentions], bool)
        else:
            right = np.array([read_number(mention.text) == read_number(text) for mention in pool.mentions], bool)
        if right.any():
            lists.append((pool.features(slot_features(skeleton, slot), chosen[kind]), right))
            chosen[kind].append(int(right.argmax()))
    return lists
