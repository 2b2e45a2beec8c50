"""Grammars as regular expressions over bytes: four kinds of node, put together by functions.

There is no syntax to parse: ``sequence(literal("x="), repeat(DIGIT, 1, 3))`` is the expression itself. Whatever is not
bounded makes replies without a bound, so :func:`repeat` asks for both bounds and calls "no bound" by its name, None.

>>> to_pattern(sequence(literal("x="), repeat(DIGIT, 1, 3)))
b'x\\\\=[0-9]{1,3}'
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from finqa_lab.errors import CourseError


@dataclass(frozen=True, slots=True)
class OneOf:
    """One byte out of a set."""

    bytes: frozenset[int]


@dataclass(frozen=True, slots=True)
class Sequence:
    """The parts one after the other; without parts, the empty text."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the parts; without parts, no text at all."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The part ``least`` to ``most`` times; ``most`` None has no bound."""

    part: "Expression"
    least: int
    most: int | None


Expression: TypeAlias = OneOf | Sequence | Choice | Repeat

EMPTY = Sequence(())
"""The empty text."""


def one_of(characters: str) -> OneOf:
    """One of some ASCII characters: ``one_of("+-")``.

    Raises:
        CourseError: for a character outside ASCII, which has more than one byte; use a choice of literals.
    """
    if not characters.isascii():
        raise CourseError(f"one_of({characters!r}) holds a character of several bytes; use a choice of literals")
    return OneOf(frozenset(characters.encode()))


def literal(text: str) -> Expression:
    """Exactly this text, in UTF-8."""
    return Sequence(tuple(OneOf(frozenset((byte,))) for byte in text.encode()))


def sequence(*parts: Expression) -> Expression:
    """The parts one after the other."""
    return Sequence(parts)


def choice(*parts: Expression) -> Expression:
    """One of the parts."""
    return parts[0] if len(parts) == 1 else Choice(parts)


def words(texts: Iterable[str]) -> Expression:
    """One of some texts."""
    return choice(*map(literal, texts))


def optional(part: Expression) -> Expression:
    """The part or nothing."""
    return Repeat(part, 0, 1)


def repeat(part: Expression, least: int, most: int | None) -> Expression:
    """The part ``least`` to ``most`` times; ``most`` None has no bound.

    Raises:
        CourseError: when ``least`` is negative or above ``most``.
    """
    if least < 0 or (most is not None and most < least):
        raise CourseError(f"a part cannot be repeated {least} to {most} times; give 0 <= least <= most")
    return Repeat(part, least, most)


DIGIT = one_of("0123456789")


def to_pattern(expression: Expression) -> bytes:
    """The same language as a pattern of Python's ``re`` and of ``regex``, over bytes; the tests compare with it."""
    match expression:
        case OneOf(bytes=members):
            return _class(members)
        case Sequence(parts=parts):
            return b"".join(b"(?:" + to_pattern(p) + b")" if isinstance(p, Choice) else to_pattern(p) for p in parts)
        case Choice(parts=parts):
            return b"|".join(map(to_pattern, parts)) if parts else b"(?!)"
        case Repeat(part=part, least=least, most=most):
            inner = to_pattern(part)
            inner = inner if isinstance(part, OneOf) else b"(?:" + inner + b")"
            if (least, most) == (0, 1):
                return inner + b"?"
            return inner + b"{%d,%s}" % (least, b"" if most is None else b"%d" % most)


def _class(members: frozenset[int]) -> bytes:
    """``[0-9]``, or the byte itself when there is one."""
    if len(members) == 1:
        return _escaped(min(members))
    runs = []
    for _, run in groupby(enumerate(sorted(members)), key=lambda item: item[1] - item[0]):
        run = [byte for _, byte in run]
        runs.append(_escaped(run[0]) + (b"-" + _escaped(run[-1]) if len(run) > 1 else b""))
    return b"[" + b"".join(runs) + b"]" if runs else b"(?!)"


def _escaped(byte: int) -> bytes:
    character = bytes((byte,))
    if character.isalnum() or character in b" ,\"':_#%":
        return character
    return b"\\" + character if 0x21 <= byte < 0x7F else b"\\x%02x" % byte
