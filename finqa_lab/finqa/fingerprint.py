"""Are two programs the same function of the numbers they read? One number tells: their value at a random point.

A program of additions, subtractions, multiplications and divisions is a rational function P/Q of its literals. Writing
it out can take time exponential in the number of steps (squaring (a + b) 18 times has 2**18 terms), so nothing is
written out. The program is executed once with every symbol replaced by a random element of the prime field of
p = 2**521 - 1 elements, in as many field operations as it has steps. Equal functions have equal values. Unequal ones,
P1/Q1 and P2/Q2, have equal values only at zeros of the polynomial P1*Q2 - P2*Q1, and of degree d it has at most the
share d / 2**512 of them among points drawn from 2**512 values per symbol (Schwartz 1980, Zippel 1979). A program of 32
steps has d below 2**33 with the four operations, and below 2**(6*32+1) with a power of at most 64 in every step: the
probability of taking two different functions for equal is below 2**-470 and below 2**-310.

The random values are SHA-512 digests of the symbols, so that a fingerprint is reproducible. Against an opponent who
searches for a program with a chosen value mod p (literals multiplied into p itself count as zero) there is no promise;
such a program has numbers of 157 digits in it.

What is no rational function becomes a symbol that depends on the values of its arguments: ``greater`` of the difference
of its arguments, ``exp`` of base and exponent unless the exponent is an integer of at most 64, a table operation of the
row. Such programs are equal when these arguments are; that a**b * a**c is a**(b + c) and that 2a > 2b is a > b is not
recognised.
"""

import hashlib
from collections.abc import Callable

from finqa_lab.finqa.program import TABLE, Literal, Program, Reference, Step

PRIME = 2**521 - 1
LARGEST_POWER = 64


def symbol(*parts: str | int) -> int:
    """Pseudo-random element of the field that stands for a symbol, or for a function of field elements.

    >>> symbol("5735") == symbol("5735"), symbol("5735") == symbol("5829"), symbol("greater", 5) < PRIME
    (True, False, True)
    """
    return int.from_bytes(hashlib.sha512(repr(parts).encode()).digest())


def fraction(numerator: int, denominator: int) -> int:
    """A rational number as an element of the field; the denominator is not divisible by ``PRIME``."""
    return numerator * pow(denominator, -1, PRIME) % PRIME


def fingerprint(program: Program, literal: Callable[[Literal], int], row: Callable[[Program, int], int]) -> int | None:
    """Value of a program at the random point.

    Args:
        program: as :func:`finqa_lab.finqa.parse.parse` gives it.
        literal: field element of a number or constant.
        row: field element of the table operation at an index of the program.

    Returns:
        An integer from 0 to ``PRIME`` - 1; None when a step, used or not, divides by what is zero everywhere.
    """
    values: list[int] = []
    for index, step in enumerate(program):
        if step.operation in TABLE:
            values.append(row(program, index))
            continue
        left, right = (values[a.step] if isinstance(a, Reference) else literal(a) for a in step.arguments)
        value = _apply(step, left, right)
        if value is None:
            return None
        values.append(value)
    return values[-1]


def _apply(step: Step, left: int, right: int) -> int | None:
    match step.operation:
        case "add":
            return (left + right) % PRIME
        case "subtract":
            return (left - right) % PRIME
        case "multiply":
            return left * right % PRIME
        case "divide":
            return left * pow(right, -1, PRIME) % PRIME if right else None
        case "greater":
            return symbol("greater", (left - right) % PRIME)
    exponent = right if right <= LARGEST_POWER else right - PRIME
    if abs(exponent) > LARGEST_POWER:
        return symbol("exp", left, right)
    return None if exponent < 0 and not left else pow(left, exponent, PRIME)
