"""Causal self-attention with grouped key/value heads (Vaswani et al. 2017, section 3.2; Ainslie et al.
2023)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from finqa_lab.nn.cache import KVCache
from finqa_lab.nn.config import DecoderConfig


def causal_mask(queries: int, keys: int, device=None) -> Tensor:
    """Boolean (queries, keys), True where attention is allowed; the last query stands at the last key.

    >>> causal_mask(2, 3).int().tolist()
    [[1, 1, 0], [1, 1, 1]]
    """
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(diagonal=keys - queries)


def attention_weights(query: Tensor, key: Tensor) -> Tensor:
    """The causal softmax itself, for looking at: ``softmax(q k^T / sqrt(d_head))``.

    Args:
        query: (B, H, T_q, d_head); the last query stands at the last key.
        key: (B, H_kv, T_k, d_head).

    Returns:
        (B, H, T_q, T_k), each row non-negative with sum 1.
    """
    key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    allowed = causal_mask(query.shape[2], key.shape[2], query.device)
    return scores.masked_fill(~allowed, float("-inf")).softmax(dim=-1)


class Attention(nn.Module):
    """Bias-free projections to queries, keys and values, causal attention, and the output projection."""

    def __init__(self, config: DecoderConfig, layer: int):
        super().__init__()
        self.layer, self.heads, self.kv_heads = layer, config.heads, config.key_value_heads
        self.head_width = config.head_width
        self.query = nn.Linear(config.width, config.heads * config.head_width, bias=False)
        self.key = nn.Linear(config.width, self.kv_heads * config.head_width, bias=False)
        self.value = nn.Linear(config.width, self.kv_heads * config.head_width, bias=False)
        self.output = nn.Linear(config.heads * config.head_width, config.width, bias=False)

    def forward(self, x: Tensor, cache: KVCache | None = None, start: int = 0, maps: list | None = None) -> Tensor:
        """Attend from the positions ``start`` on to everything behind them.

        Args:
            x: (B, T, d), normalised inputs of all new positions.
            cache: appended to, when given; then the keys are those of all positions so far.
            start: first of the T positions that needs an output (keys and values are computed for all of
                them).
            maps: when a list, the weights (B, H, T - start, T_keys) are appended to it (slower path).

        Returns:
            (B, T - start, d).
        """
        key, value = self._split(self.key(x), self.kv_heads), self._split(self.value(x), self.kv_heads)
        if cache is not None:
            key, value = cache.append(self.layer, key, value)
        if start == x.shape[1]:  # only the keys and values were wanted
            return x[:, start:]
        query = self._split(self.query(x[:, start:]), self.heads)
        grouped = self.kv_heads != self.heads
        if maps is not None:
            maps.append(attention_weights(query, key).detach())
        queries, keys = query.shape[2], key.shape[2]
        if queries in (1, keys):  # one query sees everything; as many as keys is SDPA's own causal case
            mixed = F.scaled_dot_product_attention(query, key, value, is_causal=queries > 1, enable_gqa=grouped)
        else:
            mask = causal_mask(queries, keys, x.device)
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=grouped)
        return self.output(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor, heads: int) -> Tensor:
        """(B, T, heads * d_head) -> (B, heads, T, d_head)."""
        return x.view(*x.shape[:2], heads, self.head_width).transpose(1, 2)
