"""Causal self-attention with grouped key/value heads (Vaswani et al. 2017, section 3.2; Ainslie et al.
2023)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from finqa_lab.nn.cache.interface import Cache
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.masks import causal_mask
from finqa_lab.nn.rope import rotate


@dataclass(frozen=True)
class Frame:
    """Where the positions of one pass stand: computed once by the decoder, read by every layer.

    Attributes:
        rotary: cosines and sines for the new positions, (T, w) or (B, 1, T, w); None without rotary positions.
        mask: (T, K) or (B, 1, T, K) boolean, True where attention is allowed; None when the last query stands at the
            last key and everything behind a query is allowed.
        cache: appended to by every layer, when given.
        maps: a list that receives the weights of every layer, when given (a slower path).
        kernel: in place of cache and mask, ``kernel(layer, query, key, value)`` stores the new keys and values
            (B, H_kv, T, w) and returns what the queries (B, H, T, w) attend to, in their shape.
    """

    rotary: tuple[Tensor, Tensor] | None = None
    mask: Tensor | None = None
    cache: Cache | None = None
    maps: list | None = None
    kernel: Callable[[int, Tensor, Tensor, Tensor], Tensor] | None = None


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
    """The softmax itself, for looking at: ``softmax(q k^T / sqrt(d_head))``.

    Args:
        query: (B, H, T_q, d_head).
        key: (B, H_kv, T_k, d_head).
        mask: as :attr:`Frame.mask`; None means causal, the last query at the last key.

    Returns:
        (B, H, T_q, T_k), each row non-negative with sum 1.
    """
    key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    allowed = causal_mask(query.shape[2], key.shape[2], query.device) if mask is None else mask
    return scores.masked_fill(~allowed, float("-inf")).softmax(dim=-1)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None = None) -> Tensor:
    """Attention by torch's fused kernel, which picks an implementation for the device.

    Args:
        query: (B, H, T_q, w_key).
        key, value: (B, H_kv, T_k, w_key) and (B, H_kv, T_k, w_value); H is a multiple of H_kv.
        mask: (..., T_q, T_k) boolean, or None as in :class:`Frame`.
        scale: factor on the scores; None means ``1 / sqrt(w_key)``.

    Returns:
        (B, H, T_q, w_value).
    """
    queries, keys, key_heads = query.shape[2], key.shape[2], key.shape[1]
    if queries == 1 and key_heads != query.shape[1]:
        # The heads of a group become the queries of one head: nothing is repeated to read the cache.
        folded = query.unflatten(1, (key_heads, -1)).squeeze(3)
        mixed = F.scaled_dot_product_attention(folded, key, value, attn_mask=mask, scale=scale)
        return mixed.flatten(1, 2).unsqueeze(2)
    if mask is None and queries not in (1, keys):  # one query sees everything; as many as keys is the kernel's own case
        mask = causal_mask(queries, keys, query.device)
    causal = mask is None and queries > 1
    grouped = query.shape[1] != key_heads
    return F.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=causal, scale=scale, enable_gqa=grouped
    )


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, T, heads * w) -> (B, heads, T, w)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


class Attention(nn.Module):
    """Bias-free projections to queries, keys and values, causal attention, and the output projection."""

    def __init__(self, config: DecoderConfig, layer: int):
        super().__init__()
        self.layer, self.heads, self.kv_heads = layer, config.heads, config.key_value_heads
        self.query = nn.Linear(config.width, config.heads * config.head_width, bias=False)
        self.key = nn.Linear(config.width, self.kv_heads * config.head_width, bias=False)
        self.value = nn.Linear(config.width, self.kv_heads * config.head_width, bias=False)
        self.output = nn.Linear(config.heads * config.head_width, config.width, bias=False)

    def forward(self, x: Tensor, frame: Frame, start: int = 0) -> Tensor:
        """Attend from the positions ``start`` on to everything that the frame lets them see.

        Args:
            x: (B, T, d), normalised inputs of all new positions.
            frame: positions, mask and cache of the pass.
            start: first of the T positions that needs an output (keys and values are computed for all of
                them).

        Returns:
            (B, T - start, d).
        """
        key, value = split_heads(self.key(x), self.kv_heads), split_heads(self.value(x), self.kv_heads)
        if frame.rotary is not None:
            cos, sin = frame.rotary
            key = rotate(key, cos, sin)
        if frame.cache is not None:
            key, value = frame.cache.append(self.layer, key, value)
        if start == x.shape[1]:  # only the keys and values were wanted
            return x[:, start:]
        query = split_heads(self.query(x[:, start:]), self.heads)
        if frame.rotary is not None:
            query = rotate(query, cos[..., start:, :], sin[..., start:, :])
        if frame.kernel is not None:
            return self.output(frame.kernel(self.layer, query, key, value).transpose(1, 2).flatten(2))
        mask = None if frame.mask is None else frame.mask[..., start:, :]
        if frame.maps is not None:
            frame.maps.append(attention_weights(query, key, mask).detach())
        return self.output(attend(query, key, value, mask).transpose(1, 2).flatten(2))
