"""Interactive parts of the book: controls over functions of the library, and the still pictures of the same functions.

Each module has a pure function that computes, ``draw(...)`` that makes a :class:`~finqa_lab.course.drawings.Drawing` of
one setting, ``still()`` with several settings side by side for a page without a kernel, and ``widget()``.
"""

from importlib import import_module

NAMES = ("cache_memory", "tuning_memory", "capacity", "retrieval", "tokenizers", "attention_map")
"""The modules, in the order of the book."""


def still(name: str):
    """The still picture of an interactive part, a :class:`~finqa_lab.course.drawings.Drawing`."""
    return import_module(f"finqa_lab.course.widgets.{name}").still()
