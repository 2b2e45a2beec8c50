"""Tables of the book that describe a command, made from the code that reads its settings."""

import dataclasses
from typing import get_args, get_origin, get_type_hints

from finqa_lab.tune.settings import Settings

_READ = ("model", "data", "validation", "start")
"""Settings that are paths: the path may change, what is read there may not."""


def train_settings() -> str:
    """The settings of ``finqa-lab train`` as a Markdown table.

    A row has name, values, default, meaning, and whether it is fixed once a job began.

    >>> print(train_settings().splitlines()[2])
    | `model` | text | none | folder of the base model, in the Hugging Face layout | its content |
    """
    kinds = get_type_hints(Settings)
    lines = ["| setting | values | default | meaning | fixed for a job |", "| --- | --- | --- | --- | --- |"]
    for one in dataclasses.fields(Settings):
        default = ", ".join(one.default) if isinstance(one.default, tuple) else str(one.default).lower()
        meaning = one.metadata["help"].replace("|", "\\|")
        result = "its content" if one.name in _READ else "yes" if one.metadata["result"] else "no"
        lines.append(f"| `{one.name}` | {_values(kinds[one.name])} | {default or 'none'} | {meaning} | {result} |")
    return "\n".join(lines) + "\n"


def _values(kind) -> str:
    if get_args(kind) and get_origin(kind) is not tuple:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(kind, "names")
