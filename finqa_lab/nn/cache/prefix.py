"""Prompts that begin alike are computed once: a radix tree from tokens to cache blocks.

Keys and values of a position depend on the tokens up to it and on nothing else, so a block that was filled for one
prompt serves every prompt with the same beginning. Each node of the tree stands for one full block and is reached by
the tokens in it: equality is that of the tokens themselves, and no hash can collide. The scheme is that of SGLang's
RadixAttention (Zheng et al. 2024, arXiv 2312.07104, section 3) at the granularity of blocks.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from finqa_lab.nn.cache.blocks import BlockPool
from finqa_lab.nn.cache.paged import PagedCache
from finqa_lab.nn.transformer import Decoder


@dataclass(eq=False)
class _Node:
    block: int = -1
    key: tuple[int, ...] = ()
    parent: "_Node | None" = None
    children: dict[tuple[int, ...], "_Node"] = field(default_factory=dict)


class PrefixIndex:
    """Which full blocks of a pool hold which beginnings of prompts.

    The index is a holder of every block in it, and gives the least recently used ones back when the pool runs out of
    free blocks. A block that a sequence still holds is never given back: that would free nothing.

    Beginnings are kept apart by ``space``: what else the keys and values depend on, such as the adapter that is active.

    Args:
        pool: of one model; its ``reclaim`` is set to :meth:`evict`. One index to a pool.

    Attributes:
        asked: tokens of all prompts that :meth:`match` was asked for.
        hits: those of them that were found.

    >>> from finqa_lab.nn.config import DecoderConfig
    >>> pool = BlockPool(DecoderConfig(17, width=8, layers=2, heads=2, hidden=16, context=12), blocks=9, block_size=2)
    >>> index = PrefixIndex(pool)
    >>> index.insert([5, 6, 7, 8, 9], pool.allocate(3))   # blocks 0, 1 and 2; the last is not full
    >>> index.match([5, 6, 7, 8]), index.hit_rate
    ([0], 0.5)
    """

    def __init__(self, pool: BlockPool):
        self.pool = pool
        self.asked = self.hits = 0
        self._roots: dict[Hashable, _Node] = {}
        self._used: dict[_Node, None] = {}  # least recently used first, and every node before its parent
        pool.reclaim = self.evict

    def __len__(self) -> int:
        """Number of blocks in the index."""
        return len(self._used)

    def blocks(self) -> list[int]:
        """The blocks in the index, those that were used least recently first."""
        return [node.block for node in list(self._used)]  # a copy: a thread that counts may look at any time

    @property
    def hit_rate(self) -> float:
        """Share of the tokens asked for that were found; 0 before the first question."""
        return self.hits / max(1, self.asked)

    def match(self, tokens: Sequence[int], space: Hashable = None) -> list[int]:
        """The longest run of cached blocks that the prompt begins with.

        At least one token is left out of it: the logits of the last token must be computed. The caller is no holder of
        the blocks yet and lets a row adopt them before anything else is allocated.
        """
        node, path = self._roots.get(space), []
        for key in self._keys(tokens[:-1]):
            node = node and node.children.get(key)
            if node is None:
                break
            path.append(node)
        self._touch(path)
        self.asked += len(tokens)
        self.hits += len(path) * self.pool.block_size
        return [node.block for node in path]

    def insert(self, tokens: Sequence[int], blocks: Sequence[int], space: Hashable = None) -> None:
        """Remember the full blocks of a sequence; where a beginning is known, the block known for it stays.

        Args:
            tokens: only those whose keys and values have been computed: not a token just sampled.
            blocks: block table of the sequence; a last block that is not full is left out.
            space: the one to remember them in.

        Raises:
            ValueError: when there are fewer blocks than full ones among the tokens.
        """
        keys = list(self._keys(tokens))
        if len(blocks) < len(keys):
            raise ValueError(f"{len(tokens)} tokens fill {len(keys)} blocks; {len(blocks)} were given")
        node, path = self._roots.setdefault(space, _Node()), []
        for key, block in zip(keys, blocks):
            if key not in node.children:
                self.pool.retain(block)
                node.children[key] = _Node(block, key, node)
            node = node.children[key]
            path.append(node)
        self._touch(path)

    def evict(self, count: int) -> int:
        """Give up to ``count`` blocks back that nobody else holds, leaves first, least recently used first.

        Returns:
            How many were given back.
        """
        freed = 0
        for node in list(self._used):
            if freed == count:
                break
            if not node.children and self.pool.references[node.block] == 1:
                del node.parent.children[node.key], self._used[node]
                self.pool.release(node.block)
                freed += 1
        return freed

    def _keys(self, tokens: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """The tokens of every full block."""
        size = self.pool.block_size
        return (tuple(map(int, tokens[end - size : end])) for end in range(size, len(tokens) + 1, size))

    def _touch(self, path: list[_Node]) -> None:
        """Make a path the most recently used, its root last: one walk through ``_used`` meets leaves before parents."""
        for node in reversed(path):
            self._used.pop(node, None)
            self._used[node] = None


@torch.inference_mode()
def prefill(model: Decoder, tokens: Sequence[int], cache: PagedCache, row: int, index: PrefixIndex) -> Tensor:
    """Run a prompt into an empty row; only what the index does not hold is computed.

    Args:
        model: a decoder without digit places, which a block's tokens do not tell.
        tokens: the prompt, at least one token.
        cache: over the pool of the index.
        row: filled with the prompt; empty again after an error.
        index: asked for the prompt's beginning, and given the prompt's full blocks afterwards.

    Returns:
        (V,) logits of the token behind the prompt.

    Raises:
        CourseError: when the pool is out of blocks, or the prompt is longer than the context.
    """
    known = index.match(tokens)
    start = len(known) * cache.pool.block_size
    cache.adopt(row, known, start)
    rest = torch.tensor(tokens[start:], device=model.device)[None]
    try:
        logits = model(rest, cache=cache.batch([row]), start=rest.shape[1] - 1)
    except BaseException:
        cache.finish(row)
        raise
    index.insert(tokens, cache.rows[row].blocks)
    return logits[0, -1]
