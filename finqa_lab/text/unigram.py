"""Unigram tokenizer: the most probable way to cut a word into pieces.

Each piece has a probability of its own, and a segmentation has the product of its pieces' (Kudo, 2018,
equation 1). The best one is found by dynamic programming, the Viterbi algorithm. A character without a piece
falls back to its UTF-8 bytes, so decoding gives the text back whatever it holds.
"""

from collections.abc import Iterable, Mapping
from itertools import chain

from finqa_lab.errors import CourseError
from finqa_lab.text.bpe import WordCache
from finqa_lab.text.pretokenize import PreSplit

UNKNOWN_PENALTY = 10.0  # nats below the least probable piece; the value SentencePiece uses


def viterbi(word: str, log_p: Mapping[str, float], longest: int, unknown: float) -> tuple[list[str], float]:
    """Best segmentation of ``word`` and its log probability in nats.

    Args:
        log_p: natural logarithm of each piece's probability.
        longest: length in characters of the longest piece.
        unknown: score of one character that is no piece.

    Among segmentations with equal scores, the one whose last piece is longest wins, then the last but one,
    and so on.

    >>> viterbi("abc", {"a": -1.0, "b": -1.0, "c": -1.0, "bc": -1.5}, 2, -9.0)
    (['a', 'bc'], -2.5)
    """
    # best[j]: score of the best segmentation of word[:j]; its last piece starts at start_of[j]
    best, start_of = [0.0], [0]
    for end in range(1, len(word) + 1):
        top, top_start = float("-inf"), end - 1
        for start in range(max(0, end - longest), end):
            score = log_p.get(word[start:end])
            if score is None:
                if start < end - 1:
                    continue
                score = unknown
            if best[start] + score > top:
                top, top_start = best[start] + score, start
        best.append(top)
        start_of.append(top_start)
    pieces, end = [], len(word)
    while end:
        pieces.append(word[start_of[end] : end])
        end = start_of[end]
    return pieces[::-1], best[-1]


class Unigram:
    """A trained Unigram tokenizer: ids 0-255 are bytes (for characters without a piece), then the pieces in
    order.

    Args:
        log_p: natural log probability of each piece, in the order of the ids from 256 on.
        split: the pre-split; pieces never cross its words.

    >>> tokenizer = Unigram({"a": -1.0, "b": -1.0, "ab": -1.5})
    >>> tokenizer.encode("aab"), tokenizer.encode("é"), tokenizer.decode([256, 258, 195, 169])
    ([256, 258], [195, 169], 'aabé')
    """

    def __init__(self, log_p: Mapping[str, float], split: PreSplit | None = None):
        if not log_p or "" in log_p or not all(score <= 0 for score in log_p.values()):
            raise CourseError(
                "a Unigram tokenizer needs at least one piece, none empty, "
                "each with a log probability of at most 0"
            )
        self.log_p, self.split = dict(log_p), split or PreSplit()
        self.pieces = list(self.log_p)
        self.id_of = {piece: 256 + index for index, piece in enumerate(self.pieces)}
        self.longest = max(map(len, self.pieces))
        self.unknown = min(self.log_p.values()) - UNKNOWN_PENALTY
        self._cache = WordCache(self._encode_word)

    @property
    def vocab_size(self) -> int:
        """Rows an embedding table needs."""
        return 256 + len(self.pieces)

    def segment(self, word: str) -> tuple[list[str], float]:
        """Most probable pieces of one pre-split word and their log probability in nats (:func:`viterbi`)."""
        return viterbi(word, self.log_p, self.longest, self.unknown)

    def encode(self, text: str) -> list[int]:
        """Ids of ``text``; CourseError on a lone surrogate, which has no UTF-8 form."""
        try:
            return list(chain.from_iterable(map(self._cache.__getitem__, self.split.split(text))))
        except UnicodeEncodeError:
            raise CourseError(
                "the text holds half a surrogate pair, which has no UTF-8 form; "
                "decode the input with errors='replace' first"
            ) from None

    def _encode_word(self, word: str) -> list[int]:
        ids: list[int] = []
        for piece in self.segment(word)[0]:
            index = self.id_of.get(piece)
            ids += piece.encode("utf-8") if index is None else [index]
        return ids

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes that ``ids`` stand for; CourseError for an id outside the vocabulary, with its
        position."""
        parts = []
        for position, index in enumerate(ids):
            if not 0 <= index < self.vocab_size:
                raise CourseError(
                    f"id {index} at position {position} is not in the vocabulary of {self.vocab_size} ids"
                )
            parts.append(bytes([index]) if index < 256 else self.pieces[index - 256].encode("utf-8"))
        return b"".join(parts)

    def decode(self, ids: Iterable[int], errors: str = "replace") -> str:
        """Text of ``ids``; bytes that are not UTF-8 become U+FFFD unless ``errors`` says else."""
        return self.decode_bytes(ids).decode("utf-8", errors)

    def state(self) -> dict:
        """All that decides what this tokenizer does, by part (for the fingerprint)."""
        scores = {piece: round(score, 9) for piece, score in self.log_p.items()}
        return {"kind": "Unigram", "pieces": self.pieces, "scores": scores, "pre-split": self.split.pattern}
