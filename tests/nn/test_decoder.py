"""The decoder against torch's own pieces, and against itself: cached, partial, saved and loaded."""

import json

import pytest
import torch
import torch.nn.functional as F

from finqa_lab.errors import CourseError
from finqa_lab.nn.attention import Attention, Frame, attention_weights
from finqa_lab.nn.cache.contiguous import ContiguousCache
from finqa_lab.nn.checkpoint import CONFIG_FILE, WEIGHTS_FILE, load_checkpoint, save_checkpoint
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.generate import greedy
from finqa_lab.nn.masks import causal_mask
from finqa_lab.nn.norm import RMSNorm
from finqa_lab.nn.shared_prefix import greedy_shared, prefix_ids
from finqa_lab.nn.transformer import Decoder

SMALL = DecoderConfig(vocabulary=17, width=16, layers=3, heads=4, hidden=24, context=12)


def config(**changes) -> DecoderConfig:
    return DecoderConfig.from_json(SMALL.to_json() | changes)


def tokens(batch=5, length=12, seed=0):
    return torch.randint(0, 17, (batch, length), generator=torch.Generator().manual_seed(seed))


VARIANTS = {
    "relu": SMALL,
    "swiglu": config(mlp="swiglu"),
    "grouped": config(kv_heads=2),
    "one kv head, no positions": config(kv_heads=1, positions="none"),
    "places": config(places=5),
}


def places_for(shape: DecoderConfig, batch=5, length=12):
    return torch.arange(length).remainder(5).expand(batch, length) if shape.places else None


def test_rms_norm_equals_torch():
    norm = RMSNorm(16)
    with torch.no_grad():
        norm.gain.copy_(torch.linspace(0.5, 2, 16))
    x = torch.randn(3, 7, 16)
    torch.testing.assert_close(norm(x), F.rms_norm(x, (16,), norm.gain, 1e-5))


def test_attention_equals_torch_multihead_attention():
    ours = Attention(SMALL, layer=0)
    theirs = torch.nn.MultiheadAttention(16, 4, bias=False, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.out_proj.weight.copy_(ours.output.weight)
    x = torch.randn(3, 7, 16)
    expected, weights = theirs(x, x, x, attn_mask=~causal_mask(7, 7), average_attn_weights=False)
    maps = []
    torch.testing.assert_close(ours(x, Frame(maps=maps)), expected)
    torch.testing.assert_close(maps[0], weights)


def test_grouped_heads_equal_repeated_heads():
    query, key = torch.randn(2, 4, 6, 8), torch.randn(2, 2, 6, 8)
    expected = attention_weights(query, key[:, [0, 0, 1, 1]])
    torch.testing.assert_close(attention_weights(query, key), expected)


@pytest.mark.parametrize("shape", VARIANTS.values(), ids=VARIANTS)
def test_cached_logits_equal_uncached(shape):
    model, x, places = Decoder(shape).eval(), tokens(), places_for(shape)
    full = model(x, places)
    cache, pieces, at = ContiguousCache(shape, batch=5), [], 0
    for length in (4, 1, 1, 3, 2, 1):
        here = None if places is None else places[:, at : at + length]
        pieces.append(model(x[:, at : at + length], here, cache))
        at += length
    assert cache.length == 12
    torch.testing.assert_close(torch.cat(pieces, dim=1), full, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", VARIANTS.values(), ids=VARIANTS)
def test_start_gives_the_tail_of_the_logits(shape):
    model, x, places = Decoder(shape), tokens(), places_for(shape)
    torch.testing.assert_close(model(x, places, start=7), model(x, places)[:, 7:], rtol=1e-5, atol=1e-5)


def test_the_future_does_not_reach_the_past():
    model, x = Decoder(SMALL), tokens()
    changed = x.clone()
    changed[:, 8] = (changed[:, 8] + 1) % 17
    before, after = model(x), model(changed)
    torch.testing.assert_close(before[:, :8], after[:, :8])
    assert not torch.allclose(before[:, 8:], after[:, 8:])


def test_cache_is_used_and_bounded():
    model, cache = Decoder(SMALL), ContiguousCache(SMALL, batch=1, capacity=6)
    model(tokens(1, 5), cache=cache)
    expected = model(tokens(1, 1, seed=3), cache=cache)
    again = ContiguousCache(SMALL, batch=1)
    model(tokens(1, 5), cache=again)
    again.values.zero_()  # a decoder that ignored its cache would not notice
    assert not torch.allclose(model(tokens(1, 1, seed=3), cache=again), expected)
    with pytest.raises(CourseError, match="holds 6 positions; 7"):
        model(tokens(1, 1), cache=cache)


def test_selected_cache_continues_each_prefix():
    model, prefix = Decoder(SMALL).eval(), tokens(2, 4)
    cache = ContiguousCache(SMALL, batch=2)
    model(prefix, cache=cache)
    endings = tokens(6, 1, seed=4)
    chosen = model(endings, cache=cache.select(torch.tensor([0, 0, 0, 1, 1, 1])))
    whole = model(torch.cat([prefix.repeat_interleave(3, dim=0), endings], dim=1))
    torch.testing.assert_close(chosen[:, -1], whole[:, -1], rtol=1e-5, atol=1e-5)


def test_cache_bytes_are_the_formula():
    shape = config(kv_heads=2)
    assert ContiguousCache(shape, batch=7).nbytes == 2 * 3 * 7 * 2 * 12 * 4 * 4


def test_initialisation_is_seeded_and_scaled():
    shape = config(width=128, hidden=512, heads=4)
    a, b, c = Decoder(shape, seed=1), Decoder(shape, seed=1), Decoder(shape, seed=2)
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.token_embedding.weight, c.token_embedding.weight)
    block = a.blocks[0]
    assert block.mlp.up.weight.std().item() == pytest.approx(128**-0.5, rel=0.05)
    assert block.mlp.down.weight.std().item() == pytest.approx(512**-0.5 / 6**0.5, rel=0.05)
    assert block.attention.output.weight.std().item() == pytest.approx(128**-0.5 / 6**0.5, rel=0.05)
    assert torch.equal(block.mlp.up.bias, torch.zeros(512))


@pytest.mark.parametrize("shape", [SMALL, config(places=5)], ids=["plain", "places"])
def test_greedy_with_cache_equals_greedy_without(shape):
    model, prompts = Decoder(shape).eval(), tokens(20, 7)
    places = None if not shape.places else torch.arange(12).remainder(5)
    cached = greedy(model, prompts, 5, places)
    assert torch.equal(cached, greedy(model, prompts, 5, places, use_cache=False))
    assert torch.equal(cached[:, 0], model(prompts, None if places is None else places[:7])[:, -1].argmax(-1))


@pytest.mark.parametrize("shape", [SMALL, config(places=5), config(kv_heads=1)], ids=["plain", "places", "grouped"])
def test_shared_prefixes_change_no_answer(shape):
    model = Decoder(shape).eval()
    prompts = torch.cat([tokens(1, 3).expand(40, 3), tokens(40, 4).remainder(3)], dim=1)
    prompts = prompts[torch.tensor(sorted(range(40), key=lambda row: prompts[row].tolist()))]
    prompts = torch.cat([prompts, tokens(5, 7, seed=9)])  # some that share nothing with their neighbour
    places = None if not shape.places else (torch.arange(12) * torch.arange(1, 46)[:, None]).remainder(5)
    assert torch.equal(greedy_shared(model, prompts, 5, places), greedy(model, prompts, 5, places))
    places = None if places is None else places[:1]
    assert torch.equal(greedy_shared(model, prompts[:1], 1, places), greedy(model, prompts[:1], 1, places))


def test_shared_prefix_with_other_places_is_another_prefix():
    prompts, places = torch.zeros(2, 3, dtype=torch.int64), torch.tensor([[1, 1, 1], [1, 2, 1]])
    assert prefix_ids(prompts, places).tolist() == [[0, 0, 0], [0, 1, 1]]


def test_greedy_stops_and_pads():
    model, prompts = Decoder(SMALL).eval(), tokens(20, 7)
    free = greedy(model, prompts, 5)
    stop = int(free[0, 1])
    stopped = greedy(model, prompts, 5, stop=stop)
    for ours, theirs in zip(stopped.tolist(), free.tolist(), strict=True):
        end = theirs.index(stop) if stop in theirs else 5
        assert ours == theirs[:end] + [stop] * (5 - end)


def test_wrong_use_is_refused():
    model = Decoder(SMALL)
    with pytest.raises(CourseError, match="13 positions does not fit the context of 12"):
        model(tokens(1, 13))
    with pytest.raises(ValueError, match="places"):
        model(tokens(), torch.zeros(12, dtype=torch.int64))
    with pytest.raises(ValueError, match="places"):
        Decoder(config(places=5))(tokens())


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("width", 18, "width 18 is not a multiple of its 4 heads"),
        ("layers", 0, "layers is 0"),
        ("layers", True, "layers is True"),
        ("kv_heads", 3, "not a multiple of kv_heads = 3"),
        ("mlp", "gelu", "allowed: relu, swiglu"),
        ("positions", "rope", "allowed: learned, rotary, none"),
        ("norm_eps", 0, "norm_eps is 0"),
        ("depth", 2, "unknown field 'depth'"),
    ],
)
def test_config_refuses(field, value, says):
    with pytest.raises(CourseError, match=says):
        config(**{field: value})


def test_config_names_a_missing_field():
    values = SMALL.to_json()
    del values["hidden"]
    with pytest.raises(CourseError, match="lacks the field 'hidden'"):
        DecoderConfig.from_json(values)


def test_checkpoint_round_trip(tmp_path):
    model = Decoder(config(places=3, mlp="swiglu", kv_heads=2), seed=5)
    save_checkpoint(tmp_path / "a", model, {"recipe": "x", "seed": 5})
    loaded, metadata = load_checkpoint(tmp_path / "a")
    assert metadata == {"recipe": "x", "seed": 5} and loaded.config == model.config and not loaded.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    save_checkpoint(tmp_path / "b", model, {"seed": 5, "recipe": "x"})
    assert (tmp_path / "a" / WEIGHTS_FILE).read_bytes() == (tmp_path / "b" / WEIGHTS_FILE).read_bytes()
    assert (tmp_path / "a" / CONFIG_FILE).read_bytes() == (tmp_path / "b" / CONFIG_FILE).read_bytes()


def edit_config(folder, **changes):
    record = json.loads((folder / CONFIG_FILE).read_text())
    record |= changes
    (folder / CONFIG_FILE).write_text(json.dumps(record))


def test_damaged_checkpoints_are_named(tmp_path):
    save_checkpoint(tmp_path, Decoder(SMALL))
    with pytest.raises(CourseError, match="config .*nowhere.* is missing"):
        load_checkpoint(tmp_path / "nowhere")

    good = (tmp_path / WEIGHTS_FILE).read_bytes()
    (tmp_path / WEIGHTS_FILE).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(CourseError, match="sha256 .*config.json says"):
        load_checkpoint(tmp_path)
    (tmp_path / WEIGHTS_FILE).write_bytes(good)

    edit_config(tmp_path, decoder=SMALL.to_json() | {"hidden": 25})
    with pytest.raises(CourseError, match=r"'blocks.0.mlp.up.weight'.* shape \[24, 16\].*asks for \[25, 16\]"):
        load_checkpoint(tmp_path)
    edit_config(tmp_path, decoder=SMALL.to_json() | {"layers": 4})
    with pytest.raises(CourseError, match="lack the tensor 'blocks.3.attention_norm.gain'"):
        load_checkpoint(tmp_path)
    edit_config(tmp_path, decoder=SMALL.to_json() | {"layers": 2})
    with pytest.raises(CourseError, match="hold a tensor 'blocks.2"):
        load_checkpoint(tmp_path)
    edit_config(tmp_path, format=2)
    with pytest.raises(CourseError, match="not a decoder checkpoint of format 1"):
        load_checkpoint(tmp_path)


def test_weights_that_are_not_safetensors(tmp_path):
    from finqa_lab.files import sha256_bytes

    save_checkpoint(tmp_path, Decoder(SMALL))
    (tmp_path / WEIGHTS_FILE).write_bytes(b"pickle")
    edit_config(tmp_path, sha256=sha256_bytes(b"pickle"))
    with pytest.raises(CourseError, match="not in safetensors format"):
        load_checkpoint(tmp_path)
    (tmp_path / WEIGHTS_FILE).unlink()
    with pytest.raises(CourseError, match="cannot be read"):
        load_checkpoint(tmp_path)
