"""The memory law: bytes of weights and caches as arithmetic, before anything is allocated.

A token of context costs ``layers x heads x (w_key + w_value)`` numbers, with the heads and widths of
``DecoderConfig.cache_shape``: ``layers x 2 x kv_heads x head_width`` with grouped attention, ``layers x (d_c + d_R)``
with latent attention.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig, LatentConfig
from finqa_lab.nn.cost import layer_weights


def cache_bytes(config: DecoderConfig, tokens: int, batch: int = 1, element_bytes: int = 2) -> int:
    """Bytes of the keys and values of ``batch`` rows of ``tokens`` positions, no more than window and sinks keep.

    Args:
        config: shape of the decoder.
        tokens: positions of a row.
        batch: rows.
        element_bytes: 2 for bfloat16, 4 for float32.

    >>> cache_bytes(PRESETS["Llama-3.1-8B"].config, tokens=1) // 2**10   # KiB a token: 32 x 2 x 8 x 128 x 2 bytes
    128
    """
    heads, key_width, value_width = config.cache_shape
    return config.layers * heads * (key_width + value_width) * _kept(config, tokens) * batch * element_bytes


def int8_cache_bytes(config: DecoderConfig, tokens: int, batch: int = 1, scale_bytes: int = 4) -> int:
    """As :func:`cache_bytes` with one byte a number, and a scale for each key and each value of a head."""
    scales = config.layers * config.cache_shape[0] * 2 * _kept(config, tokens) * batch
    return cache_bytes(config, tokens, batch, element_bytes=1) + scales * scale_bytes


def _kept(config: DecoderConfig, tokens: int) -> int:
    return min(tokens, config.window + config.sinks) if config.window else tokens


def parameter_count(config: DecoderConfig) -> int:
    """Trained numbers of a :class:`finqa_lab.nn.transformer.Decoder` of this shape, without building it.

    >>> parameter_count(DecoderConfig(vocabulary=17, width=64, layers=2, heads=4, hidden=256, context=12))
    101120
    """
    rows = config.vocabulary * (1 if config.tied else 2) + config.places
    rows += config.context if config.positions == "learned" else 0
    block = layer_weights(config) + 2 * config.width
    if config.mlp == "relu":
        block += config.hidden + config.width
    if config.latent is not None:
        block += config.latent.key_value + config.latent.query
    return (rows + 1) * config.width + config.layers * block


def contiguous_waste(lengths: Sequence[int], reserved: int) -> float:
    """Share of the positions left unused when ``reserved`` of them are set aside for each sequence.

    Raises:
        CourseError: when there is nothing to reserve for, or a sequence does not fit.

    >>> contiguous_waste([100, 300], reserved=1000)
    0.8
    """
    if max(lengths, default=0) > reserved:
        raise CourseError(f"a sequence of {max(lengths)} positions does not fit {reserved} reserved ones; reserve more")
    return _unused(lengths, reserved * len(lengths))


def paged_waste(lengths: Sequence[int], block_size: int) -> float:
    """Share of the positions left unused when each sequence holds the blocks that it needs.

    Raises:
        CourseError: when no sequence holds any block.

    >>> paged_waste([100, 300], block_size=16)   # 7 and 19 blocks
    0.038461538461538464
    """
    return _unused(lengths, sum(-(-length // block_size) * block_size for length in lengths))


def _unused(lengths: Sequence[int], held: int) -> float:
    if not held:
        raise CourseError("no positions are held, so there is no share of them: give at least one length above 0")
    return (held - sum(lengths)) / held


@dataclass(frozen=True)
class Preset:
    """Sizes of a published model.

    Attributes:
        config: what the sizes of weights and cache follow from. The rest is at its default: no weights can be run with
            it.
        parameters: trained numbers that must be stored. More than :func:`parameter_count` where a published model has
            what a :class:`finqa_lab.nn.transformer.Decoder` lacks: biases, or experts that are not asked.
        source: where the sizes are stated.
    """

    config: DecoderConfig
    parameters: int
    source: str


def weight_bytes(model: DecoderConfig | Preset, element_bytes: float = 2) -> int:
    """Bytes of all weights; 2 bytes each for bfloat16, 0.5 for four bits (their scales not counted).

    >>> weight_bytes(PRESETS["Llama-3.1-8B"]) / 2**30
    14.957527160644531
    """
    parameters = model.parameters if isinstance(model, Preset) else parameter_count(model)
    return int(parameters * element_bytes)


PRESETS = {
    "Llama-3.2-1B": Preset(
        DecoderConfig.llama(128_256, 2048, 16, 32, 8192, 131_072, kv_heads=8),
        1_235_814_400,
        "config.json of meta-llama/Llama-3.2-1B",
    ),
    "Llama-3.2-3B": Preset(
        DecoderConfig.llama(128_256, 3072, 28, 24, 8192, 131_072, kv_heads=8),
        3_212_749_824,
        "config.json of meta-llama/Llama-3.2-3B",
    ),
    "Llama-3.1-8B": Preset(
        DecoderConfig.llama(128_256, 4096, 32, 32, 14_336, 131_072, kv_heads=8, tied=False),
        8_030_261_248,
        "config.json of meta-llama/Llama-3.1-8B",
    ),
    "Llama-3.1-70B": Preset(
        DecoderConfig.llama(128_256, 8192, 80, 64, 28_672, 131_072, kv_heads=8, tied=False),
        70_553_706_496,
        "config.json of meta-llama/Llama-3.1-70B",
    ),
    "Llama-2-7B": Preset(
        DecoderConfig.llama(32_000, 4096, 32, 32, 11_008, 4096, tied=False),
        6_738_415_616,
        "config.json of meta-llama/Llama-2-7b-hf; a key/value head for every query head",
    ),
    "Mistral-7B-v0.1": Preset(
        DecoderConfig.llama(32_000, 4096, 32, 32, 14_336, 32_768, kv_heads=8, window=4096, tied=False),
        7_241_732_096,
        "config.json of mistralai/Mistral-7B-v0.1; the window: Jiang et al. 2023, arXiv 2310.06825, section 2",
    ),
    "Qwen2.5-7B": Preset(
        DecoderConfig.llama(152_064, 3584, 28, 28, 18_944, 131_072, kv_heads=4, tied=False),
        7_615_616_512,
        "config.json of Qwen/Qwen2.5-7B; queries, keys and values have biases",
    ),
    "Gemma-2B": Preset(
        DecoderConfig.llama(256_000, 2048, 18, 8, 16_384, 8192, kv_heads=1, head_dim=256),
        2_506_172_416,
        "config.json of google/gemma-2b; Gemma Team 2024, arXiv 2403.08295, table 1: one key/value head",
    ),
    "DeepSeek-V2": Preset(  # hidden: what a token passes through, 2 shared and 6 of 160 other experts of width 1536
        DecoderConfig.llama(
            102_400, 5120, 60, 128, 12_288, 163_840, head_dim=128, latent=LatentConfig(512, 64, query=1536), tied=False
        ),
        235_741_434_880,
        "config.json of deepseek-ai/DeepSeek-V2; arXiv 2405.04434, section 3.1.2: 236B, of which 21B for a token",
    ),
}
