"""Programs as trees, drawn at random, rewritten with and without a change of meaning, and judged by exact evaluation.

A tree is a leaf (text) or (operation, left, right). Nothing here uses the library's arithmetic: a tree is evaluated
with plain fractions, floats or SymPy expressions.
"""

import random
from collections.abc import Callable, Mapping
from fractions import Fraction

import sympy

from finqa_lab.finqa.nested import parse_nested
from finqa_lab.finqa.program import Program

LEAVES = ("5829", "5735", "6.5%", "417.2", "const_100", "const_1")
FOUR = ("add", "subtract", "multiply", "divide")
APPLY: dict[str, Callable] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "exp": lambda a, b: a**b,
    "greater": lambda a, b: a > b,
}


def tree(rng: random.Random, operations: int, leaves=LEAVES):
    """A random tree with that many operations, of the four."""
    if operations == 0:
        return rng.choice(leaves)
    left = rng.randrange(operations)
    return rng.choice(FOUR), tree(rng, left, leaves), tree(rng, operations - 1 - left, leaves)


def text(node) -> str:
    """The nested form."""
    return node if isinstance(node, str) else f"{node[0]}({text(node[1])}, {text(node[2])})"


def program(node) -> Program:
    """The program of a tree."""
    return parse_nested(text(node))


def evaluate(node, values: Mapping[str, object]):
    """Value of a tree whose leaves have these values; operators of the values' own type."""
    if isinstance(node, str):
        return values[node]
    return APPLY[node[0]](evaluate(node[1], values), evaluate(node[2], values))


def points(rng: random.Random, count: int, fixed: Mapping[str, int]) -> list[dict[str, Fraction]]:
    """Random rational values of the leaves; ``fixed`` gives those that are no symbols."""
    return [
        {leaf: Fraction(fixed[leaf]) if leaf in fixed else Fraction(rng.randrange(1, 10**6), rng.randrange(1, 10**6))
         for leaf in (*LEAVES, "const_m1")}
        for _ in range(count)
    ]  # fmt: skip


def same_function(first, second, at: list[dict[str, Fraction]]) -> bool | None:
    """Whether two trees agree at all points; None when either is undefined at one."""
    try:
        return all(evaluate(first, values) == evaluate(second, values) for values in at)
    except ZeroDivisionError:
        return None


def places(node, path=()):
    """Paths to all operations of a tree, outermost first."""
    if not isinstance(node, str):
        yield path
        yield from places(node[1], (*path, 1))
        yield from places(node[2], (*path, 2))


def changed(node, path, change: Callable):
    """The tree with ``change`` applied to the node at ``path``."""
    if not path:
        return change(node)
    parts = list(node)
    parts[path[0]] = changed(node[path[0]], path[1:], change)
    return tuple(parts)


def _is(node, *operations: str) -> bool:
    return not isinstance(node, str) and node[0] in operations


def same_meaning(node, numbers: bool, rng: random.Random):
    """Another way to write one operation, with the same value for all values of the leaves.

    Args:
        node: an operation.
        numbers: whether ``const_1`` and ``const_m1`` may be used as the numbers they are.
        rng: chooses among the rules that fit.
    """
    op, a, b = node
    ways = []
    if op in ("add", "multiply"):
        ways.append((op, b, a))
        if _is(a, op):
            ways.append((op, a[1], (op, a[2], b)))
    if op == "add" and _is(b, "subtract"):
        ways.append(("subtract", ("add", a, b[1]), b[2]))
    if op == "subtract" and _is(b, "subtract"):
        ways.append(("add", ("subtract", a, b[1]), b[2]))
    if op == "multiply" and _is(b, "add", "subtract"):
        ways.append((b[0], (op, a, b[1]), (op, a, b[2])))
    if op == "divide":
        if _is(a, "add", "subtract"):
            ways.append((a[0], (op, a[1], b), (op, a[2], b)))
        if _is(a, "divide"):
            ways.append((op, a[1], ("multiply", a[2], b)))
        if _is(a, "multiply"):
            ways.append(("multiply", a[1], (op, a[2], b)))
    if numbers:
        ways.append(("multiply", "const_1", node))
        if op == "subtract":
            ways.append(("add", a, ("multiply", b, "const_m1")))
        if op == "divide" and _is(a, "subtract") and a[2] == b:
            ways.append((("subtract"), ("divide", a[1], b), "const_1"))
    return rng.choice(ways) if ways else node


def mutated(node, rng: random.Random):
    """The tree with one operation, one order or one leaf changed."""

    def change(part):
        op, a, b = part
        which = rng.randrange(3)
        if which == 0:
            return rng.choice([other for other in FOUR if other != op]), a, b
        if which == 1 and op in ("subtract", "divide"):
            return op, b, a
        leaf = rng.choice(LEAVES)
        return (op, leaf, b) if isinstance(a, str) else (op, a, leaf)

    return changed(node, rng.choice(list(places(node))), change)


def sympy_equal(gold, predicted) -> bool:
    """The official rule for two trees: gold's leaves become symbols, SymPy simplifies both, the forms are the same."""
    symbols = {leaf: f"a{index}" for index, leaf in enumerate(dict.fromkeys(_leaves(gold)))}
    if not symbols.keys() >= set(_leaves(predicted)):
        return False
    signs = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "exp": "**", "greater": ">"}

    def formula(node) -> str:
        if isinstance(node, str):
            return symbols[node]
        return f"( {formula(node[1])} {signs[node[0]]} {formula(node[2])} )"

    return sympy.simplify(formula(gold)) == sympy.simplify(formula(predicted))


def _leaves(node) -> list[str]:
    return [node] if isinstance(node, str) else _leaves(node[1]) + _leaves(node[2])
