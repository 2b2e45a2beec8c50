"""Time of a distributed step: a model with four constants, fitted to what was measured here.

A step of some ``work`` on n ranks takes ::

    seconds = a * crowding * work / n  +  bytes / bandwidth  +  exchanges * latency

with the work in tokens, or in operations where several methods are compared, and the bytes that a rank sends and the
number of exchanges from :mod:`finqa_lab.tune.distributed.volume`. Crowding, 1 for a single rank, is how much slower a
rank computes when the others compute too: on GPUs of their own hardly at all, on cores of one processor, which share
its caches and whatever else the machine does, clearly. It adds communication to computation, as if nothing
overlapped. That is what gloo on a busy CPU comes close to; on GPUs both strategies hide part of the communication
behind the backward pass, so :mod:`finqa_lab.tune.distributed.planning` gives both ends.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finqa_lab.errors import CourseError
from finqa_lab.tune.distributed.volume import Volume


@dataclass(frozen=True)
class Measurement:
    """A step as it was timed.

    Attributes:
        ranks: n.
        work: of the step, over all ranks: tokens, or operations.
        volume: of a rank.
        seconds: wall clock.
    """

    ranks: int
    work: float
    volume: Volume
    seconds: float


@dataclass(frozen=True)
class CostModel:
    """The constants.

    Attributes:
        work_seconds: computation for a unit of work, a.
        bandwidth: bytes a second that a rank sends; infinite where the fit found no cost of bytes.
        latency: seconds an exchange takes besides.
        crowding: factor on the computation of a rank that is not alone.

    >>> model = CostModel(work_seconds=1e-3, bandwidth=1e6, latency=1e-3)
    >>> model.seconds(2, 100, Volume(0.0, 10_000.0, 2))
    0.062
    """

    work_seconds: float
    bandwidth: float
    latency: float
    crowding: float = 1.0

    def seconds(self, ranks: int, work: float, volume: Volume) -> float:
        """Of a step."""
        crowding = self.crowding if ranks > 1 else 1.0
        return work / ranks * self.work_seconds * crowding + self.communication(volume)

    def communication(self, volume: Volume) -> float:
        """Seconds of a step that are spent on exchanges."""
        return volume.total / self.bandwidth + volume.exchanges * self.latency

    def efficiency(self, ranks: int, work: float, volume: Volume) -> float:
        """Speed on n ranks, as a share of n times the speed of one."""
        return work / ranks * self.work_seconds / self.seconds(ranks, work, volume)

    def error(self, measured: Sequence[Measurement]) -> float:
        """Largest distance of a prediction from the measured seconds, as a share of these."""
        return max(abs(self.seconds(m.ranks, m.work, m.volume) / m.seconds - 1) for m in measured)


def fit(measured: Sequence[Measurement]) -> CostModel:
    """The constants, none negative, with the least sum of squared relative errors.

    Args:
        measured: steps of one rank and of several, with volumes and numbers of exchanges that differ; with fewer than
            three of several ranks that are unlike, some constants come out as free of cost.

    Raises:
        CourseError: without a step of one rank and one of several.
    """
    if not any(m.ranks == 1 for m in measured) or all(m.ranks == 1 for m in measured):
        raise CourseError("a cost model is fitted to steps of one rank and of several; measure both")
    rows = np.array(
        [
            [m.work * (m.ranks == 1), m.work / m.ranks * (m.ranks > 1), m.volume.total, m.volume.exchanges]
            for m in measured
        ],
        dtype=float,
    )
    rows /= np.array([[m.seconds] for m in measured])
    scale = rows.max(axis=0)
    scale[scale == 0] = 1.0
    best, found = math.inf, np.zeros(4)
    # Four unknowns: of all choices of those that are not zero, the best whose solution is not negative.
    for chosen in itertools.chain.from_iterable(itertools.combinations(range(4), k) for k in (1, 2, 3, 4)):
        columns = list(chosen)
        solution, *_ = np.linalg.lstsq(rows[:, columns] / scale[columns], np.ones(len(rows)), rcond=None)
        residual = float(((rows[:, columns] / scale[columns] @ solution - 1) ** 2).sum())
        if (solution >= 0).all() and residual < best - 1e-12:
            best, found = residual, np.zeros(4)
            found[columns] = solution
    alone, among, per_byte, latency = (found / scale).tolist()
    return CostModel(alone, 1 / per_byte if per_byte else math.inf, latency, among / alone)
