"""How a problem is written down, vectorised both ways.

===========  =====================  ======================================================================
format       951 + 11 is written    what is particular
===========  =====================  ======================================================================
reversed     ``951+011=2690``       operands padded to 3 digits; answer padded to 4, units first
plain        ``951+011=0962``       the same, answer in the usual order
text         ``951+11=962$``        no padding inside; ``$`` ends the answer; ``_`` fills the left of a batch row
text_units   ``951+11=269$``        unpadded text with the answer units first
text_places  ``951+11=962$``        the same text; digits also carry the embedding of their place
===========  =====================  ======================================================================
"""

from dataclasses import dataclass

import numpy as np

from finqa_lab.arithmetic import vocabulary as voc
from finqa_lab.arithmetic.problems import PLUS, digit_count
from finqa_lab.errors import CourseError

PROMPT = 8  # `aaa+bbb=`
ANSWER_DIGITS = 4  # 999 + 999 = 1998
MALFORMED, ENDLESS = -1, -2
PLACE_ROWS = 14


@dataclass(frozen=True)
class Format:
    """A way of writing problems. Every row of tokens has ``length`` columns; ``=`` stands at column 7 in all rows.

    Args:
        name: its name in ``FORMATS``.
        padded: operands padded to 3 and answers to 4 digits (else as written, with an end token).
        reverse: answer with the units first.
        places: digit places are given to the model.
    """

    name: str
    padded: bool
    reverse: bool
    places: bool = False

    @property
    def steps(self) -> int:
        """How many tokens are generated, four digits and the end token where answers differ in length."""
        return ANSWER_DIGITS if self.padded else ANSWER_DIGITS + 1

    @property
    def length(self) -> int:
        """Tokens of a whole row, prompt and answer."""
        return PROMPT + self.steps

    def encode_prompts(self, a: np.ndarray, operation: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Tokens up to and including ``=``, int64 (N, 8).

        >>> FORMATS["text"].encode_prompts(np.array([951]), np.array([PLUS]), np.array([11])).tolist()
        [[16, 9, 5, 1, 10, 1, 1, 12]]
        """
        rows = np.full((len(a), PROMPT), voc.PAD, dtype=np.int64)
        rows[:, 7] = voc.EQUALS
        sign = np.where(operation == PLUS, voc.TOKEN["+"], voc.TOKEN["-"])
        a_digits, b_digits = voc.digits(a, 3), voc.digits(b, 3)
        if self.padded:
            rows[:, 3] = sign
            rows[:, :3], rows[:, 4:7] = a_digits[:, ::-1], b_digits[:, ::-1]
            return rows
        a_length, b_length = digit_count(a), digit_count(b)
        row = np.arange(len(a))
        for place in range(3):
            has = b_length > place
            rows[has, 6 - place] = b_digits[has, place]
            has = a_length > place
            rows[row[has], (5 - b_length - place)[has]] = a_digits[has, place]
        rows[row, 6 - b_length] = sign
        return rows

    def encode_answers(self, values: np.ndarray) -> np.ndarray:
        """Answer tokens, int64 (N, steps).

        >>> FORMATS["reversed"].encode_answers(np.array([962])).tolist()
        [[2, 6, 9, 0]]
        >>> FORMATS["text"].encode_answers(np.array([62])).tolist()  # 6 2 end, then padding
        [[6, 2, 15, 16, 16]]
        """
        units_first = voc.digits(values, ANSWER_DIGITS)
        if self.padded:
            return units_first if self.reverse else units_first[:, ::-1].copy()
        count = digit_count(values) + (values >= 1000)
        rows = np.full((len(values), self.steps), voc.PAD, dtype=np.int64)
        row = np.arange(len(values))
        for step in range(ANSWER_DIGITS):
            has = step < count
            place = np.full(len(values), step) if self.reverse else count - 1 - step
            rows[has, step] = units_first[row[has], place[has]]
        rows[row, count] = voc.END
        return rows

    def decode_answers(self, tokens: np.ndarray) -> np.ndarray:
        """Values of generated answers, int64 (N,).

        ``MALFORMED`` (-1) marks an answer that is no number in this format (a token that is no digit, no digit at all,
        a leading zero in unpadded text); ``ENDLESS`` (-2) one without an end token where the format has one.

        >>> FORMATS["text"].decode_answers(np.array([[6, 2, 15, 15, 15], [0, 2, 15, 15, 15], [1, 1, 1, 1, 1]])).tolist()
        [62, -1, -2]
        """
        tokens = np.asarray(tokens)
        if self.padded:
            ordered = tokens if self.reverse else tokens[:, ::-1]
            values = (ordered * 10 ** np.arange(ANSWER_DIGITS)).sum(axis=1)
            return np.where((tokens <= 9).all(axis=1), values, MALFORMED)
        ended = tokens == voc.END
        count = ended.argmax(axis=1)
        values, well_formed = np.zeros(len(tokens), dtype=np.int64), count > 0
        for step in range(self.steps - 1):
            inside = step < count
            digit = np.where(inside, tokens[:, step], 0)
            well_formed &= digit <= 9
            values = np.where(inside, values + digit * 10**step if self.reverse else values * 10 + digit, values)
        leading = tokens[np.arange(len(tokens)), np.maximum(count - 1, 0)] if self.reverse else tokens[:, 0]
        well_formed &= (leading != 0) | (count == 1)
        return np.where(~ended.any(axis=1), ENDLESS, np.where(well_formed, values, MALFORMED))

    def digit_places(self, prompts: np.ndarray) -> np.ndarray | None:
        """Row of the place table for every column, int64 (N, length); None when the format gives no places.

        A function of the prompt's text alone: 0 padding; 1..3 units, tens, hundreds of the first operand; 4..6 of the
        second; 7 operator; 8 ``=``; 9.. first, second, ... token of the answer (its place is not known in advance).

        >>> FORMATS["text_places"].digit_places(np.array([[16, 9, 5, 1, 10, 1, 1, 12]])).tolist()
        [[0, 3, 2, 1, 7, 5, 4, 8, 9, 10, 11, 12, 13]]
        """
        if not self.places:
            return None
        column = np.arange(self.length)
        sign = np.isin(prompts, (voc.TOKEN["+"], voc.TOKEN["-"])).argmax(axis=1)[:, None]
        places = np.where(column < sign, sign - column, np.where(column < 7, 10 - column, column + 1))
        places[column == sign] = 7
        places[:, :PROMPT][prompts == voc.PAD] = 0
        return places


FORMATS = {
    spelling.name: spelling
    for spelling in (
        Format("reversed", padded=True, reverse=True),
        Format("plain", padded=True, reverse=False),
        Format("text", padded=False, reverse=False),
        Format("text_units", padded=False, reverse=True),
        Format("text_places", padded=False, reverse=False, places=True),
    )
}


def named(name: str) -> Format:
    """The format of that name.

    Raises:
        CourseError: listing the names there are.
    """
    if name not in FORMATS:
        raise CourseError(f"there is no arithmetic format '{name}'; choose one of: {', '.join(FORMATS)}")
    return FORMATS[name]
