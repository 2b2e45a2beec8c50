"""When a predicted program means the same as the gold program, in two readings of the numbers.

**Literals as symbols** is the reading of the official script: every way of writing a number is a symbol of its own, so
``5735`` and ``5735.0`` differ, ``const_100`` and ``100`` differ, and ``const_1`` is not one: a/b - 1 is not (a - b)/b.

**Literals as numbers** takes them for what they are, without taking a coincidence for an equality: 6 - 4 and 1 + 1 give
the same answer, but only the first reads the report. So the numbers that the gold program reads stay symbols, and
everything else is arithmetic:

* A number is its digits times a power of ten with a sign: 5,735 and 5735.0 and -5735 and 57.35% are 5735 scaled.
* The digits are a symbol if the gold program writes them as a number and never as a constant.
* All other digits are the number they name: constants, and what only the prediction brings in.

The relation belongs to the gold program. It accepts what computes the gold function of the numbers read from the
report, in whatever steps, with constants written in whatever way.
"""

from collections.abc import Callable
from typing import Literal as OneOf

from finqa_lab.finqa.fingerprint import fingerprint, fraction, symbol
from finqa_lab.finqa.program import Constant, Literal, Number, Program, literals, row_of

Reading = OneOf["numbers", "symbols"]


def equivalent(gold: Program, predicted: Program, reading: Reading = "numbers") -> bool:
    """Whether two programs are the same function of the numbers and rows they read.

    >>> from finqa_lab.finqa.parse import parse
    >>> gold = parse("subtract(5829, 5735), divide(#0, 5735)")
    >>> equivalent(gold, parse("divide(5829, 5735.0), subtract(#0, const_1)"))
    True
    >>> equivalent(gold, parse("divide(5829, 5735.0), subtract(#0, const_1)"), reading="symbols")
    False
    >>> equivalent(gold, parse("divide(94, 5735)"))
    False

    Args:
        gold: what the numbers are read from.
        predicted: what is judged.
        reading: ``"numbers"`` or ``"symbols"``.

    Returns:
        False also when either is undefined everywhere (a division by x - x). The probability of a wrong True is in
        :mod:`finqa_lab.finqa.fingerprint`; a wrong False is possible only for ``exp`` and ``greater``.
    """
    first, second = fingerprints(gold, predicted, reading)
    return first is not None and first == second


def fingerprints(gold: Program, predicted: Program, reading: Reading = "numbers") -> tuple[int | None, int | None]:
    """Fingerprints of both programs under one reading of their literals."""
    literal = literals_as_numbers(gold) if reading == "numbers" else literal_as_symbol
    return fingerprint(gold, literal, table_symbol), fingerprint(predicted, literal, table_symbol)


def literal_as_symbol(literal: Literal) -> int:
    """Field element of a literal in the official reading."""
    return symbol(literal.text)


def literals_as_numbers(gold: Program) -> Callable[[Literal], int]:
    """The reading as numbers that belongs to ``gold``: from a literal of any program to its field element."""
    written = {kind: {_digits(x) for x in literals(gold) if isinstance(x, kind)} for kind in (Number, Constant)}
    symbols = written[Number] - written[Constant]

    def element(literal: Literal) -> int:
        digits, power = literal.significand
        read = abs(digits) in symbols
        scale = (-1 if digits < 0 else 1) * (symbol(abs(digits)) if read else abs(digits))
        return fraction(scale * 10 ** max(power, 0), 10 ** max(-power, 0))

    return element


def _digits(literal: Literal) -> int:
    return abs(literal.significand[0])


def table_symbol(program: Program, index: int) -> int:
    """Field element of a table operation: a symbol for the operation on the row it reads."""
    return symbol(program[index].operation, row_of(program, index))
