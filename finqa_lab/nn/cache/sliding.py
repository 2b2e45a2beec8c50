"""A ring buffer for windowed attention: memory stays constant however long the text becomes.

With a window of w a query sees the last w positions, itself included, so a key can be overwritten once w newer ones are
there. The first ``sinks`` positions are kept for good: the softmax has learned to put there what it has no use for, and
quality collapses when they go (Xiao et al. 2023, arXiv 2309.17453).

The logits equal those of the decoder without a cache, whose mask has the same window and sinks: every key keeps the
position it was computed at. StreamingLLM, of the paper above, differs: it stores keys unturned and numbers positions
anew *inside the cache* at every step (sinks 0..s-1, then the window), so that no distance ever exceeds those seen in
training and the text may outgrow the context. Here ``config.context`` remains the bound.
"""

import torch
from torch import Tensor

from finqa_lab.errors import CourseError
from finqa_lab.nn.cache.contiguous import ContiguousCache
from finqa_lab.nn.config import DecoderConfig


class SlidingCache(ContiguousCache):
    """The first ``config.sinks`` positions and the last ``config.window`` ones, ``capacity`` slots in all.

    A position p stands in slot p while there are free slots; from then on in slot ``s + (p - s) mod w``. A pass over
    several positions attends to what the ring held before it and to all its own keys: a prompt may be longer than the
    window, and only its last w keys stay.

    Args:
        config: shape of the decoder, with a window.
        batch: number of sequences B, all of the same length.
        dtype, device: of the tensors; those of the model.

    Raises:
        CourseError: when the config has no window.

    >>> config = DecoderConfig(17, width=8, layers=2, heads=2, hidden=16, context=99, window=3, sinks=2)
    >>> SlidingCache(config, batch=1).slot_positions(9).tolist()   # after 9 positions
    [0, 1, 8, 6, 7]
    """

    def __init__(self, config: DecoderConfig, batch: int, *, dtype=torch.float32, device=None):
        if not config.window:
            raise CourseError("a sliding cache drops what lies behind the window; the config has none: set window")
        self.window, self.sinks = config.window, config.sinks
        super().__init__(config, batch, self.sinks + self.window, dtype, device)

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store the new positions that stay, return all that a new query may see (:meth:`.Cache.append`)."""
        if self.length + key.shape[2] <= self.capacity:
            return super().append(layer, key, value)
        return self._wrap(self.keys[layer], key), self._wrap(self.values[layer], value)

    def _wrap(self, ring: Tensor, new: Tensor) -> Tensor:
        """Write (B, H, T_new, w) into (B, H, capacity, w); the old contents and the new, (B, H, K, w)."""
        end = self.length + new.shape[2]
        step = new.shape[2] == 1  # overwrites only what it cannot see: it attends to the ring itself
        seen = ring if step else torch.cat([ring[:, :, : self.length], new], dim=2)
        first = torch.arange(self.length, max(self.length, self.sinks), device=ring.device)
        last = torch.arange(max(self.length, end - self.window), end, device=ring.device)
        slots = torch.cat([first, self.sinks + (last - self.sinks) % self.window])
        ring[:, :, slots] = new[:, :, torch.cat([first, last]) - self.length]
        return seen

    def slot_positions(self, length: int) -> Tensor:
        """The position that each filled slot holds once ``length`` positions have been seen, int64."""
        slots = torch.arange(min(length, self.capacity), device=self.keys.device)
        laps = (length - 1 - slots) // self.window
        return torch.where(slots < self.sinks, slots, slots + laps * self.window)

    def key_positions(self, new: int) -> Tensor | None:
        """Positions of the keys that :meth:`append` returns; None while nothing has been overwritten."""
        if self.length < self.capacity:
            return None
        if new == 1:
            return self.slot_positions(self.length + 1)
        fresh = torch.arange(self.length, self.length + new, device=self.keys.device)
        return torch.cat([self.slot_positions(self.length), fresh])

    def truncate(self, length: int) -> None:
        """Forget the positions from ``length`` on; only while nothing has been overwritten.

        Raises:
            NotImplementedError: when positions that would be visible again are gone.
        """
        if length < self.length and self.length > self.capacity:
            raise NotImplementedError("a sliding cache that has overwritten positions cannot go back")
        super().truncate(length)
