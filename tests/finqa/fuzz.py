"""Texts that a model might write for a program, from sound to hostile. As a command: the slowest of many.

python -m tests.finqa.fuzz 100000
"""

import random
import sys
import time

from finqa_lab.finqa.execute import execute
from finqa_lab.finqa.program import ARITHMETIC, TABLE

TABLE_ROWS = [
    ["", "2008", "2007"],
    ["net sales", "$ 5829", "5735"],
    ["goodwill ( 2 )", "-32 ( 32 )", "6.5% ( 6.5 % )"],
    ["cash , net", "1,200", "n/a"],
    ["empty", "", "( 3 )"],
]
NAMES = [row[0] for row in TABLE_ROWS[1:]]
PIECES = [
    *(f"{name}(" for name in ARITHMETIC + TABLE), "(", ")", "), ", ", ", ",", " ", "#", "#0", "#1", "#9", "none", "EOF",
    "const_100", "const_m1", "const_", "5829", "0", "-1", "6.5%", "1,000", "1e9", "nan", "inf", "9" * 39, "9" * 5000,
    "0.5", "²", "٣", "\0", "\n", "{}", "'", "\\", "💶", *NAMES,
]  # fmt: skip


def number(rng: random.Random) -> str:
    """A literal: small, large, a decimal, a percentage, grouped, negative or a constant."""
    kind = rng.randrange(8)
    whole = rng.randrange(10 ** rng.randint(1, 7))
    return [
        str(whole), f"{whole:,}", f"{whole / 1000:.3f}", f"{rng.randrange(100)}%", f"-{whole}", "0",
        rng.choice(["const_100", "const_m1", "const_2", "const_1000000"]), "9" * rng.randint(1, 40),
    ][kind]  # fmt: skip


def sound(rng: random.Random, steps: int, names: list[str] = NAMES) -> str:
    """A program that is well formed except perhaps for its types."""
    text = []
    for index in range(steps):
        if rng.random() < 0.15:
            text.append(f"{rng.choice(TABLE)}({rng.choice(names)}, none)")
            continue
        first, second = (f"#{rng.randrange(index)}" if index and rng.random() < 0.6 else number(rng) for _ in range(2))
        text.append(f"{rng.choice(ARITHMETIC)}({first}, {second})")
    return ", ".join(text)


def chain(rng: random.Random) -> str:
    """One operation on its own result over and over: the values, or the formula, grow exponentially."""
    operation, steps = rng.choice(ARITHMETIC[:5]), rng.randint(1, 34)
    start = f"{rng.choice(ARITHMETIC[:5])}({number(rng)}, {number(rng)})"
    second = rng.choice(["#{0}", number(rng), "#0"])
    return ", ".join([start] + [f"{operation}(#{{0}}, {second})".format(i) for i in range(steps)])


def damaged(rng: random.Random) -> str:
    """A sound program with a few characters dropped, doubled or replaced."""
    text = sound(rng, rng.randint(1, 6))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(["", text[at : at + 1] * 2, rng.choice(PIECES)]) + text[at + rng.randint(0, 2) :]
    return text


def soup(rng: random.Random) -> str:
    """Pieces of programs in any order."""
    return "".join(rng.choice(PIECES) for _ in range(rng.randint(0, 60)))


def flood(rng: random.Random) -> str:
    """A long repetition, sometimes after a beginning that makes the reader look ahead."""
    start = rng.choice(["", "add(", "add(1, ", "table_sum(", "table_sum(a, none", "table_max(a, b"])
    return start + rng.choice(["(", ")", ",", ", ", " ", "add(", "a", ", none", ", none) x", "#0, ", "9"]) * rng.choice(
        [10, 1000, 4000, 100_000]
    )


def tokens(rng: random.Random) -> list:
    """The official token list form, sometimes not quite."""
    found = [token for token in sound(rng, rng.randint(1, 6)).replace("(", "( ").replace(")", " )").split(" ") if token]
    if rng.random() < 0.3:
        found.insert(rng.randrange(len(found) + 1), rng.choice([*PIECES, None, 7]))
    return found + ["EOF"] * rng.randrange(2)


KINDS = (lambda rng: sound(rng, rng.randint(1, 33)), chain, damaged, soup, flood, tokens)


def slowest(count: int, seed: int) -> tuple[float, object]:
    """Longest CPU time of one execution among ``count`` texts, in seconds, and that text."""
    rng = random.Random(seed)
    worst = (0.0, "")
    for index in range(count):
        text = KINDS[index % len(KINDS)](rng)
        begin = time.thread_time()
        result = execute(text, TABLE_ROWS)
        worst = max(worst, (time.thread_time() - begin, text), key=lambda pair: pair[0])
        assert (result.value is None) != (result.failure is None), text
    return worst


if __name__ == "__main__":
    seconds, text = slowest(int(sys.argv[1]), seed=0)
    print(f"slowest of {sys.argv[1]}: {seconds * 1000:.1f} ms for {str(text)[:300]}")
