"""Stop strings: the text ends before the first of them, however the tokens cut it into pieces.

A stop string is text, not tokens: ``"\\n\\n"`` can be one token, two, or the end of one and the beginning of another.
So it is looked for in the text. What could be the beginning of a stop string is held back until the next piece shows
whether it is: a client must never see the beginning of what ends its reply.
"""

from collections.abc import Sequence


class StopStrings:
    """Cuts one reply.

    The string that is complete first counts; of two that are complete at the same character, the longer one. The
    result does not depend on how the text is divided into pieces.

    Args:
        strings: none of them empty.

    Attributes:
        found: the string that ended the reply, or None.

    >>> stop = StopStrings(["END"])
    >>> [stop.add(piece) for piece in ("a", "bE", "N", "x E", "ND c")], stop.found
    (['a', 'b', '', 'ENx ', ''], 'END')
    """

    def __init__(self, strings: Sequence[str]):
        self._strings = sorted(strings, key=len, reverse=True)
        self._held = ""
        self.found: str | None = None

    def add(self, piece: str) -> str:
        """The text that may be shown now; "" and nothing more once a stop string was found."""
        if self.found is not None:
            return ""
        if not self._strings:
            return piece
        text = self._held + piece
        ends = [(text.find(string) + len(string), string) for string in self._strings if string in text]
        if ends:
            end, self.found = min(ends, key=lambda pair: pair[0])
            self._held = ""
            return text[: end - len(self.found)]
        keep = max(_overlap(text, string) for string in self._strings)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """What was held back, when the reply has ended otherwise."""
        rest, self._held = self._held, ""
        return rest


def _overlap(text: str, string: str) -> int:
    """Length of the longest end of ``text`` with which ``string`` begins, shorter than ``string``."""
    for length in range(min(len(text), len(string) - 1), 0, -1):
        if text.endswith(string[:length]):
            return length
    return 0
