"""The executor against the data set's answers, and the scoring against SymPy; part of benchmarks/finqa.py."""

import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence

import sympy

from finqa_lab.files import REPOSITORY
from finqa_lab.finqa.execute import execute
from finqa_lab.finqa.faults import fault
from finqa_lab.finqa.parse import parse
from finqa_lab.finqa.program import TABLE, Program, Reference, literals
from finqa_lab.finqa.scoring import score
from finqa_lab.finqa.splits import Split


def executor(parts: Sequence[Split]) -> dict:
    """Executed programs equal to the stored answers; each exception by class, with its id."""
    rows = {}
    for part in parts:
        name = part.name
        records = [record for record in part.records if record.program is not None and record.exe_ans is not None]
        exceptions: dict[str, list[str]] = {}
        for record in records:
            result = execute(record.program, record.table)
            if result.failure is not None:
                exceptions.setdefault(f"failure: {result.failure.kind}", []).append(record.id)
            elif result.value != record.exe_ans:
                exceptions.setdefault("another value", []).append(record.id)
        equal = len(records) - sum(map(len, exceptions.values()))
        answered = [record for record in records if any(one.answer for one in records)]  # program lists have no answers
        faults = Counter(found.value for record in answered if (found := fault(record)) is not None)
        left_out = [str(problem) for problem in part.read.problems]
        rows[name] = {"records": len(records), "equal": equal, "exceptions": exceptions, "left_out": left_out}
        rows[name]["human_answer_faults"] = dict(faults)
        print(f"executor, {name}: {equal} of {len(records)} equal; exceptions {exceptions or 'none'}")
        print(f"  records left out by the reader: {left_out or 'none'}; human answers at fault: {dict(faults)}")
    return rows


def scoring(part: Split, repeats: int) -> dict:
    """Time to score a part's own programs as predictions, in turns with the official rule through SymPy."""
    records = [record for record in part.records if record.program is not None]
    predictions = [{"id": record.id, "predicted": record.program} for record in records]
    programs = [parse(record.program) for record in records]
    ours, theirs = [], []
    for _ in range(max(repeats // 2, 1)):
        ours.append(_timed(lambda: score(predictions, records)))
        sympy.core.cache.clear_cache()
        theirs.append(_timed(lambda: [sympy_equal(program, program) for program in programs]))
    ratio = sorted(b / a for a, b in zip(ours, theirs))[len(ours) // 2]
    fuzz = subprocess.run(
        [sys.executable, "-m", "tests.finqa.fuzz", "100000"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    slowest = re.search(r"([\d.]+) ms", fuzz.stdout)
    found = {"predictions": len(records), "ours_s": min(ours), "sympy_s": min(theirs), "ratio": ratio}
    found["fuzz_ms"] = float(slowest[1])
    print(f"scoring {len(records)} predictions: {min(ours):.2f} s, SymPy {min(theirs):.2f} s, {ratio:.1f} times")
    print(f"100,000 fuzzed programs: none raised, {fuzz.stdout.strip()[:120]}")
    return {name: round(value, 3) for name, value in found.items()}


def sympy_equal(gold: Program, predicted: Program) -> bool:
    """The rule of program accuracy as its definition says: literals become symbols, SymPy simplifies both formulas."""
    symbols = {text: sympy.Symbol(f"a{i}") for i, text in enumerate(dict.fromkeys(_leaves(gold)))}
    if any(text not in symbols for text in _leaves(predicted)):
        return False
    return sympy.simplify(_formula(gold, symbols)) == sympy.simplify(_formula(predicted, symbols))


def _leaves(program: Program) -> list[str]:
    rows = [_row(step) for step in program if step.operation in TABLE]
    return [literal.text for literal in literals(program)] + rows


def _row(step) -> str:
    return f"{step.operation}({step.first}, {step.second})"


def _formula(program: Program, symbols: dict[str, sympy.Symbol]) -> sympy.Expr:
    values: list[sympy.Expr] = []
    for step in program:
        if step.operation in TABLE:
            values.append(symbols[_row(step)])
            continue
        left, right = (values[a.step] if isinstance(a, Reference) else symbols[a.text] for a in step.arguments)
        match step.operation:
            case "add":
                values.append(left + right)
            case "subtract":
                values.append(left - right)
            case "multiply":
                values.append(left * right)
            case "divide":
                values.append(left / right)
            case "exp":
                values.append(left**right)
            case _:
                values.append(sympy.Gt(left, right))
    return values[-1]


def _timed(work) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
