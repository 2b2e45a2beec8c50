"""One conversation, three programs, the same bytes: our server, mlx_lm's and transformers.

A prompt that differs from what a model was trained on is the most frequent reason for replies of the wrong form, and
nothing fails: the model answers, only worse.
"""

import json
from types import SimpleNamespace

import pytest

from finqa_lab.serve.http.asking import render
from finqa_lab.text.chat import load_chat_template
from finqa_lab.tune.base import model_folder
from tests.serve.http.serving import FakeWorker, fake_service, live, tokenizer

CONVERSATIONS = {
    "question": [{"role": "user", "content": "What is the total of 2 and 3?"}],
    "system": [{"role": "system", "content": "Answer with JSON."}, {"role": "user", "content": "Net income?"}],
    "turns": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": '{"answer": 1}'},
        {"role": "user", "content": "b"},
    ],
    "odd characters": [
        {"role": "user", "content": " \t\u20ac 5 \u2212 3 = ?\n\n{{ messages }} {% raw %} <b>&amp;'\"\\ \U0001f600 "}
    ],
    "empty": [{"role": "user", "content": ""}],
    "only system": [{"role": "system", "content": "x"}],
}


@pytest.fixture(scope="module")
def folder():
    return model_folder("finqa-tiny")


@pytest.fixture(scope="module")
def server():
    with live(fake_service(FakeWorker("yes"))) as running:
        yield running


def served(server, messages, path="/v1/chat/completions") -> list[int]:
    """Token ids that reach the engine."""
    requests = server.service.worker.requests
    before = len(requests)
    status, _, _ = server.ask("POST", path, {"model": "finqa-tiny", "messages": messages, "stream": False})
    assert status == 200 and len(requests) == before + 1
    return list(requests[-1].prompt)


@pytest.fixture(params=CONVERSATIONS)
def messages(request):
    return CONVERSATIONS[request.param]


def test_transformers_renders_the_same_bytes(server, folder, messages):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    text = theirs.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert render(load_chat_template(folder), messages).encode() == text.encode()
    ids = theirs.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False)
    assert served(server, messages) == ids
    assert served(server, messages, "/api/chat") == ids


def test_mlx_lm_server_renders_the_same_bytes(server, folder, messages):
    """By the function with which ``mlx_lm.server`` makes the prompt of a chat request."""
    pytest.importorskip("mlx.core", reason="mlx is not installed")
    mlx = pytest.importorskip("mlx_lm.server", reason="mlx-lm is not installed")
    from mlx_lm.utils import load_tokenizer

    theirs = load_tokenizer(folder)
    text = theirs.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert render(load_chat_template(folder), messages).encode() == text.encode()
    provider = SimpleNamespace(processor=None, cli_args=SimpleNamespace(chat_template_args={}))
    request = mlx.CompletionRequest(
        request_type="chat", prompt="", messages=json.loads(json.dumps(messages)), tools=None, role_mapping=None
    )
    arguments = SimpleNamespace(chat_template_kwargs=None)
    generator = mlx.ResponseGenerator.__new__(mlx.ResponseGenerator)  # without its thread
    generator.model_provider = provider
    ids = generator._tokenize(theirs, request, arguments)[0]
    assert served(server, messages) == list(ids)


def test_without_the_template_the_prompt_would_be_another():
    """The comparison above could not fail if nothing were added."""
    messages = CONVERSATIONS["question"]
    text = render(load_chat_template(model_folder("finqa-tiny")), messages)
    assert text == "<|user|>What is the total of 2 and 3?<|end|><|assistant|>" != messages[0]["content"]
    assert tokenizer().encode(text).ids != tokenizer().encode(messages[0]["content"]).ids
