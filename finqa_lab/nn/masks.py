"""Who may attend to whom, from positions alone: causal, sliding window, attention sinks, padding, in any key order."""

import torch
from torch import Tensor


def causal_mask(queries: int, keys: int, device=None) -> Tensor:
    """Boolean (queries, keys), True where attention is allowed; the last query stands at the last key.

    >>> causal_mask(2, 3).int().tolist()
    [[1, 1, 0], [1, 1, 1]]
    """
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(diagonal=keys - queries)


def position_mask(queries: Tensor, keys: Tensor, window: int = 0, sinks: int = 0) -> Tensor:
    """Boolean (..., T, K), True where attention is allowed.

    A query at position p sees the keys at 0..p; with a window only those at distance below ``window`` (Mistral's
    convention: a window of w includes the query itself), and always the first ``sinks`` positions (Xiao et al. 2023).
    Keys at negative positions are padding or empty. A query sees itself even there: a row without any allowed key
    would give a softmax over nothing.

    Args:
        queries: (..., T) int64 positions.
        keys: (..., K) int64 positions, in any order.
        window: 0 for no window.
        sinks: only with a window.

    >>> position_mask(torch.tensor([4]), torch.arange(5), window=2, sinks=1).int().tolist()
    [[1, 0, 0, 1, 1]]
    """
    query, key = queries[..., :, None], keys[..., None, :]
    seen = (key >= 0) & (key <= query)
    if window:
        seen &= (query - key < window) | (key < sinks)
    return seen | (key == query)
