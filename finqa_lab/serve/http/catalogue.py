"""The names that a client can ask for: the base model and its adapters.

A client's name is looked up in a table that was made at the start, and used for nothing else: it is no path, no part of
one, and no name on a hub.
"""

import re
from collections.abc import Iterable

from finqa_lab.errors import CourseError
from finqa_lab.serve.http.errors import ApiError

LATEST = "latest"
_ADAPTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # what torch takes as the name of a module
_BASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?")


class Catalogue:
    """Names of one base and its adapters.

    An adapter is asked for as ``BASE:ADAPTER`` or by its name alone. ``BASE:latest`` is the base, as Ollama's clients
    write a name without a tag.

    Args:
        base: name that the base is served by: letters, digits, ``.``, ``_``, ``-``, and one ``/`` at most.
        adapters: their names: letters, digits, ``_`` and ``-``.

    Raises:
        CourseError: for a name that is not of this form, or that is taken.

    >>> Catalogue("finqa-tiny", ["json"]).names
    {'finqa-tiny': None, 'finqa-tiny:latest': None, 'json': 'json', 'finqa-tiny:json': 'json'}
    """

    def __init__(self, base: str, adapters: Iterable[str] = ()):
        if not _BASE.fullmatch(base):
            raise CourseError(f"{base!r} cannot be the name of a model; give one like finqa-tiny with --name")
        self.base, self.adapters = base, tuple(adapters)
        self.names: dict[str, str | None] = {base: None, f"{base}:{LATEST}": None}
        for name in self.adapters:
            check_adapter_name(name)
            if name in self.names or name == LATEST:
                raise CourseError(f"the adapter's name '{name}' is taken; choose another")
            self.names |= {name: name, f"{base}:{name}": name}

    def adapter(self, name: str) -> str | None:
        """The adapter behind a client's name; None is the base.

        Raises:
            ApiError: 404 when there is no such model.
        """
        try:
            return self.names[name]
        except KeyError:
            known = ", ".join([self.base, *self.adapters])
            text = f"the model {name[:80]!a} does not exist; this server has: {known}"
            raise ApiError(404, text, "model_not_found", "model") from None


def check_adapter_name(name: str) -> None:
    """Refuse what could be taken for a path, a tag or an option.

    Raises:
        CourseError: when the name is not of the form that it must have.
    """
    if not _ADAPTER.fullmatch(name):
        raise CourseError(f"{name!r} cannot be the name of an adapter; use letters, digits, '_' and '-'")
