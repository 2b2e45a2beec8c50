"""The grammar of a reply with a program, as :mod:`finqa_lab.quantitative.dsl` and :mod:`finqa_lab.finqa.parse` read it.

What a reference may point to depends on what the earlier steps gave: only numbers can be added, only rankings ranked.
A finite automaton can know that when it keeps the kinds of the steps so far, one part of the grammar for each run of
kinds. With numbers alone there is one run of each length; with rankings there are two to the power of the length, so
programs with names are shorter here. Two further bounds lose nothing that can be used: ``greater`` and ``first``, whose
results no operation takes, stand only at the end; and rows and names are those that the caller lists, so that a model
cannot invent one.

A program that is read is not yet one that has a value: ``divide(1, 0)`` has none.
"""

from collections.abc import Collection, Iterable
from functools import lru_cache

from tokenizers import Tokenizer

from finqa_lab.errors import CourseError
from finqa_lab.finqa.failure import ProgramError
from finqa_lab.finqa.lexer import MAX_LENGTH
from finqa_lab.finqa.parse import parse as finqa_parse
from finqa_lab.finqa.program import ARITHMETIC, MAX_STEPS, TABLE, RowName
from finqa_lab.quantitative.dsl import ALL_OPERATIONS, EXTRA, MAX_NAME
from finqa_lab.quantitative.dsl import parse as mixed_parse
from finqa_lab.serve.structured.answers import DIGITS, whole_number
from finqa_lab.serve.structured.automaton import GrammarAutomaton, compile_expression
from finqa_lab.serve.structured.syntax import (
    DIGIT,
    Expression,
    choice,
    literal,
    optional,
    repeat,
    sequence,
    words,
)

STEPS = 5
"""Longest program, unless the caller says otherwise; FinQA has none longer."""
DECIMALS = 8
"""Digits behind the point, unless the caller says otherwise."""
MAX_RUNS = 255
"""Most runs of kinds in one grammar, which is what 8 steps with rankings need."""
NUMBER, RANKING, LAST = "number", "ranking", "last"
_TAKES = (
    {operation: (NUMBER, NUMBER, NUMBER) for operation in (*ARITHMETIC, "maximum", "minimum")}
    | {
        "greater": (NUMBER, NUMBER, LAST),
        "absolute": (NUMBER, "none", NUMBER),
        "floor": (NUMBER, "none", NUMBER),
        "name": (NUMBER, "name", RANKING),
        "rank": (RANKING, RANKING, RANKING),
        "first": (RANKING, "none", LAST),
    }
    | {operation: ("row", "none", NUMBER) for operation in TABLE}
)
_COMMA = literal(", ")


def program(
    tokenizer: Tokenizer,
    end: int | Collection[int],
    *,
    steps: int = STEPS,
    operations: Collection[str] = ARITHMETIC,
    rows: Collection[str] = (),
    names: Collection[str] = (),
    digits: int = DIGITS,
    decimals: int = DECIMALS,
    lead: str = "",
    vocabulary: int | None = None,
) -> GrammarAutomaton:
    """Replies that are a program and nothing else; the automaton is compiled once and kept.

    Args:
        tokenizer: of the model, byte-level.
        end: ids of the tokens that end a reply.
        steps: at most so many.
        operations: which may be used. Those on table rows need ``rows``, ``name`` needs ``names``.
        rows: row names of the table; those that the language cannot write are left out.
        names: for rankings.
        digits: of a number, before the point; 15 at most.
        decimals: of a number, behind it; 15 at most.
        lead: what the reply begins with, such as ``"program: "``.
        vocabulary: V of the model, where it has more rows than the tokenizer has tokens.

    Raises:
        CourseError: as of :func:`finqa_lab.serve.structured.automaton.compile_expression`, or arguments that do not fit
            together.
    """
    ends = frozenset((end,) if isinstance(end, int) else end)
    chosen = tuple(sorted(set(operations))), tuple(rows), tuple(names)
    return _compiled(tokenizer, ends, steps, *chosen, digits, decimals, lead, vocabulary)


@lru_cache(maxsize=32)
def _compiled(tokenizer, ends, steps, operations, rows, names, digits, decimals, lead, vocabulary) -> GrammarAutomaton:
    expression = grammar(steps, operations, rows, names, digits, decimals)
    found = compile_expression(sequence(literal(lead), expression), tokenizer, ends, vocabulary)
    if found.longest - 1 > MAX_LENGTH:
        raise CourseError(f"a program could have more than {MAX_LENGTH} bytes; allow fewer steps or shorter rows")
    return found


def grammar(
    steps: int = STEPS,
    operations: Collection[str] = ARITHMETIC,
    rows: Iterable[str] = (),
    names: Iterable[str] = (),
    digits: int = DIGITS,
    decimals: int = DECIMALS,
) -> Expression:
    """The grammar of a program; arguments and errors are those of :func:`program`.

    >>> from finqa_lab.serve.structured.dfa import determinise
    >>> dfa = determinise(grammar(steps=2))
    >>> [dfa.accepts(text) for text in (b"add(1, 2), divide(#0, const_2)", b"add(1, #0)", b"greater(1, 2), add(#0, 3)")]
    [True, False, False]
    """
    rows, names = [row for row in rows if spells_row(row)], list(names)
    _check(steps, operations, rows, names, digits, decimals)
    kinds_of_results = {_TAKES[operation][2] for operation in operations} - {LAST}
    runs = sum(len(kinds_of_results) ** length for length in range(steps))
    if runs > MAX_RUNS:
        raise CourseError(f"programs of {steps} steps with rankings need {runs:,} runs of kinds; allow at most 8 steps")
    parts = {"none": literal("none"), "row": words(rows), "name": words(names), NUMBER: _number(digits, decimals)}
    return _from(steps, tuple(operations), (), parts)


def _from(left: int, operations: tuple[str, ...], kinds: tuple[str, ...], parts: dict[str, Expression]) -> Expression:
    """At most ``left`` further steps behind steps that gave ``kinds``."""
    by_result: dict[str, list[Expression]] = {}
    for first, second, result in sorted({_TAKES[operation] for operation in operations}):
        arguments = _argument(first, kinds, parts), _argument(second, kinds, parts)
        if None not in arguments:
            heads = words(f"{name}(" for name in sorted(operations) if _TAKES[name] == (first, second, result))
            step = sequence(heads, arguments[0], _COMMA, arguments[1], literal(")"))
            by_result.setdefault(result, []).append(step)
    programs = []
    for result, steps in by_result.items():
        if result == LAST or left == 1:
            programs.append(choice(*steps))
        else:
            rest = _from(left - 1, operations, (*kinds, result), parts)
            programs.append(sequence(choice(*steps), optional(sequence(_COMMA, rest))))
    return choice(*programs)


def _argument(kind: str, kinds: tuple[str, ...], parts: dict[str, Expression]) -> Expression | None:
    """An argument of a kind behind steps that gave ``kinds``; None when there can be none."""
    references = [f"#{step}" for step, given in enumerate(kinds) if given == kind]
    if kind == RANKING:
        return words(references) if references else None
    return choice(parts[kind], words(references)) if references else parts[kind]


def _number(digits: int, decimals: int) -> Expression:
    """A number or a constant, as the data have them: ``-5829.5``, ``6.5%``, ``const_m1``; never ``5,829``."""
    part = optional(sequence(literal("."), repeat(DIGIT, 1, decimals)))
    written = sequence(optional(literal("-")), whole_number(digits), part, optional(literal("%")))
    return choice(written, sequence(literal("const_"), optional(literal("m")), whole_number(digits), part))


def spells_row(row: str) -> bool:
    """Whether a row name is read back from a program that has it.

    >>> [spells_row(row) for row in ("net sales", "goodwill ( 2 )", "#0", "a, none), add(1, 2")]
    [True, True, False, False]
    """
    try:
        read = finqa_parse(f"add(1, 2), table_max({row}, none), add(#0, 1)")
    except ProgramError:
        return False
    return len(read) == 3 and read[1].first == RowName(row)


def _spells_name(name: str) -> bool:
    try:
        read = mixed_parse(f"name(1, {name}), first(#0, none)")
    except ProgramError:
        return False
    return len(name) <= MAX_NAME and len(read) == 2 and read[0].second == RowName(name)


def _check(steps, operations, rows, names, digits, decimals) -> None:
    unknown = sorted(set(operations) - set(ALL_OPERATIONS))
    if unknown:
        raise CourseError(f"'{unknown[0]}' is no operation; there are {', '.join(ALL_OPERATIONS)}")
    if not 1 <= steps <= MAX_STEPS:
        raise CourseError(f"a program has 1 to {MAX_STEPS} steps, not {steps}")
    if not 1 <= digits <= 15 or not 1 <= decimals <= 15:
        raise CourseError(f"a number has 1 to 15 digits and 1 to 15 decimals, not {digits} and {decimals}")
    if set(operations) & set(TABLE) and set(operations) & set(EXTRA):
        raise CourseError(f"no parser reads operations on table rows together with {', '.join(EXTRA)}; choose one kind")
    if set(operations) & set(TABLE) and not rows:
        raise CourseError("operations on table rows need the names of rows; give rows, or leave the operations out")
    if "name" in operations and not names:
        raise CourseError("the operation 'name' needs names; give them, or leave the operation out")
    for name in names:
        if not _spells_name(name):
            raise CourseError(f"{name!r} cannot stand in a program as a name; leave it out")
