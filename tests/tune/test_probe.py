"""The probe: what it says of one process, and of two ranks under torchrun."""

import json

import pytest
import torch

from finqa_lab.nn.hub import load_pretrained
from finqa_lab.tune.distributed import probe
from finqa_lab.tune.distributed.gather import held_floor
from finqa_lab.tune.distributed.launch import launch
from finqa_lab.tune.distributed.probe import Order, write_order
from finqa_lab.tune.distributed.ranks import Ranks
from finqa_lab.tune.linear4bit import quantize_linears
from finqa_lab.tune.memory import measured
from finqa_lab.tune.plan import Plan
from finqa_lab.tune.training import start_run, train
from tests.tune.small_model import make_base

ORDERS = [Order(strategy, method, 2, 16, rank=4) for method in ("lora", "full") for strategy in ("ddp", "fsdp")]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base") / "model")


def test_one_process_sends_nothing_and_holds_everything(base):
    lora, full = probe.probe(Ranks(), base, [ORDERS[0], ORDERS[2]], steps=2)
    for row in (lora, full):
        assert row["counted"] == row["predicted"] == row["counted_exchanges"] == 0
        assert row["held"] == row["numbers"] and row["tokens"] == 64
        assert row["seconds"] <= row["median_seconds"] and len(row["losses"]) == 3
    floor = full["floor"]
    assert floor["optimizer"] == 2 * floor["gradients"] == 2 * floor["weights"] and floor["adapter"] == 0
    assert 0 < lora["floor"]["adapter"] == lora["floor"]["gradients"] < floor["weights"] / 4


@pytest.mark.parametrize("bits", [32, 4])
def test_the_floor_of_a_model_that_is_not_sharded_is_the_measured_one(base, bits):
    model = load_pretrained(base).model
    if bits == 4:
        pytest.importorskip("bitsandbytes")
        quantize_linears(model)
    order, plan = ORDERS[0], Plan(steps=1, lr=1e-3)
    run = start_run(order.prepare(model), plan)
    stream = torch.randint(0, model.config.vocabulary, (200,), generator=torch.Generator().manual_seed(0))
    train(run, plan, probe.windows(stream, 16, 2))
    assert held_floor(model, run.optimizer) == measured(model, run.optimizer)


def test_a_machine_without_the_counter_counts_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(probe, "LOOPBACK", tmp_path / "none")
    assert probe.loopback_bytes() == 0
    (tmp_path / "dev").write_text("head\n lo: 7 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\neth0: 5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0\n")
    monkeypatch.setattr(probe, "LOOPBACK", tmp_path / "dev")
    assert probe.loopback_bytes() == 9


@pytest.mark.slow
def test_two_ranks_send_what_was_predicted_and_hold_half(base, tmp_path):
    codes = bool(pytest.importorskip("bitsandbytes"))
    order = write_order(tmp_path / "order.json", base, ORDERS, steps=1, codes=codes)
    outcome = launch(["-m", "finqa_lab.tune.distributed.probe", str(order)])
    assert outcome.code == 0, outcome.output
    alone = {row["method"]: row for row in probe.probe(Ranks(), base, [ORDERS[0], ORDERS[2]], steps=1)}
    for rank in (0, 1):
        answer = json.loads((tmp_path / f"rank-{rank}.json").read_text())
        for row in answer["rows"]:
            one = alone[row["method"]]
            share = 2 if row["strategy"] == "fsdp" else 1
            assert row["counted"] == row["predicted"] > 0
            assert row["counted_exchanges"] == row["predicted_exchanges"]
            assert row["held"] * share == row["numbers"] == one["numbers"]
            assert {name: size * share for name, size in row["floor"].items()} == one["floor"]
            assert row["losses"] == pytest.approx(one["losses"], abs=1e-5)
        assert sum(isinstance(result, float) for result in answer["codes"].values()) == 4
