"""A decoder-only transformer: pre-norm blocks, tied output head.

Each block computes ``x = x + attention(norm(x))`` and ``x = x + mlp(norm(x))``; a final norm and the
transposed token embedding give the logits. With ``places`` the input is the sum of three embeddings: token,
absolute position and digit place.
"""

import math

import torch
from torch import Tensor, nn

from finqa_lab.nn.attention import Attention
from finqa_lab.nn.cache import KVCache
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.mlp import make_mlp
from finqa_lab.nn.norm import RMSNorm


class Block(nn.Module):
    """One pre-norm residual block. (B, T, d) -> (B, T - start, d)."""

    def __init__(self, config: DecoderConfig, layer: int):
        super().__init__()
        self.attention_norm = RMSNorm(config.width, config.norm_eps)
        self.attention = Attention(config, layer)
        self.mlp_norm = RMSNorm(config.width, config.norm_eps)
        self.mlp = make_mlp(config)

    def forward(self, x: Tensor, cache: KVCache | None = None, start: int = 0, maps: list | None = None) -> Tensor:
        """Transform the positions from ``start`` on; the earlier ones only serve as keys and values."""
        x = x[:, start:] + self.attention(self.attention_norm(x), cache, start, maps)
        return x + self.mlp(self.mlp_norm(x))


class Decoder(nn.Module):
    """A causal language model over token ids.

    Args:
        config: the shape.
        seed: seeds the initial weights (a private generator; the global one is not touched).

    >>> model = Decoder(DecoderConfig(vocabulary=17, width=64, layers=2, heads=4, hidden=256, context=12))
    >>> model(torch.zeros(5, 12, dtype=torch.int64)).shape
    torch.Size([5, 12, 17])
    >>> model.parameter_count()
    101120
    """

    def __init__(self, config: DecoderConfig, seed: int = 0):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocabulary, config.width)
        if config.positions == "learned":
            self.position_embedding = nn.Embedding(config.context, config.width)
        if config.places:
            self.place_embedding = nn.Embedding(config.places, config.width)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.norm = RMSNorm(config.width, config.norm_eps)
        self.reset_parameters(seed)

    def reset_parameters(self, seed: int) -> None:
        """Draw all weights anew.

        Matrices N(0, 1/fan_in) (variance), embeddings N(0, 1/d), biases 0, gains 1; the two matrices that
        write into the residual stream are divided by sqrt(2 L), so that the sum over L blocks keeps the
        scale (Radford et al. 2019).
        """
        generator = torch.Generator().manual_seed(seed)
        residual = 1 / math.sqrt(2 * self.config.layers)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name.endswith("gain"):
                    parameter.fill_(1.0)
                elif parameter.ndim == 1:
                    parameter.zero_()
                else:
                    fan_in = self.config.width if "embedding" in name else parameter.shape[1]
                    scale = residual if name.endswith(("attention.output.weight", "mlp.down.weight")) else 1.0
                    parameter.normal_(0.0, scale / math.sqrt(fan_in), generator=generator)

    def forward(
        self,
        tokens: Tensor,
        places: Tensor | None = None,
        cache: KVCache | None = None,
        start: int = 0,
        maps: list | None = None,
    ) -> Tensor:
        """Logits of the next token.

        Args:
            tokens: (B, T) int64, the new positions (behind those of ``cache``, when given).
            places: (B, T) or (T,) int64 digit places; needed exactly when ``config.places`` is not 0.
            cache: keys and values of earlier positions; appended to.
            start: first of the T positions whose logits are wanted. The last block skips the queries and the
                MLP of the positions before it, which saves about half of that block when only an answer is
                trained on. With ``start = T`` the pass fills the cache and returns no logits.
            maps: a list that receives one (B, H, T, T_keys) tensor of attention weights a layer.

        Returns:
            (B, T - start, V) float logits.

        Raises:
            ValueError: when the sequence is longer than the context, or ``places`` does not match the config.
        """
        behind = cache.length if cache is not None else 0
        x = self.embed(tokens, places, behind)
        last = len(self.blocks) - 1
        for layer, block in enumerate(self.blocks):
            x = block(x, cache, start if layer == last else 0, maps)
        if cache is not None:
            cache.advance(tokens.shape[1])
        return self.norm(x) @ self.token_embedding.weight.T

    def embed(self, tokens: Tensor, places: Tensor | None = None, behind: int = 0) -> Tensor:
        """Sum of the embeddings, (B, T) -> (B, T, d); ``behind`` positions come before the first token."""
        end = behind + tokens.shape[1]
        if end > self.config.context:
            raise ValueError(f"a sequence of {end} positions does not fit a context of {self.config.context}")
        if (places is not None) != bool(self.config.places):
            raise ValueError("give `places` exactly when the config has a place table")
        x = self.token_embedding(tokens)
        if self.config.positions == "learned":
            x = x + self.position_embedding.weight[behind:end]
        return x if places is None else x + self.place_embedding(places)

    @property
    def device(self) -> torch.device:
        """Where the weights are; inputs must be there too."""
        return self.token_embedding.weight.device

    def parameter_count(self) -> int:
        """Number of trained numbers; the tied head counts once."""
        return sum(parameter.numel() for parameter in self.parameters())
