"""Unigram training: expectation-maximisation over all segmentations, with pruning down to the vocabulary
wanted.

Kudo (2018), section 3.2. Let w be a distinct word with count c(w), and S(w) the set of its segmentations. The
model says

    P(w) = sum over s in S(w) of the product of p(x) for the pieces x in s.

The E step computes n(x), the expected number of times piece x is used, by a forward and a backward pass over
the lattice of each word; the M step sets p(x) = n(x) / sum of n. Each round cannot lower the log likelihood
sum of c(w) log P(w) (Dempster, Laird and Rubin, 1977). Between rounds the pieces that are missed least are
removed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from finqa_lab.errors import CourseError
from finqa_lab.text.pretokenize import PreSplit
from finqa_lab.text.unigram import Unigram, viterbi

_LEAST = 1e-12  # share of a piece that is hardly ever used, so that its logarithm exists


def seed_pieces(words: Mapping[str, int], size: int, longest: int) -> dict[str, float]:
    """First guess: every character, and the substrings with the highest count x length; log probabilities.

    A substring that always stands within the same longer one (with an equal count) is left out: it would fill
    the first vocabulary with copies of a few frequent words.

    >>> sorted(seed_pieces({"abab": 3}, 3, 2))
    ['a', 'ab', 'b']
    """
    counts: Counter = Counter()
    for word, times in words.items():
        for start in range(len(word)):
            for end in range(start + 1, min(start + longest, len(word)) + 1):
                counts[word[start:end]] += times
    characters = sorted(piece for piece in counts if len(piece) == 1)
    contained = {
        part for piece, times in counts.items() for part in (piece[1:], piece[:-1]) if counts[part] == times
    }
    frequent = [p for p, times in counts.items() if len(p) > 1 and times > 1 and p not in contained]
    frequent.sort(key=lambda piece: (-counts[piece] * len(piece), piece))
    kept = characters + frequent[: max(0, size - len(characters))]
    mass = {piece: counts[piece] * len(piece) for piece in kept}
    total = sum(mass.values())
    return {piece: float(np.log(mass[piece] / total)) for piece in kept}


class Lattices:
    """The segmentations of many words as one graph: a node before, between and after characters, an edge for
    each piece.

    Edges are held as flat arrays and the passes go position by position over all words at once.

    Args:
        words: count of each distinct word.
        pieces: every character of the words, and longer pieces; edges refer to them by position in this list.
    """

    def __init__(self, words: Mapping[str, int], pieces: list[str]):
        index_of = {piece: index for index, piece in enumerate(pieces)}
        longest = max(map(len, pieces))
        begin, end, piece, depth, base = [], [], [], [], 0
        self.first, self.last = [], []
        for word in words:
            size = len(word)
            for start in range(size):
                for stop in range(start + 1, min(start + longest, size) + 1):
                    index = index_of.get(word[start:stop])
                    if index is not None:
                        begin.append(base + start)
                        end.append(base + stop)
                        piece.append(index)
                depth.append(start)
            depth.append(size)
            self.first.append(base)
            base += size + 1
            self.last.append(base - 1)
        self.count = np.array(list(words.values()), float)
        self.begin, self.end, self.piece = np.array(begin), np.array(end), np.array(piece)
        self.depth = np.array(depth)  # position of each node in its word
        self._arrange()

    def _arrange(self) -> None:
        """Order the edges for the two passes; per step: edges, where each target's group starts, and the
        targets."""
        self._forward = self._steps(self.end)
        self._backward = self._steps(self.begin)[::-1]

    def _steps(self, target: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        order = np.lexsort((target, self.depth[target]))
        steps = []
        for edges in np.split(order, np.flatnonzero(np.diff(self.depth[target[order]])) + 1):
            groups = np.flatnonzero(np.concatenate(([True], np.diff(target[edges]) != 0)))
            steps.append((edges, groups, target[edges][groups]))
        return steps

    def expectation(self, log_p: np.ndarray) -> tuple[np.ndarray, float]:
        """Expected uses of each piece, shape (pieces,), and the log likelihood of the words in nats.

        ``forward[v]`` is the log of the summed probability of all paths from a word's start to node v,
        ``backward[v]`` from v to its end. An edge (u, v) with piece x is used with probability exp(forward[u]
        + log p(x) + backward[v] - forward[end]).
        """
        forward, backward = np.zeros(len(self.depth)), np.zeros(len(self.depth))
        score = log_p[self.piece]
        for edges, groups, nodes in self._forward:
            forward[nodes] = _log_sum_exp(forward[self.begin[edges]] + score[edges], groups)
        for edges, groups, nodes in self._backward:
            backward[nodes] = _log_sum_exp(backward[self.end[edges]] + score[edges], groups)
        total = forward[self.last]
        word_of_node = np.repeat(np.arange(len(self.first)), np.diff([*self.first, len(self.depth)]))
        word = word_of_node[self.begin]
        used = np.exp(forward[self.begin] + score + backward[self.end] - total[word]) * self.count[word]
        return np.bincount(self.piece, used, len(log_p)), float(total @ self.count)

    def keep(self, kept: np.ndarray) -> None:
        """Drop the edges of removed pieces and renumber the rest; ``kept`` is a mask over the pieces."""
        alive = kept[self.piece]
        self.begin, self.end = self.begin[alive], self.end[alive]
        self.piece = (np.cumsum(kept) - 1)[self.piece[alive]]
        self._arrange()


def _log_sum_exp(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """log of the sum of exp within each group of neighbours; the largest is taken out first, so nothing
    overflows."""
    top = np.maximum.reduceat(values, groups)
    spread = np.repeat(top, np.diff([*groups, len(values)]))
    return top + np.log(np.add.reduceat(np.exp(values - spread), groups))


def maximisation(expected: np.ndarray) -> np.ndarray:
    """New log probabilities, n(x) / sum of n, with a floor of 1e-12 for pieces that are hardly used."""
    return np.log(np.maximum(expected / expected.sum(), _LEAST))


def removal_loss(pieces: list[str], log_p: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """About how many nats of likelihood are lost when each piece goes: n(x) (log p(x) - log p(its best
    replacement)).

    The replacement is the best segmentation of x without x itself. Single characters cannot go: their loss is
    infinite.
    """
    scores = dict(zip(pieces, log_p.tolist()))
    longest, lost = max(map(len, pieces)), np.full(len(pieces), np.inf)
    for index, piece in enumerate(pieces):
        if len(piece) > 1:
            own = scores.pop(piece)
            lost[index] = expected[index] * (own - viterbi(piece, scores, longest, -np.inf)[1])
            scores[piece] = own
    return lost


def train_unigram(
    texts: Iterable[str],
    vocab_size: int,
    split: PreSplit | None = None,
    *,
    longest: int = 16,
    seed_factor: int = 10,
    shrink: float = 0.75,
    rounds: int = 2,
    history: list | None = None,
) -> Unigram:
    """Train a Unigram tokenizer with ``vocab_size`` ids, 256 of them for single bytes.

    Args:
        texts: documents.
        longest: longest piece in characters.
        seed_factor: the first vocabulary has this many times the pieces wanted.
        shrink: share of the pieces kept by one pruning.
        rounds: EM rounds before each pruning and after the last.
        history: if given, receives (number of pieces, log likelihood in nats) of each E step.

    Raises:
        CourseError: no text, or a vocabulary too small for the 256 bytes and the characters of the text.
    """
    split = split or PreSplit()
    words = split.count(texts)
    wanted = vocab_size - 256
    characters = {character for word in words for character in word}
    if not words or wanted < len(characters):
        raise CourseError(
            f"vocab_size {vocab_size} is too small or the text is empty: "
            f"256 bytes and {len(characters)} characters must fit"
        )
    seeds = seed_pieces(words, seed_factor * wanted, longest)
    pieces, log_p = list(seeds), np.array(list(seeds.values()))
    lattices = Lattices(words, pieces)
    while True:
        for _ in range(rounds):
            expected, likelihood = lattices.expectation(log_p)
            log_p = maximisation(expected)
            if history is not None:
                history.append((len(pieces), likelihood))
        if len(pieces) <= wanted:
            break
        target = max(wanted, int(shrink * len(pieces)))
        best = np.argsort(-removal_loss(pieces, log_p, expected), kind="stable")[:target]
        kept = np.zeros(len(pieces), bool)
        kept[best] = True
        lattices.keep(kept)
        pieces = [piece for piece, stays in zip(pieces, kept) if stays]
        log_p = maximisation(expected[kept])
    return Unigram(dict(zip(pieces, log_p.tolist())), split)
