"""Recomputed activations, bytes by formula, the fitted cost model, and plans against arithmetic done apart."""

import pytest
import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.transformer import Decoder
from finqa_lab.tune.batches import windows
from finqa_lab.tune.distributed.planning import A10G, H100, estimate, table
from finqa_lab.tune.distributed.scaling import CostModel, Measurement, fit
from finqa_lab.tune.distributed.volume import Volume, ddp_volume, fsdp_volume
from finqa_lab.tune.linear4bit import quantize_linears
from finqa_lab.tune.lora import LoRAConfig, add_adapter
from finqa_lab.tune.memory import GB, LLAMA_7B, kept_bytes
from finqa_lab.tune.recompute import recomputed_blocks
from finqa_lab.tune.training import loss_sum, trained

CONFIG = DecoderConfig.llama(128, 64, 4, 4, 192, 64, kv_heads=2, tied=False)


def batch():
    stream = torch.randint(0, 128, (600,), generator=torch.Generator().manual_seed(0))
    return windows(stream, 48, 4)(0)[0]


def gradients(model, precision="float32"):
    model.zero_grad(set_to_none=True)
    loss = loss_sum(model, batch(), precision)
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten() for p in trained(model).values()])


def test_recomputing_blocks_keeps_less_and_changes_no_bit():
    model = Decoder(CONFIG).train()
    add_adapter(model, LoRAConfig(dropout=0.2))
    for adapter_b in (p for name, p in trained(model).items() if name.endswith(".b")):
        torch.nn.init.normal_(adapter_b, generator=torch.Generator().manual_seed(0))
    tokens = batch().tokens
    torch.manual_seed(0)
    loss, plain = gradients(model)
    kept = kept_bytes(model, tokens)
    with recomputed_blocks(model):
        torch.manual_seed(0)
        again, recomputed = gradients(model)
        inputs = tokens.numel() * CONFIG.width * 4
        less = kept_bytes(model, tokens)
    assert again == loss and recomputed.equal(plain), "the same dropout masks too"
    assert less < kept / 4
    assert less >= CONFIG.layers * inputs, "the input of every block"
    assert kept_bytes(model, tokens) == kept, "behind the block all is as before"


def test_16_bit_products_keep_less_and_nearly_the_loss():
    model = Decoder(CONFIG).train()
    tokens, (full, _) = batch().tokens, gradients(model)
    half, _ = gradients(model, "bfloat16")
    assert half == pytest.approx(full, rel=0.01) and half != full
    kept = kept_bytes(model, tokens)
    with torch.autocast("cpu", torch.bfloat16):
        assert kept_bytes(model, tokens) < 0.85 * kept  # not half: norms and sums stay float32, matrices are copied


def test_sharding_sends_half_as_much_again_when_all_is_trained():
    model = Decoder(CONFIG)
    ddp, fsdp = ddp_volume(model, 4), fsdp_volume(model, 4)
    size = sum(p.nbytes for p in model.parameters())
    root = sum(p.nbytes for p in (model.token_embedding.weight, model.norm.gain, model.head.weight))
    assert ddp.total == 2 * 0.75 * size and ddp.exchanges == 1
    assert fsdp.total == 0.75 * (3 * size - root) and fsdp.exchanges == 3 * CONFIG.layers + 2
    assert fsdp_volume(model, 4, gloo=True).total == fsdp.total + 0.75 * size
    add_adapter(model, LoRAConfig(rank=2))
    assert fsdp_volume(model, 4).total > 20 * ddp_volume(model, 4).total
    assert ddp_volume(model, 1).total == fsdp_volume(model, 1).total == 0


def test_the_fit_finds_the_constants_that_made_the_times():
    true = CostModel(2e-5, 1.5e8, 4e-4, 1.25)
    made = []
    for ranks, work, volume in (
        (1, 1000, Volume(0, 0, 0)),
        (1, 4000, Volume(0, 0, 0)),
        (2, 1000, Volume(0, 5e5, 1)),
        (2, 4000, Volume(3e6, 5e5, 15)),
        (2, 2000, Volume(1e6, 2e6, 40)),
        (2, 3000, Volume(0, 4e6, 2)),
    ):
        made.append(Measurement(ranks, work, volume, true.seconds(ranks, work, volume)))
    found = fit(made)
    constants = (found.work_seconds, found.bandwidth, found.latency, found.crowding)
    assert constants == pytest.approx((2e-5, 1.5e8, 4e-4, 1.25), rel=1e-6)
    assert found.error(made) < 1e-6
    assert found.efficiency(2, 4000, Volume(0, 0, 0)) == pytest.approx(1 / 1.25)
    # a time that no communication explains does not make the link infinitely fast and the latency negative
    slower = [*made[:2], *(Measurement(m.ranks, m.work, m.volume, m.seconds * 0.9) for m in made[2:])]
    assert min(fit(slower).work_seconds, fit(slower).bandwidth, fit(slower).latency) >= 0


def test_a_fit_needs_one_rank_and_several():
    one = Measurement(1, 10, Volume(0, 0, 0), 1.0)
    for measured in ([one], [Measurement(2, 10, Volume(0, 5, 1), 1.0)]):
        with pytest.raises(CourseError, match="measure both"):
            fit(measured)


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_plan_sends_what_the_real_model_would(method, strategy):
    config = DecoderConfig.llama(512, 256, 3, 4, 512, 128, tied=False)
    model = Decoder(config)
    if method == "qlora":
        pytest.importorskip("bitsandbytes")
        quantize_linears(model)
    if method != "full":
        add_adapter(model, LoRAConfig(rank=16))
    plan = estimate(config, method, strategy, A10G, 4, micro_batches=2)
    real = ddp_volume(model, 4) if strategy == "ddp" else fsdp_volume(model, 4, 2, element_bytes=2)
    assert plan.volume.reduced == pytest.approx(real.reduced, rel=0.02)  # norms are left out of the plan
    expected = real.gathered
    if method == "qlora" and strategy == "fsdp":  # scales are counted with the codes, and stay on the ranks in truth
        expected *= 4.127 / 4
    assert plan.volume.gathered == pytest.approx(expected, rel=0.05)


def test_plans_of_7b_are_estimates_and_full_training_fits_only_when_sharded_over_large_gpus():
    rows = {(row["machine"], row["method"], row["strategy"]): row for row in table()}
    assert {row["basis"] for row in rows.values()} == {"estimate"} and len(rows) == 12
    fits = {key for key, row in rows.items() if row["fits"]}
    assert ("8 x H100 SXM", "full", "fsdp") in fits
    assert not {("8 x H100 SXM", "full", "ddp"), ("4 x A10G", "full", "ddp"), ("4 x A10G", "full", "fsdp")} & fits
    assert all(key in fits for key in rows if key[1] == "qlora")
    # by hand: 16 bytes for each of 6.738e9 parameters on 8 ranks
    assert estimate(LLAMA_7B, "full", "fsdp", H100, 8).floor / GB == pytest.approx(13.48, abs=0.01)
    slow, fast = estimate(LLAMA_7B, "lora", "fsdp", A10G, 4).tokens_a_second
    assert 0 < slow < fast
    # by hand: 6 operations a parameter and token for all trained and recomputed another 2, at 40% of 70e12
    plan = estimate(LLAMA_7B, "full", "ddp", A10G, 4, length=64)
    assert 64 * 4 / plan.compute_seconds == pytest.approx(4 * 0.4 * 70e12 / (8 * 6.6e9), rel=0.02)


def test_a_plan_for_another_method_is_refused():
    with pytest.raises(CourseError, match="no plan for 'dora'"):
        estimate(LLAMA_7B, "dora", "ddp", A10G, 4)
