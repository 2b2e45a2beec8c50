"""Activation checkpointing: a block keeps its input only, and computes its forward pass again for the gradient.

Memory for activations falls from all that a block computes to one (batch, length, width) tensor a block; the price is
a second forward pass, about a third more computation when everything is trained (T. Chen et al., "Training Deep Nets
with Sublinear Memory Cost", 2016, arXiv:1604.06174). Values are recomputed with the same operations and the same random
state, so loss and gradients are the same bits. "Checkpoint" is the usual name; here it is **recomputation**, because a
checkpoint is also a file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from torch.utils.checkpoint import checkpoint

from finqa_lab.nn.transformer import Decoder


@contextmanager
def recomputed_blocks(model: Decoder, on: bool = True) -> Iterator[Decoder]:
    """Recompute every block of a decoder in the backward passes made inside the ``with`` block.

    Args:
        model: sharded (before or within) or not; its blocks are as they were afterwards.
        on: False changes nothing, so that a setting can be passed through.

    >>> from finqa_lab.nn.config import DecoderConfig
    >>> model = Decoder(DecoderConfig.llama(16, 8, 1, 2, 16, 8))
    >>> with recomputed_blocks(model):
    ...     "forward" in vars(model.blocks[0])
    True
    >>> "forward" in vars(model.blocks[0])
    False
    """
    if not on:
        yield model
        return
    for block in model.blocks:
        # Only the computation is wrapped: hooks of the block, such as FSDP's gathering, run once around it.
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    try:
        yield model
    finally:
        for block in model.blocks:
            del block.forward
