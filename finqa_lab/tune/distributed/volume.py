"""How many bytes a training step sends: predicted from the shapes, and counted while it runs.

The least that a rank must send, which ring algorithms reach (P. Patarasuk and X. Yuan, "Bandwidth optimal all-reduce
algorithms for clusters of workstations", 2009), for n ranks:

==============  ======================  ======================================
exchange        sent by a rank          of
==============  ======================  ======================================
all-reduce      2 (n - 1) / n x bytes   the tensor that is summed
all-gather      (n - 1) / n x bytes     the whole tensor that is put together
reduce-scatter  (n - 1) / n x bytes     the whole tensor that is summed
==============  ======================  ======================================

DDP all-reduces the gradients of trained parameters. FSDP2 gathers every parameter, frozen or trained, once for the
forward and once for the backward pass (what is left as the root only once: it stays gathered in between), and
reduce-scatters the gradients. That is half as much again as DDP when all is trained (ZeRO, arXiv:1910.02054, section
7), and far more with LoRA, where DDP sends the adapter only.

gloo, as measured with torch 2.13, sends twice as much for a reduce-scatter, which is what an all-reduce of the whole
tensor costs (``benchmarks/distributed.py`` reads the operating system's counter).
"""

from collections import Counter
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from finqa_lab.nn.transformer import Decoder


def all_reduce_bytes(size: float, ranks: int) -> float:
    """Bytes that a rank sends for the sum of a tensor of ``size`` bytes.

    >>> all_reduce_bytes(100, 1), all_reduce_bytes(100, 2), all_reduce_bytes(100, 4)
    (0.0, 100.0, 150.0)
    """
    return 2 * (ranks - 1) / ranks * size


def gather_bytes(size: float, ranks: int) -> float:
    """Bytes that a rank sends so that all have the whole of ``size`` bytes; the same for a reduce-scatter.

    >>> gather_bytes(100, 4)
    75.0
    """
    return (ranks - 1) / ranks * size


@dataclass(frozen=True)
class Volume:
    """Bytes that a rank sends in an optimizer step.

    Attributes:
        gathered: for parameters.
        reduced: for gradients.
        exchanges: all-gathers, reduce-scatters and all-reduces in all.
    """

    gathered: float
    reduced: float
    exchanges: int

    @property
    def total(self) -> float:
        """Their sum."""
        return self.gathered + self.reduced


def ddp_volume(model: nn.Module, ranks: int, bucket: int = 25 * 2**20) -> Volume:
    """Of DDP, for any number of micro-batches: gradients are summed behind the last.

    Args:
        model: not sharded.
        ranks: of the training.
        bucket: bytes of gradients that DDP sums at once (its default). The first bucket is smaller, so a large model
            has about one exchange more than this says.
    """
    size = sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    return Volume(0.0, all_reduce_bytes(size, ranks), -(-size // bucket))


def fsdp_volume(
    model: Decoder, ranks: int, micro_batches: int = 1, element_bytes: int | None = None, gloo: bool = False
) -> Volume:
    """Of FSDP2 as :func:`finqa_lab.tune.distributed.strategies.shard` sets it up.

    Args:
        model: not sharded.
        ranks: of the training.
        micro_batches: of a rank in a step.
        element_bytes: of a gathered number, where it is another than the stored (``gather`` of the strategy).
        gloo: count a reduce-scatter as the all-reduce that gloo makes of it.
    """
    blocks = [list(block.parameters()) for block in model.blocks]
    inside = {id(parameter) for block in blocks for parameter in block}
    root = [parameter for parameter in model.parameters() if id(parameter) not in inside]
    gathered = reduced = 0.0
    exchanges = 0
    for parameters, passes in [*((block, 2) for block in blocks), (root, 1)]:
        gathered += passes * micro_batches * sum(_padded(p, ranks, element_bytes) for p in parameters)
        trained = [p for p in parameters if p.requires_grad]
        reduced += sum(_padded(p, ranks) for p in trained)
        exchanges += passes * micro_batches * bool(parameters) + bool(trained)
    summed = all_reduce_bytes(reduced, ranks) if gloo else gather_bytes(reduced, ranks)
    return Volume(gather_bytes(gathered, ranks), summed, exchanges)


def _padded(parameter: Tensor, ranks: int, element_bytes: int | None = None) -> int:
    """Bytes of a parameter whose rows are filled up to a multiple of the ranks."""
    rows = parameter.shape[0] if parameter.ndim else 1
    size = element_bytes if element_bytes and parameter.is_floating_point() else parameter.itemsize
    return -(-rows // ranks) * ranks * (parameter.numel() // rows) * size


@dataclass
class Counts:
    """What the exchanges inside a :class:`CountExchanges` block carried.

    Attributes:
        calls: by kind of exchange.
        sizes: bytes of the whole tensors, by kind.
    """

    calls: Counter = field(default_factory=Counter)
    sizes: Counter = field(default_factory=Counter)

    def sent(self, ranks: int) -> float:
        """Bytes that this rank sent, by the formulas above for the sizes counted."""
        summed = all_reduce_bytes(self.sizes["all-reduce"], ranks)
        return summed + gather_bytes(self.sizes["all-gather"] + self.sizes["reduce-scatter"], ranks)


_KINDS = {
    "allreduce_": "all-reduce",
    "all_reduce": "all-reduce",
    "_allgather_base_": "all-gather",
    "allgather_into_tensor_coalesced_": "all-gather",
    "all_gather_into_tensor": "all-gather",
    "_reduce_scatter_base_": "reduce-scatter",
    "reduce_scatter_tensor": "reduce-scatter",
}


class CountExchanges(TorchDispatchMode):
    """Counts what torch hands to the process group while the ``with`` block lasts, in forward and backward passes.

    DDP's C++ reducer, FSDP2 and sharded tensors all go through torch's dispatcher, where this looks on. It sees the
    tensors, not the wire: what the backend makes of them is for the operating system's counters
    (``benchmarks/distributed.py`` reads those of the loopback interface).

    Args:
        smallest: exchanges of fewer bytes are not counted; they are the sums of losses and norms.
    """

    def __init__(self, smallest: int = 0):
        super().__init__()
        self.counts, self._smallest = Counts(), smallest

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Look at an operation and run it."""
        if any(issubclass(kind, DTensor) for kind in types):
            return NotImplemented  # the operation on shards comes by again
        result = function(*args, **(kwargs or {}))
        if function.namespace in ("c10d", "_c10d_functional"):
            name = function._schema.name.split("::")[1]
            if name in _KINDS:
                tensors = [t for t in tree_leaves((args, kwargs, result)) if isinstance(t, Tensor)]
                size = max(t.nbytes for t in tensors)  # of shard and whole, the whole
                if size >= self._smallest:
                    self.counts.calls[_KINDS[name]] += 1
                    self.counts.sizes[_KINDS[name]] += size
        return result
