"""Which sequences take part in the next step, and with how many tokens: continuous batching.

Sequences join and leave a running batch between any two steps, as in Orca (Yu et al., OSDI 2022). A step has a budget
of tokens. Sequences that decode take one each; what is left goes to prompts, a chunk at a time, so that a long prompt
slows the others down by a bounded amount and does not stop them (Sarathi-Serve, Agrawal et al. 2024, arXiv
2403.02310). When a growing sequence finds no block, the one that came last gives all of its blocks up and is computed
again later (preemption by recomputation, Kwon et al. 2023, arXiv 2309.06180, section 4.5).
"""

from collections import deque
from dataclasses import dataclass

from finqa_lab.serve.block_manager import BlockManager
from finqa_lab.serve.sequence import Sequence


@dataclass(frozen=True)
class Work:
    """The part of a sequence in a step: positions ``computed .. computed + new - 1``."""

    sequence: Sequence
    new: int

    @property
    def completes(self) -> bool:
        """Whether the sequence is computed to its end, so that its next token can be chosen."""
        return self.new == self.sequence.uncomputed


class Scheduler:
    """First come, first served, with a bound on sequences and on tokens in a step.

    Args:
        manager: of the blocks.
        batch: most sequences in a step.
        step_tokens: most tokens in a step; at least ``batch``, so that everyone who decodes can go on.

    Attributes:
        waiting: not admitted, or preempted; the first is next.
        running: admitted, in the order of their numbers.
        preemptions: how many there were.
    """

    def __init__(self, manager: BlockManager, batch: int = 16, step_tokens: int = 128):
        self.manager, self.batch, self.step_tokens = manager, batch, step_tokens
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self.preemptions = 0

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence behind all others."""
        self.waiting.append(sequence)

    def finish(self, sequence: Sequence) -> None:
        """Forget a running sequence that has ended; a prompt that goes on from its reply can share its blocks."""
        self.manager.remember(sequence)
        self.remove(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Forget a sequence that is not wanted any more; its blocks are given back."""
        if sequence in self.running:
            self.running.remove(sequence)
            self.manager.release(sequence)
        else:
            self.waiting.remove(sequence)

    def schedule(self) -> list[Work]:
        """The next step. Nobody may be changed between this call and :meth:`computed`.

        Returns:
            At most ``batch`` parts with at most ``step_tokens`` tokens together, decoding sequences first; empty only
            when nothing runs or waits.
        """
        self._make_room()
        budget, work = self.step_tokens, []
        for sequence in sorted(self.running, key=lambda one: one.uncomputed > 1):  # stable: by number within each kind
            budget -= self._take(sequence, budget, work)
        while self.waiting and budget and len(self.running) < self.batch and self.manager.admit(self.waiting[0]):
            sequence = self.waiting.popleft()
            self._insert(sequence)
            budget -= self._take(sequence, budget, work)
        return work

    def computed(self, work: list[Work]) -> None:
        """Count what a step has computed; prompts that are complete can be shared from now on."""
        for part in work:
            sequence = part.sequence
            sequence.computed += part.new
            if part.new > 1 and not sequence.uncomputed:
                self.manager.remember(sequence)

    @staticmethod
    def _take(sequence: Sequence, budget: int, work: list[Work]) -> int:
        new = min(sequence.uncomputed, budget)
        if new:
            work.append(Work(sequence, new))
        return new

    def _make_room(self) -> None:
        """A place for the newest token of everyone who runs; those who came last make way."""
        for sequence in list(self.running):
            while sequence in self.running and not self.manager.grow(sequence):
                self._preempt(self.running[-1])

    def _preempt(self, sequence: Sequence) -> None:
        self.running.remove(sequence)
        self.manager.release(sequence)
        self.waiting.appendleft(sequence)
        sequence.preempted += 1
        self.preemptions += 1

    def _insert(self, sequence: Sequence) -> None:
        """Among those that run, by number: a sequence that was preempted comes back before its juniors."""
        place = len(self.running)
        while place and self.running[place - 1].number > sequence.number:
            place -= 1
        self.running.insert(place, sequence)
