"""Growing a vocabulary: domain words as tokens of their own, and first values for their embedding rows.

A new token shortens every text that holds the word, and costs one row in the input embedding and one in the
output layer, both of which must be trained. A row starts as the mean of the rows of the pieces it replaces,
which keeps the model's output near what it was (Hewitt, 2021, "Initializing new word embeddings for
pretrained language models").
"""

from collections.abc import Iterable, Mapping

import numpy as np

from finqa_lab.errors import CourseError
from finqa_lab.text.bpe import ByteLevelBPE


def propose_words(tokenizer: ByteLevelBPE, texts: Iterable[str], limit: int) -> list[tuple[str, int]]:
    """The words whose own token would save most, with the tokens each saves in ``texts``: count x (pieces -
    1).

    Words with a digit are left out: a token for one number teaches nothing about the next.
    """
    saved = {
        word: times * (len(tokenizer.encode(word)) - 1)
        for word, times in tokenizer.split.count(texts).items()
        if not any(character.isnumeric() for character in word)
    }
    ranked = sorted((word for word in saved if saved[word] > 0), key=lambda word: (-saved[word], word))
    return [(word, saved[word]) for word in ranked[:limit]]


def extend_vocabulary(
    tokenizer: ByteLevelBPE, words: Iterable[str]
) -> tuple[ByteLevelBPE, dict[int, list[int]]]:
    """A tokenizer with a token for each of ``words``, and for each new id the old ids it replaces.

    Old ids, special tokens included, keep their meaning; new ids follow the highest old one. A word that is
    one token already is passed over. The new token is used only where a pre-split word equals it: ``"
    EBITDA"`` (with its space) does not touch ``"EBITDA"`` at a line's start nor ``" EBITDAR"``.

    Raises:
        CourseError: a word that the pre-split would cut, for its token could never be used.

    >>> base = ByteLevelBPE.from_merges([(32, 98)])
    >>> bigger, parts = extend_vocabulary(base, [" bps"])
    >>> base.encode("5 bps"), bigger.encode("5 bps"), parts
    ([53, 256, 112, 115], [53, 257], {257: [256, 112, 115]})
    """
    pieces, parts = dict(tokenizer.pieces), {}
    new_id = tokenizer.vocab_size
    for word in dict.fromkeys(words):
        cut = tokenizer.split.split(word)
        if cut != [word]:
            shown = " | ".join(map(repr, cut)) or "nothing"
            raise CourseError(
                f"the word {word!r} cannot become a token: the pre-split cuts it into "
                f"{shown}; add one of those instead"
            )
        old = tokenizer.encode(word)
        if len(old) > 1:
            pieces[new_id], parts[new_id] = word.encode("utf-8"), old
            new_id += 1
    return ByteLevelBPE(pieces, tokenizer.merges, tokenizer.split, tokenizer.specials), parts


def extend_embeddings(rows, parts: Mapping[int, list[int]]):
    """Embedding table with one more row for each new id: the mean of the rows of the pieces it replaces.

    Args:
        rows: numpy array or torch tensor of shape (old vocabulary, width); it is not changed.
        parts: new id -> old ids, as :func:`extend_vocabulary` returns it; new ids continue those of ``rows``
            without a gap.

    Returns:
        Table of the same kind, dtype and device, shape (old vocabulary + new, width), detached from any
        graph.

    Raises:
        CourseError: the table does not have one row for each old id.

    >>> extend_embeddings(np.array([[0.0, 2.0], [4.0, 0.0]]), {2: [0, 1]})
    array([[0., 2.],
           [4., 0.],
           [2., 1.]])
    """
    if list(parts) != list(range(len(rows), len(rows) + len(parts))):
        first = next(iter(parts))
        raise CourseError(
            f"the embedding table has {len(rows)} rows but the first new id is {first}; "
            f"use the table that belongs to the old tokenizer"
        )
    if isinstance(rows, np.ndarray):
        means = [rows[old].mean(axis=0, dtype=np.float64).astype(rows.dtype) for old in parts.values()]
        return np.concatenate((rows, np.stack(means))) if means else rows.copy()
    import torch  # only reached with a torch tensor in hand

    old_rows = rows.detach()
    means = [old_rows[old].float().mean(dim=0).to(old_rows.dtype) for old in parts.values()]
    return torch.cat((old_rows, torch.stack(means))) if means else old_rows.clone()
