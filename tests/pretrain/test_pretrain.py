"""The base model's text, tokenizer and build: reproducible, resumable, readable by transformers."""

import json
import random
import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finqa_lab.cli import main as finqa_lab
from finqa_lab.errors import CourseError
from finqa_lab.finqa.intervals import wilson
from finqa_lab.nn.hub import load_pretrained
from finqa_lab.pretrain import bindings, ship
from finqa_lab.pretrain.build import build, tokenizer_texts
from finqa_lab.pretrain.corpus import HELD_OUT_SEED, SHARES, TRAIN_SEED, document, held_out, texts, token_stream
from finqa_lab.pretrain.dialogues import KINDS as TALKS
from finqa_lab.pretrain.knowledge import LIMIT, knowledge
from finqa_lab.pretrain.recipe import RECIPES, recipe_named
from finqa_lab.pretrain.statements import KINDS, calculation, comparison, conversion, statements
from finqa_lab.pretrain.tokenizer import END, SPECIALS, TEMPLATE, train_tokenizer
from finqa_lab.quantitative.dataset import dataset
from finqa_lab.quantitative.spelling import WORDS, read_spelled
from finqa_lab.text.chat import load_chat_template


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp("probe")
    return out, build(recipe_named("probe"), 0, out)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_two_spellings_of_a_statement_are_the_same_number(seed):
    text = conversion(random.Random(seed))
    signs = " is | = | as a fraction is | as a decimal: | in digits is | in short is | without signs: |, that is "
    found = re.fullmatch(rf"(.+?)(?:{signs})([\d.]+)", text)
    assert found, text
    left = found[1].removesuffix(" years").removesuffix(" year") if "year" in found[1] else found[1]
    assert read_spelled(left) == Fraction(found[2]), text


@settings(deadline=None)
@given(seed=st.integers(0, 10**6))
def test_calculations_are_right_to_seven_digits(seed):
    text = calculation(random.Random(seed))
    numbers = [Decimal(x) for x in re.findall(r"\d+(?:\.\d+)?", text)]
    a, b, result = numbers[0], numbers[1], numbers[2]
    negative = re.search(r"(?:=|is) -", text) is not None
    expected = (
        a + b if re.search(r"\+|plus|sum|add", text)
        else a - b if re.search(r" - |minus|difference|subtract", text)
        else a * b if re.search(r"\*|times|product|multiply", text)
        else a / b
    )  # fmt: skip
    assert abs(expected - (-result if negative else result)) <= abs(expected) * Decimal("1e-6") + Decimal("0.005"), text


@settings(deadline=None)
@given(seed=st.integers(0, 10**6))
def test_comparisons_hold(seed):
    for part in comparison(random.Random(seed)).split(" and "):
        left, word, right = re.fullmatch(r"([\d.]+) is (more|less) than ([\d.]+)", part).groups()
        assert (Decimal(left) > Decimal(right)) == (word == "more") and left != right


@pytest.mark.parametrize("kind", [kind for kind, _ in TALKS], ids=lambda kind: kind.__name__)
def test_a_conversation_ends_with_a_short_reply(kind, built):
    tokenizer = load_pretrained(built[0] / "model").tokenizer
    for seed in range(200):
        talk = kind(random.Random(seed))
        assert [m["role"] for m in talk][-2:] == ["user", "assistant"] and all(m["content"] for m in talk)
        assert len(tokenizer.encode(talk[-1]["content"]).ids) < LIMIT
        assert not any(special in message["content"] for message in talk for special in SPECIALS)


def test_every_kind_of_statement_can_stand_in_a_document():
    text = "\n".join(statements(random.Random(seed), 20) for seed in range(60))
    assert len(KINDS) == 5
    for word in (" more than ", "as a fraction", "backwards: ", "volatility of", "add(", " times "):
        assert word in text


def test_text_is_reproducible_and_keeps_to_its_shares():
    first, second = ([text for _, text in zip(range(400), texts(7))] for _ in range(2))
    assert first == second
    written = dict.fromkeys(SHARES, 0)
    for _, (genre, text) in zip(range(3000), texts(7)):
        written[genre] += len(text)
    total = sum(written.values())
    for genre, share in SHARES.items():
        assert abs(written[genre] / total - share) < 0.01
    assert sum(SHARES.values()) == pytest.approx(1)
    with pytest.raises(CourseError, match="no genre 'poems'"):
        document("poems", 0, 0)


def test_held_out_text_is_not_in_the_training_text():
    train = {text for _, (_, text) in zip(range(3000), texts(TRAIN_SEED))}
    other = [text for _, (_, text) in zip(range(600), texts(HELD_OUT_SEED))]
    assert not [text for text in other if text in train and len(text) > 400]
    # there are only so many percentages: a short conversation about one of them recurs
    assert 0 < sum(text in train for text in other) < 0.05 * len(other)


def test_no_question_of_the_tasks_is_in_the_text():
    train = "\n".join(text for _, (_, text) in zip(range(3000), texts(TRAIN_SEED)))
    for sample in dataset(0).train:
        assert sample.question not in train and sample.program not in train


def test_the_tokenizer_has_single_digits_and_the_templates_tokens():
    tokenizer = train_tokenizer(tokenizer_texts(RECIPES["probe"], 0), 512)
    assert tokenizer.get_vocab_size() == 512
    assert not [token for token in tokenizer.get_vocab() if re.search(r"\d.|.\d", token)]
    text = TEMPLATE.render([{"role": "user", "content": "12.5%?"}], reply=True)
    assert tokenizer.encode(text).tokens == ["<|user|>", "1", "2", ".", "5", "%", "?", END, "<|assistant|>"]
    assert tokenizer.decode(tokenizer.encode("Größe 1,234 \u2192").ids) == "Größe 1,234 \u2192"


def test_a_stream_ends_every_document_once(built):
    tokenizer = load_pretrained(built[0] / "model").tokenizer
    stream = token_stream(tokenizer, 4000, 3)
    assert stream.dtype == np.uint16 and len(stream) == 4000
    end = tokenizer.token_to_id(END)
    ends = np.flatnonzero(stream == end)
    assert len(ends) > 20 and (np.diff(ends) > 1).all()
    assert {name: len(ids) for name, ids in held_out(tokenizer, 100).items()} == dict.fromkeys(SHARES, 100)


def test_an_interrupted_build_goes_on_and_ends_with_the_same_bytes(tmp_path, built):
    recipe = recipe_named("probe")
    facts = build(recipe, 0, tmp_path, until=7)
    assert not facts["finished"] and facts["steps"] == 7 and not (tmp_path / "model").exists()

    def stop(run):
        if run.step == 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(recipe, 0, tmp_path, on_step=stop)
    build(recipe, 0, tmp_path)
    for file in ("model.safetensors", "tokenizer.json", "tokenizer_config.json", "config.json"):
        assert (tmp_path / "model" / file).read_bytes() == (built[0] / "model" / file).read_bytes()
    whole = json.loads((tmp_path / "training.json").read_text())
    assert whole["losses"] == built[1]["losses"] and len(whole["losses"]) == recipe.plan.steps


def test_the_loss_falls(built):
    losses = built[1]["losses"]
    assert losses[-1] < losses[0] - 0.5
    assert set(built[1]["held_out"]) == set(SHARES)


def test_a_folder_of_another_build_or_a_finished_one_is_refused(tmp_path, built):
    build(recipe_named("probe"), 0, tmp_path, until=1)
    with pytest.raises(CourseError, match="another recipe or seed"):
        build(recipe_named("probe"), 1, tmp_path)
    with pytest.raises(CourseError, match="holds a finished model"):
        build(recipe_named("probe"), 0, built[0])
    with pytest.raises(CourseError, match="no recipe 'huge'"):
        recipe_named("huge")


def test_transformers_loads_the_folder_unchanged(built):
    transformers = pytest.importorskip("transformers")
    folder = built[0] / "model"
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ours = load_pretrained(folder)
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 5% of $1,200?"}]
    text = tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
    assert text == load_chat_template(folder).render(talk, reply=True) == TEMPLATE.render(talk, reply=True)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    assert ids[0].tolist() == ours.tokenizer.encode(text).ids
    assert tokenizer.eos_token == END and ours.eos == (tokenizer.eos_token_id,)
    with torch.inference_mode():
        assert (theirs(ids).logits - ours.model(ids)).abs().max() < 1e-4


def test_what_a_model_knows_is_counted(built):
    found = load_pretrained(built[0] / "model")
    rates = knowledge(found.model, found.tokenizer, each=4)
    assert set(rates) == {kind.__name__ for kind, _ in (*TALKS, *bindings.KINDS)} | {"sheet"}
    assert all(rate.total == 4 for rate in rates.values())


def test_the_card_states_what_was_measured(built, monkeypatch, tmp_path):
    monkeypatch.setattr(ship, "dataset", lambda seed: dataset(0, {"train": 0, "validation": 12, "phrasing": 0}))
    known, tasks, gain = ship.measure(built[0] / "model", each=2)
    text = ship.card(built[1], known, tasks, gain, "a test machine", "2026-01-31")
    assert f"{built[1]['parameters']:,} parameters" in text and "a test machine" in text and "2026-01-31" in text
    assert "| look up | " in text and "On the 8 validation questions" in text and str(tasks["number"]) in text
    assert "{" not in text


def test_an_unfinished_build_is_not_shipped(tmp_path, capsys):
    build(recipe_named("probe"), 0, tmp_path, until=1)
    assert ship.main([str(tmp_path)]) == 2
    assert "is not finished" in capsys.readouterr().err


def test_a_second_stage_goes_on_from_the_first_ones_weights_and_text(tmp_path, built, capsys):
    recipe = recipe_named("probe-2")
    command = ["pretrain", "--recipe", "probe-2", "--start", str(built[0]), "--out", str(tmp_path)]
    assert finqa_lab([*command, "--until", "4"]) == 0 and finqa_lab(command) == 0
    capsys.readouterr()
    facts = json.loads((tmp_path / "training.json").read_text())
    assert facts["steps"] == recipe.plan.steps and facts["finished"] and facts["before"]["steps"] == built[1]["steps"]
    assert facts["losses"][0] < built[1]["losses"][0] - 0.3  # a start from nothing would begin up there again
    again = (tmp_path / "model" / "tokenizer.json").read_text()
    assert again == (built[0] / "model" / "tokenizer.json").read_text()
    text = ship.card(facts, *({"copy": wilson(1, 2)}, {"number": wilson(0, 2)}, 1.0), "a machine", "2026-01-31")
    assert f"{built[1]['steps']} steps and then {recipe.plan.steps} steps" in text and "sheets 30%" in text


def test_a_second_stage_needs_a_finished_first_one_of_its_recipe(tmp_path, built):
    recipe = recipe_named("probe-2")
    with pytest.raises(CourseError, match="goes on from a model of 'probe'"):
        build(recipe, 0, tmp_path / "a")
    with pytest.raises(CourseError, match="leave out --start"):
        build(recipe_named("probe"), 0, tmp_path / "a", start=built[0])
    build(recipe_named("probe"), 0, tmp_path / "begun", until=1)
    with pytest.raises(CourseError, match="holds no finished build of 'probe'"):
        build(recipe, 0, tmp_path / "a", start=tmp_path / "begun")
    assert not (tmp_path / "a").exists()


def test_the_command_builds_and_says_what_it_made(tmp_path, capsys):
    assert finqa_lab(["pretrain", "--recipe", "probe", "--until", "2", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "2 steps" in printed and "held-out numbers" in printed
    assert finqa_lab(["pretrain", "--recipe", "tiny", "--out", str(tmp_path)]) == 2
    assert "choose one of finqa-tiny-1, finqa-tiny, " in capsys.readouterr().err


@settings(deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_list_in_digits_has_the_names_and_numbers_of_what_was_told(seed):
    text, reply = bindings._pair(random.Random(seed))
    for name in re.findall(r"\b[A-Z][a-z]+\b", reply):
        assert re.search(rf"(?:^|[ (\n]){name}\b", text) and re.search(rf" {name}\b|\({name}", reply), (text, reply)
    told = [found for word in re.findall(r"[$\d][\d,.]*k?(?: ?%| percent| per cent| million)?|USD [\d,.]+", text)
            if (found := read_spelled(word.rstrip(",."))) is not None]  # fmt: skip
    told += [WORDS.index(word) for word in text.split() if word in WORDS]
    told += [count for often, count in bindings.PERIODS.items() if often in text]
    items = reply.split("; ")
    if all(item.startswith(f"{number} ") for number, item in enumerate(items, 1)):  # the list is numbered
        reply = "; ".join(item.split(" ", 1)[1] for item in items)
    for number in re.findall(r"(?<![\w.#])\d+(?:\.\d+)?", reply):  # const_12 is a period, #3 a place
        assert Fraction(number) in told, (text, reply)
