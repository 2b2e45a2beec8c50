"""The two figures of the official evaluation script, from their definition (Chen et al. 2021, ``evaluate.py``).

**Execution accuracy**: the prediction is executed in floating point, the last result is rounded to five decimals and
compared with the record's executed answer by ``==``.

**Program accuracy**: every literal and every table operation of the gold program becomes a symbol by its text; a
prediction that writes anything else is wrong; otherwise both last steps become formulas, SymPy simplifies each, and the
two must come out the same. Here the formulas are compared as functions (:mod:`finqa_lab.finqa.fingerprint`), which is
what the simplification is for, in microseconds and without its heuristics.

Where the script goes wrong, and what happens here:

* It hangs in the simplification (18 squarings in a row, 24 doublings, 12 powers). Here the time is that of the steps.
* A prediction may have a wrong step that nothing uses; only the last step and what it needs is compared. Kept. But when
  the unused step cannot be executed (0/0), the script aborts on an assertion; here that prediction is not correct.
* A table operation on ``#n`` uses the row read last, whichever ``#n`` says. Kept, for programs that
  :func:`finqa_lab.finqa.parse.parse` accepts.
* It takes ``nan``, ``inf``, ``1_000``, ``1e3`` and ``5%%`` for numbers. Here they are lexical errors.
* A row name with a parenthesis is a structure error in a prediction and a crash in a gold program. Here it is a name.
* It divides by the number of predictions, so that leaving questions out raises the score and repeating an easy one too.
  :mod:`finqa_lab.finqa.scoring` divides by the number of questions.
"""

from collections.abc import Sequence

from finqa_lab.finqa.equivalence import literal_as_symbol
from finqa_lab.finqa.execute import DECIMALS, Table, row_cells
from finqa_lab.finqa.failure import ProgramError
from finqa_lab.finqa.fingerprint import fingerprint, symbol
from finqa_lab.finqa.literals import read_constant
from finqa_lab.finqa.program import TABLE, Constant, Literal, Program, Reference, literals


def execution_value(program: Program, table: Table) -> float | str | None:
    """What the script computes: a float rounded to five decimals, ``"yes"`` or ``"no"``; None where it cannot.

    >>> from finqa_lab.finqa.parse import parse
    >>> execution_value(parse("divide(1, const_3)"), []), execution_value(parse("divide(1, 0)"), [])
    (0.33333, None)
    """
    values: list[float | str] = []
    row: list[float] = []
    try:
        for index, step in enumerate(program):
            if step.operation in TABLE:
                if not isinstance(step.first, Reference):
                    row = [_float(cell) for cell in row_cells(program, index, table)]
                values.append(_of_row(step.operation, row))
            else:
                left, right = (values[a.step] if isinstance(a, Reference) else _literal(a) for a in step.arguments)
                values.append(_arithmetic(step.operation, left, right))
        return values[-1] if isinstance(values[-1], str) else round(values[-1], DECIMALS)
    except (ProgramError, ArithmeticError, TypeError):
        return None


def program_equal(gold: Program, predicted: Program) -> bool:
    """Whether a prediction counts in the program accuracy, its execution aside.

    >>> from finqa_lab.finqa.parse import parse
    >>> gold = parse("subtract(5829, 5735), divide(#0, 5735)")
    >>> program_equal(gold, parse("divide(5829, 5735), divide(5735, 5735), subtract(#0, #1)"))
    True
    >>> program_equal(gold, parse("subtract(5829, 5735), divide(#0, 5735.0)"))
    False
    """
    known = set(map(str, literals(gold))) | {str(step) for step in gold if step.operation in TABLE}
    written = [*map(str, literals(predicted)), *(str(step) for step in predicted if step.operation in TABLE)]
    if not known.issuperset(written):
        return False
    value = fingerprint(gold, literal_as_symbol, _step_symbol)
    return value is not None and value == fingerprint(predicted, literal_as_symbol, _step_symbol)


def _step_symbol(program: Program, index: int) -> int:
    """A table operation is its text: ``table_max(#0, none)`` is one symbol, whatever #0 is."""
    return symbol(str(program[index]))


def _float(text: str) -> float:
    number = float(text.replace(",", "").replace("%", ""))
    return number / 100 if "%" in text else number


def _literal(literal: Literal) -> float:
    return _float(read_constant(literal.text) if isinstance(literal, Constant) else literal.text)


def _arithmetic(operation: str, left: float, right: float) -> float | str:
    match operation:
        case "add":
            return left + right
        case "subtract":
            return left - right
        case "multiply":
            return left * right
        case "divide":
            return left / right
        case "greater":
            return "yes" if left > right else "no"
    return left**right  # complex for a fractional power of a negative number: no result, unless nothing uses it


def _of_row(operation: str, row: Sequence[float]) -> float:
    if operation == "table_average":
        return sum(row) / len(row)
    return {"table_sum": sum, "table_max": max, "table_min": min}[operation](row)
