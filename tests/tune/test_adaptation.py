"""From a folder to scores: the base is found and verified, an adaptation learns, and what it cost is counted."""

import json
from dataclasses import replace

import pytest
import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.transformer import Decoder
from finqa_lab.pretrain.build import write_model
from finqa_lab.pretrain.recipe import recipe_named
from finqa_lab.pretrain.tokenizer import train_tokenizer
from finqa_lab.quantitative.dataset import dataset
from finqa_lab.tune.adaptation import ROOM, Settings, adapt, answer, encode_samples
from finqa_lab.tune.answering import replies
from finqa_lab.tune.base import load_base, model_folder
from finqa_lab.tune.lora import LoRAConfig, parameter_count

SPLITS = dataset(0, {"train": 24, "validation": 12, "phrasing": 6})
SETTINGS = Settings(lora=LoRAConfig(rank=4, alpha=8), epochs=1.5, per_step=6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    talks = [message["content"] for sample in SPLITS.train for message in sample.messages("program")]
    tokenizer = train_tokenizer(talks, 512)
    model = Decoder(recipe_named("probe").decoder(), seed=0)
    return str(write_model(tmp_path_factory.mktemp("base") / "model", model, tokenizer))


def test_an_adapter_learns_and_its_cost_is_counted(folder):
    base = load_base(folder)
    before = {name: parameter.clone() for name, parameter in base.model.named_parameters()}
    adapted = adapt(base, SPLITS.train, SETTINGS, validation=SPLITS.validation, evaluate_every=3)
    run = adapted.run
    assert run.step == round(1.5 * 24 / 6) and run.losses[-1] < run.losses[0]
    assert [step for step, _ in run.validation] == [3, 6] and run.validation[1][1] < run.validation[0][1]
    shapes = [tuple(p.shape) for n, p in before.items() if n.startswith("blocks.") and p.ndim == 2]
    assert adapted.trained_parameters == parameter_count(shapes, 4)
    assert adapted.floor.optimizer == 8 * adapted.trained_parameters and adapted.wall_seconds > 0
    for name, parameter in before.items():
        inside = name.replace(".weight", ".base.weight") if name.startswith("blocks.") and parameter.ndim == 2 else name
        assert dict(base.model.named_parameters())[inside].equal(parameter), name


def test_all_parameters_can_be_trained_instead(folder):
    base = load_base(folder)
    adapted = adapt(base, SPLITS.train, replace(SETTINGS, lora=None, epochs=0.5))
    assert adapted.trained_parameters == base.model.parameter_count()
    assert adapted.run.optimizer.param_groups[0]["peak"] == 5e-4


@pytest.mark.parametrize("target", ["number", "program", "reasoning"])
def test_answers_are_scored_and_bounded_in_length(folder, target):
    base = load_base(folder)
    seen = []
    limit = max(len(e.answer) for e in encode_samples(base, SPLITS.train, target).examples) + ROOM
    given, scores = answer(base, SPLITS.validation, target, min(limit, 24), lambda done, all: seen.append((done, all)))
    assert list(given) == [sample.id for sample in SPLITS.validation] and seen[-1] == (12, 12)
    assert len(scores.outcomes) == 12 and not scores.missing
    # A token that is no whole character is shown as one of three bytes: up to three tokens when it is read again.
    assert all(len(base.tokenizer.encode(text).ids) <= 3 * 24 for text in given.values())


def test_the_order_of_the_batch_does_not_change_a_reply(folder):
    base = load_base(folder)
    talks = {sample.id: sample.messages("number") for sample in SPLITS.validation}
    together = replies(base.model, base.tokenizer, base.template, talks, 12, end=base.end)
    alone = replies(base.model, base.tokenizer, base.template, talks, 12, end=base.end, batch=1)
    assert together == alone


def test_a_prompt_without_room_for_a_reply_is_refused(folder):
    base = load_base(folder)
    talk = {"long": [{"role": "user", "content": "1 " * 2000}]}
    with pytest.raises(CourseError, match="the prompt of long has .* leaves no room in a context of 1024"):
        replies(base.model, base.tokenizer, base.template, talk, 5)


def test_equal_settings_give_equal_weights(folder):
    def trained(seed):
        base = load_base(folder)
        adapt(base, SPLITS.train, replace(SETTINGS, epochs=0.5, seed=seed))
        return torch.cat([p.detach().flatten() for n, p in base.model.named_parameters() if ".adapters." in n])

    assert trained(1).equal(trained(1)) and not trained(1).equal(trained(2))


def test_a_plan_grows_with_the_samples():
    assert Settings(epochs=2).plan(160).steps == 20 and Settings(epochs=0.01).plan(16).steps == 1
    assert Settings().plan(900).lr == 3e-3 and Settings(lora=None).plan(900).lr == 5e-4
    assert Settings(lr=1e-4).plan(900).lr == 1e-4


@pytest.mark.parametrize("name", ["nowhere", "../escape", "a/b/c", "~/model"])
def test_a_name_that_is_no_model_is_refused(name):
    with pytest.raises(CourseError, match="there is no model"):
        model_folder(name)


def test_a_hub_that_cannot_be_reached_is_one_sentence(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CourseError, match="could not be downloaded .*; go online, or use the model finqa-tiny"):
        model_folder("nobody/nothing-of-that-name")


def test_a_folder_without_tokenizer_or_template_is_refused(folder, tmp_path):
    import shutil

    bare = shutil.copytree(folder, tmp_path / "bare")
    config = json.loads((bare / "tokenizer_config.json").read_text())
    config.pop("chat_template")
    (bare / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(CourseError, match="has no chat template"):
        load_base(str(bare))
    (bare / "tokenizer.json").unlink()
    with pytest.raises(CourseError, match=r"has no tokenizer\.json"):
        load_base(str(bare))


def test_the_shipped_base_is_verified_and_fits_its_limits():
    base = load_base()
    assert base.model.parameter_count() <= 12_000_000
    assert sum(path.stat().st_size for path in base.folder.iterdir()) <= 25_000_000
    assert base.model.config.vocabulary == base.tokenizer.get_vocab_size() == 2048 and len(base.end) == 1
    longest = max(len(e.ids) for e in encode_samples(base, dataset(0).train, "program").examples)
    assert longest <= base.model.config.context
