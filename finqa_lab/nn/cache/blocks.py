"""A fixed stock of cache blocks with reference counts (PagedAttention, Kwon et al. 2023, arXiv 2309.06180, section 4).

A block holds the keys and values of ``block_size`` neighbouring positions in all layers. Sequences take blocks as they
grow and give them back when they end, so nothing is reserved for text that may never come. Several holders can share a
block; whoever wants to write into a shared one copies it first.
"""

from collections.abc import Callable

import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig


class BlockPool:
    """Blocks 0..blocks-1, each free or held by one or more holders. Not safe for threads.

    Args:
        config: shape of the decoder.
        blocks: how many.
        block_size: positions a block holds.
        dtype, device: of the tensors; those of the model.

    Attributes:
        keys, values: (layers, blocks, block_size, H, w), zero at first: a slot that was never written is read and
            masked, and zero times NaN would be NaN.
        references: how many holders each block has.
        reclaim: called with the number of blocks that are missing before an allocation fails; an index of cached
            prefixes gives blocks back there.

    >>> pool = BlockPool(DecoderConfig(17, width=8, layers=2, heads=2, hidden=16, context=12), blocks=4)
    >>> block, other = pool.allocate(2)
    >>> pool.retain(block)
    >>> pool.release(block)
    >>> pool.free   # one holder is left
    2
    """

    def __init__(
        self, config: DecoderConfig, blocks: int, block_size: int = 16, dtype: torch.dtype = torch.float32, device=None
    ):
        if blocks < 1 or block_size < 1:
            raise CourseError(
                f"a pool of {blocks} blocks of {block_size} positions holds nothing; give at least 1 of 1"
            )
        heads, *widths = config.cache_shape
        shape = (config.layers, blocks, block_size, heads)
        self.keys, self.values = (torch.zeros(*shape, width, dtype=dtype, device=device) for width in widths)
        self.block_size = block_size
        self.references = [0] * blocks
        self.reclaim: Callable[[int], object] | None = None
        self._free = list(reversed(range(blocks)))

    @property
    def free(self) -> int:
        """Number of blocks that nobody holds."""
        return len(self._free)

    @property
    def nbytes(self) -> int:
        """Bytes of all blocks, held or free."""
        return self.keys.nbytes + self.values.nbytes

    @property
    def block_bytes(self) -> int:
        """Bytes of one block."""
        return self.nbytes // len(self.references)

    def blocks_for(self, positions: int) -> int:
        """Number of blocks that hold so many positions: the quotient, rounded up."""
        return -(-positions // self.block_size)

    def allocate(self, count: int) -> list[int]:
        """Take ``count`` free blocks, each with one reference: the caller's. All or none.

        Raises:
            CourseError: when there are not enough, even after ``reclaim``.
        """
        if count > self.free and self.reclaim is not None:
            self.reclaim(count - self.free)
        if count > self.free:
            raise CourseError(
                f"the pool is out of blocks: {count} wanted, {self.free} of {len(self.references)} free; "
                "finish a sequence, or make the pool larger"
            )
        taken = [self._free.pop() for _ in range(count)]
        for block in taken:
            self.references[block] = 1
        return taken

    def retain(self, block: int) -> None:
        """Add a holder to a held block.

        Raises:
            ValueError: when the block is free.
        """
        self._check_held(block)
        self.references[block] += 1

    def release(self, block: int) -> None:
        """Take away one holder; the last one frees the block.

        Raises:
            ValueError: when the block is free already.
        """
        self._check_held(block)
        self.references[block] -= 1
        if not self.references[block]:
            self._free.append(block)

    def replace(self, block: int, by: int) -> int:
        """Copy-on-write: fill ``by`` with the contents of ``block``, give one holder of ``block`` up, return ``by``."""
        self.keys[:, by] = self.keys[:, block]
        self.values[:, by] = self.values[:, block]
        self.release(block)
        return by

    def _check_held(self, block: int) -> None:
        if not self.references[block]:
            raise ValueError(f"block {block} is free; only a held block can be retained or released")
