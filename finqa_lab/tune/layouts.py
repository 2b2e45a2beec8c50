"""Laying samples of different length into rows: padded, packed, or packed behind the prefix that they share.

The three layouts hold the same samples and give the same loss and gradient; they differ in how many positions are
computed for it.

==========  =================================================================================
layout      rows
==========  =================================================================================
``padded``  one sample a row, filled up to the longest of the micro-batch
``packed``  several samples a row, which do not see each other
``shared``  as packed, but what all samples of the step begin with stands once at each row's start
==========  =================================================================================
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.segments import PADDING, PREFIX
from finqa_lab.tune.batches import Batch, Batches
from finqa_lab.tune.sft import Example

Layout = Literal["padded", "packed", "shared"]
Order = Literal["shuffled", "grouped"]
LAYOUTS: tuple[Layout, ...] = ("padded", "packed", "shared")


def lay_out(examples: Sequence[Example], layout: Layout = "packed", length: int = 1024) -> Batch:
    """One batch of samples.

    Args:
        examples: at least one.
        layout: see above.
        length: positions of a packed row; a longer sample makes its row longer.

    Raises:
        CourseError: for another layout, or without samples.
    """
    if not examples:
        raise CourseError("there is no sample to lay out")
    names = tuple(example.name for example in examples)
    if layout == "padded":
        rows = [_row([example], 0) for example in examples]
        tokens, learn, _ = _tensors(rows)
        return Batch(tokens, learn, None, names)
    if layout not in LAYOUTS:
        raise CourseError(f"there is no layout '{layout}'; choose one of {', '.join(LAYOUTS)}")
    prefix = common_prefix(examples) if layout == "shared" else 0
    bins = first_fit([len(example.ids) - prefix for example in examples], max(1, length - prefix))
    rows = [_row([examples[i] for i in chosen], prefix) for chosen in bins]
    return Batch(*_tensors(rows), names)


def common_prefix(examples: Sequence[Example]) -> int:
    """Tokens with which all samples begin, up to two before the first target.

    The token before a target predicts it, and in a packed row the column before a text's first token is another text's:
    so that token stays out of the prefix.

    >>> common_prefix([Example((5, 6, 7), (False, False, True)), Example((5, 6, 8), (False, False, True))])
    1
    """
    first = examples[0]
    count = min(len(example.ids) for example in examples) - 1
    for example in examples:
        count = min(count, example.learn.index(True) - 1 if True in example.learn else count)
    count = max(count, 0)
    for place in range(count):
        if any(example.ids[place] != first.ids[place] for example in examples):
            return place
    return count


def first_fit(sizes: Sequence[int], room: int) -> list[list[int]]:
    """Items into bins: the largest first, each into the first bin with room ("first fit decreasing").

    Never more than 11/9 of the fewest bins possible, and 6/9 (G. Dosa, 2007). An item larger than the room gets a bin
    of its own.

    >>> first_fit([4, 3, 6, 2, 5], 10)
    [[2, 0], [4, 1, 3]]
    """
    bins: list[list[int]] = []
    left: list[int] = []
    for index in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        for place, free in enumerate(left):
            if sizes[index] <= free:
                bins[place].append(index)
                left[place] -= sizes[index]
                break
        else:
            bins.append([index])
            left.append(room - sizes[index])
    return bins


def sft_batches(
    examples: Sequence[Example],
    per_step: int,
    *,
    layout: Layout = "packed",
    length: int = 1024,
    micro_batches: int = 1,
    order: Order = "shuffled",
    seed: int = 0,
) -> Batches:
    """Batches of samples: every sample once an epoch, ``per_step`` of them a step.

    Args:
        examples: to train on.
        per_step: samples of an optimizer step; the rest of an epoch that does not fill one is left to the next order.
        layout, length: see :func:`lay_out`.
        micro_batches: that a step is cut into; ``per_step`` must be a multiple.
        order: ``grouped`` puts samples of similar length into the same step (stretches of 50 steps are sorted by
            length, then their steps shuffled), which saves padding and makes steps less alike.
        seed: of the order.

    Raises:
        CourseError: when the numbers do not fit together.
    """
    if per_step < 1 or per_step % micro_batches or per_step > len(examples):
        raise CourseError(
            f"{len(examples)} samples cannot be taken {per_step} at a time in {micro_batches} parts; choose fewer a "
            "step, and a number of parts that divides it"
        )
    steps_an_epoch = len(examples) // per_step

    def batches(step: int) -> list[Batch]:
        epoch, place = divmod(step, steps_an_epoch)
        order_now = epoch_order(examples, per_step, order, seed * 1_000_003 + epoch)
        chosen = [examples[i] for i in order_now[place * per_step : (place + 1) * per_step]]
        each = per_step // micro_batches
        return [lay_out(chosen[begin : begin + each], layout, length) for begin in range(0, per_step, each)]

    return batches


def epoch_order(examples: Sequence[Example], per_step: int, order: Order, seed: int) -> list[int]:
    """Indices of the samples in the order of an epoch."""
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(len(examples), generator=generator).tolist()
    if order == "shuffled":
        return shuffled
    if order != "grouped":
        raise CourseError(f"there is no order '{order}'; choose shuffled or grouped")
    found: list[int] = []
    stretch = 50 * per_step
    for begin in range(0, len(shuffled), stretch):
        part = sorted(shuffled[begin : begin + stretch], key=lambda i: -len(examples[i].ids))
        steps = [part[i : i + per_step] for i in range(0, len(part), per_step)]
        whole, rest = [step for step in steps if len(step) == per_step], steps[-1] if len(part) % per_step else []
        for place in torch.randperm(len(whole), generator=generator).tolist():
            found += whole[place]
        found += rest
    return found


@dataclass(frozen=True)
class Use:
    """What the positions of some batches are used for.

    Attributes:
        positions: computed in all.
        padding: share of them that is filled up.
        learnt: share of them that is a target.
        rows: in all.
    """

    positions: int
    padding: float
    learnt: float
    rows: int


def use(batches: Sequence[Batch]) -> Use:
    """Count positions, padding and targets.

    In a padded batch, what stands behind a row's last target counts as padding.
    """
    positions = sum(batch.tokens.numel() for batch in batches)
    padding = 0
    for batch in batches:
        if batch.segments is not None:
            padding += int((batch.segments == PADDING).sum())
        else:
            last = batch.learn.int() * torch.arange(1, batch.learn.shape[1] + 1)
            padding += int((batch.learn.shape[1] - last.max(dim=1).values).sum())
    learnt = sum(batch.learnt for batch in batches)
    return Use(positions, padding / positions, learnt / positions, sum(len(batch.tokens) for batch in batches))


def _row(examples: Sequence[Example], prefix: int) -> tuple[list[int], list[bool], list[int]]:
    first = examples[0]
    ids, learn, segments = list(first.ids[:prefix]), [False] * prefix, [PREFIX] * prefix
    for number, example in enumerate(examples, start=1):
        ids += example.ids[prefix:]
        learn += [False, *example.learn[prefix + 1 :]]  # the column before a text's first token is another text's
        segments += [number] * (len(example.ids) - prefix)
    return ids, learn, segments


def _tensors(rows: Sequence[tuple[list[int], list[bool], list[int]]]) -> tuple[torch.Tensor, ...]:
    longest = max(len(ids) for ids, _, _ in rows)
    tokens = torch.zeros(len(rows), longest, dtype=torch.int64)
    learn = torch.zeros(len(rows), longest, dtype=torch.bool)
    segments = torch.full((len(rows), longest), PADDING, dtype=torch.int64)
    for place, (ids, mask, numbers) in enumerate(rows):
        tokens[place, : len(ids)] = torch.tensor(ids)
        learn[place, : len(ids)] = torch.tensor(mask)
        segments[place, : len(ids)] = torch.tensor(numbers)
    return tokens, learn, segments
