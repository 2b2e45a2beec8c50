"""What one step of the engine has to do at least: sequences that decode and chunks of prompts, in one pass.

The counts are those of :mod:`finqa_lab.nn.cost`, added over the sequences; only the weights are read once for all of
them. That single fact is what batching lives from.
"""

from collections.abc import Sequence as Sequences
from dataclasses import dataclass

from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.cost import Cost, pass_cost
from finqa_lab.serve.scheduler import Work


@dataclass(frozen=True, slots=True)
class Part:
    """What one sequence does in a step.

    Attributes:
        new: positions that are computed; 1 when it decodes.
        behind: positions of it in the cache.
        chooses: whether its next token is chosen, for which logits are needed.
    """

    new: int
    behind: int
    chooses: bool = True


def parts_of(work: Sequences[Work]) -> tuple[Part, ...]:
    """The parts of a step that a scheduler made, before it runs."""
    return tuple(Part(one.new, one.sequence.computed, one.completes) for one in work)


def step_cost(config: DecoderConfig, parts: Sequences[Part], element_bytes: float = 4) -> Cost:
    """Operations and bytes of a step.

    Args:
        config: shape of the decoder.
        parts: of the step, at least one.
        element_bytes: of a weight and of a cached number: 4 for float32, 2 for bfloat16, about 0.6 for four bits with
            their scales.

    >>> config = DecoderConfig.llama(2048, 256, 6, 4, 704, 1024, kv_heads=2, tied=True)
    >>> alone, eight = step_cost(config, [Part(1, 100)]), step_cost(config, [Part(1, 100)] * 8)
    >>> eight.weight_bytes == alone.weight_bytes, eight.operations / alone.operations
    (True, 8.0)
    """
    costs = [pass_cost(config, part.new, part.behind, element_bytes=1, logits=int(part.chooses)) for part in parts]
    weights = round(costs[0].weight_bytes * element_bytes)
    cached = round(sum(cost.cache_bytes for cost in costs) * element_bytes)
    return Cost(sum(cost.operations for cost in costs), weights, cached)
