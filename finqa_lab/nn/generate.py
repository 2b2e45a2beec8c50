"""Greedy decoding of a batch, one token a step, with a key/value cache."""

import torch
from torch import Tensor

from finqa_lab.nn.cache.contiguous import ContiguousCache
from finqa_lab.nn.transformer import Decoder


@torch.inference_mode()
def greedy(
    model: Decoder,
    prompts: Tensor,
    steps: int,
    places: Tensor | None = None,
    stop: int | None = None,
    use_cache: bool = True,
) -> Tensor:
    """Append the most likely token ``steps`` times.

    Args:
        model: the decoder.
        prompts: (B, T) int64, on any device, all of one length (left-padded where they differ).
        steps: number of tokens to generate, at least 1; T + steps - 1 must fit the context.
        places: (B, T + steps) or (T + steps,) int64 digit places, for a model with a place table.
        stop: a token that ends a sequence; what follows it is filled with it, and decoding ends once all
            have stopped.
        use_cache: False recomputes the whole prefix at every step (for comparison only).

    Returns:
        (B, steps) int64, on the model's device. A sequence without ``stop`` in its row did not end by itself within
        ``steps``.
    """
    batch, length = prompts.shape
    prompts = prompts.to(model.device)
    if places is not None:
        places = places.expand(batch, places.shape[-1]).to(model.device)
    cache = ContiguousCache(model.config, batch, length + steps, device=prompts.device) if use_cache else None
    sequence, fresh, seen = prompts, prompts, 0
    ended = torch.zeros(batch, dtype=torch.bool, device=prompts.device)
    for _ in range(steps):
        here = None if places is None else places[:, seen : seen + fresh.shape[1]]
        token = model(fresh, here, cache, start=fresh.shape[1] - 1)[:, -1].argmax(dim=-1)
        if stop is not None:
            token = token.masked_fill(ended, stop)
            ended |= token == stop
        sequence = torch.cat([sequence, token[:, None]], dim=1)
        if stop is not None and bool(ended.all()):
            break
        if cache is None:
            fresh = sequence
        else:
            seen += fresh.shape[1]
            fresh = token[:, None]
    answer = sequence[:, length:]
    if answer.shape[1] < steps:
        answer = torch.nn.functional.pad(answer, (0, steps - answer.shape[1]), value=stop)
    return answer
