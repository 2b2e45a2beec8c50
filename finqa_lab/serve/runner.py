"""One step on the model: sequences with one new token and with many, in a single ragged pass.

All new tokens of a step stand behind each other in one row, without padding, and the matrices of the model are read
once for all of them. Only attention sees sequences: those that decode attend together, a prompt's chunk by itself, each
to the keys and values that its block table names.
"""

from collections.abc import Sequence as Sequences
from dataclasses import dataclass
from itertools import accumulate, groupby

import torch
import torch.nn.functional as F
from torch import Tensor

from finqa_lab.errors import CourseError
from finqa_lab.nn.attention import Frame, attend
from finqa_lab.nn.cache.blocks import BlockPool
from finqa_lab.nn.transformer import Decoder
from finqa_lab.serve.scheduler import Work
from finqa_lab.tune.lora import adapted_layers
from finqa_lab.tune.routing import routed


@dataclass(frozen=True)
class _Group:
    """Sequences of a step that attend together: (B, new) places in the row, (B, blocks) tables, a mask.

    Attributes:
        mask: (B, 1, new, K) or (new, K), True where attention is allowed; None when everything is.
    """

    places: Tensor
    tables: Tensor
    keys: int
    mask: Tensor | None


class Runner:
    """A decoder over a pool of blocks.

    Args:
        model: with rotary or learned positions and plain attention; with LoRA adapters or without.
        pool: of the model's shape, dtype and device.

    Raises:
        CourseError: for a decoder with latent attention, a window, digit places or dynamic rope scaling.
    """

    def __init__(self, model: Decoder, pool: BlockPool):
        config = model.config
        odd = [name for name in ("latent", "window", "places") if getattr(config, name)]
        if config.rope_scaling is not None and config.rope_scaling.kind == "dynamic":
            odd.append("dynamic rope scaling")  # its angles depend on the longest sequence of a batch
        if odd:
            raise CourseError(f"the engine does not serve a model with {', '.join(odd)}; use finqa_lab.nn.generate")
        self.model, self.pool = model, pool
        self.adapters = frozenset(name for layer in adapted_layers(model).values() for name in layer.adapters)

    @torch.inference_mode()
    def run(self, work: Sequences[Work]) -> Tensor:
        """Compute keys and values of all new positions.

        Args:
            work: of one step, not empty.

        Returns:
            (S, V) logits of the next token, for the parts that complete their sequence, in the order of ``work``.
        """
        order = sorted(range(len(work)), key=lambda index: work[index].sequence.request.adapter or "")
        parts = [work[index] for index in order]
        begins = [0, *accumulate(part.new for part in parts)]
        tokens, positions, slots = self._row(parts)
        frame = Frame(self._rotary(positions), kernel=_Paged(self.pool, slots, self._groups(parts, begins)))
        with routed(self.model, _stretches(parts, begins)):
            x = self.model.embed(tokens[None], None, 0, positions[None])
            for block in self.model.blocks:
                x = block(x, frame)
        ends = {index: end - 1 for index, end in zip(order, begins[1:])}
        wanted = [ends[index] for index, part in enumerate(work) if part.completes]
        head = self.model.token_embedding if self.model.config.tied else self.model.head
        return F.linear(self.model.norm(x[0, wanted]), head.weight)

    def _row(self, parts: list[Work]) -> tuple[Tensor, Tensor, Tensor]:
        """(T,) tokens, positions, and slots of the pool for the new positions of all parts."""
        size, tokens, positions, slots = self.pool.block_size, [], [], []
        for part in parts:
            sequence, begin = part.sequence, part.sequence.computed
            span = range(begin, begin + part.new)
            tokens += sequence.tokens[begin : begin + part.new]
            positions += span
            slots += [sequence.blocks[position // size] * size + position % size for position in span]
        return tuple(torch.tensor(values, device=self.model.device) for values in (tokens, positions, slots))

    def _rotary(self, positions: Tensor) -> tuple[Tensor, Tensor] | None:
        if self.model.rotary is None:
            return None
        weight = self.model.token_embedding.weight
        return self.model.rotary.at(0, self.model.config.context, positions[None], weight.device, weight.dtype)

    def _groups(self, parts: list[Work], begins: list[int]) -> list[_Group]:
        """All that decode are one group, every chunk is one of its own."""
        single = [index for index, part in enumerate(parts) if part.new == 1]
        chunks = [[index] for index, part in enumerate(parts) if part.new > 1]
        return [self._group([parts[i] for i in one], [begins[i] for i in one]) for one in [single, *chunks] if one]

    def _group(self, parts: list[Work], begins: list[int]) -> _Group:
        device, new = self.model.device, parts[0].new
        counts = [part.sequence.computed + new for part in parts]
        keys = max(counts)
        widest = self.pool.blocks_for(keys)
        rows = [part.sequence.blocks[: self.pool.blocks_for(count)] for part, count in zip(parts, counts)]
        tables = torch.tensor([row + [0] * (widest - len(row)) for row in rows], device=device)
        places = torch.tensor(begins, device=device)[:, None] + torch.arange(new, device=device)
        mask = None
        if new > 1 and counts[0] > new:  # behind earlier positions; without them attend() knows the causal mask
            mask = torch.ones(new, keys, dtype=torch.bool, device=device).tril(diagonal=keys - new)
        elif new == 1 and min(counts) < keys:
            mask = (torch.arange(keys, device=device) < torch.tensor(counts, device=device)[:, None])[:, None, None]
        return _Group(places, tables, keys, mask)


class _Paged:
    """The kernel of one step (:attr:`finqa_lab.nn.attention.Frame.kernel`): writes to the pool, attends from it."""

    def __init__(self, pool: BlockPool, slots: Tensor, groups: list[_Group]):
        self.pool, self.slots, self.groups = pool, slots, groups

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Queries (1, H, T, w), keys and values (1, H_kv, T, w) of one layer; (1, H, T, w)."""
        for stock, new in ((self.pool.keys[layer], key), (self.pool.values[layer], value)):
            stock.flatten(0, 1)[self.slots] = new[0].transpose(0, 1)
        if len(self.groups) == 1 and self.groups[0].places.shape[1] == 1:  # the usual step: everyone decodes, in order
            group = self.groups[0]
            mixed = attend(query[0].transpose(0, 1).unsqueeze(2), *self._gather(layer, group), group.mask)
            return mixed.squeeze(2).transpose(0, 1)[None]
        mixed = torch.empty_like(query)
        for group in self.groups:
            rows = query[0][:, group.places].transpose(0, 1)  # (H, B, new, w) -> (B, H, new, w)
            part = attend(rows, *self._gather(layer, group), group.mask)
            mixed[0][:, group.places] = part.transpose(0, 1)
        return mixed

    def _gather(self, layer: int, group: _Group) -> tuple[Tensor, Tensor]:
        """Keys and values of a group, (B, H_kv, K, w): a copy, where a kernel for a GPU reads the blocks in place."""
        return tuple(
            stock[layer].index_select(0, group.tables.flatten()).unflatten(0, group.tables.shape).flatten(1, 2)
            [:, : group.keys].transpose(1, 2)
            for stock in (self.pool.keys, self.pool.values)
        )  # fmt: skip


def _stretches(parts: list[Work], begins: list[int]) -> list[tuple[str, slice]]:
    """Which positions of the row each adapter serves; the parts are sorted by adapter."""
    found = []
    for name, group in groupby(range(len(parts)), key=lambda index: parts[index].sequence.request.adapter):
        members = list(group)
        if name is not None:
            found.append((name, slice(begins[members[0]], begins[members[-1] + 1])))
    return found
