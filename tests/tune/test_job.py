"""``finqa-lab train``: what it writes, what it refuses, and a job that is killed on two ranks and goes on."""

import json
import random

import pytest
import torch
from safetensors.torch import load_file

from finqa_lab.cli import main
from finqa_lab.errors import CourseError
from finqa_lab.files import read_json
from finqa_lab.nn.hub import load_pretrained
from finqa_lab.tune.adapters import load_adapter
from finqa_lab.tune.conversations import read_conversations
from finqa_lab.tune.distributed.launch import launch
from finqa_lab.tune.distributed.ranks import Ranks
from finqa_lab.tune.job import fine_tune
from finqa_lab.tune.lora import ATTENTION, MLP
from finqa_lab.tune.settings import ALL_TARGETS, Settings, settings_from
from tests.tune.small_model import make_base, make_conversations

ONE = Ranks()


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_conversations(tmp_path_factory.mktemp("data") / "sums.jsonl", long=2)


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "SM_MODEL_DIR", "SM_CHANNEL_TRAINING", "SM_CHANNEL_MODEL"):
        monkeypatch.delenv(name, raising=False)


def settings(base, data, out, **other) -> Settings:
    values = {"model": str(base), "data": str(data), "out": str(out), "steps": 6, "per_step": 4, "micro_batches": 2}
    return settings_from({**values, "lr": 5e-3, "rank": 4, "save_every": 2, **other})


def test_a_job_writes_an_adapter_for_its_base(base, data, tmp_path):
    facts = fine_tune(settings(base, data, tmp_path), ONE)
    assert facts["finished"] and facts["steps"] == 6 and len(facts["losses"]) == 6
    assert sum(facts["losses"][:2]) > sum(facts["losses"][-2:])
    assert facts["samples"].startswith("2 of 24 samples are longer than 64 tokens and were left out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "training.json"], "no state is left"
    assert read_json(tmp_path / "training.json")["losses"] == facts["losses"]
    model = load_pretrained(base).model
    tokens = torch.arange(20)[None]
    before = model(tokens)
    assert load_adapter(tmp_path / "adapter", model).rank == 4
    assert not torch.equal(model(tokens), before)
    other = load_pretrained(make_base(tmp_path / "other", seed=1)).model
    with pytest.raises(CourseError, match="was made for a base with sha256"):
        load_adapter(tmp_path / "adapter", other)


def test_peft_loads_the_adapter(base, data, tmp_path):
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    fine_tune(settings(base, data, tmp_path, steps=2, rank_stabilised=True), ONE)
    ours = load_pretrained(base).model
    load_adapter(tmp_path / "adapter", ours)
    theirs = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path / "adapter").eval()
    tokens = torch.arange(30)[None]
    torch.testing.assert_close(theirs(tokens).logits, ours(tokens), rtol=0, atol=1e-5)


def test_a_full_training_writes_a_model_folder(base, data, tmp_path):
    facts = fine_tune(settings(base, data, tmp_path, method="full", steps=2), ONE)
    loaded, original = load_pretrained(tmp_path / "model"), load_pretrained(base)
    assert loaded.tokenizer.to_str() == original.tokenizer.to_str() and loaded.eos == original.eos
    assert facts["parameters"]["trained"] == original.model.parameter_count()
    assert not torch.equal(loaded.model.token_embedding.weight, original.model.token_embedding.weight)
    (tmp_path / "other/model").mkdir(parents=True)
    with pytest.raises(CourseError, match="exists and is not of this job"):
        fine_tune(
            settings(base, data, tmp_path / "other", method="full"), ONE, on_step=lambda run: pytest.fail("too late")
        )
    # and goes on as the base of another job
    assert fine_tune(settings(tmp_path / "model", data, tmp_path / "next", steps=1), ONE)["finished"]


def test_what_does_not_change_the_result_does_not(base, data, tmp_path):
    expected = fine_tune(settings(base, data, tmp_path / "plain"), ONE)["losses"]
    cases = {
        "layout": {"layout": "padded"},
        "shared": {"layout": "shared", "length": 40},
        "parts": {"micro_batches": 4},
        "recompute": {"recompute": True},
    }
    for name, other in cases.items():
        found = fine_tune(settings(base, data, tmp_path / name, **other), ONE)["losses"]
        assert found == pytest.approx(expected, abs=1e-5), name
    close = fine_tune(settings(base, data, tmp_path / "bf16", precision="bfloat16", base_dtype="bfloat16"), ONE)
    assert close["losses"] == pytest.approx(expected, rel=0.02) and close["losses"] != expected


def test_a_stopped_job_goes_on_and_a_finished_one_stays(base, data, tmp_path):
    whole = fine_tune(settings(base, data, tmp_path / "whole", dropout=0.2), ONE)
    part = settings(base, data, tmp_path / "part", dropout=0.2)
    assert not fine_tune(part, ONE, until=3)["finished"]
    with pytest.raises(CourseError, match="another base, data or settings"):
        fine_tune(settings(base, data, tmp_path / "part", dropout=0.2, lr=1e-3), ONE)
    rest = fine_tune(part, ONE)
    assert rest["losses"] == whole["losses"] and rest["finished"]
    parts = [load_file(tmp_path / name / "adapter/adapter_model.safetensors") for name in ("whole", "part")]
    assert parts[0].keys() == parts[1].keys() and all(torch.equal(parts[0][key], parts[1][key]) for key in parts[0])
    assert fine_tune(part, ONE, on_step=lambda run: pytest.fail("it was finished"))["losses"] == whole["losses"]


def test_an_interrupted_job_is_saved_where_it_was(base, data, tmp_path):
    whole = fine_tune(settings(base, data, tmp_path / "whole"), ONE)

    def interrupt(run) -> None:
        if run.step == 3:  # between two checkpoints
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fine_tune(settings(base, data, tmp_path / "part"), ONE, on_step=interrupt)
    assert read_json(tmp_path / "part/work/state.json")["step"] == 3
    assert fine_tune(settings(base, data, tmp_path / "part"), ONE)["losses"] == whole["losses"]


def test_early_stopping_puts_the_best_weights_into_the_adapter(base, data, tmp_path):
    given = settings(
        base, data, tmp_path, steps=30, lr=0.5, validation=str(data), evaluate_every=1, patience=2, schedule="constant"
    )  # fmt: skip
    facts = fine_tune(given, ONE)
    losses = [loss for _, loss in facts["validation"]]
    assert facts["finished"] and facts["steps"] < 30 and losses.index(min(losses)) == len(losses) - 3


def test_an_adapter_to_start_with_must_be_of_the_base(base, data, tmp_path):
    fine_tune(settings(base, data, tmp_path / "first"), ONE)
    start = str(tmp_path / "first/adapter")
    second = fine_tune(settings(base, data, tmp_path / "second", start=start, rank=8), ONE)
    assert read_json(tmp_path / "second/adapter/adapter_config.json")["r"] == 4, "the rank is the adapter's"
    assert second["losses"][0] < read_json(tmp_path / "first/training.json")["losses"][0]
    other = make_base(tmp_path / "other", seed=1)
    with pytest.raises(CourseError, match="was made for a base"):
        fine_tune(settings(other, data, tmp_path / "third", start=start), ONE)


def test_an_adapter_that_is_loaded_to_answer_drops_nothing(base, data, tmp_path):
    fine_tune(settings(base, data, tmp_path, dropout=0.5, steps=2), ONE)
    model = load_pretrained(base).model  # in evaluation mode
    load_adapter(tmp_path / "adapter", model)
    tokens = torch.arange(20)[None]
    assert torch.equal(model(tokens), model(tokens))


def test_qlora_trains_on_a_base_in_four_bits(base, data, tmp_path):
    pytest.importorskip("bitsandbytes")
    facts = fine_tune(settings(base, data, tmp_path, method="qlora", steps=3), ONE)
    assert facts["finished"]
    with pytest.raises(CourseError, match="was made for a base"):  # the plain base is another one
        load_adapter(tmp_path / "adapter", load_pretrained(base).model)


@pytest.mark.parametrize(
    "line, problem",
    [
        ('{"messages": [{"role": "user", "content": "1?"}]}', "no turn of sample .* is the assistant's"),
        ('{"messages": []}', "bad.jsonl line 2 has no list of messages"),
        ('{"messages": [{"role": "robot", "content": "1"}]}', "line 2 has a message without a role of"),
        ('{"messages": [{"role": "user", "content": 1}]}', "line 2 has a message whose content is no text"),
        ("{", "line 2 is not JSON"),
    ],
)
def test_a_bad_conversation_is_named(line, problem, base, data, tmp_path):
    (tmp_path / "bad.jsonl").write_text(data.read_text().splitlines()[0] + "\n" + line + "\n")
    with pytest.raises(CourseError, match=problem):
        fine_tune(settings(base, tmp_path / "bad.jsonl", tmp_path / "out"), ONE)


def test_a_base_without_a_template_is_refused(data, tmp_path):
    with pytest.raises(CourseError, match="has no chat template"):
        fine_tune(settings(make_base(tmp_path / "plain", template=None), data, tmp_path / "out"), ONE)


def test_a_loss_that_is_no_number_names_step_and_samples(base, data, tmp_path):
    given = settings(base, data, tmp_path, method="full", lr=1e30, clip=0.0)
    with pytest.raises(CourseError, match=r"the loss is (nan|inf) at step [12] \(samples sum-\d+, sum-\d+\)"):
        fine_tune(given, ONE)


def test_micro_batches_that_the_ranks_cannot_share_are_refused(base, data, tmp_path):
    with pytest.raises(CourseError, match="4 samples a step in 2 micro-batches cannot be shared by 3 ranks"):
        fine_tune(settings(base, data, tmp_path), Ranks(0, 3))


@pytest.mark.parametrize(
    "given, problem",
    [
        ({"model": ""}, "'model' is missing"),
        ({"rnak": 3}, "there is no setting 'rnak'"),
        ({"rank": "8"}, "rank is '8'"),
        ({"rank": 0}, "rank is 0; it must be a number of at least 1"),
        ({"lr": -1.0}, "lr is -1.0"),
        ({"recompute": "yes"}, "recompute is 'yes'"),
        ({"layout": "dense"}, "layout is 'dense'; choose one of padded, packed, shared"),
        ({"targets": ""}, "give names of layers"),
        ({"patience": 3}, "patience needs validations"),
        ({"method": "full", "base_dtype": "bfloat16"}, "for a frozen base"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(given, problem):
    with pytest.raises(CourseError, match=problem):
        settings_from({"model": "m", "data": "d", "out": "o", **given})


def test_all_targets_are_those_of_the_adapter():
    assert ALL_TARGETS == ATTENTION + MLP


def test_settings_survive_json(tmp_path):
    given = settings_from({"model": "m", "data": "d", "out": "o", "targets": "query,value", "steps": 3})
    (tmp_path / "job.json").write_text(json.dumps(given.describe()))
    assert settings_from({}, tmp_path / "job.json") == given
    assert settings_from({"steps": 4}, tmp_path / "job.json").steps == 4, "what is given wins"


def test_the_built_in_questions_and_a_folder_of_files(tmp_path):
    assert read_conversations("quantitative:program", "validation")[0][1][-1]["role"] == "assistant"
    with pytest.raises(CourseError, match="there is no data 'quantitative:essay'"):
        read_conversations("quantitative:essay")
    with pytest.raises(CourseError, match="has no"):
        read_conversations(str(tmp_path))
    for name in ("b", "a"):
        make_conversations(tmp_path / f"{name}.jsonl", count=2)
    assert len(read_conversations(str(tmp_path))) == 4


def test_the_command_takes_settings_from_line_config_and_cloud_variables(base, data, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SM_CHANNEL_MODEL", str(base))
    monkeypatch.setenv("SM_CHANNEL_TRAINING", str(data.parent))
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path / "cloud"))
    (tmp_path / "job.json").write_text(json.dumps({"steps": 3, "per_step": 4, "rank": 2, "lr": 1e-3}))
    line = ["train", "--config", str(tmp_path / "job.json"), "--rank", "3", "--recompute", "true", "--per_step", "2"]
    assert main([*line, "--until", "1"]) == 0
    assert (tmp_path / "cloud/work/state.json").is_file()
    assert main(line) == 0
    written = read_json(tmp_path / "cloud/training.json")
    assert written["config"]["recompute"] is True and written["config"]["per_step"] == 2
    assert read_json(tmp_path / "cloud/adapter/adapter_config.json")["r"] == 3
    assert "2 of 24 samples are longer" in capsys.readouterr().out
    assert main(["train", "--model", str(tmp_path), "--out", str(tmp_path / "x")]) == 2
    assert "has no config.json" in capsys.readouterr().err


@pytest.mark.slow
def test_a_job_whose_rank_is_killed_goes_on_with_the_same_command(base, data, tmp_path):
    given = settings(base, data, tmp_path / "killed", strategy="fsdp", method="lora", dropout=0.1)
    config = tmp_path / "job.json"
    config.write_text(json.dumps(given.describe()))
    outcome = launch(["-m", "finqa_lab.tune.distributed.failure", str(config), "3"])
    assert outcome.code != 0 and outcome.failed[1] == -9, outcome.output
    assert read_json(tmp_path / "killed/work/state.json")["step"] == 2, "the last checkpoint"
    assert not (tmp_path / "killed/training.json").exists()
    outcome = launch(["-m", "finqa_lab.cli", "train", "--config", str(config)])
    assert outcome.code == 0 and outcome.output.count("6 steps") == 1, "one rank speaks"
    found = read_json(tmp_path / "killed/training.json")
    alone = fine_tune(settings(base, data, tmp_path / "alone", dropout=0.1), ONE)
    assert found["ranks"] == 2 and found["losses"] == pytest.approx(alone["losses"], abs=1e-5)
    models = []
    for name in ("killed", "alone"):
        models.append(load_pretrained(base).model)
        load_adapter(tmp_path / name / "adapter", models[-1])
    tokens = torch.tensor([random.Random(0).choices(range(200), k=40)])
    torch.testing.assert_close(models[0](tokens), models[1](tokens), rtol=0, atol=1e-5)
