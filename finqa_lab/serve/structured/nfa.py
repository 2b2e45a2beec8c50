"""From an expression to a nondeterministic automaton: K. Thompson, "Regular expression search algorithm", 1968.

Every expression becomes a fragment with one entrance and one exit; fragments are joined by empty moves. A bounded
repetition is written out, so the number of states grows with the bounds.
"""

from dataclasses import dataclass, field

from finqa_lab.serve.structured.syntax import Choice, Expression, OneOf, Repeat, Sequence


@dataclass
class Nfa:
    """States are numbered; ``entrance`` is the first, ``exit`` the only accepting one.

    Attributes:
        moves: for each state the pair of a byte set and a next state, or None; a state has at most one.
        empty: for each state the states that are reached without reading.
        entrance: where reading begins.
        exit: where a text is complete.
    """

    moves: list[tuple[frozenset[int], int] | None] = field(default_factory=list)
    empty: list[list[int]] = field(default_factory=list)
    entrance: int = 0
    exit: int = 0

    def add_state(self) -> int:
        """A new state without moves."""
        self.moves.append(None)
        self.empty.append([])
        return len(self.moves) - 1

    def closure(self, states: frozenset[int]) -> frozenset[int]:
        """All states that are reached from ``states`` without reading, themselves included."""
        found, waiting = set(states), list(states)
        while waiting:
            for following in self.empty[waiting.pop()]:
                if following not in found:
                    found.add(following)
                    waiting.append(following)
        return frozenset(found)


def build(expression: Expression) -> Nfa:
    """The automaton that accepts the texts of an expression.

    >>> from finqa_lab.serve.structured.syntax import DIGIT, repeat
    >>> nfa = build(repeat(DIGIT, 1, 2))
    >>> sum(move is not None for move in nfa.moves)  # two digits, written out
    2
    """
    nfa = Nfa()
    nfa.entrance = nfa.add_state()
    nfa.exit = _add(nfa, expression, nfa.entrance)
    return nfa


def _add(nfa: Nfa, expression: Expression, entrance: int) -> int:
    """Build a fragment behind ``entrance``; returns its exit, a new state unless the fragment is empty."""
    match expression:
        case OneOf(bytes=members):
            leave = nfa.add_state()
            begin = nfa.add_state()  # the entrance may have a move already
            nfa.empty[entrance].append(begin)
            nfa.moves[begin] = (members, leave)
            return leave
        case Sequence(parts=parts):
            for part in parts:
                entrance = _add(nfa, part, entrance)
            return entrance
        case Choice(parts=parts):
            exits = [_add(nfa, part, entrance) for part in parts]
            leave = nfa.add_state()
            for exit_ in exits:
                nfa.empty[exit_].append(leave)
            return leave
        case Repeat(part=part, least=least, most=most):
            for _ in range(least):
                entrance = _add(nfa, part, entrance)
            leave = nfa.add_state()
            if most is None:
                loop = nfa.add_state()  # a state of its own: what leads to the entrance must not join the loop
                nfa.empty[entrance].append(loop)
                nfa.empty[_add(nfa, part, loop)].append(loop)
                entrance = loop
            else:
                for _ in range(most - least):
                    nfa.empty[entrance].append(leave)
                    entrance = _add(nfa, part, entrance)
            nfa.empty[entrance].append(leave)
            return leave
