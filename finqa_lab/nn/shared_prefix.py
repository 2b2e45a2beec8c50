"""Greedy decoding of many prompts that begin alike: every distinct prefix goes through the model once.

A million sums hold only ten different first digits. Neighbouring prompts are compared column by column; the model
runs on one representative of each distinct prefix, and the cache row of the parent is copied to its children. The
answers are those of :func:`finqa_lab.nn.generate.greedy`; servers call the same idea prefix caching.
"""

import torch
from torch import Tensor

from finqa_lab.nn.cache.contiguous import ContiguousCache
from finqa_lab.nn.transformer import Decoder


def prefix_ids(prompts: Tensor, places: Tensor | None = None) -> Tensor:
    """Number of the distinct prefix that each row has up to each column, int64 (N, T), counted over neighbours.

    Sharing is found between neighbouring rows only: sort the prompts first. Rows that differ in a digit place differ.

    >>> prefix_ids(torch.tensor([[1, 2, 3], [1, 2, 4], [1, 5, 4]])).tolist()
    [[0, 0, 0], [0, 0, 1], [0, 1, 2]]
    """
    differs = prompts[1:] != prompts[:-1]
    if places is not None:
        differs = differs | (places[1:] != places[:-1])
    new = torch.nn.functional.pad(differs.cumsum(dim=1).gt(0).to(torch.int64), (0, 0, 1, 0))
    return new.cumsum(dim=0)


@torch.inference_mode()
def greedy_shared(model: Decoder, prompts: Tensor, steps: int, places: Tensor | None = None) -> Tensor:
    """As :func:`finqa_lab.nn.generate.greedy` without a stop token, for sorted prompts.

    Args:
        model: the decoder.
        prompts: (N, T) int64, on any device; about 1,000 to 4,000 rows keep the cache of a small model in the
            processor's cache.
        steps: tokens to generate.
        places: (N, T + steps) int64 digit places, for a model with a place table.

    Returns:
        (N, steps) int64, on the model's device.
    """
    rows, length = prompts.shape
    prompts = prompts.to(model.device)
    places = None if places is None else places.to(model.device)
    everyone = torch.arange(rows, device=model.device)
    ids = prefix_ids(prompts, None if places is None else places[:, :length])
    cache, parents = ContiguousCache(model.config, 1, length + steps, device=model.device), None
    for column in range(length):
        distinct = int(ids[-1, column]) + 1
        first = torch.full_like(everyone[:distinct], rows).scatter_reduce_(0, ids[:, column], everyone, "amin")
        if distinct != cache.keys.shape[1]:
            cache = cache.select(torch.zeros_like(first) if parents is None else parents[first])
        here = None if places is None else places[first, column : column + 1]
        final = column == length - 1  # only the last column's logits are used
        logits = model(prompts[first, column : column + 1], here, cache, start=0 if final else 1)
        parents = ids[:, column]
    if len(logits) != rows:  # equal prompts
        cache, logits = cache.select(parents), logits[parents]
    answer = torch.empty(rows, steps, dtype=torch.int64, device=model.device)
    for step in range(steps):
        token = logits[:, -1].argmax(dim=-1)
        answer[:, step] = token
        if step + 1 < steps:
            here = None if places is None else places[:, length + step : length + step + 1]
            logits = model(token[:, None], here, cache)
    return answer
