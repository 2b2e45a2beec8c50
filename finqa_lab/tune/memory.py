"""Memory of training: the floor, which is arithmetic, and what a forward pass keeps, which is measured.

The **floor** is what stands in memory before the first token: weights, their gradients, and what the optimizer
remembers of each trained number. Figures such as "80 GB for a 7B model" are a floor plus activations and overhead under
some batch and length; the floor alone says what can never fit.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from finqa_lab.errors import CourseError
from finqa_lab.nn.cache.memory import parameter_count
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.cost import layer_weights
from finqa_lab.nn.transformer import Decoder
from finqa_lab.tune.linear4bit import stored
from finqa_lab.tune.lora import LoRAConfig, add_adapter

GB = 10**9
NF4_BITS, NF4_DOUBLE_BITS = 4 + 32 / 64, 4 + 8 / 64 + 32 / (64 * 256)
"""Bits of a weight with its share of the scales, in blocks of 64, see :mod:`finqa_lab.tune.blockwise`."""

LLAMA_7B = DecoderConfig.llama(32000, 4096, 32, 32, 11008, 4096, tied=False)
"""H. Touvron et al., "LLaMA", 2023: 6.738 billion parameters."""


@dataclass(frozen=True)
class Floor:
    """Bytes by what they hold.

    Attributes:
        weights: of the model, trained or frozen.
        adapter: trained low-rank matrices.
        gradients: of the trained numbers.
        optimizer: moments, and a master copy where there is one.
    """

    weights: float
    adapter: float
    gradients: float
    optimizer: float

    @property
    def total(self) -> float:
        """Their sum."""
        return self.weights + self.adapter + self.gradients + self.optimizer


def full(parameters: int, weight_bytes: int = 2, master: bool = True, state_bytes: int = 4) -> Floor:
    """Training all parameters with AdamW: two moments each, and a float32 master copy for 16-bit weights.

    >>> round(full(6_738_415_616).total / GB, 1), round(full(6_738_415_616, master=False).total / GB, 1)
    (107.8, 80.9)

    Args:
        parameters: trained numbers.
        weight_bytes: 2 for bfloat16 weights and gradients, 4 for float32.
        master: keep the master copy.
        state_bytes: of each moment; 1 for an 8-bit optimizer, its scales left out.
    """
    kept = 2 * state_bytes + (4 if master and weight_bytes < 4 else 0)
    return Floor(parameters * weight_bytes, 0, parameters * weight_bytes, parameters * kept)


def lora(base: int, adapter: int, weight_bytes: int = 2, adapter_bytes: int = 4) -> Floor:
    """A frozen base and an adapter in float32 with AdamW: 16 bytes for each trained number.

    >>> round(lora(6_738_415_616, adapter_parameters(LLAMA_7B, 16)).total / GB, 1)
    14.1
    """
    return Floor(base * weight_bytes, adapter * adapter_bytes, adapter * adapter_bytes, adapter * 8)


def qlora(config: DecoderConfig, rank: int, double: bool = True) -> Floor:
    """The layers' matrices in NF4, all else in bfloat16, an adapter in float32 with AdamW.

    >>> round(qlora(LLAMA_7B, 16).total / GB, 1), round(qlora(LLAMA_7B, 64).total / GB, 1)
    (4.5, 6.4)
    """
    quantized = config.layers * layer_weights(config)
    rest = parameter_count(config) - quantized
    weights = quantized * (NF4_DOUBLE_BITS if double else NF4_BITS) / 8 + rest * 2
    adapter = adapter_parameters(config, rank)
    return Floor(weights, adapter * 4, adapter * 4, adapter * 8)


def adapter_parameters(config: DecoderConfig, rank: int) -> int:
    """Numbers of an adapter on all seven matrices of every layer.

    >>> adapter_parameters(LLAMA_7B, 16)
    39976960

    Raises:
        CourseError: for a decoder without the Llama layout.
    """
    if config.mlp != "swiglu" or config.latent is not None:
        raise CourseError("this count is for the Llama layout; use finqa_lab.tune.lora.parameter_count for others")
    width, keys = config.width, (config.kv_heads or config.heads) * config.head_width
    queries = config.heads * config.head_width
    shapes = [(queries, width), (keys, width), (keys, width), (width, queries)]
    shapes += [(config.hidden, width)] * 2 + [(width, config.hidden)]
    return config.layers * rank * sum(rows + columns for rows, columns in shapes)


def measured(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> Floor:
    """The floor counted on tensors that are there: call it after an optimizer step, when gradients and moments are.

    A weight in four bits counts with its scales.
    """
    adapter = [p for name, p in model.named_parameters() if ".adapters." in name]
    others = [t for name, p in model.named_parameters() if ".adapters." not in name for t in stored(p)]
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    states = optimizer.state.values() if optimizer else ()
    # AdamW also keeps a step counter, one number a parameter tensor: left out, as the formula does.
    moments = [value for state in states for value in state.values() if isinstance(value, Tensor) and value.ndim]
    return Floor(*(sum(tensor.nbytes for tensor in part) for part in (others, adapter, gradients, moments)))


def shell(config: DecoderConfig, rank: int = 0, dtype: torch.dtype = torch.bfloat16) -> Decoder:
    """A decoder in training mode on the device ``meta``: shapes without memory, to count what a pass would keep.

    >>> model = shell(LLAMA_7B, rank=16)
    >>> model.blocks[0].mlp.up.weight.shape, model.blocks[0].mlp.up.weight.device
    (torch.Size([11008, 4096]), device(type='meta'))

    Args:
        config: its shape.
        rank: of an adapter on all seven matrices of every layer, float32 as in training; 0 for none.
        dtype: of the weights.
    """
    with torch.device("meta"):
        model = Decoder(config).to(dtype)
    if rank:
        add_adapter(model, LoRAConfig(rank=rank, alpha=2 * rank))
    return model.train()


def kept_bytes(model: nn.Module, tokens: Tensor) -> int:
    """Bytes that a forward pass keeps for the backward pass, parameters left out, each stretch of memory once.

    On a :func:`shell` attention is computed step by step, and the (length, length) matrices of its heads are kept;
    the fused kernels of a CPU or GPU keep none of them.

    Args:
        model: in the mode in which it trains.
        tokens: int64 (batch, length), on the device of the model.
    """
    # Not its address: tensors without memory have none.
    own = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    kept: dict[int, int] = {}
    alive = []  # or the storage is given back and its number used again

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(tokens)
    return sum(kept.values())
