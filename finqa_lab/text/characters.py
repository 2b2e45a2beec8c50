"""Character tokenizer: a fixed list of symbols, one id each."""

from collections.abc import Iterable, Sequence

from finqa_lab.errors import CourseError


class CharacterTokenizer:
    """One id a character, in the order of ``symbols``; no unknown symbol, no special rule.

    Raises:
        CourseError: a symbol that is not one character, or occurs twice.

    >>> tokenizer = CharacterTokenizer("0123456789+-=")
    >>> tokenizer.encode("12+3"), tokenizer.decode([1, 2, 12])
    ([1, 2, 10, 3], '12=')
    """

    def __init__(self, symbols: Sequence[str]):
        self.symbols = list(symbols)
        self.id_of = {symbol: index for index, symbol in enumerate(self.symbols)}
        wrong = [symbol for symbol in self.symbols if len(symbol) != 1 or self.symbols.count(symbol) > 1]
        if wrong:
            raise CourseError(
                f"symbol {wrong[0]!r} of the character tokenizer must be one character and occur once"
            )

    @property
    def vocab_size(self) -> int:
        return len(self.symbols)

    def encode(self, text: str) -> list[int]:
        """Ids of ``text``; CourseError naming the first character that is not a symbol and its position."""
        try:
            return [self.id_of[character] for character in text]
        except KeyError:
            at, unknown = next((n, c) for n, c in enumerate(text) if c not in self.id_of)
            raise CourseError(
                f"character {unknown!r} at position {at} is not one of the symbols {''.join(self.symbols)!r}"
            ) from None

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ``ids``; CourseError naming the first id outside the list and its position."""
        ids = list(ids)
        for position, index in enumerate(ids):
            if not 0 <= index < len(self.symbols):
                raise CourseError(f"id {index} at position {position} is outside 0..{len(self.symbols) - 1}")
        return "".join(self.symbols[index] for index in ids)

    def state(self) -> dict:
        """All that decides what this tokenizer does (for the fingerprint)."""
        return {"kind": "characters", "symbols": self.symbols}
