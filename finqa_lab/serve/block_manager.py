"""Who holds which cache blocks: admission with a shared beginning, growth by a block at a time, release.

The stock is :class:`finqa_lab.nn.cache.blocks.BlockPool`, the index of beginnings
:class:`finqa_lab.nn.cache.prefix.PrefixIndex`. Only full blocks are shared and a sequence writes behind them, so
nothing has to be copied before a write.
"""

from finqa_lab.nn.cache.blocks import BlockPool
from finqa_lab.nn.cache.prefix import PrefixIndex
from finqa_lab.serve.sequence import Sequence


class BlockManager:
    """The blocks of all sequences of an engine.

    Args:
        pool: of the model; nobody else takes blocks from it.
        prefix_cache: whether prompts that begin alike share their blocks.

    Attributes:
        pool: as given.
        index: of the beginnings; None without a prefix cache.

    >>> from finqa_lab.nn.config import DecoderConfig
    >>> from finqa_lab.nn.generate import Stop
    >>> from finqa_lab.serve.request import Request
    >>> pool = BlockPool(DecoderConfig(17, width=8, layers=1, heads=2, hidden=16, context=32), blocks=4, block_size=4)
    >>> manager = BlockManager(pool)
    >>> sequence = Sequence(0, Request((1, 2, 3, 4, 5), Stop(limit=9)))
    >>> manager.admit(sequence), sequence.blocks, manager.free
    (True, [0, 1], 2)
    """

    def __init__(self, pool: BlockPool, prefix_cache: bool = True):
        self.pool = pool
        self.index = PrefixIndex(pool) if prefix_cache else None

    @property
    def free(self) -> int:
        """Blocks that nobody holds, and those that only the index of beginnings holds."""
        held_by_index = 0
        if self.index is not None:
            held_by_index = sum(self.pool.references[block] == 1 for block in self.index.blocks())
        return self.pool.free + held_by_index

    def fits_alone(self, positions: int) -> bool:
        """Whether a sequence of so many positions could run if no other did."""
        return self.pool.blocks_for(positions) <= len(self.pool.references)

    def admit(self, sequence: Sequence) -> bool:
        """Give a sequence without blocks those that all its tokens need, beginning with what is cached.

        Returns:
            False, with nothing changed, when there are not enough.
        """
        known = [] if self.index is None else self.index.match(sequence.tokens, sequence.request.adapter)
        for block in known:
            self.pool.retain(block)  # before anything is allocated: the index could give them up
        missing = self.pool.blocks_for(len(sequence.tokens)) - len(known)
        if not self._available(missing):
            for block in known:
                self.pool.release(block)
            return False
        sequence.blocks = known + self.pool.allocate(missing)
        sequence.computed = len(known) * self.pool.block_size
        return True

    def grow(self, sequence: Sequence) -> bool:
        """Make sure that every token of a running sequence has its place.

        Returns:
            False, with nothing changed, when a block is needed and none is left.
        """
        missing = self.pool.blocks_for(len(sequence.tokens)) - len(sequence.blocks)
        if missing <= 0:
            return True
        if not self._available(missing):
            return False
        sequence.blocks += self.pool.allocate(missing)
        return True

    def remember(self, sequence: Sequence) -> None:
        """Let later prompts share the full blocks that have been computed."""
        if self.index is not None:
            self.index.insert(sequence.tokens[: sequence.computed], sequence.blocks, sequence.request.adapter)

    def release(self, sequence: Sequence) -> None:
        """Take all blocks of a sequence back; nothing of it counts as computed any more."""
        for block in sequence.blocks:
            self.pool.release(block)
        sequence.blocks, sequence.computed = [], 0

    def _available(self, blocks: int) -> bool:
        """Whether so many can be allocated, giving up remembered beginnings where that helps."""
        if blocks > self.pool.free and self.index is not None:
            self.index.evict(blocks - self.pool.free)
        return blocks <= self.pool.free
