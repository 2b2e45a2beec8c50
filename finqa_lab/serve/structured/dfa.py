"""From a nondeterministic automaton to a deterministic one over bytes, without dead ends.

The subset construction (M. Rabin and D. Scott, 1959): a state is the set of states that the nondeterministic automaton
can be in. States from which no text can be completed are taken out afterwards, so that what is left always has a way
to the end. States are not merged to the fewest possible; the grammars here share their tails already.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from finqa_lab.errors import CourseError
from finqa_lab.serve.structured.nfa import Nfa, build
from finqa_lab.serve.structured.syntax import Expression

MAX_STATES = 100_000
"""Largest automaton; its table takes 1 KiB a state."""
NONE = -1
"""Stands for "no next state"."""


@dataclass(frozen=True)
class Dfa:
    """State 0 is the first.

    Attributes:
        table: (S, 256) int32, the next state for each byte, or ``NONE``.
        accepting: (S,) bool, whether a text may end here.
    """

    table: np.ndarray
    accepting: np.ndarray

    def run(self, text: bytes) -> int:
        """The state behind a text, or ``NONE`` when no text of the language begins so."""
        state = 0
        for byte in text:
            state = int(self.table[state, byte])
            if state == NONE:
                break
        return state

    def accepts(self, text: bytes) -> bool:
        """Whether a text belongs to the language.

        >>> from finqa_lab.serve.structured.syntax import DIGIT, repeat
        >>> dfa = determinise(repeat(DIGIT, 1, 2))
        >>> [dfa.accepts(text) for text in (b"", b"7", b"77", b"777")]
        [False, True, True, False]
        """
        state = self.run(text)
        return state != NONE and bool(self.accepting[state])


def determinise(expression: Expression) -> Dfa:
    """The automaton of an expression.

    Raises:
        CourseError: when no text belongs to the language, or the automaton is larger than ``MAX_STATES``.
    """
    dfa = _trim(_subsets(build(expression)))
    if not len(dfa.accepting):
        raise CourseError("the grammar allows no text at all; one of its choices has no part")
    return dfa


def _subsets(nfa: Nfa) -> Dfa:
    start = nfa.closure(frozenset((nfa.entrance,)))
    number, waiting, rows = {start: 0}, deque((start,)), []
    while waiting:
        here = waiting.popleft()
        reached: dict[int, set[int]] = {}
        for state in here:
            if nfa.moves[state] is not None:
                members, following = nfa.moves[state]
                for byte in members:
                    reached.setdefault(byte, set()).add(following)
        row = np.full(256, NONE, dtype=np.int32)
        closed: dict[frozenset[int], int] = {}  # bytes of one set lead to one state: its closure is sought once
        for byte, states in reached.items():
            key = frozenset(states)
            if key not in closed:
                closure = nfa.closure(key)
                if closure not in number:
                    number[closure] = len(number)
                    waiting.append(closure)
                closed[key] = number[closure]
            row[byte] = closed[key]
        rows.append(row)
        if len(number) > MAX_STATES:
            raise CourseError(
                f"the grammar needs more than {MAX_STATES:,} states; allow fewer steps, digits or repetitions"
            )
    accepting = np.array([nfa.exit in states for states in number])
    return Dfa(np.stack(rows), accepting)


def _trim(dfa: Dfa) -> Dfa:
    """Without the states from which no accepting one is reached."""
    alive = reaching(dfa.accepting, *_edges(dfa.table))
    if not alive[0]:
        return Dfa(np.empty((0, 256), dtype=np.int32), np.empty(0, dtype=bool))
    renumbered = np.append(np.where(alive, np.cumsum(alive) - 1, NONE), NONE).astype(np.int32)
    return Dfa(renumbered[dfa.table[alive]], dfa.accepting[alive])


def _edges(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sources, columns = np.nonzero(table != NONE)
    return sources, table[sources, columns]


def reaching(goals: np.ndarray, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(S,) bool, the states with a way to one of the goals; edge i leads from ``sources[i]`` to ``targets[i]``."""
    order = np.argsort(targets, kind="stable")
    first = np.searchsorted(targets[order], np.arange(len(goals) + 1))
    backwards = sources[order]
    found, waiting = goals.copy(), list(np.flatnonzero(goals))
    while waiting:
        state = waiting.pop()
        before = np.unique(backwards[first[state] : first[state + 1]])
        new = before[~found[before]]
        found[new] = True
        waiting.extend(new)
    return found
