"""Latent attention, absorbed, against the same thing with every head's keys and values written out."""

import math

import pytest
import torch
from transformers import DeepseekV3Config
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3Attention, DeepseekV3RotaryEmbedding

from finqa_lab.errors import CourseError
from finqa_lab.nn.attention import Frame, split_heads
from finqa_lab.nn.cache.contiguous import ContiguousCache
from finqa_lab.nn.config import DecoderConfig, LatentConfig
from finqa_lab.nn.generate import greedy
from finqa_lab.nn.latent import LatentAttention
from finqa_lab.nn.masks import causal_mask, position_mask
from finqa_lab.nn.rope import Rotary, rotate
from finqa_lab.nn.rope_scaling import RopeScaling
from finqa_lab.nn.transformer import Decoder

HEADS, HEAD_WIDTH, ROTARY, LATENT = 3, 6, 4, 10
VARIANTS = {
    "plain": {},
    "query latent": {"latent": LatentConfig(LATENT, ROTARY, query=14)},
    "window": {"window": 4},
    "yarn": {"rope_scaling": RopeScaling("yarn", 4.0, original_context=32)},
}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def config(**changes) -> DecoderConfig:
    fields = {"vocabulary": 19, "width": 16, "layers": 2, "heads": HEADS, "hidden": 24, "context": 40}
    fields |= {"mlp": "swiglu", "positions": "rotary", "norm_eps": 1e-6, "head_dim": HEAD_WIDTH}
    return DecoderConfig(**fields | {"latent": LatentConfig(LATENT, ROTARY)} | changes)


def attention_for(shape: DecoderConfig) -> LatentAttention:
    """Random weights of a size that makes the softmax uneven, and random gains."""
    attention = LatentAttention(shape, layer=0)
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return attention


def angles(shape: DecoderConfig, length: int):
    return Rotary(shape, ROTARY).at(0, length, None, torch.device("cpu"), torch.float32)


def unabsorbed(attention: LatentAttention, x, cos, sin, allowed):
    """Section 2.1 of the paper, head by head: output (B, T, d) and weights (B, H, T, T)."""
    latent = attention.latent_norm(attention.latent(x))
    rotary_key = rotate(attention.rotary_key(x), cos, sin)
    keys, values = attention.key(latent), attention.value(latent)
    query_input = attention.query_norm(attention.query_down(x)) if hasattr(attention, "query_down") else x
    queries = split_heads(attention.query(query_input), HEADS)
    outputs, maps = [], []
    for head in range(HEADS):
        own = slice(head * HEAD_WIDTH, (head + 1) * HEAD_WIDTH)
        content, turned = queries[:, head, :, :HEAD_WIDTH], rotate(queries[:, head, :, HEAD_WIDTH:], cos, sin)
        query = torch.cat([content, turned], dim=-1)
        key = torch.cat([keys[..., own], rotary_key], dim=-1)
        scores = query @ key.mT / math.sqrt(HEAD_WIDTH + ROTARY)
        maps.append(scores.masked_fill(~allowed, float("-inf")).softmax(dim=-1))
        outputs.append(maps[-1] @ values[..., own])
    return attention.output(torch.cat(outputs, dim=-1)), torch.stack(maps, dim=1)


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_absorbed_equals_unabsorbed_with_gradients(changes):
    shape, x = config(**changes), torch.randn(2, 9, 16, requires_grad=True)
    attention, (cos, sin) = attention_for(shape), angles(shape, 9)
    mask = position_mask(torch.arange(9), torch.arange(9), shape.window) if shape.window else None
    allowed = causal_mask(9, 9) if mask is None else mask
    expected, weights = unabsorbed(attention, x, cos, sin, allowed)
    maps = []
    found = attention(x, Frame((cos, sin), mask, maps=maps))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(maps[0], weights, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(attention(x, Frame((cos, sin), mask), start=5), expected[:, 5:], rtol=1e-5, atol=1e-5)

    pull, inputs = torch.randn_like(expected), [x, *attention.parameters()]
    theirs = torch.autograd.grad(expected, inputs, pull)
    for ours, wanted in zip(torch.autograd.grad(found, inputs, pull), theirs, strict=True):
        torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-5 * wanted.abs().max().item())


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_cached_step_by_step_equals_one_pass(changes):
    shape = config(**changes)
    model, tokens = Decoder(shape).eval(), torch.randint(0, 19, (3, 13))
    cache = ContiguousCache(shape, batch=3)
    pieces = [model(part, cache=cache) for part in tokens.split([5, 1, 1, 3, 1, 2], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(tokens), rtol=1e-5, atol=1e-5)
    assert torch.equal(greedy(model, tokens, 8), greedy(model, tokens, 8, use_cache=False))


def test_left_padding_changes_no_logits():
    model, tokens = Decoder(config()).eval(), torch.randint(0, 19, (2, 9))
    padded = model(tokens, padding=torch.tensor([0, 4]))
    torch.testing.assert_close(padded[:1], model(tokens[:1]), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(padded[1:, 4:], model(tokens[1:, 4:]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("query", [0, 14])
def test_equals_deepseek_v3_of_transformers(query):
    shape, x = config(latent=LatentConfig(LATENT, ROTARY, query=query)), torch.randn(2, 9, 16)
    ours = attention_for(shape)
    their_config = DeepseekV3Config(
        hidden_size=16,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        q_lora_rank=query or None,
        kv_lora_rank=LATENT,
        qk_nope_head_dim=HEAD_WIDTH,
        v_head_dim=HEAD_WIDTH,
        qk_rope_head_dim=ROTARY,
        rope_interleave=False,
        attn_implementation="eager",
    )
    theirs = DeepseekV3Attention(their_config, layer_idx=0)
    keys, values = (part.weight.unflatten(0, (HEADS, HEAD_WIDTH)) for part in (ours.key, ours.value))
    weights = {
        "kv_a_proj_with_mqa.weight": torch.cat([ours.latent.weight, ours.rotary_key.weight]),
        "kv_a_layernorm.weight": ours.latent_norm.gain,
        "kv_b_proj.weight": torch.cat([keys, values], dim=1).flatten(0, 1),
        "o_proj.weight": ours.output.weight,
    }
    if query:
        weights |= {"q_a_proj.weight": ours.query_down.weight, "q_a_layernorm.weight": ours.query_norm.gain}
    weights["q_b_proj.weight" if query else "q_proj.weight"] = ours.query.weight
    theirs.load_state_dict(weights)
    positions = DeepseekV3RotaryEmbedding(their_config)(x, torch.arange(9)[None])
    blocked = torch.zeros(1, 1, 9, 9).masked_fill(~causal_mask(9, 9), float("-inf"))
    expected, maps = theirs(x, positions, blocked)
    found = []
    torch.testing.assert_close(ours(x, Frame(angles(shape, 9), maps=found)), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[0], maps, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cache_bytes_are_one_latent_and_one_rotary_key_a_token(dtype):
    cache = ContiguousCache(config(), batch=5, capacity=33, dtype=dtype)
    assert cache.nbytes == 2 * 5 * 33 * (LATENT + ROTARY) * dtype.itemsize


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"latent": {"key_value": 8, "rotary": 3}}, "latent.rotary is 3; .* make it even"),
        ({"latent": {"key_value": 0, "rotary": 2}}, "latent.key_value is 0"),
        ({"latent": {"rotary": 2}}, "latent is .* object with key_value, rotary, query"),
        ({"kv_heads": 1}, "kv_heads must be 0 with latent attention"),
        ({"positions": "learned"}, "latent needs positions 'rotary'"),
    ],
)
def test_bad_configs_are_refused(changes, says):
    with pytest.raises(CourseError, match=says):
        DecoderConfig.from_json(config().to_json() | changes)
