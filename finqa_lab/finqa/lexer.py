"""The words of a program: from the linear text with its character offsets, or from the official token list.

Two rules come from the data. Arguments are separated by a comma **and a space**, because ``5,829`` is one number. The
row name of a table operation may hold commas and parentheses (``goodwill ( 2 )``; one row name in six has one), so it
ends only where the operation itself does, before ``, none)``; a name without parentheses may also have another word
than ``none`` after it, as two programs of the training split do.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from finqa_lab.finqa.failure import FailureKind, ProgramError
from finqa_lab.finqa.program import END, MAX_STEPS, OPERATIONS, TABLE

MAX_LENGTH = 8192
"""Longest program read, in characters."""

REFERENCE = re.compile(r"#([0-9]{1,4})", re.ASCII)
_OPERATION = re.compile(r"\s*(?=[^\s(),])")
_NAME = re.compile(r"([^\s(),]*)")
_NESTED = re.compile(r"\s*+[^\s(),]*+\s*+\(")
_OPEN = re.compile(r"\s*\(")
_CLOSE = re.compile(r"\s*\)")
_SEPARATOR = re.compile(r"\s*,\s+")
_ARGUMENT = re.compile(r"\s*((?:[^(),]|,(?!\s))*)")
# Each alternative passes over the text once: what follows a comma is never scanned beyond the next comma.
_ROW = re.compile(
    r"(?:(?P<row>[^()]*?),\s(?P<second>[^(),]*)|(?P<any_row>.*?),\s+(?P<none>none)\s*)\)(?=\s*(?:[,)]|$))", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of a program and where it stands."""

    text: str
    position: int


RawStep = tuple[Word, Word, Word]
"""Operation and its two arguments, not yet checked."""


class Scanner:
    """Reads a program text from left to right; every method moves ``position`` or raises a ProgramError.

    Attributes:
        position: offset of the next character.
    """

    def __init__(self, text: str):
        if len(text) > MAX_LENGTH:
            raise ProgramError(
                FailureKind.TOO_LONG, f"the program has {len(text)} characters, more than {MAX_LENGTH}", MAX_LENGTH
            )
        self.text = text.rstrip()
        self.position = 0

    def done(self) -> bool:
        """Whether nothing is left."""
        return self.position == len(self.text)

    def accept(self, pattern: re.Pattern) -> re.Match | None:
        """Move over ``pattern`` if it stands here."""
        match = pattern.match(self.text, self.position)
        if match:
            self.position = match.end()
        return match

    def expect(self, pattern: re.Pattern, what: str) -> None:
        """Move over ``pattern``, which is called ``what``."""
        if not self.accept(pattern):
            found = repr(self.text[self.position : self.position + 12]) if not self.done() else "the end"
            raise ProgramError(FailureKind.SYNTAX, f"expected {what}, found {found}", self.position)

    def word(self, pattern: re.Pattern) -> Word:
        """The first group of ``pattern``, which matches anywhere."""
        match = self.accept(pattern)
        return Word(match[1].rstrip(), match.start(1))

    def at_operation(self) -> bool:
        """Whether an opening parenthesis follows, with or without a name before it."""
        return _NESTED.match(self.text, self.position) is not None

    def operation(self) -> Word:
        """An operation and its opening parenthesis."""
        self.expect(_OPERATION, "an operation")
        word = self.word(_NAME)
        self.expect(_OPEN, "'(' after the operation")
        return known_operation(word)

    def argument(self) -> Word:
        """A number, a constant or a reference."""
        return self.word(_ARGUMENT)

    def separator(self) -> None:
        """The comma between arguments or steps."""
        self.expect(_SEPARATOR, "a comma and a space")

    def close(self) -> None:
        """The closing parenthesis of a step."""
        self.expect(_CLOSE, "')' after two arguments")

    def table_arguments(self) -> tuple[Word, Word]:
        """Row name and second argument of a table operation, with the closing parenthesis."""
        match = self.accept(_ROW)
        if match is None:
            raise ProgramError(FailureKind.SYNTAX, "expected a row name and then ', none)'", self.position)
        row, second = ("any_row", "none") if match["row"] is None else ("row", "second")
        return Word(match[row].strip(), match.start(row)), Word(match[second].strip(), match.start(second))


def known_operation(word: Word) -> Word:
    """The word itself when it names an operation.

    Raises:
        ProgramError: unknown operation.
    """
    if word.text not in OPERATIONS:
        message = f"'{word.text[:40]}' is no operation; there are {', '.join(OPERATIONS)}"
        raise ProgramError(FailureKind.UNKNOWN_OPERATION, message, word.position)
    return word


def too_many_steps(position: int) -> ProgramError:
    """The error for a program longer than ``MAX_STEPS``."""
    return ProgramError(FailureKind.TOO_LONG, f"the program has more than {MAX_STEPS} steps", position)


def split_text(text: str) -> list[RawStep]:
    """Steps of a linear program text.

    >>> [[word.text for word in step] for step in split_text("table_sum(goodwill ( 2 ), none), divide(#0, 1,200)")]
    [['table_sum', 'goodwill ( 2 )', 'none'], ['divide', '#0', '1,200']]

    Raises:
        ProgramError: syntax, unknown operation or too long; positions are character offsets.
    """
    scanner, steps = Scanner(text), []
    while not steps or not scanner.done():
        if steps:
            scanner.separator()
        if len(steps) == MAX_STEPS:
            raise too_many_steps(scanner.position)
        operation = scanner.operation()
        if operation.text in TABLE:
            arguments = scanner.table_arguments()
        else:
            first = scanner.argument()
            scanner.separator()
            arguments = first, scanner.argument()
            scanner.close()
        steps.append((operation, *arguments))
    return steps


def split_tokens(tokens: Sequence[str]) -> list[RawStep]:
    """Steps of an official token list, with or without the final ``EOF``.

    Raises:
        ProgramError: lexical, syntax, unknown operation or too long; positions are indexes into the list.
    """
    if tokens and tokens[-1] == END:
        tokens = tokens[:-1]
    if len(tokens) > 4 * MAX_STEPS:
        raise too_many_steps(4 * MAX_STEPS)
    for index, token in enumerate(tokens):
        if not isinstance(token, str):
            raise ProgramError(FailureKind.LEXICAL, f"token {index} is no text", index)
        if len(token) > MAX_LENGTH:
            raise ProgramError(FailureKind.TOO_LONG, f"token {index} has more than {MAX_LENGTH} characters", index)
        if index % 4 == 0 and not token.endswith("("):
            raise ProgramError(FailureKind.SYNTAX, f"token {index} must be an operation and '('", index)
        if index % 4 == 3 and token != ")":
            raise ProgramError(FailureKind.SYNTAX, f"token {index} must be ')'", index)
    if not tokens or len(tokens) % 4:
        message = f"{len(tokens)} tokens are no whole number of steps of four tokens"
        raise ProgramError(FailureKind.SYNTAX, message, len(tokens))
    words = [Word(token.strip(), index) for index, token in enumerate(tokens)]
    return [(known_operation(Word(words[i].text[:-1], i)), words[i + 1], words[i + 2]) for i in range(0, len(words), 4)]
