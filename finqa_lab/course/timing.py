"""How long a lab takes, in a unit that goes with the machine: runs of one calibrated loop.

Seconds say more about a machine, and about what else it does, than about a lab. So the runner times a fixed loop right
before and right after each lab, in processor time, and divides: a lab of 70 loops takes 70 loops on a slow machine
too, more or less, since loop and lab feel the same caches, clocks and neighbours. ``tests/golden/timing.json`` holds
what each lab took when its bound was set, and a run of more than twice that fails: somebody has made the lab slower.
"""

import json
import statistics
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from finqa_lab.course import labs
from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, write_atomic

MOST = 2.0
"""A run may take this many times the loops of its record."""
FLOOR = 5.0
"""Loops that are always allowed, since a lab of a second or two is mostly the start of its kernel."""


def loop_seconds(repeats: int = 5) -> float:
    """Processor seconds of the calibrated loop, the median of some runs: half interpreter, half matrix products.

    About a fifth of a second on a server's core of 2023.
    """
    with threadpool_limits(1):  # a second thread of a library would be waited for, and the wait be counted
        return statistics.median(_loop() for _ in range(repeats))


def _loop() -> float:
    matrix = np.random.default_rng(0).standard_normal((192, 192)).astype(np.float32) / 14
    began = time.thread_time()
    counts: dict[int, int] = {}
    for i in range(900_000):  # dictionaries, integers, calls: what an interpreter does all day
        counts[i % 997] = counts.get(i % 997, 0) + (i ^ (i >> 3)) % 7
    product = matrix
    for _ in range(500):  # small products, as in the models of the labs
        product = np.tanh(product @ matrix)
    if not np.isfinite(product).all() or sum(counts.values()) <= 0:
        raise ArithmeticError("the calibrated loop computed nonsense")
    return time.thread_time() - began


def path() -> Path:
    """The file of the records."""
    return labs.root() / "tests" / "golden" / "timing.json"


def records() -> dict[str, dict]:
    """By lab: ``loops``, and for people ``cpu_seconds`` and ``seconds`` with the machine and the day they are from.

    Raises:
        CourseError: for a damaged file.
    """
    if not path().exists():
        return {}
    found = read_json(path(), "the record of times")
    bad = [
        lab for lab, entry in found.items() if not isinstance(entry.get("loops"), int | float) or entry["loops"] <= 0
    ]
    if bad:
        raise CourseError(f"{path()}: '{bad[0]}' has no loops; run `finqa-lab run {bad[0]} --update-golden`")
    return found


def exceeded(lab: str, loops: float) -> str:
    """A sentence when a run took more than twice its record, else ``""``; a lab without a record may take any time.

    Args:
        lab: its name.
        loops: of the run, as the runner counted them; 0 when they were not counted.
    """
    entry = records().get(lab)
    if entry is None or loops <= max(FLOOR, MOST * entry["loops"]):
        return ""
    return (
        f"it took {loops:.0f} runs of the calibrated loop, {loops / entry['loops']:.1f} times its record of "
        f"{entry['loops']:.0f} (at most {MOST:g} times); make it faster, or set a new record with "
        f"`finqa-lab run {lab} --update-golden`"
    )


def update(lab: str, loops: float, cpu_seconds: float, seconds: float, machine: str, day: str) -> str:
    """Set the record of a lab and return the change as a line, or ``""`` where the old one is within a tenth."""
    found = records()
    old = found.get(lab, {}).get("loops")
    if old and abs(loops - old) <= old / 10:
        return ""
    found[lab] = {
        "loops": round(loops, 1), "cpu_seconds": round(cpu_seconds, 1), "seconds": round(seconds, 1),
        "hardware": machine, "date": day,
    }  # fmt: skip
    write_atomic(path(), json.dumps(dict(sorted(found.items())), indent=1) + "\n")
    return f"time: {f'{old:.0f}' if old else 'new'} -> {loops:.0f} loops"
