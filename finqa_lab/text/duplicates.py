"""Texts that are nearly the same: shingles, Jaccard similarity, MinHash signatures, bands (LSH).

Sources: Broder, "On the resemblance and containment of documents" (1997), for shingles and MinHash; Leskovec,
Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3, for bands.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from finqa_lab.errors import CourseError

_PRIME = 2**31 - 1  # products of two residues fit into 64 bits


def shingles(text: str, size: int = 5) -> frozenset[str]:
    """The runs of ``size`` neighbouring words; case and punctuation do not count, a shorter text is one shingle.

    >>> sorted(shingles("Net sales rose. Net sales ROSE!", 3))
    ['net sales rose', 'rose net sales', 'sales rose net']
    """
    if size < 1:
        raise CourseError(f"a shingle cannot have {size} words; give 1 or more")
    words = re.findall(r"\w+", text.casefold())
    if not words:
        return frozenset()
    return frozenset(" ".join(words[at : at + size]) for at in range(max(1, len(words) - size + 1)))


def jaccard(first: frozenset, second: frozenset) -> float:
    """Shared elements over all elements; two empty sets share nothing.

    >>> jaccard(frozenset("abc"), frozenset("bcd"))
    0.5
    """
    union = len(first | second)
    return len(first & second) / union if union else 0.0


def signatures(sets: Sequence[frozenset[str]], count: int = 128, seed: int = 0) -> np.ndarray:
    """MinHash signatures: for each of ``count`` hash functions the smallest value in each set.

    Two signatures agree at one place with a chance that is the sets' Jaccard similarity.

    Args:
        sets: none of them empty.
        count: hash functions; the estimate's standard error is at most ``0.5 / sqrt(count)``.
        seed: of the functions; signatures of different seeds cannot be compared.

    Returns:
        Whole numbers of shape ``(sets, count)``.
    """
    draws = np.random.default_rng(seed)
    scale = draws.integers(1, _PRIME, size=(count, 1), dtype=np.int64)
    shift = draws.integers(0, _PRIME, size=(count, 1), dtype=np.int64)
    made = np.empty((len(sets), count), dtype=np.int64)
    for row, elements in enumerate(sets):
        if not elements:
            raise CourseError(f"set {row} is empty and has no signature; leave texts without words out")
        values = np.array([_hash(element) for element in elements], dtype=np.int64)
        made[row] = ((scale * values + shift) % _PRIME).min(axis=1)
    return made


def _hash(element: str) -> int:
    # not Python's hash(), which differs from process to process
    return int.from_bytes(hashlib.blake2b(element.encode(), digest_size=8).digest()) % _PRIME


def candidates(signed: np.ndarray, bands: int) -> set[tuple[int, int]]:
    """Pairs of rows that agree in one band at least; the bands are equal slices of the signature.

    Raises:
        CourseError: when the length of a signature is no multiple of the bands.
    """
    if bands < 1 or signed.shape[1] % bands:
        raise CourseError(f"a signature of {signed.shape[1]} cannot be cut into {bands} equal bands; give a divisor")
    pairs = set()
    for band in np.split(signed, bands, axis=1):
        buckets = defaultdict(list)
        for row, values in enumerate(band):
            buckets[values.tobytes()].append(row)
        for rows in buckets.values():
            pairs.update((first, second) for place, first in enumerate(rows) for second in rows[place + 1 :])
    return pairs


def chance(similarity: float, bands: int, rows: int) -> float:
    """Chance that a pair of this Jaccard similarity becomes a candidate.

    >>> round(chance(0.8, bands=16, rows=8), 3)
    0.947
    """
    return 1 - (1 - similarity**rows) ** bands


def near_duplicates(
    texts: Sequence[str], threshold: float = 0.8, size: int = 5, count: int = 128, bands: int = 16, seed: int = 0
) -> list[tuple[int, int, float]]:
    """Pairs of texts with a Jaccard similarity of the threshold or more, among the candidates of the bands.

    The similarity is computed on the sets, so no pair is wrong; a pair may be missing, with ``1 - chance(...)``.

    >>> near_duplicates(["a b c d e f g", "x", "A b c d e, f g!"])
    [(0, 2, 1.0)]
    """
    sets = [shingles(text, size) for text in texts]
    kept = [place for place, one in enumerate(sets) if one]
    found = []
    for first, second in candidates(signatures([sets[place] for place in kept], count, seed), bands):
        pair = kept[first], kept[second]
        similarity = jaccard(sets[pair[0]], sets[pair[1]])
        if similarity >= threshold:
            found.append((*pair, similarity))
    return sorted(found)


def closest(texts: Iterable[str], others: Sequence[str], size: int = 5) -> list[tuple[int, float]]:
    """For each text its most similar among the others, and the Jaccard similarity; exact, by an index of shingles.

    Returns:
        ``(place, similarity)`` for each text; ``(-1, 0.0)`` where no shingle is shared.

    >>> closest(["a b c", "x y z"], ["p q", "A b c"], size=2)
    [(1, 1.0), (-1, 0.0)]
    """
    sets = [shingles(other, size) for other in others]
    index = defaultdict(list)
    for place, one in enumerate(sets):
        for shingle in one:
            index[shingle].append(place)
    best = []
    for text in texts:
        own = shingles(text, size)
        shared = Counter(place for shingle in own for place in index[shingle])
        scored = [(common / (len(own) + len(sets[place]) - common), -place) for place, common in shared.items()]
        similarity, place = max(scored, default=(0.0, 1))
        best.append((-place, similarity))
    return best
