"""Byte-pair encoding in its plainest form: count every pair again before each merge.

This is the definition that the fast trainer of :mod:`finqa_lab.text.bpe_training` must reproduce exactly, and
the oracle of its tests. Byte-pair encoding as a word segmenter: Sennrich, Haddow and Birch (2016).

**Tie rule.** The next merge is the pair with the highest count; among equal counts, the pair with the
smallest left id; among those, the smallest right id.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

Pair = tuple[int, int]
BYTES = bytes(range(256))  # the default order of the 256 base symbols: id = byte value


def count_pairs(ids: Sequence[int], weight: int = 1, counts: Counter | None = None) -> Counter:
    """Add ``weight`` for each pair of neighbours in ``ids``; overlapping pairs all count.

    >>> count_pairs([7, 7, 7, 8])
    Counter({(7, 7): 2, (7, 8): 1})
    """
    counts = Counter() if counts is None else counts
    for pair in zip(ids, ids[1:]):
        counts[pair] += weight
    return counts


def best_pair(counts: Mapping[Pair, int]) -> Pair:
    """The pair to merge next under the tie rule.

    >>> best_pair({(5, 1): 3, (2, 9): 3, (1, 1): 2})
    (2, 9)
    """
    return min(counts, key=lambda pair: (-counts[pair], pair))


def merge(ids: Sequence[int], pair: Pair, new_id: int) -> list[int]:
    """Replace each occurrence of ``pair``, from left to right and without overlap, by ``new_id``.

    >>> merge([1, 1, 1, 2], (1, 1), 9)
    [9, 1, 2]
    """
    merged, position = [], 0
    while position < len(ids):
        if position + 1 < len(ids) and (ids[position], ids[position + 1]) == pair:
            merged.append(new_id)
            position += 2
        else:
            merged.append(ids[position])
            position += 1
    return merged


def train_by_recount(words: Mapping[bytes, int], merges: int, alphabet: bytes = BYTES) -> list[Pair]:
    """Learn ``merges`` merges by counting all pairs again before each one: O(merges x text).

    Args:
        words: count of each distinct word; pairs never cross a word's end.
        merges: how many to learn; fewer are returned when no pair is left.
        alphabet: the 256 byte values in the order of their ids.

    Returns:
        Pairs of ids in order; merge number ``k`` makes id ``256 + k``.

    >>> train_by_recount({b"low": 5, b"lower": 2}, 2)
    [(108, 111), (256, 119)]
    """
    id_of = {byte: index for index, byte in enumerate(alphabet)}
    sequences = [([id_of[byte] for byte in word], count) for word, count in words.items()]
    learned: list[Pair] = []
    for new_id in range(256, 256 + merges):
        counts: Counter = Counter()
        for ids, weight in sequences:
            count_pairs(ids, weight, counts)
        if not counts:
            break
        pair = best_pair(counts)
        learned.append(pair)
        sequences = [(merge(ids, pair, new_id), weight) for ids, weight in sequences]
    return learned


def encode_by_rank(ids: Sequence[int], merges: Sequence[Pair]) -> list[int]:
    """Apply merges in the order they were learned, each over the whole sequence: the definition of BPE
    encoding.

    >>> encode_by_rank([1, 2, 3], [(2, 3), (1, 2)])   # (2, 3) was learned first, so it wins the 2
    [1, 256]
    """
    ids = list(ids)
    for rank, pair in enumerate(merges):
        ids = merge(ids, pair, 256 + rank)
    return ids
