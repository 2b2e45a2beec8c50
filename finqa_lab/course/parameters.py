"""Parameters as a contract: one typed, documented line each, refused when unknown, mistyped or out of range.

The cell tagged ``parameters`` of a lab is the only place where a parameter is declared::

    steps: int = 1500                 # optimizer steps [1, 100000]
    order: str = "reversed"           # digit order of the answer {reversed, plain}
    operand_digits: list[int] = [1, 2, 3]  # lengths of the operands [1, 6]

Name, type, default, meaning, allowed values. The range of a list holds for its items. The runner, ``finqa-lab
params`` and the tables of the book all read these lines.
"""

import ast
import io
import re
import tokenize
from dataclasses import dataclass
from typing import Any

import nbformat
import yaml

from finqa_lab import markdown
from finqa_lab.course import labs
from finqa_lab.errors import CourseError

PROFILES = ("smoke", "cpu", "gpu")
_SCALARS = {"int": int, "float": float, "bool": bool, "str": str}
_LONGEST_LINE = 1000
_NOT_A_LITERAL = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)  # what `ast` says of hostile text
_RANGE = re.compile(r"\[\s*(?P<low>[^,\[\]]+?)\s*,\s*(?P<high>[^,\[\]]+?)\s*\]\s*$")
_CHOICES = re.compile(r"\{(?P<choices>[^{}]+)\}\s*$")


@dataclass(frozen=True)
class Parameter:
    """One declared parameter.

    Attributes:
        name: Python identifier.
        kind: ``"int"``, ``"float"``, ``"bool"``, ``"str"``, or ``"list[...]"`` of one of the first four.
        default: value in the notebook, which is the ``smoke`` profile's.
        meaning: what it does, from the comment.
        low, high: inclusive range of a number, or None.
        choices: allowed strings, or ().
    """

    name: str
    kind: str
    default: Any
    meaning: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """The allowed values in words, such as ``"int, from 1 to 100,000"`` or ``"one of reversed, plain"``."""
        if self.choices:
            return f"{'list of ' if self.kind.startswith('list') else 'one of '}{', '.join(self.choices)}"
        if self.low is not None:
            items = "each " if self.kind.startswith("list") else ""
            return f"{self.kind}, {items}from {_number(self.low)} to {_number(self.high)}"
        return "true or false" if self.kind == "bool" else self.kind

    def problem(self, value) -> str:
        """Why ``value`` is refused, or "" when it is allowed.

        >>> Parameter("steps", "int", 10, "optimizer steps", 1, 100).problem(500)
        '500 is out of range'
        """
        if self.kind.startswith("list["):
            if not isinstance(value, list):
                return f"{value!r} is not a list"
            return next((why for item in value if (why := self._item_problem(self.kind[5:-1], item))), "")
        return self._item_problem(self.kind, value)

    def _item_problem(self, kind: str, value) -> str:
        # bool is an int in Python, and an int is a fine float; nothing else converts.
        fits = type(value) is _SCALARS[kind] or (kind == "float" and type(value) is int)
        if not fits:
            return f"{value!r} is not of type {kind}"
        if self.choices and value not in self.choices:
            return f"{value!r} is not allowed"
        if self.low is not None and not self.low <= value <= self.high:
            return f"{value!r} is out of range"
        return ""


def declared(lab: str, notebook: nbformat.NotebookNode | None = None) -> dict[str, Parameter]:
    """The parameters of ``lab`` in order of declaration.

    Raises:
        CourseError: when the notebook has not exactly one parameters cell, or a line in it breaks the convention.
    """
    notebook = notebook or labs.read_notebook(labs.solution_path(lab))
    cells = [c for c in notebook.cells if c.cell_type == "code" and "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise CourseError(
            f"lab {lab} has {len(cells)} cells tagged 'parameters', it needs exactly one; tag the cell that declares "
            "the parameters in its metadata"
        )
    found: dict[str, Parameter] = {}
    for line in cells[0].source.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            parameter = parse_line(line)
        except ValueError as error:
            raise CourseError(f"lab {lab}, parameters cell, line `{line.strip()}`: {error}") from None
        if parameter.name in found:
            raise CourseError(f"lab {lab} declares parameter '{parameter.name}' twice; keep one line")
        found[parameter.name] = parameter
    return found


def _split(line: str) -> tuple[str, str]:
    """Code and comment of a line, told apart by Python's own tokenizer: a ``#`` in a string is no comment."""
    if len(line) > _LONGEST_LINE:
        raise ValueError(f"it has {len(line)} characters; at most {_LONGEST_LINE} are read")
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(line).readline))
    except (tokenize.TokenError, SyntaxError):
        raise ValueError("it is not an assignment") from None
    comments = [token for token in tokens if token.type == tokenize.COMMENT]
    comment = comments[0].string.lstrip("#").strip() if comments else ""
    if not comment:
        raise ValueError("a comment must say what the parameter means")
    return line[: comments[0].start[1]].strip(), comment


def parse_line(line: str) -> Parameter:
    """Parse one declaration.

    >>> parse_line("top_k: int = 5  # passages kept [1, 100]")
    Parameter(name='top_k', kind='int', default=5, meaning='passages kept', low=1.0, high=100.0, choices=())

    Raises:
        ValueError: saying which part of the convention the line breaks.
    """
    code, comment = _split(line)
    if "=" in comment:
        raise ValueError("the comment holds '=', which papermill's own help cannot read; write it in words")
    try:
        statement = ast.parse(code).body[0]
    except (*_NOT_A_LITERAL, IndexError):
        raise ValueError("it is not an assignment") from None
    if (
        not isinstance(statement, ast.AnnAssign)
        or not isinstance(statement.target, ast.Name)
        or statement.value is None
    ):
        raise ValueError("it must read `name: type = value  # meaning`")
    kind = ast.unparse(statement.annotation)
    if (kind[5:-1] if kind.startswith("list[") else kind) not in _SCALARS:
        raise ValueError(f"type {kind} is not one of int, float, bool, str or a list of one of them")
    try:
        default = ast.literal_eval(statement.value)
    except _NOT_A_LITERAL:
        raise ValueError("the default must be a literal") from None
    parameter = Parameter(statement.target.id, kind, default, *_meaning(comment, kind))
    if why := parameter.problem(default):
        raise ValueError(f"its own default is refused: {why}")
    return parameter


def _meaning(comment: str, kind: str) -> tuple[str, float | None, float | None, tuple[str, ...]]:
    comment = comment.strip()
    if choices := _CHOICES.search(comment):
        return comment[: choices.start()].strip(), None, None, tuple(c.strip() for c in choices["choices"].split(","))
    if bounds := _RANGE.search(comment):
        return comment[: bounds.start()].strip(), float(bounds["low"]), float(bounds["high"]), ()
    if "int" in kind or "float" in kind:
        raise ValueError("a number needs its range at the end of the comment, such as [1, 100]")
    return comment, None, None, ()


def profile(name: str, lab: str, parameters: dict[str, Parameter] | None = None) -> dict[str, Any]:
    """Values that the profile ``name`` sets for ``lab``, checked against the declarations.

    Raises:
        CourseError: for an unknown profile, a broken YAML file, or a value that the lab refuses.
    """
    path = labs.root() / "labs" / "profiles" / f"{name}.yml"
    if name not in PROFILES:
        raise CourseError(f"unknown profile '{name}'; profiles: {', '.join(PROFILES)}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise CourseError(f"profile {path} cannot be read: {reason}; restore it from version control") from error
    values = content.get(lab) or {}
    validate(lab, values, parameters, source=f"profile {name}")
    return values


def validate(
    lab: str, values: dict[str, Any], parameters: dict[str, Parameter] | None = None, source: str = ""
) -> None:
    """Refuse an unknown name, a wrong type or a value out of range.

    Raises:
        CourseError: one sentence naming lab, parameter and allowed values.
    """
    parameters = parameters if parameters is not None else declared(lab)
    where = f"lab {lab}{', ' + source if source else ''}"
    for name, value in values.items():
        if name not in parameters:
            raise CourseError(f"{where}: unknown parameter '{name}'; it has: {', '.join(parameters)}")
        if why := parameters[name].problem(value):
            raise CourseError(f"{where}: parameter '{name}': {why}; allowed: {parameters[name].allowed}")


def parse_assignment(lab: str, text: str, parameters: dict[str, Parameter]) -> tuple[str, Any]:
    """Turn ``"steps=200"`` from the command line into ``("steps", 200)``, typed by the declaration.

    Raises:
        CourseError: as :func:`validate`, and for text without '='.
    """
    name, equals, raw = text.partition("=")
    if not equals:
        raise CourseError(f"-p {text}: write it as name=value")
    if len(raw) > _LONGEST_LINE:
        raise CourseError(f"-p {name}: a value of {len(raw)} characters; at most {_LONGEST_LINE} are taken")
    if name not in parameters:
        raise CourseError(f"lab {lab}: unknown parameter '{name}'; it has: {', '.join(parameters)}")
    kind = parameters[name].kind
    if kind == "str":
        value = raw
    else:
        try:
            value = ast.literal_eval({"true": "True", "false": "False"}.get(raw, raw))
        except _NOT_A_LITERAL:
            value = raw
    validate(lab, {name: value}, parameters)
    return name, value


def table(lab: str) -> list[tuple[str, ...]]:
    """Rows for the parameter table of ``lab``: header first, then (name, type and range, smoke, cpu, gpu, meaning)."""
    parameters = declared(lab)
    profiles = {name: profile(name, lab, parameters) for name in PROFILES}
    rows = [("parameter", "allowed", *PROFILES, "meaning")]
    for name, parameter in parameters.items():
        values = [_literal(profiles[p].get(name, parameter.default)) for p in PROFILES]
        rows.append((name, parameter.allowed, *values, parameter.meaning))
    return rows


def markdown_table(lab: str) -> str:
    """The parameter table of ``lab`` as a Markdown pipe table, as the book shows it."""
    header, *rows = table(lab)
    return markdown.table(header, ((f"`{row[0]}`", *row[1:]) for row in rows))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def _literal(value) -> str:
    return value if isinstance(value, str) else repr(value)
