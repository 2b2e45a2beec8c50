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
from torch.distributed.fsdp import FullyShardedDataParallel

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.transformer import Decoder
from finqa_lab.tune.batches import windows
from finqa_lab.tune.distributed.ranks import Ranks
from finqa_lab.tune.distributed.strategies import Group
from finqa_lab.tune.linear4bit import bitsandbytes, quantize_linears, quantized_linears
from finqa_lab.tune.lora import LoRAConfig, add_adapter
from finqa_lab.tune.training import loss_sum, trained


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


STORAGES = (torch.uint8, torch.bfloat16, torch.float32)


def try_storages(ranks: Ranks) -> dict[str, str | float]:
    """What FSDP2 and FSDP1 make of 4-bit codes in three dtypes, on a small decoder beside float32 adapters.

    Args:
        ranks: at least two; all of them call this.

    Returns:
        By version and dtype (``"FSDP2 uint8"``), the distance of the loss from that of the unsharded model, or the
        words of the refusal.
    """
    found: dict[str, str | float] = {}
    stream = torch.randint(0, 96, (300,), generator=torch.Generator().manual_seed(0))
    batch = windows(stream, 12, 2)(0)[0].to(ranks.device)

    def make() -> Decoder:
        model = Decoder(DecoderConfig.llama(96, 64, 2, 4, 128, 32, kv_heads=2))
        quantize_linears(model)
        model.to(ranks.device)
        add_adapter(model, LoRAConfig(4, 8.0))
        draw = torch.Generator().manual_seed(1)
        with torch.no_grad():  # an untrained adapter adds nothing, and a fault in it would not be seen
            for parameter in trained(model).values():
                parameter.copy_(torch.randn(parameter.shape, generator=draw) / 20)
        return model

    expected = float(loss_sum(make(), batch).detach())
    for dtype in STORAGES:
        for version in (2, 1):
            model = make()
            store_codes_as(model, dtype)
            key = f"FSDP{version} {str(dtype).removeprefix('torch.')}"
            try:
                if version == 2:
                    Group(ranks, model, "fsdp")
                else:
                    for place, block in enumerate(model.blocks):
                        model.blocks[place] = FullyShardedDataParallel(
                            block, use_orig_params=True, device_id=ranks.device
                        )
                loss = loss_sum(model, batch)
                loss.backward()
                found[key] = abs(float(loss.detach()) - expected)
            except ValueError as error:
                found[key] = str(error)
    return found
