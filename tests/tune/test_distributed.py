"""Two ranks against one: losses, shards, checkpoints at another number of ranks, bytes. One start of torchrun."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from finqa_lab.errors import CourseError
from finqa_lab.tune.distributed import checkpoints
from finqa_lab.tune.distributed.checkpoints import has_sharded, load_sharded, remove_sharded, save_sharded
from finqa_lab.tune.distributed.launch import launch
from finqa_lab.tune.distributed.ranks import Ranks, open_ranks
from finqa_lab.tune.distributed.strategies import Group
from finqa_lab.tune.training import start_run, train
from tests.tune import distributed_scenarios as scenarios
from tests.tune.distributed_scenarios import OWNER, PLAN, batches, make, run_it

pytest.importorskip("bitsandbytes")
ONE, WORKER = Ranks(), Path(__file__).with_name("distributed_worker.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("two-ranks")


@pytest.fixture(scope="module")
def alone(folder):
    """The same on one process; its checkpoint is there before the two ranks start."""
    return {
        "lora": run_it(ONE, "ddp", "lora"),
        "full": run_it(ONE, "ddp", "full", save=folder / "from-one", validate=True),
        "qlora": run_it(ONE, "ddp", "qlora"),
        "dropout": run_it(ONE, "ddp", "lora", dropout=0.3),
        "rank 1": run_it(ONE, "ddp", "lora", rank=1),
    }


@pytest.fixture(scope="module")
def two(alone, folder):
    """What both ranks found, rank 0 first."""
    outcome = launch([str(WORKER), str(folder)])
    assert outcome.code == 0 and not outcome.failed, outcome.output
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, reference",
    [("ddp lora", "lora"), ("fsdp lora", "lora"), ("ddp full", "full"), ("fsdp full", "full"),
     ("ddp qlora", "qlora"), ("fsdp qlora", "qlora"), ("ddp dropout", "dropout"), ("fsdp dropout", "dropout"),
     ("fsdp recompute", "full"), ("fsdp rank 1", "rank 1"), ("fsdp resumed", "full"), ("ddp resumed", "full")],
)  # fmt: skip
def test_two_ranks_have_the_losses_and_weights_of_one(name, reference, alone, two, folder):
    expected = alone[reference]
    for rank in two:
        assert rank[name]["losses"] == pytest.approx(expected["losses"], abs=1e-5)
    assert len(set(expected["losses"])) == PLAN.steps
    weights = load_file(folder / f"{name}.safetensors")
    assert weights.keys() == expected["weights"].keys()
    for key, value in weights.items():
        torch.testing.assert_close(value, expected["weights"][key], rtol=0, atol=2e-5)


@pytest.mark.slow
def test_a_sharded_model_is_held_by_halves_and_a_replicated_one_by_wholes(two):
    for rank in two:
        assert rank["fsdp full"]["held"] * 2 == rank["fsdp full"]["whole"] == rank["ddp full"]["held"]
        assert rank["fsdp lora"]["held"] * 2 == rank["fsdp lora"]["whole"]
    # a matrix of one row cannot be halved: rank 0 has it
    assert two[0]["fsdp rank 1"]["held"] > two[1]["fsdp rank 1"]["held"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ddp lora", "ddp full", "fsdp lora", "fsdp full", "fsdp bfloat16", "fsdp rank 1"])
def test_the_bytes_of_a_step_are_those_predicted(name, two):
    for rank in two:
        assert rank[name]["counted"] == pytest.approx(rank[name]["predicted"], rel=1e-9)


@pytest.mark.slow
def test_gathering_in_16_bits_halves_that_traffic_and_moves_the_loss_little(two, alone):
    halved, whole = two[0]["fsdp bfloat16"], two[0]["fsdp full"]
    assert 0.5 < halved["predicted"][0] / whole["predicted"][0] < 0.65  # gradients stay float32
    assert halved["losses"] == pytest.approx(alone["full"]["losses"], rel=1e-2)
    assert halved["losses"] != whole["losses"]


@pytest.mark.slow
def test_validation_is_shared_out_and_equal(two, alone):
    assert two[0]["validation"] == two[1]["validation"]
    assert two[0]["validation"] == pytest.approx(scenarios.validation_loss(ONE), abs=1e-5)
    expected = dict(alone["full"]["validation"])
    for step, loss in two[0]["fsdp full"]["validation"]:
        assert loss == pytest.approx(expected[step], abs=1e-5)


@pytest.mark.slow
def test_a_checkpoint_of_two_ranks_goes_on_with_one(two, alone, folder):
    for path, method, rank, reference in (("from-two", "full", 4, "full"), ("thin-from-two", "lora", 1, "rank 1")):
        files = sorted(file.suffix for file in (folder / path).rglob("*") if file.is_file())
        assert files == [".json", ".safetensors", ".safetensors"], "two parts and no pickle"
        further = run_it(ONE, "ddp", method, rank=rank, resume=folder / path)
        assert further["losses"] == pytest.approx(alone[reference]["losses"], abs=1e-5)


@pytest.mark.slow
def test_all_ranks_stop_at_a_bad_loss_and_name_it(two):
    for rank in two:
        assert "the loss is nan at step 1 (samples sample 1.3)" in rank["diverged"]


@pytest.mark.slow
def test_which_dtypes_of_4_bit_codes_the_two_versions_of_fsdp_take(two):
    codes = two[0]["codes"]
    for dtype in ("uint8", "bfloat16", "float32"):
        assert codes[f"FSDP2 {dtype}"] < 1e-3, "FSDP2 shards every parameter by itself"
    assert codes["FSDP1 float32"] < 1e-3, "the dtype of all that is beside the codes"
    for dtype in ("uint8", "bfloat16"):
        assert "uniform dtype" in codes[f"FSDP1 {dtype}"], "FSDP1 flattens a block into one tensor"


def test_an_interrupted_save_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    model = make("lora")
    run = start_run(model, PLAN)
    train(run, PLAN, batches(), until=1)
    save_sharded(tmp_path, run, ONE, OWNER)
    again = load_sharded(tmp_path, start_run(make("lora"), PLAN), ONE, OWNER)
    with monkeypatch.context() as patched:  # saved once more at the same step
        patched.setattr(checkpoints, "_digests", None)
        with pytest.raises(TypeError):
            save_sharded(tmp_path, run, ONE, OWNER)
    assert load_sharded(tmp_path, start_run(make("lora"), PLAN), ONE, OWNER).losses == again.losses
    train(run, PLAN, batches(), until=2)
    for broken in ("write_atomic", "_digests"):

        def fail(*arguments):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(checkpoints, broken, fail)
            with pytest.raises(KeyboardInterrupt):
                save_sharded(tmp_path, run, ONE, OWNER)
        again = load_sharded(tmp_path, start_run(make("lora"), PLAN), ONE, OWNER)
        assert again.step == 1 and again.losses == run.losses[:1]
    save_sharded(tmp_path, run, ONE, OWNER)
    assert [path.name for path in tmp_path.glob("state-*")] == ["state-2"]
    assert load_sharded(tmp_path, start_run(make("lora"), PLAN), ONE, OWNER).step == 2
    remove_sharded(tmp_path)
    assert not has_sharded(tmp_path)


def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(tmp_path):
    whole = run_it(ONE, "ddp", "lora", dropout=0.3, save=tmp_path)
    rest = run_it(ONE, "ddp", "lora", dropout=0.3, resume=tmp_path)
    assert rest["losses"] == whole["losses"]
    assert all(torch.equal(rest["weights"][name], value) for name, value in whole["weights"].items())


def test_checkpoints_of_others_are_refused(tmp_path):
    run = start_run(make("lora"), PLAN)
    train(run, PLAN, batches(), until=1)
    save_sharded(tmp_path, run, ONE, OWNER)
    with pytest.raises(CourseError, match=r"of another run \(base differ\)"):
        load_sharded(tmp_path, start_run(make("lora"), PLAN), ONE, {"base": "other"})
    for other in (make("full"), make("lora", rank=2)):
        with pytest.raises(CourseError, match="of other parameters"):
            load_sharded(tmp_path, start_run(other, PLAN), ONE, OWNER)
    part = next(tmp_path.rglob("*.safetensors"))
    content = bytearray(part.read_bytes())
    content[-5] ^= 1
    part.write_bytes(bytes(content))
    with pytest.raises(CourseError, match="is damaged"):
        load_sharded(tmp_path, start_run(make("lora"), PLAN), ONE, OWNER)


def test_the_environment_of_torchrun_must_be_whole(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with open_ranks() as ranks:
        assert ranks == ONE
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(CourseError, match="WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT is not set"):
        with open_ranks():
            pass


def test_an_unknown_strategy_is_refused():
    with pytest.raises(CourseError, match="no strategy 'zero1'"):
        Group(ONE, make("lora"), "zero1")
