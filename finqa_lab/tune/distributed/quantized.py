"""A frozen base in four bits among several ranks: which dtype its codes must pretend to have.

Codes are bytes, two weights each. bitsandbytes can store the same bytes as numbers of a float dtype
(``bnb_4bit_quant_storage`` in transformers), because **FSDP1** (``FullyShardedDataParallel``) joins the parameters of a
block into one flat tensor: all must have one dtype, and it must be a float (bitsandbytes documentation, "FSDP-QLoRA").

**FSDP2** shards every parameter by itself. As measured with torch 2.13 and bitsandbytes 0.50
(``tests/tune/test_distributed.py``), it takes ``uint8`` codes as they are, and loss and gradients are those of one
process; with FSDP1 ``uint8`` is refused, and a float dtype is too unless it is that of all other parameters of the
block. Only codes are sharded: the scales (``quant_state``) stay whole on every rank.
"""

import torch
from torch import nn

from finqa_lab.errors import CourseError
from finqa_lab.tune.linear4bit import bitsandbytes, quantized_linears


def store_codes_as(model: nn.Module, dtype: torch.dtype) -> int:
    """Let all 4-bit layers of a model keep the same bytes as numbers of another dtype.

    Args:
        model: changed in place, before it is sharded.
        dtype: ``torch.uint8``, or the float dtype of the parameters beside it.

    Returns:
        How many layers there are.

    Raises:
        CourseError: when a layer's bytes are no whole count of such numbers.
    """
    layers = quantized_linears(model)
    for path, layer in layers.items():
        old = layer.weight
        if old.nbytes % dtype.itemsize:
            raise CourseError(f"{path} has {old.nbytes} bytes of codes, no multiple of {dtype.itemsize}; keep uint8")
        layer.weight = bitsandbytes().nn.Params4bit(
            old.data.flatten().view(dtype).view(-1, 1),
            requires_grad=False,
            quant_state=old.quant_state,
            blocksize=old.blocksize,
            compress_statistics=old.compress_statistics,
            quant_type=old.quant_type,
            quant_storage=dtype,
            bnb_quantized=True,
            module=layer,
        )
        layer.quant_state, layer.quant_storage = old.quant_state, dtype
    return len(layers)
