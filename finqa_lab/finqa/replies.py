"""A model's reply, read: its program or number, and the passages that it cites. Any text is read; none raises.

A reply is untrusted text. It is searched for a program or for JSON, the program goes to the course's own parser, and
nothing of it is ever executed as code.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from finqa_lab.finqa.contexts import Context
from finqa_lab.finqa.failure import ProgramError
from finqa_lab.finqa.literals import MAX_DIGITS, read_number
from finqa_lab.finqa.nested import parse_nested
from finqa_lab.finqa.parse import parse
from finqa_lab.finqa.program import OPERATIONS, format_program

MAX_REPLY = 200_000
"""Characters of a reply that are read; what stands at its end counts, so the beginning is cut."""
MAX_TRIES = 40
"""JSON objects and programs that are tried, from the end of the reply."""


class ReplyFailure(StrEnum):
    """Why a reply has no answer."""

    EMPTY = "empty reply"
    NO_ANSWER = "no program or number in it"
    PROGRAM = "program cannot be read"
    NUMBER = "not a finite number"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a reply says.

    Attributes:
        program: the program as it can be parsed; with ``ReplyFailure.PROGRAM`` the text that cannot.
        answer: the number, or ``"yes"`` or ``"no"``, of a JSON reply.
        citations: numbers of passages, each once, in order; they may point to nothing.
        failure: None with an answer.
        reason: one sentence with a failure.
    """

    program: str | None = None
    answer: float | str | None = None
    citations: tuple[int, ...] = ()
    failure: ReplyFailure | None = None
    reason: str = ""

    @property
    def predicted(self) -> str:
        """What :func:`finqa_lab.finqa.scoring.score` takes.

        A number becomes a program that gives it, so that it counts in the execution accuracy and not in the program
        accuracy; without an answer it is a text that counts as a structure error.
        """
        if self.program is not None:
            return self.program
        if self.answer is None:
            return ""
        if isinstance(self.answer, str):
            return "greater(1, 0)" if self.answer == "yes" else "greater(0, 1)"
        return f"add({Decimal(repr(self.answer)):f}, 0)"


class CitationScores(NamedTuple):
    """Two shares in [0, 1]: how many of the cited facts are gold, how many of the gold facts are cited."""

    precision: float
    recall: float


_THOUGHT = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_PROGRAM = re.compile(r"\bprogram\b[*_`\"' ]*[:=]", re.IGNORECASE)
_SOURCES = re.compile(r"\b(?:sources?|citations?|passages?)\b[*_`\"' ]*[:=]([^\n]*)", re.IGNORECASE)
_CITED = re.compile(r"\[([0-9]{1,3}(?:\s?,\s?[0-9]{1,3})*)\]", re.ASCII)
_BARE = re.compile(r"\b[0-9]{1,3}\b", re.ASCII)
_STEP = re.compile(rf"(?<![\w#])(?:{'|'.join(OPERATIONS)})\s?\(")
_NEXT = re.compile(rf"\s*,\s+(?={_STEP.pattern})")
_BRACKET = re.compile(r"[()\n]")
_FENCE = "`*\"' \t"


def parse_reply(text: str) -> Reply:
    """Find the answer and the citations of a reply.

    Looked for in this order: JSON with ``program`` or ``answer``; what follows the last ``program:``; the last program
    anywhere. Text between ``<think>`` tags is left out. A nested program is taken too, and written out in steps.

    >>> parse_reply("program: divide(subtract(6, 4), 4)\\nsources: [2] [5]")
    Reply(program='subtract(6, 4), divide(#0, 4)', answer=None, citations=(2, 5), failure=None, reason='')
    >>> parse_reply('{"answer": "12.5%", "sources": [1]}').answer
    0.125
    >>> print(parse_reply("I cannot help with that.").failure)
    no program or number in it
    """
    text = _THOUGHT.sub(" ", text[-MAX_REPLY:])
    if not text.strip():
        return Reply(failure=ReplyFailure.EMPTY, reason="the reply is empty")
    for value in _json_objects(text):
        if "program" in value or "answer" in value:
            return _from_json(value)
    cited = _citations(text)
    labels = list(_PROGRAM.finditer(text))
    if labels:
        rest = text[labels[-1].end() :]
        program = next(_programs(rest), None) or rest.strip(_FENCE + "\n").partition("\n")[0].strip(_FENCE)
        return _read_program(program, cited)
    found = list(_programs(text))[-MAX_TRIES:]
    if not found:
        return Reply(citations=cited, failure=ReplyFailure.NO_ANSWER, reason="neither a program nor JSON is in it")
    read = [_read_program(program, cited) for program in reversed(found)]
    return next((reply for reply in read if reply.failure is None), read[0])


def cited_sources(citations: Iterable[int], context: Context) -> list[str]:
    """Source ids of the cited passages; a number without a passage stays as ``[9]``, which is no source id.

    Pages are left out: for contexts of one page.
    """
    passages = context.passages
    return [passages[n - 1].source if 1 <= n <= len(passages) else f"[{n}]" for n in citations]


def citation_scores(cited: Iterable[str], gold: Iterable[str]) -> CitationScores:
    """Compare cited facts with gold facts.

    Citing nothing has precision 0 (1 when there is no gold fact either); without gold facts the recall is 1.

    >>> citation_scores(["table_1", "[9]"], ["table_1", "text_4"])
    CitationScores(precision=0.5, recall=0.5)
    """
    cited, gold = set(cited), set(gold)
    both = len(cited & gold)
    return CitationScores(both / len(cited) if cited else float(not gold), both / len(gold) if gold else 1.0)


def _json_objects(text: str) -> Iterator[dict]:
    """JSON objects in a text, the last first."""
    decoder, place = json.JSONDecoder(), len(text)
    for _ in range(MAX_TRIES):
        place = text.rfind("{", 0, place)
        if place < 0:
            return
        try:
            value, _ = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def _from_json(value: dict) -> Reply:
    listed = value.get("sources", value.get("citations", []))
    listed = listed if isinstance(listed, list) else [listed]
    numbers = [item for item in listed if isinstance(item, int) and not isinstance(item, bool) and 0 < item < 1000]
    numbers += [int(n) for item in listed if isinstance(item, str) for n in _BARE.findall(item)]
    cited = tuple(dict.fromkeys(numbers))
    if isinstance(value.get("program"), str):
        return _read_program(value["program"].strip(_FENCE + "\n"), cited)
    answer = _number(value.get("answer"))
    if answer is None:
        reason = f"the answer {str(value.get('answer'))[:40]!r} is neither a finite number nor yes or no"
        return Reply(citations=cited, failure=ReplyFailure.NUMBER, reason=reason)
    return Reply(answer=answer, citations=cited)


def _number(value: object) -> float | str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("yes", "no"):
            return word
        value = read_number(word.replace("$", "").strip())
    try:
        number = None if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if number is None or not math.isfinite(number) or sum(map(str.isdigit, f"{Decimal(repr(number)):f}")) > MAX_DIGITS:
        return None
    return number


def _citations(text: str) -> tuple[int, ...]:
    """Numbers in brackets: behind the last ``sources:``, where bare ones count too, else anywhere."""
    labels = _SOURCES.findall(text)
    if labels:
        found = _BARE.findall(labels[-1])
    else:
        found = [number for group in _CITED.findall(text) for number in _BARE.findall(group)]
    return tuple(dict.fromkeys(int(number) for number in found if int(number)))


def _programs(text: str) -> Iterator[str]:
    """Every run of steps in a text, from left to right."""
    place = 0
    while (start := _STEP.search(text, place)) is not None:
        place = _step_end(text, start.end())
        while (following := _NEXT.match(text, place)) is not None:
            place = _step_end(text, _STEP.match(text, following.end()).end())
        yield " ".join(text[start.start() : place].split())


def _step_end(text: str, place: int) -> int:
    """Offset behind the parenthesis that closes a step; the end of the line when none does."""
    depth = 1
    for match in _BRACKET.finditer(text, place):
        if match[0] == "\n":
            return match.start()
        depth += 1 if match[0] == "(" else -1
        if depth == 0:
            return match.end()
    return len(text)


def _read_program(text: str, cited: tuple[int, ...]) -> Reply:
    try:
        parse(text)
        return Reply(text, citations=cited)
    except ProgramError as error:
        reason = str(error)
    try:
        return Reply(format_program(parse_nested(text)), citations=cited)
    except ProgramError:
        return Reply(text, citations=cited, failure=ReplyFailure.PROGRAM, reason=reason)
