"""The vocabulary as a trie over bytes: what a grammar over bytes needs to know of a tokenizer.

A token of a byte-level tokenizer stands for a fixed run of bytes, which may end in the middle of a character or reach
from one word of the grammar into the next: ``"),"``. In a trie, tokens with the same beginning share it, and an
automaton that refuses a beginning has refused all of them at once.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from tokenizers import Tokenizer

from finqa_lab.errors import CourseError
from finqa_lab.text.huggingface import piece_to_bytes


@dataclass(frozen=True)
class Trie:
    """Node 0 is the root; the children of a node stand one after the other.

    Attributes:
        first: (N + 1,) position of the children of each node: those of n are ``first[n]`` to ``first[n + 1] - 1``, and
            a child's position plus one is its number.
        byte: (N - 1,) the byte that leads to each child.
        tokens: (N,) the token that ends at each node, or -1.
    """

    first: np.ndarray
    byte: np.ndarray
    tokens: np.ndarray

    def token(self, data: bytes) -> int:
        """The token of exactly these bytes, or -1.

        >>> trie = build_trie({7: b"a", 8: b"ab"})
        >>> trie.token(b"ab"), trie.token(b"b")
        (8, -1)
        """
        node = 0
        for byte in data:
            begin, end = self.first[node], self.first[node + 1]
            place = begin + int(np.searchsorted(self.byte[begin:end], byte))
            if place == end or self.byte[place] != byte:
                return -1
            node = place + 1
        return int(self.tokens[node])


def build_trie(pieces: Mapping[int, bytes]) -> Trie:
    """The trie of the tokens' bytes, none of them empty; of tokens with the same bytes the lowest id stays."""
    root: dict = {}
    for token, data in sorted(pieces.items(), reverse=True):
        node = root
        for byte in data:
            node = node.setdefault(byte, {})
        node[None] = token
    first, labels, tokens, level = [], [], [], [root]
    while level:  # breadth first, so that the children of a node are neighbours
        following = []
        for node in level:
            first.append(len(labels) + len(following))
            tokens.append(node.get(None, -1))
            following += sorted(((byte, child) for byte, child in node.items() if byte is not None), key=_byte)
        labels += [byte for byte, _ in following]
        level = [child for _, child in following]
    first.append(len(labels))
    return Trie(np.array(first), np.array(labels, dtype=np.uint8), np.array(tokens))


def _byte(child: tuple[int, dict]) -> int:
    return child[0]


def token_bytes(tokenizer: Tokenizer) -> dict[int, bytes]:
    """Id -> bytes of every ordinary token; added tokens are left out, because they are no part of a reply's text.

    Raises:
        CourseError: when the tokenizer is not byte-level.
    """
    if (json.loads(tokenizer.to_str())["decoder"] or {}).get("type") != "ByteLevel":
        raise _not_byte_level("its decoder is not ByteLevel")
    added = tokenizer.get_added_tokens_decoder()
    found = {}
    for piece, token in tokenizer.get_vocab(with_added_tokens=False).items():
        if token not in added and piece:
            try:
                found[token] = piece_to_bytes(piece)
            except KeyError as error:
                raise _not_byte_level(f"token {token} holds {error}, which stands for no byte") from None
    return found


def _not_byte_level(reason: str) -> CourseError:
    return CourseError(
        f"a grammar needs a byte-level tokenizer, but {reason}; use a model with byte-level BPE (GPT-2, Llama 3, Qwen)"
    )


@lru_cache(maxsize=4)
def vocabulary_trie(tokenizer: Tokenizer) -> Trie:
    """The trie of a tokenizer, made once; a tokenizer that is changed afterwards needs a new object.

    Raises:
        CourseError: when the tokenizer is not byte-level.
    """
    return build_trie(token_bytes(tokenizer))
