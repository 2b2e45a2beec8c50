"""What a decoder really computes, counted by hooks on its layers: nothing is taken from formulas.

With a cache, a prompt of n tokens and m new ones cost n + m - 1 positions: the last token is never read back. Without
one, pass i reads n + i positions, i = 0..m-1: n m + m (m - 1) / 2 in all.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from finqa_lab.nn.latent import LatentAttention
from finqa_lab.nn.transformer import Block, Decoder


@dataclass
class Projections:
    """Counts over all passes of a decoder; a position counts once for every row, padding included.

    Attributes:
        passes: calls of the decoder.
        fed: positions given to it.
        keys: for each layer, the positions whose keys (or latents) were computed.
    """

    passes: int = 0
    fed: int = 0
    keys: list[int] = field(default_factory=list)


@contextlib.contextmanager
def count_projections(model: Decoder) -> Iterator[Projections]:
    """Count while the context is open; the counts can be read inside and after it.

    >>> from finqa_lab.nn.config import DecoderConfig
    >>> from finqa_lab.nn.generate import Stop, generate
    >>> model = Decoder(DecoderConfig(vocabulary=17, width=8, layers=2, heads=2, hidden=16, context=12))
    >>> for use_cache in (True, False):
    ...     with count_projections(model) as counted:
    ...         _ = generate(model, [[1, 2, 3, 4, 5]], Stop(limit=3), use_cache=use_cache)
    ...     print(counted)
    Projections(passes=3, fed=7, keys=[7, 7])
    Projections(passes=3, fed=18, keys=[18, 18])
    """
    counted = Projections(keys=[0] * len(model.blocks))

    def embedded(_module, inputs, _output):
        counted.passes += 1
        counted.fed += inputs[0].numel()

    def projected(layer: int):
        def count(_module, _inputs, output):
            counted.keys[layer] += output.shape[:-1].numel()

        return count

    hooks = [model.token_embedding.register_forward_hook(embedded)]
    hooks += [_projection(block).register_forward_hook(projected(i)) for i, block in enumerate(model.blocks)]
    try:
        yield counted
    finally:
        for hook in hooks:
            hook.remove()


def _projection(block: Block):
    """The module that computes what a layer caches for a position."""
    attention = block.attention
    return attention.latent if isinstance(attention, LatentAttention) else attention.key
