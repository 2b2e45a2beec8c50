"""Checks of lab 04: the space of problems, carry chains, and why the carry is local."""

import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def space_cases(rng: random.Random) -> Iterator[Case]:
    """Limits on the operands, smallest first."""
    for limit in (1, 2, 3, 10, rng.randrange(20, 40)):
        yield Case(limit, note=f"operands 0..{limit - 1}")


def count_space(limit: int) -> tuple[int, int]:
    """Counts by listing every problem."""
    pairs = [(a, b) for a in range(limit) for b in range(limit)]
    return len(pairs), sum(a >= b for a, b in pairs)


register(
    Check(
        name="arithmetic.count_space",
        task="count the ordered sums and the non-negative differences of operands 0..limit-1",
        cases=space_cases,
        oracle=count_space,
        why="an error rate means nothing until you know what it is a share of; 1.5 million problems can all be asked.",
        hint="count on your fingers for limit = 2: the operands are 0 and 1.",
        wrong=[
            WrongAnswer(
                "unordered sums",
                lambda limit: (limit * (limit + 1) // 2, limit * (limit + 1) // 2),
                "3+5 and 5+3 are two different texts, so the sums are ordered pairs.",
            ),
            WrongAnswer(
                "strict differences",
                lambda limit: (limit * limit, limit * (limit - 1) // 2),
                "a - a = 0 is not negative: the pairs with a equal to b belong to the differences.",
            ),
            WrongAnswer(
                "signed differences",
                lambda limit: (limit * limit, limit * limit),
                "a difference with a < b is negative; this task leaves those out.",
            ),
            WrongAnswer(
                "zero left out",
                lambda limit: ((limit - 1) ** 2, limit * (limit - 1) // 2),
                "the operands start at 0, so there are `limit` of them, not limit - 1.",
            ),
            WrongAnswer(
                "differences first",
                lambda limit: (limit * (limit + 1) // 2, limit * limit),
                "the two numbers are exchanged: first the sums, then the differences.",
            ),
        ],
    )
)


def chain_cases(rng: random.Random) -> Iterator[Case]:
    """Sums with every chain length."""
    for a, b in ((0, 0), (5, 5), (1, 99), (99, 1), (505, 505), (999, 1), (55, 945), (190, 20), (959, 141)):
        yield Case(a, b, note=f"{a}+{b}")
    for _ in range(60):
        yield Case(rng.randrange(1000), rng.randrange(1000))


def _carries(a: int, b: int, keep: bool = True, threshold: int = 10) -> list[int]:
    carry, found = 0, []
    for place in range(3):
        x, y = a // 10**place % 10, b // 10**place % 10
        carry = int(x + y + (carry if keep else 0) >= threshold)
        found.append(carry)
    return found


def _runs(flags: list[int]) -> list[int]:
    return [len(run) for run in "".join(map(str, flags)).split("0")]


def _longest(flags: list[int]) -> int:
    return max(_runs(flags))


def _carries_from_the_left(a: int, b: int) -> list[int]:
    return _carries(int(f"{a:03d}"[::-1]), int(f"{b:03d}"[::-1]))


register(
    Check(
        name="arithmetic.carry_chain",
        task="length of the longest run of carries in neighbouring columns of a sum",
        cases=chain_cases,
        oracle=lambda a, b: _longest(_carries(a, b)),
        why="a long chain is where the first digit of an answer depends on the last digits of the operands.",
        hint="write the two numbers below each other, mark every column that hands a 1 to its left neighbour, and take "
        "the longest unbroken run of marks, also one that reaches the highest place.",
        wrong=[
            WrongAnswer(
                "carries not passed on",
                lambda a, b: _longest(_carries(a, b, keep=False)),
                "a column that adds up to 9 also carries when a carry comes in: 99+1 has a chain of two.",
            ),
            WrongAnswer(
                "number of carries",
                lambda a, b: sum(_carries(a, b)),
                "505+505 has two carries, but the column between them has none, so its longest chain is one.",
            ),
            WrongAnswer(
                "nine carries",
                lambda a, b: _longest(_carries(a, b, threshold=9)),
                "a column carries when it adds up to 10 or more; 9 still fits into one digit.",
            ),
            WrongAnswer(
                "ten does not carry",
                lambda a, b: _longest(_carries(a, b, threshold=11)),
                "a column that adds up to exactly 10 carries too: it writes 0 and hands on a 1.",
            ),
            WrongAnswer(
                "last run instead of the longest",
                lambda a, b: _runs(_carries(a, b))[-1],
                "that is the run still going on at the highest place; keep the longest one seen on the way.",
            ),
            WrongAnswer(
                "only the places that both numbers have",
                lambda a, b: _longest(_carries(a, b)[: min(len(str(a)), len(str(b)))]),
                "the shorter number has zeros in its missing places, and a carry can run through them: 1+99.",
            ),
            WrongAnswer(
                "from the left",
                lambda a, b: _longest(_carries_from_the_left(a, b)),
                "start at the units: a carry goes to the left, so it is needed when the next place to the left is due.",
            ),
        ],
    )
)


def next_cases(rng: random.Random) -> Iterator[Case]:
    """A column, and the column to its right with the answer digit already written there."""
    yield Case((0, 0), (5, 5), 0, note="5+5 wrote 0, so it carried")
    yield Case((1, 2), (3, 4), 7, note="3+4 wrote 7, no carry")
    yield Case((4, 5), (9, 9), 9, note="9+9 wrote 9, so a carry came in and one went out")
    yield Case((4, 5), (0, 9), 0, note="0+9 wrote 0, so a carry came in")
    for _ in range(80):
        x, y, carry = rng.randrange(10), rng.randrange(10), rng.randrange(2)
        yield Case((rng.randrange(10), rng.randrange(10)), (x, y), (x + y + carry) % 10)


def _next_digit(column: tuple[int, int], right: tuple[int, int], written: int) -> int:
    came_in = (written - right[0] - right[1]) % 10
    carry = int(right[0] + right[1] + came_in >= 10)
    return (column[0] + column[1] + carry) % 10


register(
    Check(
        name="arithmetic.next_digit",
        task="the next answer digit from its own column, the column to the right, and the digit written there",
        cases=next_cases,
        oracle=_next_digit,
        why="units first, five digits are enough for each step, however long the numbers are.",
        hint="first find the carry that came into the right column: (written - its two digits) modulo 10 is 0 or 1. "
        "That column carried exactly if its two digits and this carry add up to 10 or more.",
        wrong=[
            WrongAnswer(
                "carry coming into the right column ignored",
                lambda column, right, written: (sum(column) + int(sum(right) >= 10)) % 10,
                "0+9 with an incoming carry writes 0 and carries; the written digit tells you whether one came in.",
            ),
            WrongAnswer(
                "no carry",
                lambda column, right, written: sum(column) % 10,
                "no carry ever arrives here, but one from the right column adds 1. If you subtract the two digits from "
                "`written`, take the result modulo 10: it is negative when that column carried.",
            ),
            WrongAnswer(
                "two digits written",
                lambda column, right, written: sum(column) + (_next_digit((0, 0), right, written)),
                "one digit is written per column: take the sum modulo 10, the rest is the next carry.",
            ),
            WrongAnswer(
                "carry in taken for carry out",
                lambda column, right, written: (sum(column) + (written - sum(right)) % 10) % 10,
                "written minus the two digits tells the carry that came INTO the right column; "
                "the one that leaves it needs the whole sum of that column.",
            ),
            WrongAnswer(
                "written compared with one digit",
                lambda column, right, written: (sum(column) + (written < right[0])) % 10,
                "written < x is not enough: 9+9 with an incoming carry writes 9 and carries. Compare with x + y.",
            ),
            WrongAnswer(
                "written compared with the larger digit",
                lambda column, right, written: (sum(column) + (written < max(right))) % 10,
                "9+9 with an incoming carry writes 9 and carries; compare what was written with the sum of both.",
            ),
            WrongAnswer(
                "written differs from the sum",
                lambda column, right, written: (sum(column) + (written != sum(right))) % 10,
                "written also differs from the sum of the two digits when a carry only came in: 5+3 that wrote 9 did "
                "not carry.",
            ),
        ],
    )
)
