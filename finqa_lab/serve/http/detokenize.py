"""Text from tokens as they come, never half a character.

A byte-level token can end inside a character: an emoji is four bytes, often in two or three tokens. Decoded alone, each
of them would be U+FFFD. And decoders that write a space before a word leave it out at the beginning, so tokens cannot
be decoded one by one. Both are answered as vLLM and TGI do it: decode a short window with and without what is new, and
wait while the text ends in U+FFFD.
"""

from tokenizers import Tokenizer

REPLACEMENT = "\ufffd"


class Detokenizer:
    """The text of one reply, a token at a time; special tokens have no text.

    All pieces together are ``tokenizer.decode(tokens)``. Text that really ends in U+FFFD is held back until the next
    token, or the end.

    Args:
        tokenizer: whose decoder is used; shared, and not changed.
    """

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._shown: list[int] = []  # the tokens of the last piece: what comes next is decoded behind them
        self._held: list[int] = []  # the tokens since, which have no text yet

    def add(self, token: int) -> str:
        """The text that a further token completes; "" when it completes none."""
        self._held.append(token)
        piece = self._rest()
        if not piece or piece.endswith(REPLACEMENT):
            return ""
        self._shown, self._held = self._held, []
        return piece

    def flush(self) -> str:
        """What is left at the end: U+FFFD for a character that the reply broke off in."""
        piece = self._rest()
        self._shown, self._held = [], []
        return piece

    def _rest(self) -> str:
        return self._decode(self._shown + self._held)[len(self._decode(self._shown)) :]

    def _decode(self, tokens: list[int]) -> str:
        return self._tokenizer.decode(tokens, skip_special_tokens=True)
