"""What a model is given to read: passages of a page, chosen in one of four ways and packed into a budget of tokens.

=========================  ==================================  ====================================================
context                    holds                               for
=========================  ==================================  ====================================================
:func:`gold`               the gold facts                      what the generator can do at best
:func:`gold_with_noise`    and random other units              training that learns to ignore
:func:`retrieved`          what the retriever put first        use, and the only honest evaluation
:func:`retriever_aligned`  the gold facts among the            training on the very distractors that use will bring
                           retriever's own best mistakes
=========================  ==================================  ====================================================

The last is the recipe of T. Zhang et al., "RAFT: Adapting Language Model to Domain Specific RAG", COLM 2024
(arXiv:2403.10131): documents that answer the question among distractors that do not, and for a share of the training
questions the distractors alone (``with_gold=False``). Some call "retriever-aligned" what is :func:`retrieved` here.
Gold facts come from the annotation: only the second context of the four can be built for a question that nobody has
answered yet.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from finqa_lab.errors import CourseError
from finqa_lab.finqa.linearise import reading_order, unit_text
from finqa_lab.finqa.pages import Page
from finqa_lab.finqa.records import Record


@dataclass(frozen=True, slots=True)
class Passage:
    """A unit that can be read alone.

    Attributes:
        page: id of its page.
        source: ``text_i`` or ``table_i``.
        text: in words.
    """

    page: str
    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Context:
    """Passages in the order in which the model reads them.

    Attributes:
        passages: none is cut.
        dropped: passages that did not fit the budget, best first.
        tokens: what the passages were counted as, the overhead included.
    """

    passages: tuple[Passage, ...]
    dropped: tuple[Passage, ...]
    tokens: int

    @property
    def sources(self) -> list[str]:
        """Source ids of the passages, in order; of one page they are unique."""
        return [passage.source for passage in self.passages]

    def recall(self, record: Record) -> float:
        """Share of a record's gold facts that are here; 1 when it has none."""
        here = {(passage.page, passage.source) for passage in self.passages}
        found = [(record.page.filename, source) in here for source in record.gold_facts]
        return sum(found) / len(found) if found else 1.0


def count_words(text: str) -> int:
    """Words between spaces: the measure that needs no tokenizer."""
    return len(text.split())


@dataclass(frozen=True)
class Packing:
    """How passages become a context.

    Attributes:
        budget: tokens that the passages may take; None takes all.
        count_tokens: tokens of a text. Passages are counted one by one; a tokenizer may count their joined text a
            little differently, so keep a margin.
        overhead: tokens that each passage takes besides its text: its number and the line break.
        reading_order: put what was taken in the order of the page instead of the builder's.
        style: how table rows are written, see :mod:`finqa_lab.finqa.linearise`.
    """

    budget: int | None = None
    count_tokens: Callable[[str], int] = field(default_factory=lambda: count_words)
    overhead: int = 0
    reading_order: bool = False
    style: str = "sentences"


PLAIN = Packing()


def pack(passages: Sequence[Passage], packing: Packing = PLAIN) -> Context:
    """Take passages, best first, while they fit; one that does not is dropped whole and smaller ones may follow.

    >>> pages = [Passage("p", f"text_{i}", text) for i, text in enumerate(["a b", "c d e f", "g"])]
    >>> context = pack(pages, Packing(budget=3))
    >>> context.sources, [passage.source for passage in context.dropped], context.tokens
    (['text_0', 'text_2'], ['text_1'], 3)

    Raises:
        CourseError: for a negative budget.
    """
    if packing.budget is not None and packing.budget < 0:
        raise CourseError(f"a budget of {packing.budget} tokens is negative; give a number of tokens, or none")
    taken, dropped, total = [], [], 0
    for passage in passages:
        cost = packing.count_tokens(passage.text) + packing.overhead
        if packing.budget is None or total + cost <= packing.budget:
            taken.append(passage)
            total += cost
        else:
            dropped.append(passage)
    return Context(tuple(taken), tuple(dropped), total)


def gold(record: Record, packing: Packing = PLAIN) -> Context:
    """The gold facts in reading order.

    Raises:
        CourseError: when the record has none.
    """
    return _context(record.page, _gold(record), packing)


def gold_with_noise(record: Record, count: int, rng: random.Random, packing: Packing = PLAIN) -> Context:
    """The gold facts and ``count`` other units of the page, drawn without replacement and shuffled together.

    Gold facts are packed first: noise is what a small budget drops.

    Raises:
        CourseError: when the record has no gold facts, or ``count`` is negative.
    """
    if count < 0:
        raise CourseError(f"{count} other units cannot be drawn; give a number from 0")
    needed = _gold(record)
    others = [source for source in reading_order(record.page) if source not in record.gold_facts]
    noise = rng.sample(others, min(count, len(others)))
    order = rng.sample(needed + noise, len(needed) + len(noise))
    return _context(record.page, needed + noise, packing, order)


def retrieved(where: Record | Page, ranking: Sequence[str], k: int, packing: Packing = PLAIN) -> Context:
    """The first ``k`` units of a ranking.

    Args:
        where: the page, or a record whose page is meant; nothing else of the record is read.
        ranking: source ids, best first; one that comes again is passed over.
        k: at most so many passages.

    Raises:
        CourseError: when the ranking names a unit that the page does not have, or ``k`` is not positive.
    """
    page = where.page if isinstance(where, Record) else where
    return _context(page, _ranked(page, ranking, k)[:k], packing)


def retriever_aligned(
    record: Record, ranking: Sequence[str], k: int, packing: Packing = PLAIN, with_gold: bool = True
) -> Context:
    """The gold facts and the retriever's best mistakes, ``k`` passages together, in the order of the ranking.

    Where retrieval found all gold facts among its first ``k``, this is what it returned. Where it missed some, they
    stand at their rank behind the others and push out the worst distractors. More than ``k`` gold facts are all kept.

    Args:
        record: the question.
        ranking: source ids, best first; gold facts that it lacks go last.
        k: passages.
        packing: gold facts are packed first: distractors are what a small budget drops.
        with_gold: False leaves the gold facts out, for the share of training questions that has only distractors.

    Raises:
        CourseError: when the record has no gold facts, the ranking names a unit that the page does not have, or ``k``
            is not positive.
    """
    needed = _gold(record)
    ranked = _ranked(record.page, ranking, k)
    distractors = [source for source in ranked if source not in record.gold_facts]
    if not with_gold:
        return _context(record.page, distractors[:k], packing)
    chosen = needed + distractors[: max(0, k - len(needed))]
    place = {source: rank for rank, source in enumerate(ranked)}
    order = sorted(chosen, key=lambda source: place.get(source, len(ranked)))
    return _context(record.page, sorted(needed, key=order.index) + chosen[len(needed) :], packing, order)


def _gold(record: Record) -> list[str]:
    if not record.gold_facts:
        raise CourseError(f"record {record.id} has no gold facts; use a retrieved context for it")
    return [source for source in reading_order(record.page) if source in record.gold_facts]


def _ranked(page: Page, ranking: Iterable[str], k: int) -> list[str]:
    if k < 1:
        raise CourseError(f"a context of the first {k} passages is empty; give k from 1")
    ranked = list(dict.fromkeys(ranking))
    unknown = set(ranked) - set(page.source_ids)
    if unknown:
        raise CourseError(f"the ranking names '{min(unknown)}', which {page.filename} does not have; rank its units")
    return ranked


def _context(page: Page, best_first: Sequence[str], packing: Packing, order: Sequence[str] | None = None) -> Context:
    """Pack units in one order, then let them be read in another."""
    context = pack([Passage(page.filename, s, unit_text(page, s, packing.style)) for s in best_first], packing)
    if packing.reading_order:
        order = reading_order(page)
    if order is None:
        return context
    place = {source: number for number, source in enumerate(order)}
    return replace(context, passages=tuple(sorted(context.passages, key=lambda passage: place[passage.source])))
