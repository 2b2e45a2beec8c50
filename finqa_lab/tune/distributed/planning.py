"""What a 7B run would need on rented GPUs: memory of a rank, bytes, seconds. **Estimates**: none of it was measured.

The arithmetic is that of :mod:`finqa_lab.tune.memory`, :mod:`finqa_lab.nn.cost` and
:mod:`finqa_lab.tune.distributed.volume`, the time that of :mod:`finqa_lab.tune.distributed.scaling` with constants from
the makers' figures. Assumed are the share of the peak operations that training reaches (A. Grattafiori et al., "The
Llama 3 Herd of Models", 2024, arXiv:2407.21783, table 4, report 38 to 43% on H100s), the share of the link that
exchanges reach, and 20 microseconds that an exchange takes besides.
"""

from dataclasses import dataclass
from typing import Literal

from finqa_lab.errors import CourseError
from finqa_lab.nn.cache.memory import parameter_count
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.cost import layer_weights, pass_cost
from finqa_lab.tune import memory
from finqa_lab.tune.distributed.scaling import CostModel
from finqa_lab.tune.distributed.volume import Volume, all_reduce_bytes, gather_bytes

Method = Literal["full", "lora", "qlora"]
GB = memory.GB
LATENCY = 20e-6
"""Seconds of an exchange besides its bytes; assumed."""


@dataclass(frozen=True)
class Hardware:
    """A kind of GPU, as its maker describes it.

    Attributes:
        name: of the GPU.
        memory: bytes.
        operations: peak a second, dense bfloat16.
        link: bytes a second that a GPU can send to the others of its machine, one direction.
        source: of the figures.
    """

    name: str
    memory: float
    operations: float
    link: float
    source: str


A10G = Hardware(
    "A10G", 24e9, 70e12, 32e9,
    "NVIDIA A10G data sheet for AWS (2022): 24 GB, BF16 70 TFLOPS dense, PCIe Gen4 64 GB/s both ways, no NVLink",
)  # fmt: skip
H100 = Hardware(
    "H100 SXM", 80e9, 989e12, 450e9,
    "NVIDIA H100 data sheet (2023): 80 GB, BF16 1,979 TFLOPS with sparsity, so 989 dense, NVLink 900 GB/s both ways",
)  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """A planned step, computed and not measured.

    Attributes:
        floor: bytes on a rank: weights, gradients, moments.
        gathered: bytes of whole blocks that stand beside the shards, two at a time (one is computed with, one fetched).
        activations: bytes at least, with recomputation: inputs of the blocks, and the logits with their gradient in
            float32.
        fits: whether their sum is within the memory of the GPU.
        volume: of a rank in a step.
        compute_seconds: of a step at the assumed share of the peak.
        link_seconds: of its exchanges.
        tokens: of a step, over all ranks.
        basis: what the figures are.
    """

    floor: float
    gathered: float
    activations: float
    fits: bool
    volume: Volume
    compute_seconds: float
    link_seconds: float
    tokens: int
    basis: str = "estimate"

    @property
    def memory(self) -> float:
        """Bytes on a rank, at least."""
        return self.floor + self.gathered + self.activations

    @property
    def tokens_a_second(self) -> tuple[float, float]:
        """Without any overlap of computation and exchanges, and with all of the shorter one hidden."""
        longer = max(self.compute_seconds, self.link_seconds)
        return self.tokens / (self.compute_seconds + self.link_seconds), self.tokens / longer


def training_operations(config: DecoderConfig, method: Method, rows: int, length: int, recompute: bool = False) -> int:
    """Operations of forward and backward pass of ``rows`` texts of ``length`` tokens.

    A forward pass, twice that for the backward pass, once where the matrices are frozen (their own gradient is not
    computed), and a forward pass more with recomputation. The adapter's thin products are left out.

    >>> config = DecoderConfig.llama(512, 64, 2, 8, 192, 1024)
    >>> training_operations(config, "full", 1, 64) / training_operations(config, "lora", 1, 64)
    1.5
    """
    return pass_cost(config, new=length, batch=rows).operations * ((3 if method == "full" else 2) + recompute)


def estimate(
    config: DecoderConfig,
    method: Method,
    strategy: Literal["ddp", "fsdp"],
    hardware: Hardware,
    ranks: int,
    *,
    rows: int = 1,
    length: int = 2048,
    micro_batches: int = 1,
    rank: int = 16,
    recompute: bool = True,
    utilisation: float = 0.4,
    link_share: float = 0.7,
) -> Estimate:
    """A step of a model in Llama's layout.

    Trained numbers are float32 with two moments, 16 bytes each; a frozen base is bfloat16 (``lora``) or NF4
    (``qlora``). Parameters are gathered in 16 bits where they are floats, codes as they are.

    Args:
        config: of the decoder.
        method: what is trained.
        strategy: every rank holds all, or a part.
        hardware: of every rank; all in one machine.
        ranks: GPUs.
        rows, length: of a micro-batch on a rank.
        micro_batches: of a rank in a step.
        rank: of the adapter.
        recompute: activation checkpointing; without it activations are not estimated (they are then far more).
        utilisation: share of the peak operations that is assumed.
        link_share: share of the link that is assumed.

    >>> lora, full = (estimate(memory.LLAMA_7B, method, "ddp", A10G, 4) for method in ("lora", "full"))
    >>> lora.fits, full.fits, lora.basis
    (True, False, 'estimate')

    Raises:
        CourseError: for another method or strategy.
    """
    if method not in ("full", "lora", "qlora") or strategy not in ("ddp", "fsdp"):
        raise CourseError(f"there is no plan for '{method}' with '{strategy}'; choose full, lora, qlora; ddp, fsdp")
    parameters, blocks = parameter_count(config), config.layers * layer_weights(config)
    trained = parameters if method == "full" else memory.adapter_parameters(config, rank)
    floors = {
        "full": lambda: memory.full(parameters, weight_bytes=4),
        "lora": lambda: memory.lora(parameters, trained),
        "qlora": lambda: memory.qlora(config, rank),
    }
    floor = floors[method]().total
    block_bytes = blocks * (memory.NF4_DOUBLE_BITS / 8 if method == "qlora" else 2)
    adapter_bytes = 0 if method == "full" else trained * 2
    if strategy == "fsdp":
        root = (parameters - blocks) * 2
        passes = micro_batches * (2 * (block_bytes + adapter_bytes) + root)
        exchanges = micro_batches * (2 * config.layers + 1) + config.layers + (method == "full")
        volume = Volume(gather_bytes(passes, ranks), gather_bytes(trained * 4, ranks), exchanges)
        floor, gathered = floor / ranks, 2 * (block_bytes + adapter_bytes) / config.layers + root
    else:
        volume = Volume(0.0, all_reduce_bytes(trained * 4, ranks), -(-trained * 4 // (25 * 2**20)))
        gathered = 0.0
    positions = rows * length
    activations = config.layers * positions * config.width * 2 + 2 * positions * config.vocabulary * 4
    model = CostModel(1 / (utilisation * hardware.operations), link_share * hardware.link, LATENCY)
    operations = micro_batches * training_operations(config, method, rows, length, recompute)
    return Estimate(
        floor=floor,
        gathered=gathered,
        activations=activations if recompute else 0.0,
        fits=floor + gathered + (activations if recompute else 0.0) <= hardware.memory,
        volume=volume,
        compute_seconds=operations * model.work_seconds,
        link_seconds=model.communication(volume),
        tokens=positions * micro_batches * ranks,
    )


def table(config: DecoderConfig = memory.LLAMA_7B, **settings) -> list[dict]:
    """The plans of a 7B run on 4 A10G and on 8 H100, one row each, JSON-ready; ``settings`` as in :func:`estimate`."""
    found = []
    for hardware, ranks in ((A10G, 4), (H100, 8)):
        for method in ("qlora", "lora", "full"):
            for strategy in ("ddp", "fsdp"):
                plan = estimate(config, method, strategy, hardware, ranks, **settings)
                slow, fast = plan.tokens_a_second
                found.append(
                    {
                        "basis": plan.basis,
                        "machine": f"{ranks} x {hardware.name}",
                        "method": method,
                        "strategy": strategy,
                        "memory_gb": round(plan.memory / GB, 1),
                        "fits": plan.fits,
                        "sent_gb_a_step": round(plan.volume.total / GB, 2),
                        "compute_seconds": round(plan.compute_seconds, 2),
                        "link_seconds": round(plan.link_seconds, 2),
                        "tokens_a_second": [round(slow), round(fast)],
                    }
                )
    return found
