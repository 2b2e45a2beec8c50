"""The two ceilings of a machine, measured: bytes a second by a copy, operations a second by a matrix product.

A pass that moves b bytes and does f operations takes at least max(b / bandwidth, f / rate) (Williams, Waterman and
Patterson 2009). The ridge, rate / bandwidth, is the intensity from which on a pass is bound by arithmetic.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from finqa_lab.nn.device import device_named


@dataclass(frozen=True)
class Machine:
    """The two ceilings.

    Attributes:
        bandwidth: bytes a second, reading and writing counted.
        rate: floating-point operations a second in a large product.
        threads: of the processor, while measuring.
        device: where.
        dtype: of the numbers, e.g. ``"float32"``.
    """

    bandwidth: float
    rate: float
    threads: int
    device: str
    dtype: str

    @property
    def ridge(self) -> float:
        """Operations a byte at which both ceilings meet."""
        return self.rate / self.bandwidth

    def attainable(self, intensity: float) -> float:
        """Operations a second that a pass of this intensity can reach at most.

        >>> Machine(bandwidth=10e9, rate=80e9, threads=1, device="cpu", dtype="float32").attainable(0.5)
        5000000000.0
        """
        return min(self.rate, self.bandwidth * intensity)


def timed(work: Callable[[], object], device: str = "cpu") -> float:
    """Wall time of one call of ``work()`` in seconds, the device's queue empty before and after."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    wait()
    begin = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - begin


def seconds_of(work: Callable[[], object], repeats: int = 5, device: str = "cpu") -> float:
    """Median of :func:`timed` over ``repeats`` calls, after one that is not counted."""
    work()
    return statistics.median(timed(work, device) for _ in range(repeats))


def measure_machine(
    megabytes: int = 256, size: int = 1024, repeats: int = 5, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> Machine:
    """Copy ``megabytes`` of memory, multiply two ``size`` x ``size`` matrices; medians of ``repeats``.

    Args:
        megabytes: large against the processor's last cache, or the copy measures that cache.
        size: of the matrices.
        repeats: timed calls.
        device: ``"cpu"`` or ``"cuda"``.
        dtype: of both.

    Raises:
        CourseError: when the device is not there.
    """
    place = device_named(device)
    count = megabytes * 2**20 // dtype.itemsize
    source, target = (torch.zeros(count, dtype=dtype, device=place) for _ in range(2))
    left, right = (torch.randn(size, size, device=place).to(dtype) for _ in range(2))
    copied = seconds_of(lambda: target.copy_(source), repeats, device)
    multiplied = seconds_of(lambda: left @ right, repeats, device)
    name = str(dtype).removeprefix("torch.")
    return Machine(2 * source.nbytes / copied, 2 * size**3 / multiplied, torch.get_num_threads(), device, name)
