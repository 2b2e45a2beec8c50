"""The law against the bytes of caches and the weights of decoders that exist, and against published totals."""

import pytest
import torch

from finqa_lab.errors import CourseError
from finqa_lab.files import REPOSITORY
from finqa_lab.nn.cache.blocks import BlockPool
from finqa_lab.nn.cache.contiguous import ContiguousCache
from finqa_lab.nn.cache.memory import (
    PRESETS,
    cache_bytes,
    contiguous_waste,
    int8_cache_bytes,
    paged_waste,
    parameter_count,
    weight_bytes,
)
from finqa_lab.nn.cache.paged import PagedCache
from finqa_lab.nn.cache.quantised import Int8Cache
from finqa_lab.nn.cache.sliding import SlidingCache
from finqa_lab.nn.config import DecoderConfig, LatentConfig
from tests.nn.cached import SHAPES, WINDOWED, model_of, tokens

UNBOUNDED = {name: shape for name, shape in SHAPES.items() if not shape.window}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", UNBOUNDED.values(), ids=UNBOUNDED)
def test_contiguous_bytes_are_the_law(shape, dtype):
    assert ContiguousCache(shape, 3, 20, dtype).nbytes == cache_bytes(shape, 20, 3, dtype.itemsize)
    assert ContiguousCache(shape, 1).nbytes == cache_bytes(shape, shape.context, element_bytes=4)


@pytest.mark.parametrize("shape", WINDOWED.values(), ids=WINDOWED)
def test_a_window_caps_the_bytes(shape):
    slots = shape.window + shape.sinks
    sliding = SlidingCache(shape, 3, dtype=torch.bfloat16).nbytes
    assert sliding == cache_bytes(shape, slots, 3) == cache_bytes(shape, 10**6, 3)
    assert ContiguousCache(shape, 3, slots - 1 or 1, torch.bfloat16).nbytes == cache_bytes(shape, slots - 1 or 1, 3)


@pytest.mark.parametrize("shape", UNBOUNDED.values(), ids=UNBOUNDED)
def test_int8_bytes_are_the_law(shape):
    assert Int8Cache(shape, batch=3, capacity=20).nbytes == int8_cache_bytes(shape, 20, batch=3)


@pytest.mark.parametrize("shape", UNBOUNDED.values(), ids=UNBOUNDED)
def test_paged_bytes_are_the_law_of_whole_blocks(shape):
    pool = BlockPool(shape, blocks=12, block_size=4)
    assert pool.nbytes == cache_bytes(shape, 12 * 4, element_bytes=4)
    cache, lengths = PagedCache(pool, 3), (9, 4, 1)
    for row, length in enumerate(lengths):
        model_of(shape)(tokens(1, length), cache=cache.batch([row]))
    assert cache.nbytes == sum(cache_bytes(shape, held, element_bytes=4) for held in (12, 4, 4))
    assert cache.waste() / 20 == pytest.approx(paged_waste(lengths, 4)) == pytest.approx(6 / 20)


@pytest.mark.parametrize("name", PRESETS)
def test_a_published_shape_reserves_what_the_law_says(name):
    config = PRESETS[name].config
    make = SlidingCache if config.window else ContiguousCache
    cache = make(config, batch=2, dtype=torch.bfloat16, device="meta")  # shapes only: nothing is allocated
    assert cache.nbytes == cache_bytes(config, config.context, batch=2)


def test_laws_of_published_models_in_their_own_words():
    def kib_a_token(name):
        return cache_bytes(PRESETS[name].config, 1) / 2**10

    assert kib_a_token("Llama-2-7B") == 2 * 32 * 32 * 128 * 2 / 2**10 == 512
    assert kib_a_token("Llama-3.1-8B") == 2 * 32 * 8 * 128 * 2 / 2**10 == 128
    assert kib_a_token("DeepSeek-V2") == 60 * (512 + 64) * 2 / 2**10 == 67.5
    mistral = PRESETS["Mistral-7B-v0.1"].config
    assert cache_bytes(mistral, 32_768) == cache_bytes(mistral, 4096) == 2**29  # 128 KiB a token


@pytest.mark.parametrize(
    "shape",
    [
        *SHAPES.values(),
        DecoderConfig(17, width=16, layers=3, heads=2, hidden=24, context=12, places=5),
        DecoderConfig(17, 16, 2, 2, 24, 12, mlp="swiglu", positions="none", tied=False),
        DecoderConfig(17, 16, 2, 2, 24, 12, positions="rotary", latent=LatentConfig(8, 4, query=6)),
    ],
)
def test_parameters_are_those_of_a_decoder(shape):
    model = model_of(shape)
    assert parameter_count(shape) == model.parameter_count()
    assert weight_bytes(shape, 4) == sum(parameter.nbytes for parameter in model.parameters())
    assert weight_bytes(shape, 0.5) == parameter_count(shape) // 2


@pytest.mark.parametrize("name", PRESETS)
def test_sizes_of_a_preset_give_its_published_total(name):
    """The totals of the checkpoints, which no single size could be wrong in without showing."""
    preset, without = PRESETS[name], {"Qwen2.5-7B": 28 * (3584 + 2 * 512)}  # biases of queries, keys and values
    routed, router = 160 * 3 * 5120 * 1536, 160 * 5120
    asked = 6 * 3 * 5120 * 1536
    without["DeepSeek-V2"] = 59 * (routed - asked + router)  # the first of its layers is dense
    assert parameter_count(preset.config) + without.get(name, 0) == preset.parameters
    assert weight_bytes(preset) == 2 * preset.parameters


def test_waste_is_the_share_left_unused():
    assert contiguous_waste([10, 20, 30], reserved=40) == pytest.approx(0.5)
    assert paged_waste([10, 20, 30], block_size=16) == pytest.approx(1 - 60 / 80)
    assert paged_waste([16, 32], block_size=16) == 0 == contiguous_waste([8], reserved=8)
    assert paged_waste([0, 1], block_size=4) == 0.75
    with pytest.raises(CourseError, match="41 positions does not fit 40"):
        contiguous_waste([3, 41], reserved=40)
    for nothing in ([], [0]):
        with pytest.raises(CourseError, match="at least one length above 0"):
            paged_waste(nothing, block_size=4)


def test_the_chapter_s_table_is_what_the_law_gives():
    page = (REPOSITORY / "book" / "decoder" / "cache.md").read_text(encoding="utf-8")
    for name, preset in PRESETS.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {name} |")]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        gib = [cache_bytes(preset.config, tokens) / 2**30 for tokens in (8192, 131_072)]
        assert cells[1] == str(preset.config.layers)
        assert cells[3] == f"{cache_bytes(preset.config, 1):,}"
        assert cells[4:6] == [f"{value:.2f} GiB" for value in gib]
        assert cells[6] == f"{weight_bytes(preset) / 2**30:.1f} GiB"
