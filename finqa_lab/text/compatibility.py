"""Serving with the tokenizer the model was trained with, or not at all.

A model knows ids, not text. With another tokenizer the same ids mean other text; nothing crashes, the answers
are just wrong. So a checkpoint carries a fingerprint of everything that turns text into ids, and the server
compares it before it loads a weight. The state is normalised first: the layout of a file and the order of its
keys do not matter.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Protocol

from finqa_lab.errors import CourseError


class HasState(Protocol):
    """A tokenizer whose ``state()`` holds all that decides its behaviour, as JSON-ready parts with readable
    names."""

    def state(self) -> dict: ...


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def fingerprint(tokenizer: HasState, template: str = "") -> dict[str, str]:
    """SHA-256 of each part of the tokenizer, of the prompt template, and of all together (key ``all``).

    Args:
        tokenizer: :class:`~finqa_lab.text.bpe.ByteLevelBPE`, ``Unigram`` or ``CharacterTokenizer``.
        template: text put around each request; a missing space in it changes the ids too.

    >>> from finqa_lab.text.characters import CharacterTokenizer
    >>> list(fingerprint(CharacterTokenizer("01")))
    ['kind', 'symbols', 'template', 'all']
    """
    parts = {name: _digest(value) for name, value in {**tokenizer.state(), "template": template}.items()}
    return {**parts, "all": _digest(parts)}


def require_same_tokenizer(expected: Mapping[str, str], tokenizer: HasState, template: str = "") -> None:
    """Do nothing when ``tokenizer`` and ``template`` have the fingerprint ``expected``; else say what
    differs.

    Raises:
        CourseError: naming the parts that differ, or that ``expected`` is no fingerprint.
    """
    if not isinstance(expected, Mapping) or "all" not in expected:
        raise CourseError(
            "the checkpoint carries no tokenizer fingerprint; "
            "write it with fingerprint(tokenizer, template) when training"
        )
    found = fingerprint(tokenizer, template)
    if found["all"] == expected["all"]:
        return
    names = [name for name in {**expected, **found} if name != "all"]
    different = [name for name in names if expected.get(name) != found.get(name)] or ["stored fingerprint"]
    raise CourseError(
        f"the tokenizer is not the one the model was trained with: its {', '.join(different)} changed "
        f"(trained with {expected['all'][:12]}, found {found['all'][:12]}); "
        "load the tokenizer saved beside the checkpoint"
    )
