"""Byte-level BPE: text to ids and back, for any text and any bytes.

Encoding: the special tokens that the caller allows are cut out first; the rest is pre-split into words; each
word's UTF-8 bytes are merged, lowest rank first. Words repeat, so a cache answers most of them with one
look-up. Byte-level BPE: Radford et al. (2019), section 2.2.
"""

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain

import regex

from finqa_lab.errors import CourseError
from finqa_lab.text.pretokenize import PreSplit
from finqa_lab.text.recount import BYTES, Pair

_LONG = 64  # from this many symbols on, a heap beats looking at every pair again
_CACHE_WORDS, _CACHED_LENGTH = 1 << 18, 64  # bounds the memory of the cache, whatever the input


class ByteLevelBPE:
    """A trained tokenizer; it is never changed after construction.

    Args:
        pieces: bytes of each ordinary id; all 256 single bytes are among them.
        merges: pairs of ids by rank; the joined bytes of each pair are a piece.
        split: the pre-split.
        specials: id of each special token, outside ``pieces``.

    A piece that is neither a byte nor made by a merge is a *whole word*: it is used where a pre-split word
    equals it (see :func:`finqa_lab.text.vocabulary.extend_vocabulary`).

    Raises:
        CourseError: naming what does not fit together.

    >>> tokenizer = ByteLevelBPE.from_merges([(97, 98)], specials={"<|end|>": 257})
    >>> tokenizer.encode("abc"), tokenizer.decode([256, 99])
    ([256, 99], 'abc')
    >>> tokenizer.encode("<|end|>", allowed_special="all")
    [257]
    """

    def __init__(
        self,
        pieces: Mapping[int, bytes],
        merges: Sequence[Pair],
        split: PreSplit | None = None,
        specials: Mapping[str, int] | None = None,
    ):
        self.pieces, self.merges = dict(pieces), [tuple(pair) for pair in merges]
        self.split, self.specials = split or PreSplit(), dict(specials or {})
        self.id_of = {piece: index for index, piece in self.pieces.items()}
        self._check()
        self._byte_ids = [self.id_of[bytes([value])] for value in range(256)]
        self._merge_of = {  # pair -> (rank, id of the joined piece)
            (left, right): (rank, self.id_of[self.pieces[left] + self.pieces[right]])
            for rank, (left, right) in enumerate(self.merges)
        }
        made = {joined for _, joined in self._merge_of.values()}
        self.whole_words = {p: i for p, i in self.id_of.items() if len(p) > 1 and i not in made}
        self._name_of = {index: name for name, index in self.specials.items()}
        self._cache = WordCache(self._encode_word)

    def _check(self) -> None:
        if len(self.id_of) != len(self.pieces):
            raise CourseError("two ids of the tokenizer stand for the same bytes; each piece must occur once")
        for value in range(256):
            if bytes([value]) not in self.id_of:
                raise CourseError(
                    f"the tokenizer has no piece for byte 0x{value:02X}; all 256 bytes are needed"
                )
        for rank, (left, right) in enumerate(self.merges):
            if (
                left not in self.pieces
                or right not in self.pieces
                or self.pieces[left] + self.pieces[right] not in self.id_of
            ):
                raise CourseError(
                    f"merge {rank} of the tokenizer joins {left} and {right}, which gives no known piece"
                )
        if len(set(self.merges)) != len(self.merges):
            raise CourseError("the tokenizer lists a merge twice")
        for name, index in self.specials.items():
            if not name or index in self.pieces or list(self.specials.values()).count(index) > 1:
                raise CourseError(
                    f"special token '{name}' needs a name and an id of its own, but id {index} is taken"
                )

    @classmethod
    def from_merges(
        cls,
        merges: Sequence[Pair],
        *,
        split: PreSplit | None = None,
        specials: Mapping[str, int] | None = None,
        alphabet: bytes = BYTES,
    ) -> "ByteLevelBPE":
        """Ids 0-255 are the bytes in the order of ``alphabet``; merge ``k`` makes id ``256 + k``."""
        pieces = {index: bytes([byte]) for index, byte in enumerate(alphabet)}
        for index, (left, right) in enumerate(merges, start=256):
            if left not in pieces or right not in pieces:
                raise CourseError(
                    f"merge {index - 256} of the tokenizer joins {left} and {right}, but not both exist yet"
                )
            pieces[index] = pieces[left] + pieces[right]
        return cls(pieces, merges, split, specials)

    @property
    def vocab_size(self) -> int:
        """How many rows an embedding table needs, the highest id + 1, special tokens included."""
        return 1 + max(chain(self.pieces, self.specials.values()))

    def state(self) -> dict:
        """All that decides what this tokenizer does, by part (for the fingerprint)."""
        pieces = {str(index): piece.hex() for index, piece in self.pieces.items()}
        return {
            "kind": "byte-level BPE",
            "pieces": pieces,
            "merges": self.merges,
            "special tokens": self.specials,
            "pre-split": self.split.pattern,
        }

    def encode(self, text: str, allowed_special: str | Collection[str] = ()) -> list[int]:
        """Ids of ``text``.

        Args:
            allowed_special: special tokens that are recognised in ``text``, or ``"all"``. Any other is
                encoded as the ordinary characters it is made of, so that text from a user cannot smuggle in a
                control token.

        Raises:
            CourseError: an unknown special token, or a lone surrogate (which has no UTF-8 form), with its
                position.
        """
        try:
            if not allowed_special:
                return self._encode_ordinary(text)
            names = set(self.specials) if allowed_special == "all" else self._known(allowed_special)
            ids: list[int] = []
            for part in _cut_out(text, names):
                ids += [self.specials[part]] if part in names else self._encode_ordinary(part)
            return ids
        except UnicodeEncodeError:
            position = next(i for i, char in enumerate(text) if 0xD800 <= ord(char) < 0xE000)
            raise CourseError(
                f"character {position} is half a surrogate pair ({text[position]!a}), which has no "
                f"UTF-8 form; decode the input with errors='replace' first"
            ) from None

    def encode_bytes(self, data: bytes) -> list[int]:
        """Ids of any bytes, valid UTF-8 or not; ``decode_bytes(encode_bytes(data)) == data`` always."""
        words = self.split.split(data.decode("utf-8", "surrogateescape"))
        return list(chain.from_iterable(self._encode_word(w, "surrogateescape") for w in words))

    def _encode_ordinary(self, text: str) -> list[int]:
        return list(chain.from_iterable(map(self._cache.__getitem__, self.split.split(text))))

    def _encode_word(self, word: str, errors: str = "strict") -> list[int]:
        data = word.encode("utf-8", errors)
        if data in self.id_of:  # whole words; and a piece of a trained BPE always encodes to itself
            return [self.id_of[data]]
        ids = [self._byte_ids[byte] for byte in data]
        return _merge_long(ids, self._merge_of) if len(ids) > _LONG else _merge_short(ids, self._merge_of)

    def _known(self, names: Collection[str]) -> set[str]:
        names = {names} if isinstance(names, str) else set(names)
        for name in sorted(names - set(self.specials)):
            known = ", ".join(self.specials) or "none"
            raise CourseError(f"unknown special token '{name}'; this tokenizer has: {known}")
        return names

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes that ``ids`` stand for; special tokens give their name.

        Raises:
            CourseError: an id without a piece, with its position.
        """
        ids = list(ids)
        try:
            return b"".join(self.pieces[i] if i in self.pieces else self._name_of[i].encode() for i in ids)
        except KeyError:
            where = next(n for n, i in enumerate(ids) if i not in self.pieces and i not in self._name_of)
            raise CourseError(
                f"id {ids[where]} at position {where} is not in the vocabulary of {self.vocab_size} ids; "
                f"was the text encoded with another tokenizer?"
            ) from None

    def decode(self, ids: Iterable[int], errors: str = "replace") -> str:
        """Text of ``ids``; bytes that are not UTF-8 (a character cut in two) become U+FFFD unless ``errors``
        says else."""
        return self.decode_bytes(ids).decode("utf-8", errors)


class WordCache(dict):
    """Word -> ids, filled on the first use of a word: ``dict`` calls ``__missing__`` by itself, at C speed
    otherwise."""

    def __init__(self, encode):
        super().__init__()
        self._encode = encode

    def __missing__(self, word: str) -> list[int]:
        ids = self._encode(word)
        if len(word) <= _CACHED_LENGTH:
            if len(self) >= _CACHE_WORDS:
                self.clear()
            self[word] = ids
        return ids


def _cut_out(text: str, names: set[str]) -> list[str]:
    """``("a<x>b", {"<x>"})`` -> ``["a", "<x>", "b"]``; where several fit, the longest wins."""
    longest_first = sorted(names, key=len, reverse=True)
    return regex.split("(" + "|".join(map(regex.escape, longest_first)) + ")", text) if names else [text]


def _merge_short(ids: list[int], merge_of: Mapping[Pair, tuple[int, int]]) -> list[int]:
    """Join the pair of lowest rank, leftmost first, until none is left; looks at every pair again each
    time."""
    while len(ids) > 1:
        found = [(*merge_of[pair], at) for at, pair in enumerate(zip(ids, ids[1:])) if pair in merge_of]
        if not found:
            break
        _, joined, at = min(found)
        ids[at : at + 2] = [joined]
    return ids


def _merge_long(ids: list[int], merge_of: Mapping[Pair, tuple[int, int]]) -> list[int]:
    """The same for long words in O(n log n): a heap of (rank, position) over a linked list.

    One run of 100,000 letters is one word, and the quadratic way would take minutes on it: a cheap attack on
        a server.
    """
    size = len(ids)
    following, preceding = list(range(1, size + 1)), list(range(-1, size - 1))
    heap = [(merge_of[pair][0], at) for at, pair in enumerate(zip(ids, ids[1:])) if pair in merge_of]
    heapq.heapify(heap)
    while heap:
        rank, at = heapq.heappop(heap)
        right = following[at]
        if right == size or ids[at] is None:
            continue
        current, joined = merge_of.get((ids[at], ids[right]), (None, None))
        if current != rank:  # a neighbour was merged in the meantime
            continue
        ids[at], ids[right] = joined, None
        following[at] = following[right]
        if following[at] < size:
            preceding[following[at]] = at
        for left in (preceding[at], at):
            if left >= 0 and following[left] < size:
                pair = (ids[left], ids[following[left]])
                if pair in merge_of:
                    heapq.heappush(heap, (merge_of[pair][0], left))
    return [index for index in ids if index is not None]
