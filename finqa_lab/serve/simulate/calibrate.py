"""From measured steps to a step model: which bandwidth, rate and overheads explain them best.

The model is a maximum of two linear functions plus a third. Once it is fixed which of the two ceilings each step
meets, it is linear in five unknowns: 1 / bandwidth, 1 / rate and three overheads, none of them negative. So a least
squares problem is solved, the ceilings are assigned anew from its solution, and so on until nothing changes, from
several beginnings. Errors are relative: a prompt of 30 ms and a token of 5 ms count alike.

A machine that also does other work is slower at random, never faster. Therefore a workload is repeated with the same
steps, and of each step the least of its times is taken.
"""

from collections.abc import Sequence as Sequences
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from finqa_lab.errors import CourseError
from finqa_lab.nn.cost import Cost
from finqa_lab.serve.simulate.machine import StepModel

MOST_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class MeasuredStep:
    """A step that has run.

    Attributes:
        cost: operations and bytes.
        sequences: in it.
        positions: that it computed.
        seconds: that it took.
    """

    cost: Cost
    sequences: int
    positions: int
    seconds: float


@dataclass(frozen=True)
class Calibration:
    """A fitted model.

    Attributes:
        model: with an infinite bandwidth or rate where no step shows that ceiling.
        error: mean of the absolute relative errors of the steps it was fitted to.
        worst: largest of them.
        steps: how many.
        by_operations: share of them that the model holds for bound by operations.
    """

    model: StepModel
    error: float
    worst: float
    steps: int
    by_operations: float


def calibrate(steps: Sequences[MeasuredStep], overheads: bool = True) -> Calibration:
    """The model with the least squared relative error.

    Args:
        steps: with different mixtures of prompts and decoding sequences, or the unknowns cannot be told apart.
        overheads: False fits the bare roofline.

    Raises:
        CourseError: when there are fewer steps than unknowns, or more than a hundredth have no positive time. The few
            that a coarse clock did not see are left out.
    """
    unknowns, all_steps = 5 if overheads else 2, len(steps)
    steps = [step for step in steps if step.seconds > 0]
    if len(steps) < 0.99 * all_steps:
        raise CourseError(f"{all_steps - len(steps)} of {all_steps} steps took no time by this clock; take a finer one")
    if len(steps) <= unknowns:
        raise CourseError(f"{len(steps)} steps do not determine {unknowns} unknowns; measure more")
    seconds = np.array([step.seconds for step in steps])
    moved = np.array([float(step.cost.bytes) for step in steps])
    done = np.array([float(step.cost.operations) for step in steps])
    others = np.array([[1.0, float(step.sequences), float(step.positions > 1)] for step in steps])
    others = others[:, : unknowns - 2]
    best = None
    intensity = done / moved
    for ridge in [np.inf, -np.inf, *np.quantile(intensity, [0.1, 0.25, 0.5, 0.75, 0.9])]:
        found = _alternate(moved, done, others, seconds, intensity > ridge)
        if best is None or found[0] < best[0] - 1e-9 * len(steps):  # one ceiling is enough unless two are better
            best = found
    _, solution, by_operations, errors = best
    inverse = [1 / value if value > 0 else np.inf for value in solution[:2]]
    model = StepModel(float(inverse[0]), float(inverse[1]), *map(float, solution[2:]))
    return Calibration(model, float(np.abs(errors).mean()), float(np.abs(errors).max()), len(steps), by_operations)


def _alternate(moved, done, others, seconds, by_operations):
    """Fit and reassign until nothing changes: (squared error, solution, share by operations, relative errors)."""
    for _ in range(MOST_ROUNDS):
        columns = np.column_stack([np.where(by_operations, 0.0, moved), np.where(by_operations, done, 0.0), others])
        solution = _nonnegative(columns / seconds[:, None], np.ones(len(seconds)))
        again = done * solution[1] > moved * solution[0]
        if (again == by_operations).all():
            break
        by_operations = again
    longest = np.maximum(moved * solution[0], done * solution[1])
    errors = (longest + others @ solution[2:]) / seconds - 1
    return float(errors @ errors), solution, float((done * solution[1] > moved * solution[0]).mean()), errors


def _nonnegative(columns: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Least squares without negative unknowns: with so few, every choice of those that are not zero can be tried."""
    scale = np.linalg.norm(columns, axis=0)
    scale[scale == 0] = 1.0
    best, least = np.zeros(columns.shape[1]), float(wanted @ wanted)
    for size in range(1, columns.shape[1] + 1):
        for chosen in map(list, combinations(range(columns.shape[1]), size)):
            part = np.linalg.lstsq(columns[:, chosen] / scale[chosen], wanted, rcond=None)[0]
            rest = columns[:, chosen] / scale[chosen] @ part - wanted
            if (part >= 0).all() and float(rest @ rest) < least - 1e-15:
                best, least = np.zeros(columns.shape[1]), float(rest @ rest)
                best[chosen] = part / scale[chosen]
    return best
