"""Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1): a latent is cached, not keys and values.

In the paper's names, for one position with input h:

- latent: c = norm(W_DKV h), width d_c; all heads' keys W_UK c and values W_UV c come from it.
- rotary key: k_R = rotate(W_KR h), width d_R, one for all heads. Positions cannot go into W_UK c, because W_UK is to be
  moved to the other side of the product below, and a rotation in between would not commute with it.
- query of a head: (q_C, q_R), widths w and d_R, the second part turned.

The score of a head is (q_C . W_UK c + q_R . k_R) / sqrt(w + d_R). As q_C . W_UK c = (W_UK^T q_C) . c, attention works
on the cached latents themselves: the *absorbed* form, in which all heads share one key of width d_c + d_R and one value
of width d_c, as in multi-query attention. It reads least when decoding; for long prefills the keys of width w + d_R
would be cheaper to multiply. Here one form serves both.
"""

import math

import torch
from torch import Tensor, nn

from finqa_lab.nn.attention import Frame, attend, attention_weights, split_heads
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.norm import RMSNorm
from finqa_lab.nn.rope import rotate


class LatentAttention(nn.Module):
    """Latent attention in the absorbed form; same inputs and outputs as :class:`finqa_lab.nn.attention.Attention`."""

    def __init__(self, config: DecoderConfig, layer: int):
        super().__init__()
        widths = config.latent
        self.layer, self.heads = layer, config.heads
        self.head_width, self.rotary_width = config.head_width, widths.rotary
        query_input = widths.query or config.width
        if widths.query:
            self.query_down = nn.Linear(config.width, widths.query, bias=False)
            self.query_norm = RMSNorm(widths.query, config.norm_eps)
        self.query = nn.Linear(query_input, config.heads * (config.head_width + widths.rotary), bias=False)
        self.latent = nn.Linear(config.width, widths.key_value, bias=False)
        self.latent_norm = RMSNorm(widths.key_value, config.norm_eps)
        self.rotary_key = nn.Linear(config.width, widths.rotary, bias=False)
        self.key = nn.Linear(widths.key_value, config.heads * config.head_width, bias=False)
        self.value = nn.Linear(widths.key_value, config.heads * config.head_width, bias=False)
        self.output = nn.Linear(config.heads * config.head_width, config.width, bias=False)

    def forward(self, x: Tensor, frame: Frame, start: int = 0) -> Tensor:
        """(B, T, d) -> (B, T - start, d); caches (B, 1, T, d_c) latents and (B, 1, T, d_R) rotary keys."""
        cos, sin = frame.rotary
        latent = self.latent_norm(self.latent(x))[:, None]
        rotary_key = rotate(self.rotary_key(x)[:, None], cos, sin)
        if frame.cache is not None:
            latent, rotary_key = frame.cache.append(self.layer, latent, rotary_key)
        if start == x.shape[1]:
            return x[:, start:]
        content, turned = self.queries(x[:, start:], cos[..., start:, :], sin[..., start:, :])
        absorbed = torch.einsum("bhtw,hwc->bhtc", content, self._per_head(self.key))
        query, key = torch.cat([absorbed, turned], dim=-1), torch.cat([latent, rotary_key], dim=-1)
        mask = None if frame.mask is None else frame.mask[..., start:, :]
        scale = 1 / math.sqrt(self.head_width + self.rotary_width)
        if frame.maps is not None:  # attention_weights divides by the root of the key's width
            frame.maps.append(attention_weights(query * scale * math.sqrt(query.shape[-1]), key, mask).detach())
        mixed = attend(query, key, latent, mask, scale)
        values = torch.einsum("bhtc,hwc->bthw", mixed, self._per_head(self.value))
        return self.output(values.flatten(2))

    def queries(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """The content part (B, H, T, w) and the turned part (B, H, T, d_R) of every head's query."""
        if hasattr(self, "query_down"):
            x = self.query_norm(self.query_down(x))
        content, turned = split_heads(self.query(x), self.heads).split([self.head_width, self.rotary_width], dim=-1)
        return content, rotate(turned, cos, sin)

    def _per_head(self, projection: nn.Linear) -> Tensor:
        """(H * w, d_c) weights as (H, w, d_c)."""
        return projection.weight.unflatten(0, (self.heads, self.head_width))
