"""The time of a step on a machine: a roofline with overheads.

    seconds = max(bytes / bandwidth, operations / rate)
              + overhead + sequence_overhead · sequences + matrix_overhead · (positions > 1)

The first term is physics (Williams, Waterman and Patterson 2009): bytes and operations can overlap, so the longer of
the two counts. The others are software: what a step costs whatever is in it (scheduling, launching kernels,
interpreting Python); what every sequence adds to it (its block table, its cached keys gathered, its token drawn and
sent); and what the change from the kernel for one position (matrix times vector) to the one for several (matrix times
matrix) costs. The last is no detail: on a processor it can take as long as reading the weights, and a second
sequence then seems to be served for the price of a whole one.
"""

from dataclasses import dataclass

from finqa_lab.nn.cost import Cost


@dataclass(frozen=True, slots=True)
class StepModel:
    """A machine with its software.

    Attributes:
        bandwidth: bytes a second.
        rate: operations a second.
        overhead: seconds a step.
        sequence_overhead: seconds a sequence in a step.
        matrix_overhead: seconds more in a step of more than one position.
    """

    bandwidth: float
    rate: float
    overhead: float = 0.0
    sequence_overhead: float = 0.0
    matrix_overhead: float = 0.0

    def seconds(self, cost: Cost, sequences: int, positions: int) -> float:
        """Time of a step that computes ``positions`` of ``sequences``.

        >>> model = StepModel(bandwidth=1e9, rate=1e9, overhead=0.001, sequence_overhead=0.0005)
        >>> model.seconds(Cost(operations=2_000_000, weight_bytes=1_000_000, cache_bytes=0), sequences=4, positions=4)
        0.005
        """
        software = self.overhead + self.sequence_overhead * sequences + self.matrix_overhead * (positions > 1)
        return cost.seconds(self.bandwidth, self.rate) + software

    def bound(self, cost: Cost) -> str:
        """Which of the two ceilings a step meets: ``"bytes"`` or ``"operations"``."""
        return "bytes" if cost.bytes / self.bandwidth >= cost.operations / self.rate else "operations"
