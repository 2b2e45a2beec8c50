"""A decoder-only transformer: embeddings, pre-norm blocks, a final norm, an output head.

Each block computes ``x = x + attention(norm(x))`` and ``x = x + mlp(norm(x))``. The same class is the arithmetic model
(learned positions, ReLU, tied head, digit places) and a Llama (rotary positions, SwiGLU, grouped heads): the config
says which.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from finqa_lab.errors import CourseError
from finqa_lab.nn.attention import Attention, Frame
from finqa_lab.nn.cache.interface import Cache
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.latent import LatentAttention
from finqa_lab.nn.masks import position_mask
from finqa_lab.nn.mlp import make_mlp
from finqa_lab.nn.norm import RMSNorm
from finqa_lab.nn.rope import Rotary
from finqa_lab.nn.segments import segment_mask, segment_positions


class Block(nn.Module):
    """One pre-norm residual block. (B, T, d) -> (B, T - start, d)."""

    def __init__(self, config: DecoderConfig, layer: int):
        super().__init__()
        self.attention_norm = RMSNorm(config.width, config.norm_eps)
        self.attention = (Attention if config.latent is None else LatentAttention)(config, layer)
        self.mlp_norm = RMSNorm(config.width, config.norm_eps)
        self.mlp = make_mlp(config)

    def forward(self, x: Tensor, frame: Frame, start: int = 0) -> Tensor:
        """Transform the positions from ``start`` on; the earlier ones only serve as keys and values."""
        x = x[:, start:] + self.attention(self.attention_norm(x), frame, start)
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
        if not config.tied:
            self.head = nn.Linear(config.width, config.vocabulary, bias=False)
        rotated = config.head_width if config.latent is None else config.latent.rotary
        self.rotary = Rotary(config, rotated) if config.positions == "rotary" else None
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
        cache: Cache | None = None,
        start: int = 0,
        maps: list | None = None,
        padding: Tensor | None = None,
        segments: Tensor | None = None,
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
            padding: (B,) int64, how many positions at the left of each row are padding: they are seen by no one, and
                the row's own positions count from behind them. Give it again with every pass on the same cache.
            segments: (B, T) int64, which of several texts in a row a token belongs to, see
                :mod:`finqa_lab.nn.segments`; without a cache. A row may then be longer than the context, its texts
                not.

        Returns:
            (B, T - start, V) logits, in the dtype of the weights.

        Raises:
            CourseError: when the sequence is longer than the context.
            ValueError: when ``places`` does not match the config, or ``segments`` come with a cache, padding or a
                window.
        """
        new = tokens.shape[1]
        behind = cache.length if cache is not None else 0
        if segments is not None:
            if cache is not None or padding is not None or self.config.window:
                raise ValueError("segments go without a cache, padding or a window")
            positions, mask = segment_positions(segments), segment_mask(segments)
            longest = int(positions.max()) + 1
        else:
            positions, longest = self._positions(tokens.shape, behind, cache, padding), behind + new
        if longest > self.config.context:
            raise CourseError(
                f"a sequence of {longest} positions does not fit the context of {self.config.context}; shorten it"
            )
        x = self.embed(tokens, places, behind, positions)
        if segments is not None:
            rotary = self.rotary and self.rotary.at(0, new, positions, x.device, self.token_embedding.weight.dtype)
            frame = Frame(rotary, mask[:, None], None, maps)
        else:
            frame = self._frame(new, behind, positions, cache, padding, maps)
        last = len(self.blocks) - 1
        for layer, block in enumerate(self.blocks):
            x = block(x, frame, start if layer == last else 0)
        if cache is not None:
            cache.advance(new)
        return F.linear(self.norm(x), self.token_embedding.weight if self.config.tied else self.head.weight)

    def embed(self, tokens: Tensor, places: Tensor | None, behind: int, positions: Tensor | None) -> Tensor:
        """Sum of the embeddings, (B, T) -> (B, T, d); ``behind`` positions come before the first token."""
        if (places is not None) != bool(self.config.places):
            raise ValueError("give `places` exactly when the config has a place table")
        x = self.token_embedding(tokens)
        if self.config.positions == "learned":
            table = self.position_embedding.weight
            x = x + (table[behind : behind + tokens.shape[1]] if positions is None else table[positions.clamp(min=0)])
        return x if places is None else x + self.place_embedding(places)

    def _positions(
        self, shape: tuple[int, int], behind: int, cache: Cache | None, padding: Tensor | None
    ) -> Tensor | None:
        """(B, new) positions of the new tokens, or None when every row stands at ``behind .. behind + new - 1``."""
        batch, new = shape
        given = cache.query_positions(new) if cache is not None else None
        if given is not None and len(given) != batch:
            raise ValueError(f"{batch} rows of tokens were given to a cache of {len(given)} sequences")
        if padding is None:
            return given
        if given is None:
            given = torch.arange(behind, behind + new, device=padding.device)
        return given - padding[:, None]

    def _frame(
        self,
        new: int,
        behind: int,
        positions: Tensor | None,
        cache: Cache | None,
        padding: Tensor | None,
        maps: list | None,
    ) -> Frame:
        """Angles and mask of one pass. Most passes need no mask: everything behind a query is visible to it."""
        weight, window = self.token_embedding.weight, self.config.window
        rotary = self.rotary and self.rotary.at(behind, new, positions, weight.device, weight.dtype)
        keys = cache.key_positions(new) if cache is not None else None
        if positions is None and keys is None and not (window and behind + new > window):
            return Frame(rotary, None, cache, maps)
        if keys is None:
            keys = torch.arange(behind + new, device=weight.device)
        elif padding is not None and self.config.sinks:  # the first slots would hold the padding
            raise CourseError("sinks and padding do not go together in this cache; run rows of different length apart")
        if padding is not None:
            keys = keys - padding[:, None]
        if positions is None:
            positions = torch.arange(behind, behind + new, device=weight.device)
        mask = position_mask(positions, keys, window, self.config.sinks)
        return Frame(rotary, mask if mask.ndim == 2 else mask[:, None], cache, maps)

    @property
    def device(self) -> torch.device:
        """Where the weights are; inputs must be there too."""
        return self.token_embedding.weight.device

    def parameter_count(self) -> int:
        """Number of trained numbers; a tied head counts once."""
        return sum(parameter.numel() for parameter in self.parameters())
