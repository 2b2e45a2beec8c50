"""A vocabulary of characters: one token a character."""

import numpy as np

CHARACTERS = "0123456789+-=*,$_"
"""Digits, operators, ``,`` between steps of a scratchpad, ``$`` for the end of the answer, ``_`` for padding."""

TOKEN = {character: token for token, character in enumerate(CHARACTERS)}
SIZE = len(CHARACTERS)
EQUALS, END, PAD = TOKEN["="], TOKEN["$"], TOKEN["_"]


def encode(text: str) -> np.ndarray:
    """Tokens of a text, int64 (len(text),). A digit's token is its value.

    >>> encode("951+11=").tolist()
    [9, 5, 1, 10, 1, 1, 12]

    Raises:
        ValueError: naming the first character that is not in the vocabulary.
    """
    for character in text:
        if character not in TOKEN:
            raise ValueError(f"{character!r} is not in the vocabulary {CHARACTERS!r}")
    return np.array([TOKEN[character] for character in text], dtype=np.int64)


def decode(tokens) -> str:
    """The text of tokens.

    >>> decode([9, 5, 1, 10, 1, 1, 12])
    '951+11='
    """
    return "".join(CHARACTERS[int(token)] for token in tokens)


def digits(values: np.ndarray, places: int) -> np.ndarray:
    """Decimal digits of non-negative values, int64 (N, places), units first; higher digits are dropped.

    >>> digits(np.array([962, 11]), 4).tolist()
    [[2, 6, 9, 0], [1, 1, 0, 0]]
    """
    return np.asarray(values, dtype=np.int64)[:, None] // 10 ** np.arange(places) % 10
