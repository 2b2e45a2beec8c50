"""From an automaton over bytes to one over tokens: in every state, the tokens that may come next.

A token is allowed where all its bytes can be read and a state with a way to the end is reached (B. Willard and
R. Louf, "Efficient guided generation for large language models", 2023, arXiv:2307.09702). The trie of the vocabulary
is walked from all states at the same time. End tokens are allowed exactly where a text is complete; behind one,
nothing but an end token is left.

**What follows.** A reply that ended with an end token belongs to the language, whatever the model prefers. If no cycle
is left, every reply ends by itself, and its greatest length is known.

**What does not.** A model has learnt one way to cut a text into tokens. The automaton allows all of them: ``{`` and
``"`` where the model was trained on ``{"``. A likely token stays likely, so a trained model seldom strays.
"""

from collections.abc import Collection

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from finqa_lab.errors import CourseError
from finqa_lab.serve.structured.dfa import NONE, Dfa, determinise, reaching
from finqa_lab.serve.structured.syntax import Expression
from finqa_lab.serve.structured.trie import Trie, vocabulary_trie

_BLOCK = 4096  # states that are walked at the same time; bounds the memory
_KEPT_MASKS = 1024


class GrammarAutomaton:
    """A :class:`finqa_lab.serve.request.TokenAutomaton` made from a grammar. State 0 is the first.

    Edges of state s are those from ``first[s]`` to ``first[s + 1] - 1``, by token; there is at least one.

    Attributes:
        start: 0.
        states: how many there are; the last one stands behind the end.
        vocabulary: V, width of the masks.
        ends: end tokens.
        longest: tokens of the longest reply, the end token included; None when there is no longest.
        shortest: tokens of the shortest reply, the end token included.
        remaining: (S,) tokens that the shortest way from each state to the end takes, the end token included.
    """

    start = 0

    def __init__(self, first: np.ndarray, tokens: np.ndarray, targets: np.ndarray, ends: frozenset[int], width: int):
        self._first, self._tokens, self._targets = first, tokens, targets
        self.ends, self.vocabulary, self.states = ends, width, len(first) - 1
        self.remaining = _shortest(first, targets)
        self.shortest = int(self.remaining[0])
        self.longest = _longest(first, targets)
        self._masks: dict[int, Tensor] = {}

    def edges(self, state: int) -> tuple[np.ndarray, np.ndarray]:
        """The allowed tokens in rising order, and the state behind each."""
        here = slice(self._first[state], self._first[state + 1])
        return self._tokens[here], self._targets[here]

    def allowed(self, state: int) -> Tensor:
        """(V,) bool, True for the tokens that may come in a state; do not change it."""
        mask = self._masks.get(state)
        if mask is None:
            mask = torch.zeros(self.vocabulary, dtype=torch.bool)
            mask[torch.from_numpy(self.edges(state)[0])] = True
            if len(self._masks) >= _KEPT_MASKS:
                self._masks.clear()
            self._masks[state] = mask
        return mask

    def step(self, state: int, token: int) -> int:
        """The state behind an allowed token.

        Raises:
            CourseError: when the token is not allowed.
        """
        tokens, targets = self.edges(state)
        place = int(np.searchsorted(tokens, token))
        if place == len(tokens) or tokens[place] != token:
            raise CourseError(f"token {token} is not allowed in state {state}; choose among the allowed ones")
        return int(targets[place])


def compile_expression(
    expression: Expression, tokenizer: Tokenizer, end: int | Collection[int], vocabulary: int | None = None
) -> GrammarAutomaton:
    """The automaton over tokens of a grammar.

    Args:
        expression: of the reply's text.
        tokenizer: byte-level.
        end: ids of the tokens that end a reply; they are also what the engine stops at.
        vocabulary: V of the model, where it has more rows than the tokenizer has tokens.

    Raises:
        CourseError: a tokenizer that is not byte-level, an end token that is missing or an ordinary token, a grammar
            without a text, too large, or that the tokens cannot spell.
    """
    trie = vocabulary_trie(tokenizer)
    ends = end_tokens(tokenizer, end)
    least = tokenizer.get_vocab_size()
    width = least if vocabulary is None else vocabulary
    if width < least:
        raise CourseError(f"the model has {width:,} rows but the tokenizer {least:,} tokens; give those of one model")
    return over_tokens(determinise(expression), trie, ends, width)


def end_tokens(tokenizer: Tokenizer, end: int | Collection[int]) -> frozenset[int]:
    """The end tokens, checked.

    Raises:
        CourseError: when there is none, or one is not in the vocabulary or an ordinary token.
    """
    ends = frozenset((end,) if isinstance(end, int) else end)
    if not ends:
        raise CourseError("a grammar needs an end token, and none is given; name the model's end of text")
    added = tokenizer.get_added_tokens_decoder()
    for token in sorted(ends):
        if tokenizer.id_to_token(token) is None:
            raise CourseError(f"end token {token} is not in the vocabulary of {tokenizer.get_vocab_size():,} tokens")
        if token not in added:
            raise CourseError(
                f"end token {token} ({tokenizer.id_to_token(token)!r}) is ordinary text; give a special token"
            )
    return ends


def over_tokens(dfa: Dfa, trie: Trie, ends: frozenset[int], width: int) -> GrammarAutomaton:
    """Walk the trie from every state, and keep what has a way to the end and is reached from the start.

    Raises:
        CourseError: when the tokens cannot spell any text of the language.
    """
    blocks = [
        _walk(dfa, trie, np.arange(begin, min(begin + _BLOCK, len(dfa.table))))
        for begin in range(0, len(dfa.table), _BLOCK)
    ]
    sources, tokens, targets = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    behind = len(dfa.table)  # the state behind an end token
    complete = np.append(np.flatnonzero(dfa.accepting), behind)
    for end in sorted(ends):
        sources, tokens = np.append(sources, complete), np.append(tokens, np.full(len(complete), end))
        targets = np.append(targets, np.full(len(complete), behind))
    goal = np.arange(behind + 1) == behind
    useful = reaching(goal, sources, targets)
    if not useful[0]:
        raise CourseError("no sequence of the tokenizer's tokens spells a text of the grammar; bytes of it are missing")
    useful &= reaching(np.arange(behind + 1) == 0, targets, sources)
    kept = useful[sources] & useful[targets]
    number = np.cumsum(useful) - 1
    sources, tokens, targets = number[sources[kept]], tokens[kept], number[targets[kept]]
    order = np.lexsort((tokens, sources))
    first = np.searchsorted(sources[order], np.arange(useful.sum() + 1))
    return GrammarAutomaton(first, tokens[order], targets[order], ends, width)


def _walk(dfa: Dfa, trie: Trie, states: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(source, token, target) of every token that can be read from ``states``."""
    source, node, here = states, np.zeros_like(states), states
    found = []
    while len(source):
        children = trie.first[node + 1] - trie.first[node]
        row = np.repeat(np.arange(len(source)), children)
        nth = np.arange(len(row)) - np.repeat(np.cumsum(children) - children, children)
        place = trie.first[node[row]] + nth
        there = dfa.table[here[row], trie.byte[place]]
        alive = there != NONE
        source, node, here = source[row[alive]], place[alive] + 1, there[alive]
        ends_here = trie.tokens[node] >= 0
        found.append((source[ends_here], trie.tokens[node[ends_here]], here[ends_here]))
    return tuple(np.concatenate(parts).astype(np.int64) for parts in zip(*found, strict=True))


def _shortest(first: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Tokens to the state behind the end, for each state; every state has an edge and a way."""
    far = np.iinfo(np.int32).max - 1
    found = np.full(len(first) - 1, far, dtype=np.int64)
    found[-1] = 0
    while True:
        better = 1 + np.minimum.reduceat(found[targets], first[:-1])
        better[-1] = 0
        if (better == found).all():
            return found
        found = better


def _longest(first: np.ndarray, targets: np.ndarray) -> int | None:
    """Tokens of the longest way from the start to the end; None when there is a cycle.

    Backwards from the end, level by level: a state is on level n when all of its edges lead to lower levels, the
    highest of them n - 1. Every state is reached from the start, so the start comes last.
    """
    states = len(first) - 1
    sources = np.repeat(np.arange(states), np.diff(first))
    before_end = sources != states - 1  # the state behind the end goes on to itself
    sources, targets = sources[before_end], targets[before_end]
    order = np.argsort(targets, kind="stable")
    backwards, begins = sources[order], np.searchsorted(targets[order], np.arange(states + 1))
    open_edges = np.bincount(sources, minlength=states)
    level, done, frontier = -1, 0, np.array([states - 1])
    while len(frontier):
        level, done = level + 1, done + len(frontier)
        into = np.concatenate([backwards[begins[state] : begins[state + 1]] for state in frontier])
        np.subtract.at(open_edges, into, 1)
        reached = np.unique(into)
        frontier = reached[open_edges[reached] == 0]
    return level if done == states else None
