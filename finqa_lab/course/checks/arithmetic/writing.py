"""Checks of lab 04: problems, masks, the loss and working steps, written down."""

import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def encode_cases(rng: random.Random) -> Iterator[Case]:
    """Operands of all lengths, both operations."""
    for a, sign, b in ((0, "+", 0), (951, "+", 11), (951, "-", 11), (999, "+", 999), (100, "-", 99), (7, "+", 85)):
        yield Case(a, sign, b, note=f"{a}{sign}{b}")
    for _ in range(20):
        a, b = rng.randrange(1000), rng.randrange(1000)
        yield Case(max(a, b), rng.choice("+-"), min(a, b))


def _encode(a: int, sign: str, b: int, pad: int = 3, width: int = 4, reverse=True, both=False) -> str:
    left, right = f"{a:0{pad}d}", f"{b:0{pad}d}"
    answer = f"{a + b if sign == '+' else a - b:0{width}d}"
    if both:
        left, right = left[::-1], right[::-1]
    return f"{left}{sign}{right}={answer[::-1] if reverse else answer}"


def _padded_after_reversal(a: int, sign: str, b: int) -> str:
    answer = str(a + b if sign == "+" else a - b)[::-1]
    return f"{a:03d}{sign}{b:03d}={answer:0>4}"


register(
    Check(
        name="arithmetic.encode",
        task="write a problem with operands padded to 3 digits and the answer padded to 4, units first",
        cases=encode_cases,
        oracle=_encode,
        why="padding gives every digit place its own column; the reversed answer makes each step local.",
        hint="951+11 must become 951+011=2690: 962 padded is 0962, read backwards 2690.",
        wrong=[
            WrongAnswer(
                "not reversed",
                lambda a, sign, b: _encode(a, sign, b, reverse=False),
                "the answer is still most significant digit first; reverse its padded text.",
            ),
            WrongAnswer(
                "padded after reversal",
                _padded_after_reversal,
                "pad first, then reverse: padding the reversed text on its left moves every digit to another place.",
            ),
            WrongAnswer(
                "operands reversed too",
                lambda a, sign, b: _encode(a, sign, b, both=True),
                "only the answer is reversed; the operands keep their usual order.",
            ),
            WrongAnswer(
                "operands unpadded",
                lambda a, sign, b: _encode(a, sign, b, pad=1),
                "11 must be written 011, so that its tens stand where the tens of 951 stand.",
            ),
            WrongAnswer(
                "answer padded to three",
                lambda a, sign, b: _encode(a, sign, b, width=3),
                "999+999=1998 has four digits, so every answer gets four columns.",
            ),
            WrongAnswer(
                "answer unpadded",
                lambda a, sign, b: _encode(a, sign, b, width=1),
                "the answer is padded as well: 962 becomes 0962 before it is reversed.",
            ),
            WrongAnswer(
                "differences added",
                lambda a, sign, b: _encode(a, "+", b).replace("+", sign),
                'look at the sign: for "-" the answer is a - b.',
            ),
        ],
    )
)


def mask_cases(rng: random.Random) -> Iterator[Case]:
    """Rows of the exact text format, padded on both sides."""
    yield Case("2+2=4$")
    yield Case("2+2=4$_", note="padding after the end sign")
    yield Case("_951+11=962$_", note="padding on both sides")
    yield Case("____0-0=0$___")
    for _ in range(15):
        a, b = rng.randrange(1000), rng.randrange(1000)
        yield Case(f"{a}+{b}=".rjust(8, "_") + f"{a + b}$".ljust(5, "_"))


def _mask(row: str, end=True, pads=False, equals=False, everything=False) -> list[bool]:
    at = row.index("=")
    inside = range(len(row)) if everything else range(at if equals else at + 1, len(row))
    chosen = [i in inside for i in range(len(row))]
    return [
        chosen[i] and (end or row[i] != "$") and (pads or row[i] != "_" or i < at and not everything)
        for i in range(len(row))
    ]


register(
    Check(
        name="arithmetic.answer_mask",
        task="mark the characters of a row that the model must learn to write: the answer and its end sign",
        cases=mask_cases,
        oracle=_mask,
        why="the operands are random: no model can guess them, so a loss on them is only noise.",
        hint="one True or False for each character; in 2+2=4$ only the last two are True: the 4 and the $.",
        wrong=[
            WrongAnswer(
                "end sign left out",
                lambda row: _mask(row, end=False),
                "without a loss on `$` the model never learns to stop.",
            ),
            WrongAnswer(
                "padding learned",
                lambda row: _mask(row, pads=True),
                "`_` after the end only fills the batch; it must not count in the loss.",
            ),
            WrongAnswer(
                "equals sign learned",
                lambda row: _mask(row, equals=True),
                "`=` belongs to the question: it is given, the model does not write it.",
            ),
            WrongAnswer(
                "question learned",
                lambda row: _mask(row, everything=True),
                "the operands are marked as well; only what comes after `=` is to be learned.",
            ),
            WrongAnswer(
                "the answer's part alone",
                lambda row: _mask(row)[row.index("=") + 1 :],
                "the mask needs one value for each character of the row; those of the question are False.",
            ),
            WrongAnswer(
                "one position early",
                lambda row: [*_mask(row)[1:], False],
                "the mask stands one position too early: mark the characters to be written, not those before them.",
            ),
            WrongAnswer(
                "zeros and ones",
                lambda row: [int(mark) for mark in _mask(row)],
                "the right characters, but the mask is to hold True and False, not 1 and 0.",
            ),
        ],
    )
)


def loss_cases(rng: random.Random) -> Iterator[Case]:
    """Log-probabilities of the correct characters, and masks."""
    yield Case([[-1.0, -3.0]], [[True, False]], note="one row, one marked character")
    yield Case([[-1.0, -3.0]], [[True, True]])
    yield Case([[-1.0, -2.0, -9.0], [-4.0, -9.0, -9.0]], [[True, True, False], [True, False, False]])
    for rows in (3, 5):
        mask = [[column <= rng.randrange(1, 4) for column in range(4)] for _ in range(rows)]
        yield Case([[-rng.random() for _ in range(4)] for _ in range(rows)], mask)


def _masked_loss(log_p, mask) -> float:
    kept = [p for row, marks in zip(log_p, mask) for p, mark in zip(row, marks) if mark]
    return -sum(kept) / len(kept)


def _row_means(log_p, mask) -> float:
    rows = [_masked_loss([row], [marks]) for row, marks in zip(log_p, mask)]
    return sum(rows) / len(rows)


register(
    Check(
        name="arithmetic.masked_loss",
        task="mean negative log-probability of the marked characters of a batch",
        cases=loss_cases,
        oracle=_masked_loss,
        why="this is the number that training makes small; what it averages over decides what is learned.",
        hint="log_p holds logarithms already: add up those of the marked characters of all rows, change the sign, "
        "divide by how many are marked.",
        wrong=[
            WrongAnswer(
                "divided by all characters",
                lambda log_p, mask: (
                    -sum(p for row, marks in zip(log_p, mask) for p, mark in zip(row, marks) if mark)
                    / sum(map(len, log_p))
                ),
                "divide by the number of marked characters; unmarked ones would shrink the loss of short answers.",
            ),
            WrongAnswer(
                "mask ignored",
                lambda log_p, mask: -sum(map(sum, log_p)) / sum(map(len, log_p)),
                "every character counts here; only the marked ones may.",
            ),
            WrongAnswer(
                "mean of row means",
                _row_means,
                "average over all marked characters at once; a mean per row gives those of short answers more weight.",
            ),
            WrongAnswer(
                "sign forgotten",
                lambda log_p, mask: -_masked_loss(log_p, mask),
                "log-probabilities are negative; the loss is their mean with the sign changed.",
            ),
            WrongAnswer(
                "sum instead of mean",
                lambda log_p, mask: _masked_loss(log_p, mask) * sum(map(sum, mask)),
                "that is the sum; divide it by the number of marked characters.",
            ),
            WrongAnswer(
                "divided by the rows",
                lambda log_p, mask: _masked_loss(log_p, mask) * sum(map(sum, mask)) / len(log_p),
                "divide by the number of marked characters of the batch, not by the number of its rows.",
            ),
        ],
    )
)


def scratchpad_cases(rng: random.Random) -> Iterator[Case]:
    """Two-digit products."""
    for a, b in ((0, 0), (12, 34), (99, 99), (50, 2), (7, 80)):
        yield Case(a, b, note=f"{a} times {b}")
    for _ in range(15):
        yield Case(rng.randrange(100), rng.randrange(100))


def _scratchpad(a: int, b: int, order=(0, 1), reverse=True, shifted=False, final=True, product=None) -> str:
    steps = [a * (b // 10**place % 10) * (10**place if shifted else 1) for place in order]
    product = a * b if product is None else product
    parts = [f"{step:03d}" for step in steps] + ([f"{product:04d}"] if final else [])
    return f"{a:02d}*{b:02d}=" + ",".join(part[::-1] if reverse else part for part in parts)


def _steps_padded_after_reversal(a: int, b: int) -> str:
    parts = (f"{str(step)[::-1]:0>3}" for step in (a * (b % 10), a * (b // 10)))
    return f"{a:02d}*{b:02d}={','.join(parts)},{str(a * b)[::-1]:0>4}"


register(
    Check(
        name="arithmetic.scratchpad",
        task="write a two-digit product with its two partial products, every number after = units first",
        cases=scratchpad_cases,
        oracle=_scratchpad,
        why="a transformer does a fixed amount of work for each character; steps written down give it more of them.",
        hint="12*34 must become 12*34=840,630,8040: 12*4=048, then 12*3=036, then 0408, each read backwards.",
        wrong=[
            WrongAnswer(
                "tens first",
                lambda a, b: _scratchpad(a, b, order=(1, 0)),
                "start with the units digit of the second number.",
            ),
            WrongAnswer(
                "not reversed",
                lambda a, b: _scratchpad(a, b, reverse=False),
                "each number after = is written units first, so that its carry flows in the order of writing.",
            ),
            WrongAnswer(
                "partial product shifted",
                lambda a, b: _scratchpad(a, b, shifted=True),
                "write a times the digit only; the shift by a place belongs to the addition.",
            ),
            WrongAnswer(
                "result missing",
                lambda a, b: _scratchpad(a, b, final=False),
                "the last number is the result itself, padded to four digits.",
            ),
            WrongAnswer(
                "padded after reversal",
                _steps_padded_after_reversal,
                "pad first, then reverse: padding the reversed text on its left moves every digit to another place.",
            ),
            WrongAnswer(
                "digits of the first number",
                lambda a, b: f"{a:02d}*{b:02d}" + _scratchpad(b, a)[5:],
                "the steps multiply the whole first number by one digit of the second, not the other way round.",
            ),
            WrongAnswer(
                "factors reversed too",
                lambda a, b: f"{a:02d}"[::-1] + "*" + f"{b:02d}"[::-1] + _scratchpad(a, b)[5:],
                "only the numbers after = are written units first; the factors keep their usual order.",
            ),
            WrongAnswer(
                "steps added without a shift",
                lambda a, b: _scratchpad(a, b, product=a * (b % 10) + a * (b // 10)),
                "the result is a times b: the second partial product counts ten times in it.",
            ),
        ],
    )
)
