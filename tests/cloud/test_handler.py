"""The handler with the course's model: in this process, and once through the whole contract."""

import json
import math

import pytest
import torch

from finqa_lab.cloud import inference
from finqa_lab.cloud.container import Limits, run_container
from finqa_lab.cloud.errors import MalformedRequest
from finqa_lab.cloud.inference import (
    FORM_FILE,
    GRAMMARS,
    Malformed,
    NoAnswer,
    input_fn,
    model_fn,
    output_fn,
    predict_fn,
)
from finqa_lab.cloud.package import FORMS, build_package
from finqa_lab.errors import CourseError
from finqa_lab.tune.adapters import save_adapter
from finqa_lab.tune.base import load_base, model_folder
from finqa_lab.tune.lora import LoRAConfig, adapted_layers, add_adapter

QUESTION = {"messages": [{"role": "user", "content": "What is 2 + 2?"}]}


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    """One that changes what the model says: its B is not zero."""
    base, config = load_base(), LoRAConfig(rank=2, alpha=8.0, targets=("query", "value"))
    add_adapter(base.model, config)
    generator = torch.Generator().manual_seed(0)
    for layer in adapted_layers(base.model).values():
        with torch.no_grad():
            layer.adapters["default"].b.normal_(0, 0.5, generator=generator)
    return save_adapter(tmp_path_factory.mktemp("adapter") / "adapter", base.model, config)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, adapter):
    """What the service unpacks, made of links to save time."""
    made = tmp_path_factory.mktemp("model")
    for path in model_folder("finqa-tiny").iterdir():
        (made / path.name).symlink_to(path)
    (made / "adapter").symlink_to(adapter)
    (made / FORM_FILE).write_text('{"form": "json"}')
    return made


@pytest.fixture(scope="module")
def loaded(folder):
    return model_fn(str(folder))


def ask(loaded, **changes) -> float:
    return predict_fn(input_fn(json.dumps(QUESTION | changes)), loaded)


def test_the_adapter_is_attached_at_run_time_and_can_be_left_out(loaded):
    assert loaded.adapted
    adapted, base = ask(loaded), ask(loaded, model="base")
    assert adapted != base and ask(loaded, model="adapter") == adapted  # deterministic, and the adapter is the default


def test_a_reply_bound_by_the_grammar_always_has_an_answer(loaded):
    """An adapter of noise, however the question reads and however few tokens are left."""
    for content in ("What is 2 + 2?", "Write a poem.", "}{", '{"answer": "x"}', ""):
        for limit in (12, 30):
            answer = ask(loaded, messages=[{"role": "user", "content": content}], max_tokens=limit)
            assert math.isfinite(answer)


def test_a_free_reply_without_an_answer_is_an_error_and_generated_once(folder, loaded, monkeypatch):
    free = inference.Loaded(loaded.base, loaded.engine, None, loaded.adapted)
    calls = []
    complete = inference.complete
    monkeypatch.setattr(inference, "complete", lambda *given: calls.append(1) or complete(*given))
    monkeypatch.setattr(inference, "read_reply", lambda text: type("Reading", (), {"answer": None, "reason": "no"})())
    with pytest.raises(NoAnswer, match="the reply has no answer: no"):
        ask(free)
    assert len(calls) == 1
    monkeypatch.setattr(inference, "read_reply", lambda text: type("Reading", (), {"answer": "Fund B"})())
    with pytest.raises(NoAnswer, match="a name, 'Fund B'"):
        ask(free)


def test_the_forms_of_the_handler_are_those_of_the_package():
    assert tuple(GRAMMARS) == FORMS
    with pytest.raises(CourseError, match="no form 'xml'"):
        build_package("/nowhere/x.tar.gz", "/nowhere", form="xml")


@pytest.mark.parametrize(
    "body, told",
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"messages": NaN}', "NaN is no number"),
        (b"[]", "no JSON object"),
        (b'{"inputs": "x"}', "goes past the chat template"),
        (b'{"prompt": "x"}', "field 'prompt' is not known"),
        (b"{}", "must be a list of 1 to 64"),
        (b'{"messages": []}', "must be a list of 1 to 64"),
        (b'{"messages": ["x"]}', "a role and a content"),
        (b'{"messages": [{"role": "user", "content": "x", "name": "y"}]}', "a role and a content"),
        (b'{"messages": [{"role": "root", "content": "x"}]}', "a role is one of"),
        (b'{"messages": [{"role": "user", "content": 1}]}', "a content is text"),
        (b'{"messages": [{"role": "assistant", "content": "x"}]}', "must be the question"),
        (b'{"messages": [{"role": "user", "content": "' + b"x" * 20_001 + b'"}]}', "longer than 20000"),
        (b'{"messages": [{"role": "user", "content": "x"}], "max_tokens": 0}', "from 1 to 512"),
        (b'{"messages": [{"role": "user", "content": "x"}], "max_tokens": true}', "from 1 to 512"),
        (b'{"messages": [{"role": "user", "content": "x"}], "max_tokens": 1e2}', "from 1 to 512"),
        (b'{"messages": [{"role": "user", "content": "x"}], "temperature": 0.7}', "must be 0"),
        (b'{"messages": [{"role": "user", "content": "x"}], "model": "../../etc"}', "'adapter' or 'base'"),
    ],
)
def test_a_request_that_is_wrong_is_told_why(body, told):
    with pytest.raises(Malformed, match=told) as refused:
        input_fn(body)
    assert refused.value.status_code == 400 and refused.value.phrase == "malformed"


def test_a_prompt_that_is_too_long_is_the_clients_mistake(loaded):
    with pytest.raises(Malformed, match="context"):
        ask(loaded, messages=[{"role": "user", "content": "12345 " * 2_000}])
    assert math.isfinite(ask(loaded))  # and the engine goes on


def test_types_of_content_are_held_to():
    with pytest.raises(Malformed, match="content type"):
        input_fn(b"{}", "text/csv")
    assert input_fn(json.dumps(QUESTION), "application/json; charset=utf-8").max_tokens == 128
    assert json.loads(output_fn(0.25, "text/html, */*")) == {"answer": 0.25}
    with pytest.raises(Malformed, match="does not take it"):
        output_fn(0.25, "text/csv")


@pytest.mark.slow
def test_the_archive_answers_through_the_contract_as_the_handler_does_here(tmp_path, adapter, loaded):
    """A process that imports the library from the archive, and nothing of this repository."""
    package = build_package(tmp_path, model_folder("finqa-tiny"), adapter)
    assert package.adapted
    with run_container(package.path, Limits(startup=120), sha256=package.sha256) as container:
        for changes in ({}, {"model": "base"}):
            reply = json.loads(container.invoke(json.dumps(QUESTION | changes).encode()))
            assert reply == {"answer": ask(loaded, **changes)}
        with pytest.raises(MalformedRequest, match="goes past the chat template"):
            container.invoke(b'{"inputs": "2+2"}')
