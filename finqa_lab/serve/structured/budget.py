"""A grammar and a limit of tokens at once: no reply is cut off, and each is complete when the tokens are used up.

A reply that the engine ends for its length is a structure error like any other. Where the limit is below the grammar's
longest reply, a token is allowed only if the shortest way from there to the end still fits. The state counts the
tokens that are left, so the number of states is (limit + 1) times as large; none of them is built before it is asked
for.

>>> from finqa_lab.serve.structured.automaton import over_tokens
>>> from finqa_lab.serve.structured.dfa import determinise
>>> from finqa_lab.serve.structured.syntax import literal, repeat
>>> from finqa_lab.serve.structured.trie import build_trie
>>> ab = over_tokens(determinise(repeat(literal("ab"), 1, 9)), build_trie({0: b"a", 1: b"b"}), frozenset((2,)), 3)
>>> ab.longest, within(ab, limit=8).longest
(19, 8)
"""

import torch
from torch import Tensor

from finqa_lab.errors import CourseError
from finqa_lab.serve.structured.automaton import GrammarAutomaton


class BudgetedAutomaton:
    """A :class:`finqa_lab.serve.request.TokenAutomaton` whose replies have at most ``limit`` tokens.

    Attributes:
        start: the first state.
        longest: no reply has more tokens, the end token included.
        shortest: as of the grammar.
    """

    def __init__(self, grammar: GrammarAutomaton, limit: int):
        if limit < grammar.shortest:
            raise CourseError(
                f"a reply of {limit} tokens is asked for, but the shortest of the grammar has {grammar.shortest} with "
                f"its end token; allow at least so many"
            )
        self._grammar = grammar
        self.shortest = grammar.shortest
        self.longest = limit if grammar.longest is None else min(limit, grammar.longest)
        self.start = limit * grammar.states + grammar.start

    def allowed(self, state: int) -> Tensor:
        """(V,) bool, the grammar's tokens behind which the reply can still be completed."""
        left, inner = divmod(state, self._grammar.states)
        if self._grammar.longest is not None and left >= self._grammar.longest:
            return self._grammar.allowed(inner)
        tokens, targets = self._grammar.edges(inner)
        mask = torch.zeros(self._grammar.vocabulary, dtype=torch.bool)
        mask[torch.from_numpy(tokens[self._grammar.remaining[targets] <= max(left - 1, 0)])] = True
        return mask

    def step(self, state: int, token: int) -> int:
        """The state behind an allowed token.

        Raises:
            CourseError: when the grammar does not allow the token.
        """
        left, inner = divmod(state, self._grammar.states)
        return max(left - 1, 0) * self._grammar.states + self._grammar.step(inner, token)


def within(grammar: GrammarAutomaton, limit: int) -> GrammarAutomaton | BudgetedAutomaton:
    """The grammar's replies of at most ``limit`` tokens, the end token included.

    Returns:
        The grammar itself when none of its replies is longer.

    Raises:
        CourseError: when even its shortest reply is longer.
    """
    fits = grammar.longest is not None and grammar.longest <= limit
    return grammar if fits else BudgetedAutomaton(grammar, limit)
