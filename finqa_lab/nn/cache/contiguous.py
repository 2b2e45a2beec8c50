"""A contiguous key/value cache: one tensor for the whole context, reserved before the first token.

Keys and values of a position never change once computed (attention is causal), so decoding one more token
needs the projections of that token only.
"""

import copy

import torch
from torch import Tensor

from finqa_lab.errors import CourseError
from finqa_lab.nn.cache.interface import Cache
from finqa_lab.nn.config import DecoderConfig


class ContiguousCache(Cache):
    """Keys and values of all layers in one preallocated tensor each, filled from the left.

    Args:
        config: shape of the decoder.
        batch: number of sequences B; all have the same length (left-pad them, or keep one cache per length).
        capacity: positions to make room for; the default is ``config.context``.
        dtype, device: of the tensors; those of the model.

    >>> config = DecoderConfig(vocabulary=17, width=8, layers=2, heads=2, hidden=16, context=12)
    >>> ContiguousCache(config, batch=3).keys.shape   # layers, batch, key/value heads, positions, head width
    torch.Size([2, 3, 2, 12, 4])
    """

    stored = ("keys", "values")  # names of the tensors, (layers, B, H, positions, w) each

    def __init__(
        self, config: DecoderConfig, batch: int, capacity: int | None = None, dtype=torch.float32, device=None
    ):
        heads, key_width, value_width = config.cache_shape
        shape = (config.layers, batch, heads, capacity or config.context)
        self.keys = torch.empty(*shape, key_width, dtype=dtype, device=device)
        self.values = torch.empty(*shape, value_width, dtype=dtype, device=device)

    @property
    def capacity(self) -> int:
        """Positions there is room for."""
        return self.keys.shape[3]

    @property
    def nbytes(self) -> int:
        """Bytes held by all its tensors together."""
        return sum(getattr(self, name).nbytes for name in self.stored)

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store behind what is there; return views of everything so far (:meth:`.Cache.append`)."""
        end = self.length + key.shape[2]
        if end > self.capacity:
            raise CourseError(
                f"the key/value cache holds {self.capacity} positions; {end} were asked for: give it a larger capacity"
            )
        self.keys[layer, :, :, self.length : end] = key
        self.values[layer, :, :, self.length : end] = value
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def truncate(self, length: int) -> None:
        """Forget the positions from ``length`` on."""
        self.length = min(self.length, length)

    def select(self, rows: Tensor) -> "ContiguousCache":
        """A new cache of this kind holding the sequences ``rows`` (int64): one prefix can be continued in many ways.

        >>> config = DecoderConfig(vocabulary=17, width=8, layers=2, heads=2, hidden=16, context=12)
        >>> ContiguousCache(config, batch=3).select(torch.tensor([0, 0, 2, 2])).keys.shape[1]
        4
        """
        chosen = copy.copy(self)
        for name in self.stored:
            old = getattr(self, name)
            new = old.new_empty(old.shape[0], len(rows), *old.shape[2:])
            new[..., : self.length, :] = old[..., : self.length, :][:, rows]
            setattr(chosen, name, new)
        return chosen
