"""Sequences of different lengths in blocks of a shared pool (Kwon et al. 2023, arXiv 2309.06180, section 4).

A sequence is a list of block numbers, its block table, and a length: position p stands in block ``table[p // size]`` at
offset ``p % size``. At most ``size - 1`` positions a sequence are reserved and unused, and sequences that begin alike
can share blocks. Blocks that a window has left behind stay until the sequence ends.

The decoder wants contiguous keys, so :meth:`PagedCache.append` gathers a copy of all blocks in every layer. It pays a
second trip through memory for what paging saves in space; a real kernel walks the block table and reads the blocks in
place.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from finqa_lab.nn.cache.blocks import BlockPool
from finqa_lab.nn.cache.interface import Cache


@dataclass(eq=False)
class BlockTable:
    """Where one sequence stands.

    Attributes:
        blocks: in the order of the positions; between passes no more than ``length`` positions need.
        length: positions filled.
    """

    blocks: list[int] = field(default_factory=list)
    length: int = 0


class PagedCache(Cache):
    """A batch of sequences whose keys and values stand in blocks of one pool.

    Rows may stand at different positions. A pass gives every row of the cache the same number of new tokens; run some
    of the rows through :meth:`batch`. Prompts of different lengths can share a pass, too: pad them on the right and
    :meth:`truncate` each row to its own length afterwards; what stood behind a token did not reach it.

    Blocks are taken at the beginning of a pass, for all rows or, when the pool is out of them, for none.

    Args:
        pool: where the blocks come from; it may serve other caches of the same model as well.
        sequences: number of rows, all empty at first.

    Attributes:
        rows: a block table for every sequence.

    >>> from finqa_lab.nn.config import DecoderConfig
    >>> config = DecoderConfig(17, width=8, layers=2, heads=2, hidden=16, context=12)
    >>> cache = PagedCache(BlockPool(config, blocks=9, block_size=4), sequences=2)
    >>> keys, values = cache.append(0, torch.zeros(2, 2, 5, 4), torch.zeros(2, 2, 5, 4))
    >>> cache.advance(5)
    >>> cache.rows[1], cache.waste()
    (BlockTable(blocks=[2, 3], length=5), 6)
    """

    def __init__(self, pool: BlockPool, sequences: int):
        self.pool = pool
        self.rows = [BlockTable() for _ in range(sequences)]
        self._pass: tuple[Tensor, Tensor] | None = None

    @property
    def length(self) -> int:
        """Length of the longest row."""
        return max((row.length for row in self.rows), default=0)

    @property
    def nbytes(self) -> int:
        """Bytes of the blocks that the rows hold, a shared block once; :attr:`.BlockPool.nbytes` is the whole stock."""
        return len(self._filled()) * self.pool.block_bytes

    def waste(self) -> int:
        """Positions that are reserved and not filled, a shared block counted once."""
        filled = self._filled()
        return len(filled) * self.pool.block_size - sum(filled.values())

    def _filled(self) -> dict[int, int]:
        """Every block that the rows hold, and the positions filled in it."""
        size, filled = self.pool.block_size, {}
        for row in self.rows:
            for index, block in enumerate(row.blocks):
                filled[block] = max(filled.get(block, 0), min(size, row.length - index * size))
        return filled

    def batch(self, rows: Sequence[int]) -> "PagedCache":
        """A cache over some of the rows, for one pass: the same sequences, not copies.

        Raises:
            ValueError: when a row is named twice.
        """
        if len(set(rows)) != len(rows):
            raise ValueError(f"rows {list(rows)}: one pass cannot append to a row twice; fork it")
        chosen = PagedCache(self.pool, 0)
        chosen.rows = [self.rows[row] for row in rows]
        return chosen

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Write the new positions into their blocks, gather all blocks (:meth:`.Cache.append`).

        One index_put and one index_select for each of keys and values.
        """
        if not len(key) == len(value) == len(self.rows):  # a single row would be broadcast
            raise ValueError(f"{len(key)} rows of keys, {len(value)} of values; the cache has {len(self.rows)} rows")
        if layer == 0:
            self._pass = self._begin(key.shape[2])
        return self._store(self.pool.keys[layer], key), self._store(self.pool.values[layer], value)

    def _begin(self, new: int) -> tuple[Tensor, Tensor]:
        """Reserve the blocks of a pass; block tables (B, blocks) and the slots (B * new,) of the new positions.

        A row's last block is copied when others hold it, too; the last one of its holders keeps the original.
        """
        self.truncate(self.length)  # gives back what a pass that was broken off had reserved
        size, references = self.pool.block_size, self.pool.references
        open_blocks = Counter(row.blocks[row.length // size] for row in self.rows if row.length % size)
        copies = sum(min(count, references[block] - 1) for block, count in open_blocks.items())
        grown = [self.pool.blocks_for(row.length + new) for row in self.rows]
        missing = sum(count - len(row.blocks) for row, count in zip(self.rows, grown))
        fresh = iter(self.pool.allocate(copies + missing))
        for row, count in zip(self.rows, grown):
            last = row.length // size
            if row.length % size and references[row.blocks[last]] > 1:
                row.blocks[last] = self.pool.replace(row.blocks[last], by=next(fresh))
            row.blocks += [next(fresh) for _ in range(count - len(row.blocks))]
        widest = max(grown)
        tables = torch.tensor([row.blocks + [0] * (widest - len(row.blocks)) for row in self.rows])
        lengths = torch.tensor([row.length for row in self.rows])
        positions = lengths[:, None] + torch.arange(new)
        slots = tables.gather(1, positions // size) * size + positions % size
        device = self.pool.keys.device
        return tables.to(device), slots.flatten().to(device)

    def _store(self, blocks: Tensor, new: Tensor) -> Tensor:
        """Put (B, H, new, w) into the (blocks, size, H, w) of a layer; the rows' contents, (B, H, K, w)."""
        tables, slots = self._pass
        blocks.flatten(0, 1)[slots] = new.transpose(1, 2).flatten(0, 1)
        gathered = blocks.index_select(0, tables.flatten()).unflatten(0, tables.shape).flatten(1, 2)
        return gathered[:, : self.length + new.shape[2]].transpose(1, 2)

    def advance(self, new: int) -> None:
        """Count ``new`` positions of every row as seen."""
        for row in self.rows:
            row.length += new

    def query_positions(self, new: int) -> Tensor | None:
        """(B, new) positions; None when all rows have the same length."""
        lengths = self._lengths()
        return None if lengths is None else lengths[:, None] + torch.arange(new, device=lengths.device)

    def key_positions(self, new: int) -> Tensor | None:
        """(B, K) positions, -1 behind the end of a row; None when all rows have the same length."""
        lengths = self._lengths()
        if lengths is None:
            return None
        positions = torch.arange(self.length + new, device=lengths.device)
        return torch.where(positions < lengths[:, None] + new, positions, -1)

    def _lengths(self) -> Tensor | None:
        lengths = [row.length for row in self.rows]
        return torch.tensor(lengths, device=self.pool.keys.device) if len(set(lengths)) > 1 else None

    def fork(self, row: int) -> int:
        """Add a row that continues ``row`` its own way and shares its blocks; the number of the new row."""
        parent = self.rows[row]
        self.truncate(parent.length, row)
        for block in parent.blocks:
            self.pool.retain(block)
        self.rows.append(BlockTable(list(parent.blocks), parent.length))
        return len(self.rows) - 1

    def adopt(self, row: int, blocks: Sequence[int], tokens: int) -> None:
        """Let an empty row begin with the ``tokens`` positions that stand in ``blocks``, which it then shares.

        Raises:
            ValueError: when the row is not empty, or the blocks are not those that so many positions need.
        """
        if self.rows[row].blocks:
            raise ValueError(f"row {row} holds {self.rows[row].length} positions; finish it before it adopts others")
        if len(blocks) != self.pool.blocks_for(tokens):
            raise ValueError(f"{tokens} positions do not stand in {len(blocks)} blocks of {self.pool.block_size}")
        for block in blocks:
            self.pool.retain(block)
        self.rows[row] = BlockTable(list(blocks), tokens)

    def finish(self, row: int) -> None:
        """Give all blocks of a row up; it is empty and may begin anew."""
        self.truncate(0, row)

    def truncate(self, length: int, row: int | None = None) -> None:
        """Forget the positions from ``length`` on, of one row or of all; blocks that become empty are given up."""
        for chosen in self.rows if row is None else [self.rows[row]]:
            chosen.length = min(chosen.length, length)
            keep = self.pool.blocks_for(chosen.length)
            for block in chosen.blocks[keep:]:
                self.pool.release(block)
            del chosen.blocks[keep:]
