"""The diary's table of workers, explained, and the same model on a GPU for hire.

An engineering diary reports tokens a second of one server with continuous batching, against the number of workers that
ask it, for a model file of 0.986 GB on a machine whose memory is said to move 200 GB/s. Nothing more is known of it.
If reading the weights were all that a step does, two workers would be served twice as fast as one, and so on; the
table is far from that. What a step model can do is to say how much time a further worker adds to a step.

The GPU's two ceilings are published figures. What fraction of them a server reaches is not; the range here is an
assumption, and every number that comes from it an estimate.
"""

from collections.abc import Sequence as Sequences
from dataclasses import dataclass, replace

import numpy as np

from finqa_lab.nn.config import DecoderConfig
from finqa_lab.serve.simulate.machine import StepModel
from finqa_lab.serve.simulate.steps import Part, step_cost

DIARY = {1: 85.6, 2: 96.7, 4: 157.6, 8: 181.6}
"""Tokens a second by workers."""
DIARY_BYTES = 0.986e9
DIARY_BANDWIDTH = 200e9
"""Of the machine, as the diary states it."""

A10G = StepModel(bandwidth=600e9, rate=70e12)
"""NVIDIA A10G with 24 GB, as published, 600 GB/s and 70 TFLOP/s in 16 bits without sparsity; no overhead.
See https://www.baseten.co/blog/nvidia-a10-vs-a10g-for-ml-model-inference/"""
LLAMA_3B = DecoderConfig.llama(128_256, 3072, 28, 24, 8192, 131_072, kv_heads=8, head_dim=128, tied=True)
"""Shape of Llama-3.2-3B by its ``config.json``.
See https://huggingface.co/meta-llama/Llama-3.2-3B"""
REACHED = (0.4, 0.8)
"""Fractions of both ceilings that a server may reach, an assumption."""


@dataclass(frozen=True)
class Explained:
    """A step model of a table of workers: step seconds = first + further · (workers - 1).

    Attributes:
        first: seconds of a step for one worker.
        further: seconds that every further worker adds.
        predicted: tokens a second by workers.
        error: largest absolute relative error of them.
    """

    first: float
    further: float
    predicted: dict[int, float]
    error: float


def explain(table: dict[int, float] = DIARY) -> Explained:
    """Fit a step with a constant cost for each worker, in relative least squares.

    The largest error is that of two workers. A likely reason: for one sequence a product is computed by a kernel for
    vectors, for several by one for matrices. A line through the larger batches alone fits them better.

    >>> found = explain()
    >>> round(1000 * found.first, 1), round(1000 * found.further, 1), f"{found.error:.0%}"
    (12.5, 4.6, '21%')
    >>> batched = explain({workers: rate for workers, rate in DIARY.items() if workers > 1})
    >>> round(1000 * batched.first, 1), round(1000 * batched.further, 1), f"{batched.error:.0%}"
    (16.1, 3.7, '7%')
    """
    workers = np.array(list(table), dtype=np.float64)
    seconds = workers / np.array(list(table.values()))
    columns = np.column_stack([np.ones_like(workers), workers - 1]) / seconds[:, None]
    first, further = map(float, np.linalg.lstsq(columns, np.ones_like(workers), rcond=None)[0])
    predicted = {count: count / (first + further * (count - 1)) for count in table}
    error = max(abs(predicted[count] / table[count] - 1) for count in table)
    return Explained(first, further, predicted, error)


def weights_alone(table: dict[int, float] = DIARY) -> dict[int, float]:
    """Tokens a second if a step did nothing but read the weights, at the speed that one worker shows.

    >>> weights_alone()[8]
    684.8
    """
    return {count: count * table[1] for count in table}


def share_of_bandwidth(table: dict[int, float] = DIARY) -> float:
    """Fraction of the stated bandwidth that one worker's tokens use for the weights.

    >>> f"{share_of_bandwidth():.0%}"
    '42%'
    """
    return table[1] * DIARY_BYTES / DIARY_BANDWIDTH


def efficiency(table: dict[int, float] = DIARY) -> dict[int, float]:
    """Speed per worker, relative to that of one.

    >>> {workers: f"{share:.0%}" for workers, share in efficiency().items()}
    {1: '100%', 2: '56%', 4: '46%', 8: '27%'}
    """
    return {count: rate / count / table[1] for count, rate in table.items()}


def reaching(machine: StepModel, fraction: float) -> StepModel:
    """The machine with a fraction of both of its ceilings."""
    return replace(machine, bandwidth=machine.bandwidth * fraction, rate=machine.rate * fraction)


def decode_rates(
    machine: StepModel,
    config: DecoderConfig,
    concurrency: Sequences[int],
    behind: int = 600,
    element_bytes: float = 2,
) -> dict[int, float]:
    """Tokens a second of sequences that only decode.

    Args:
        machine: what a step costs.
        config: shape of the decoder.
        concurrency: sequences in a step.
        behind: positions of each in the cache.
        element_bytes: of weights and cache.

    >>> rates = decode_rates(A10G, LLAMA_3B, (1, 16))
    >>> round(rates[1]), round(rates[16])
    (92, 1275)
    """
    rates = {}
    for count in concurrency:
        cost = step_cost(config, [Part(1, behind)] * count, element_bytes)
        rates[count] = count / machine.seconds(cost, count, count)
    return rates
