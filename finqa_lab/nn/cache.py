"""A contiguous key/value cache: what attention has already computed for the positions behind it.

Keys and values of a position never change once computed (attention is causal), so decoding one more token
needs the projections of that token only. The cache costs ``2 * layers * batch * kv_heads * context *
head_width`` numbers.
"""

import torch
from torch import Tensor

from finqa_lab.nn.config import DecoderConfig


class KVCache:
    """Keys and values of all layers in one preallocated tensor each, filled from the left.

    Args:
        config: shape of the decoder.
        batch: number of sequences B; all have the same length (left-pad them, or keep one cache per length).
        capacity: positions to make room for; the default is ``config.context``.

    Attributes:
        length: number of positions filled so far. It moves in :meth:`advance`, once all layers have appended.

    >>> config = DecoderConfig(vocabulary=17, width=8, layers=2, heads=2, hidden=16, context=12)
    >>> KVCache(config, batch=3).keys.shape   # layers, batch, key/value heads, positions, head width
    torch.Size([2, 3, 2, 12, 4])
    """

    def __init__(
        self, config: DecoderConfig, batch: int, capacity: int | None = None, dtype=torch.float32, device=None
    ):
        shape = (config.layers, batch, config.key_value_heads, capacity or config.context, config.head_width)
        self.keys = torch.empty(shape, dtype=dtype, device=device)
        self.values = torch.empty(shape, dtype=dtype, device=device)
        self.length = 0

    @property
    def capacity(self) -> int:
        """Positions there is room for."""
        return self.keys.shape[3]

    @property
    def nbytes(self) -> int:
        """Bytes held by keys and values together."""
        return 2 * self.keys.numel() * self.keys.element_size()

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store (B, H_kv, T_new, d_head) behind what is there; return views of all (B, H_kv, T_all, d_head).

        Raises:
            ValueError: when there is no room left.
        """
        end = self.length + key.shape[2]
        if end > self.capacity:
            raise ValueError(f"the key/value cache holds {self.capacity} positions; {end} were asked for")
        self.keys[layer, :, :, self.length : end] = key
        self.values[layer, :, :, self.length : end] = value
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def advance(self, positions: int) -> None:
        """Count ``positions`` as filled: called once a forward pass, after every layer has appended."""
        self.length += positions

    def select(self, rows: Tensor) -> "KVCache":
        """A new cache holding the sequences ``rows`` (int64): one prefix can be continued in many ways.

        >>> config = DecoderConfig(vocabulary=17, width=8, layers=2, heads=2, hidden=16, context=12)
        >>> KVCache(config, batch=3).select(torch.tensor([0, 0, 2, 2])).keys.shape[1]
        4
        """
        chosen = object.__new__(KVCache)
        chosen.length = self.length
        for name in ("keys", "values"):
            old = getattr(self, name)
            new = old.new_empty(old.shape[0], len(rows), *old.shape[2:])
            new[..., : self.length, :] = old[..., : self.length, :][:, rows]
            setattr(chosen, name, new)
        return chosen
