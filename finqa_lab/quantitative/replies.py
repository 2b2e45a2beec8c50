"""The final answer of a reply: JSON first, then an ``answer:`` line, then a program that is executed.

A reply is untrusted text: nothing in it is executed but programs of :mod:`finqa_lab.quantitative.dsl`, and no text
makes the reader raise. A reply without an answer is a structure failure, an ordinary outcome to be counted.

The last number of a text is **not** its answer: :func:`read_last_number` is here to show why.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from finqa_lab.quantitative.dsl import ALL_OPERATIONS, execute
from finqa_lab.quantitative.spelling import read_spelled

MAX_REPLY = 50_000
"""Characters of a reply that are read; the answer stands at the end, so the beginning is cut."""
MAX_TRIES = 40
"""Opening braces and program lines that are tried, from the end."""
MAX_NAMES = 200
"""Longest answer that is taken for a name, in characters."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply says.

    Attributes:
        answer: a finite number, or a text; None without an answer.
        source: ``json``, ``line``, ``program`` or ``last number``; empty without an answer.
        reason: one sentence, without an answer.
    """

    answer: float | str | None = None
    source: str = ""
    reason: str = ""


Reader: TypeAlias = Callable[[str], Reading]

_THOUGHT = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_LINE = re.compile(r"^[ \t>*_#`-]*(?:the )?(?:final )?answer(?: is)?[ \t*_`]*[:=](.*)$", re.IGNORECASE | re.MULTILINE)
_STEP = re.compile(rf"\b(?:{'|'.join(ALL_OPERATIONS)})\s?\(")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:,[0-9]{3})*)(?:\.[0-9]+)?", re.ASCII)
_FENCE = "`*_\"'$ \t\r\n"


def read_reply(text: str) -> Reading:
    """The answer of a reply.

    The last JSON object with ``answer`` or ``program`` decides, wherever it stands (of nested ones the outermost); if
    there is none, the last line ``answer: ...``; if there is none, the last line that is a program. What is found
    first decides also when it is no answer: ``{"answer": NaN}`` is a failure whatever stands around it. Text between
    ``<think>`` tags is left out.

    >>> read_reply('The root is sqrt(252). {"answer": 0.19}')
    Reading(answer=0.19, source='json', reason='')
    >>> read_reply("The balance doubles.\\nAnswer: $20,000.").answer
    20000.0
    >>> read_reply("subtract(120, 90), divide(#0, 120)").answer
    0.25
    >>> read_reply("about 0.19, I think").reason
    'neither JSON with an answer, nor an answer line, nor a program is in it'
    """
    text = _THOUGHT.sub(" ", text[-MAX_REPLY:])
    found = _json_object(text)
    if found is not None:
        return _reading(found["answer"], "json") if "answer" in found else _executed(found["program"])
    lines = _LINE.findall(text)
    if lines:
        return _reading(lines[-1], "line")
    for line in reversed(text.splitlines()[-MAX_TRIES:]):
        match = _STEP.search(line)
        if match:
            return _executed(line[match.start() :])
    return Reading(reason="neither JSON with an answer, nor an answer line, nor a program is in it")


def read_last_number(text: str) -> Reading:
    """The documented trap: the last number of a text, as many evaluation scripts take it.

    It reads the 252 of a root, a year, or the number of a step for the answer, and it never finds a structure failure
    in a text that has digits.

    >>> read_last_number("The yearly volatility is 0.19, because 0.012 * sqrt(252) is.").answer
    252.0
    >>> read_last_number("You will have $12,500 by 2035").answer
    2035.0
    """
    numbers = _NUMBER.findall(text[-MAX_REPLY:])
    value = _finite(numbers[-1].replace(",", "")) if numbers else None
    return Reading(reason="no number is in it") if value is None else Reading(value, "last number")


def _json_object(text: str) -> dict | None:
    """The last JSON object with an answer or a program; of nested ones the outermost."""
    decoder, place = json.JSONDecoder(), len(text)
    chosen, start = None, 0
    for _ in range(MAX_TRIES):
        place = text.rfind("{", 0, place)
        if place < 0:
            break
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            continue
        if (chosen is None or end > start) and ("answer" in value or isinstance(value.get("program"), str)):
            chosen, start = value, place
    return chosen


def _reading(value: object, source: str) -> Reading:
    """A number, a number spelled as text, or a name."""
    if isinstance(value, str):
        text = value.strip(_FENCE).removesuffix(".").strip(_FENCE)
        number = read_spelled(text)
        if number is not None:
            value = number
        elif text.casefold() not in ("nan", "inf", "infinity", "-inf", "none", "null") and _is_name(text):
            return Reading(text, source)
        else:
            return Reading(reason=f"{text[:40]!r} is neither a number nor a name")
    number = None if isinstance(value, bool) else _finite(value)
    if number is None:
        return Reading(reason=f"{type(value).__name__} is no finite number")
    return Reading(number, source)


def _is_name(text: str) -> bool:
    return len(text) <= MAX_NAMES and text[:1].isalpha() and not any(c.isdigit() for c in text)


def _finite(value: object) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _executed(program: str) -> Reading:
    result = execute(program.strip(_FENCE).removesuffix(".").rstrip(_FENCE))
    if result.failure is not None:
        return Reading(reason=f"the program has no answer: {result.failure}")
    return Reading(result.value if result.exact is None else float(result.exact), "program")
