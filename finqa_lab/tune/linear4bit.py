"""QLoRA's base: the matrices of the blocks in four bits, stored and multiplied by ``bitsandbytes``.

``Linear4bit`` keeps a matrix as 4-bit codes with one scale for each block of weights, and reads it back into
``compute`` for every product (T. Dettmers et al., "QLoRA: Efficient Finetuning of Quantized LLMs", 2023,
arXiv:2305.14314, section 3). The codes are not trained; gradients flow through them to an adapter
(:mod:`finqa_lab.tune.lora`). :mod:`finqa_lab.tune.blockwise` is the same arithmetic in the open.

A trap of bitsandbytes 0.50 is switched off here. On a CPU with AVX512-BF16 the first pass in evaluation mode repacks
the codes in place and rounds the scales to bfloat16. Whoever reads the matrix afterwards (merging, saving, training
on) gets garbage without an error, and the results differ from those of another CPU.
"""

import copy
import importlib
import logging
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from finqa_lab.errors import CourseError
from finqa_lab.nn.transformer import Decoder

TABLES = ("nf4", "fp4")
BLOCKS = (32, 64, 128, 256, 512, 1024, 2048, 4096)


def bitsandbytes():
    """The package, imported when first needed.

    Raises:
        CourseError: when it is not installed.
    """
    # On a CPU with AVX512-BF16 it warns that an optional kernel from a model hub is not there; nothing here uses it.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    try:
        return importlib.import_module("bitsandbytes")
    except ImportError:
        raise CourseError(
            'four-bit layers need the package bitsandbytes, which is not installed; run `pip install "finqa-lab[tune]"`'
        ) from None


def quantize_linears(
    model: Decoder, table: str = "nf4", double: bool = True, block: int = 64, compute: torch.dtype | None = None
) -> list[str]:
    """Replace every linear layer of the blocks by a ``Linear4bit`` with the same matrix, frozen, on the same device.

    Embeddings, norms and the output head stay as they are.

    Args:
        model: changed in place; without adapters, which come on top afterwards.
        table: "nf4" or "fp4", see :func:`finqa_lab.tune.codebooks.codebook`.
        double: keep the scales in 8 bits.
        block: weights that share a scale; a row must hold whole blocks.
        compute: dtype of the products; None takes that of the weights.

    Returns:
        The names of the replaced layers.

    Raises:
        CourseError: when a setting is unknown, a layer does not fit the block, there is nothing to replace or an
            adapter is on the model, or bitsandbytes is missing; the model is then as it was.
    """
    if table not in TABLES or block not in BLOCKS:
        raise CourseError(
            f"table '{table}' with blocks of {block} is not stored by bitsandbytes; choose a table of "
            f"{', '.join(TABLES)} and a block of {', '.join(map(str, BLOCKS))}"
        )
    if any(".adapters." in name for name, _ in model.named_parameters()):
        raise CourseError("the model has an adapter; quantize the base first and add adapters to it afterwards")
    found = {
        path: layer
        for path, layer in model.blocks.named_modules(prefix="blocks")
        if isinstance(layer, nn.Linear) and not is_quantized(layer)
    }
    if not found:
        raise CourseError("no linear layer is left to quantize; load the model again for other settings")
    for path, layer in found.items():
        if layer.in_features % block:
            raise CourseError(
                f"{path} has {layer.in_features} inputs, no multiple of the block of {block}; choose another block, "
                "or a model whose widths are multiples of it"
            )
    library = bitsandbytes()
    for path, layer in found.items():
        new = library.nn.Linear4bit(
            layer.in_features,
            layer.out_features,
            bias=layer.bias is not None,
            compute_dtype=compute or layer.weight.dtype,
            device="meta",
        )
        new.weight = library.nn.Params4bit(
            layer.weight.detach(), blocksize=block, compress_statistics=double, quant_type=table, module=new
        )
        new.weight = new.weight.to(layer.weight.device)  # this quantizes
        if layer.bias is not None:
            new.bias = nn.Parameter(layer.bias.detach(), requires_grad=False)
        parent, _, child = path.rpartition(".")
        setattr(model.get_submodule(parent), child, new.train(layer.training))
    keep_unpacked(model)
    return list(found)


def keep_unpacked(model: nn.Module) -> int:
    """Switch the repacking for AVX512-BF16 off in all ``Linear4bit`` of a model, also of transformers or peft.

    Evaluation on such a CPU is then slower, and exact.

    Returns:
        How many layers there are.

    Raises:
        CourseError: when a layer has been repacked already: its exact scales are gone.
    """
    layers = quantized_linears(model)
    for path, layer in layers.items():
        if getattr(layer.weight.quant_state, "packing_format_for_cpu", False):
            raise CourseError(
                f"{path} was repacked by a pass in evaluation mode; load the model again and call this before any pass"
            )
        layer.support_avx512bf16_for_cpu = False
    return len(layers)


def is_quantized(layer: nn.Module) -> bool:
    """Whether a layer's weight is stored as codes, so that nothing can be added to it."""
    weight = getattr(layer, "weight", None)
    return isinstance(weight, Tensor) and (hasattr(weight, "quant_state") or not weight.is_floating_point())


def quantized_linears(model: nn.Module) -> dict[str, nn.Linear]:
    """The 4-bit layers by their path in the model."""
    return {
        path: layer
        for path, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and is_quantized(layer) and hasattr(layer.weight, "quant_state")
    }


def dense(weight: Tensor) -> Tensor:
    """A parameter as float numbers: codes are read back on the CPU, as float32 (out, in); others come as they are."""
    if not hasattr(weight, "quant_state"):
        return weight.detach()
    state = copy.deepcopy(weight.quant_state)  # its .to() moves it in place
    state.to("cpu")
    state.dtype = torch.float32
    # Not on the device: a GPU may round otherwise, and a fingerprint must not depend on where the model is.
    return bitsandbytes().functional.dequantize_4bit(weight.detach().cpu(), state)


def dequantized(model: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A copy with ordinary linear layers that hold the values the codes stand for; adapters are copied too.

    This is what an adapter that was trained on the 4-bit base is merged into: the sum is not rounded to four bits
    again.

    Args:
        model: left as it is.
        dtype: of the matrices that were in four bits.
    """
    new = copy.deepcopy(model)
    for path, layer in quantized_linears(new).items():
        plain = nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
        plain.weight = nn.Parameter(dense(layer.weight).to(layer.weight.device, dtype), requires_grad=False)
        if layer.bias is not None:
            plain.bias = layer.bias
        parent, _, child = path.rpartition(".")
        setattr(new.get_submodule(parent), child, plain.train(layer.training))
    return new


def stored(weight: Tensor) -> Iterator[Tensor]:
    """The tensors that a parameter is kept in: itself, or codes, scales, and what double quantization adds.

    The tables of 16 and of 256 entries are left out: they are the same for every layer.
    """
    yield weight
    state = getattr(weight, "quant_state", None)
    if state is not None:
        yield state.absmax
        if state.nested:
            yield from (state.state2.absmax, state.offset)
