"""What one pass through a decoder costs at least: floating-point operations and bytes of memory traffic.

A product of (m, k) and (k, n) matrices takes 2 m k n operations. Counted are the matrix products and attention; norms,
rotations and the softmax are small beside them. Bytes are the least that must move: every weight once, the cached keys
and values once, the new ones written once. Activations are left out: they stay in the processor's caches when the pass
is small, and in a large pass the weights' operations outweigh them.
"""

from dataclasses import dataclass

from finqa_lab.nn.config import DecoderConfig


@dataclass(frozen=True)
class Cost:
    """Operations and bytes of one pass.

    Attributes:
        operations: floating-point operations.
        weight_bytes: weights read.
        cache_bytes: keys and values read and written.
    """

    operations: int
    weight_bytes: int
    cache_bytes: int

    @property
    def bytes(self) -> int:
        """All traffic."""
        return self.weight_bytes + self.cache_bytes

    @property
    def intensity(self) -> float:
        """Operations a byte, the abscissa of a roofline."""
        return self.operations / self.bytes

    def seconds(self, bandwidth: float, rate: float) -> float:
        """Least time on a machine with ``bandwidth`` bytes/s and ``rate`` operations/s (Williams et al. 2009).

        >>> Cost(operations=8_000, weight_bytes=1_000, cache_bytes=0).seconds(bandwidth=1e3, rate=1e3)
        8.0
        """
        return max(self.bytes / bandwidth, self.operations / rate)


def layer_weights(config: DecoderConfig) -> int:
    """Numbers in the matrices of one block.

    >>> layer_weights(DecoderConfig(17, width=64, layers=2, heads=4, hidden=256, context=12))  # 4 d^2 + 2 d * hidden
    49152
    """
    width, inner = config.width, config.heads * config.head_width
    mlp = (3 if config.mlp == "swiglu" else 2) * width * config.hidden
    if config.latent is None:
        return mlp + 2 * width * inner + 2 * width * config.key_value_heads * config.head_width
    latent = config.latent
    queries = config.heads * (config.head_width + latent.rotary)
    asked = width * latent.query + latent.query * queries if latent.query else width * queries
    return mlp + asked + width * (latent.key_value + latent.rotary) + 2 * inner * latent.key_value + inner * width


def pass_cost(
    config: DecoderConfig, new: int, behind: int = 0, batch: int = 1, element_bytes: int = 4, logits: int | None = None
) -> Cost:
    """Cost of feeding ``new`` positions to each of ``batch`` rows that have ``behind`` positions in the cache.

    Args:
        config: shape of the decoder; biases and embeddings are not counted.
        new: 1 is a decode step; with ``behind = 0`` it is a prefill.
        behind: positions cached before.
        batch: rows B.
        element_bytes: 4 for float32, 2 for bfloat16; of weights and cache alike.
        logits: positions whose logits are computed; None means all new ones. The last block still counts in full.

    >>> config = DecoderConfig(17, width=64, layers=2, heads=4, hidden=256, context=12)
    >>> round(pass_cost(config, new=1).intensity, 2), round(pass_cost(config, new=12).intensity, 2)
    (0.5, 5.92)
    """
    tokens = batch * new
    head = config.vocabulary * config.width
    weights = config.layers * layer_weights(config) + head
    products = 2 * config.layers * layer_weights(config) * tokens
    products += 2 * head * batch * (new if logits is None else logits)
    heads, key_width, value_width = config.cache_shape
    if config.latent is not None:  # scores against latent and rotary key, then a mixture of latents
        scored, mixed = key_width + value_width, key_width
    else:
        scored, mixed = key_width, value_width
    seen = sum(_visible(config, position) for position in range(behind, behind + new))
    attention = 2 * config.layers * config.heads * (scored + mixed) * seen * batch
    read = min(behind, config.window + config.sinks) if config.window else behind
    cached = config.layers * heads * (key_width + value_width) * batch * (read + new)
    return Cost(products + attention, weights * element_bytes, cached * element_bytes)


def _visible(config: DecoderConfig, position: int) -> int:
    """Keys that the query at ``position`` sees, itself included."""
    return min(position + 1, config.window + config.sinks) if config.window else position + 1
