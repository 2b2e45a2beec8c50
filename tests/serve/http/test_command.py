"""``finqa-lab serve`` in a process of its own, with the shipped model and adapters from folders."""

import http.client
import json
import signal
import socket
from urllib.parse import urlsplit

import openai
import pytest
import torch

from finqa_lab.cli import main
from finqa_lab.finqa.parse import parse
from finqa_lab.nn.generate import Stop, generate
from finqa_lab.serve.http.launch import load_service
from finqa_lab.serve.http.request_log import read_requests
from finqa_lab.tune.adapters import save_adapter
from finqa_lab.tune.answering import replies
from finqa_lab.tune.base import load_base
from finqa_lab.tune.lora import LoRAConfig, adapted_layers, add_adapter, set_adapter
from finqa_lab.web.background import serving
from tests.serve.http.serving import KEY
from tests.tune.small_model import make_base

QUESTION = [{"role": "user", "content": "What is the total of 2 and 3?"}]
ADAPTER = LoRAConfig(rank=2, targets=("query", "value"))


def add_random(model, name: str, seed: int):
    """Add an adapter whose update is as large as the weights."""
    add_adapter(model, ADAPTER, name, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for layer in adapted_layers(model).values():
        layer.adapters[name].b.data.normal_(generator=generator)


def write_adapter(folder, base: str, name: str, seed: int = 0):
    model = load_base(base).model
    add_random(model, name, seed)
    return save_adapter(folder, model, ADAPTER, name)


def client_of(server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def begin(server, limit: int) -> http.client.HTTPResponse:
    """A stream of the shipped model whose first bytes have come."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port, timeout=60)
    body = {"model": "finqa-tiny", "prompt": "Revenue", "max_tokens": limit, "stream": True, "seed": 1}
    connection.request("POST", "/v1/completions", json.dumps(body), {"Authorization": f"Bearer {KEY}"})
    response = connection.getresponse()
    assert response.status == 200 and response.readline().startswith(b"data: ")
    return response


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """The shipped model with two adapters, one process for all tests that only ask."""
    root = tmp_path_factory.mktemp("shipped")
    words = []
    for seed, name in enumerate(("red", "blue")):
        words += ["--adapter", f"{name}={write_adapter(root / name, 'finqa-tiny', name, seed)}"]
    with serving("finqa-tiny", words) as server:
        yield server


def test_the_shipped_model_replies_as_it_does_without_a_server(shipped):
    base = load_base("finqa-tiny")
    conversations = {str(n): [{"role": "user", "content": f"What is the total of {n} and 3?"}] for n in range(4)}
    expected = replies(base.model, base.tokenizer, base.template, conversations, limit=24, end=base.end)
    client = client_of(shipped)
    for name, messages in conversations.items():
        body = {"model": "finqa-tiny", "messages": messages, "max_tokens": 24, "temperature": 0}
        assert client.chat.completions.create(**body).choices[0].message.content == expected[name]
        chunks = client.chat.completions.create(**body, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == expected[name]


def test_each_adapter_replies_as_it_does_without_a_server(shipped, tmp_path):
    base, client = load_base("finqa-tiny"), client_of(shipped)
    ids = base.tokenizer.encode(base.template.render(QUESTION, reply=True)).ids
    found = {}
    for seed, name in enumerate(("red", "blue")):
        add_random(base.model, name, seed)
        set_adapter(base.model, name)
        tokens = generate(base.model, [ids], Stop(16, frozenset(base.end))).tokens[0]
        found[name] = base.tokenizer.decode(tokens, skip_special_tokens=True)
        for asked in (name, f"finqa-tiny:{name}"):
            reply = client.chat.completions.create(model=asked, messages=QUESTION, max_tokens=16, temperature=0)
            assert reply.choices[0].message.content == found[name]
    assert found["red"] != found["blue"]


def test_structured_replies_of_the_shipped_model_are_read_back(shipped):
    client = client_of(shipped)
    for seed in range(3):
        body = {"model": "blue", "messages": QUESTION, "temperature": 1.5, "seed": seed, "max_tokens": 40}
        answer = client.chat.completions.create(**body, response_format={"type": "json_object"})
        assert isinstance(json.loads(answer.choices[0].message.content)["answer"], int | float)
        program = client.chat.completions.create(**body, response_format={"type": "program"})
        assert 1 <= len(parse(program.choices[0].message.content)) <= 5


def test_sigterm_lets_a_stream_finish(tmp_path, monkeypatch):
    monkeypatch.setenv("SERVE_KEY", KEY)
    with serving("finqa-tiny", ["--api-key-env", "SERVE_KEY"], tmp_path / "log") as server:
        response = begin(server, 60)
        server.process.send_signal(signal.SIGTERM)
        assert b"data: [DONE]" in response.read()
        assert server.process.wait(30) == 0
        lines = list(read_requests(server.log))
        assert [line.status for line in lines] == [200] and lines[0].finish_reason in ("stop", "length")
        assert server.lines("stopped")[0]["failed"] is None and KEY not in server.log.read_text()


def test_a_stream_that_outlasts_the_drain_is_cut(tmp_path):
    with serving("finqa-tiny", ["--drain", "1"]) as server:
        with pytest.raises(openai.NotFoundError):
            client_of(server).chat.completions.create(model="none", messages=QUESTION)
        response = begin(server, 1000)
        server.process.send_signal(signal.SIGINT)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            while response.readline():
                pass
            raise ConnectionError  # an end without the mark of the end is as good
        assert server.process.wait(30) == 0


def test_a_folder_is_served_under_its_own_name(tmp_path):
    make_base(tmp_path / "my-model")
    words = ("--blocks", "16", "--block-size", "8", "--max-tokens", "20", "--no-prefix-cache")
    with serving(str(tmp_path / "my-model"), words) as server:
        client = client_of(server)
        assert [(model.id, model.max_model_len) for model in client.models.list()] == [("my-model", 64)]
        reply = client.completions.create(model="my-model", prompt="2 plus 3 is", max_tokens=20, temperature=0)
        assert reply.usage.completion_tokens <= 20


@pytest.mark.parametrize(
    "words, sentence",
    [
        (("--port", "99999"), "port is 99999"),
        (("--max-tokens", "0"), "max-tokens is 0"),
        (("--timeout", "-1"), "timeout is -1.0"),
        (("--blocks", "0"), "blocks is 0"),
        (("--step-tokens", "2"), "too small for a batch"),
        (("--api-key-env", "NOT_SET_ANYWHERE"), "NOT_SET_ANYWHERE is not set"),
        (("--adapter", "x"), "is not NAME=FOLDER"),
        (("--adapter", "a=b", "--adapter", "a=c"), "is given twice"),
        (("--adapter", "../a=b"), "cannot be the name of an adapter"),
        (("--adapter", "keys=b"), "'keys' cannot be the name of an adapter"),
        (("--adapter", "a=/nowhere"), "has no adapter_config.json"),
        (("--name", "../x"), "cannot be the name of a model"),
        (("--dtype", "int8"), "choose float32 or bfloat16"),
        (("--log", "/nowhere/log"), "cannot write the log"),
    ],
)
def test_mistakes_are_one_sentence_and_status_2(capsys, tmp_path, words, sentence):
    make_base(tmp_path / "base")
    assert main(["serve", str(tmp_path / "base"), *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_a_model_that_is_not_there_and_a_port_that_is_taken(capsys, tmp_path):
    assert main(["serve", "no-such-model"]) == 2
    assert "there is no model 'no-such-model'" in capsys.readouterr().err
    make_base(tmp_path / "base")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", str(tmp_path / "base"), "--port", port]) == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in capsys.readouterr().err


def test_the_log_is_appended_to_a_file(tmp_path, monkeypatch):
    make_base(tmp_path / "base")
    path = tmp_path / "requests.jsonl"
    path.write_text('{"event": "before"}\n')

    def fake_serve(service, log):
        log("stopped", model=service.catalogue.base)
        return 0

    monkeypatch.setattr("finqa_lab.serve.http.launch.serve", fake_serve)
    assert main(["serve", str(tmp_path / "base"), "--log", str(path), "--name", "mine"]) == 0
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [event["event"] for event in events] == ["before", "stopped"] and events[1]["model"] == "mine"


def test_an_adapter_of_another_base_is_refused(tmp_path):
    from finqa_lab.errors import CourseError

    make_base(tmp_path / "one", seed=1)
    make_base(tmp_path / "two", seed=2)
    adapter = write_adapter(tmp_path / "adapter", str(tmp_path / "one"), "mine")
    assert load_service(str(tmp_path / "one"), {"mine": adapter}).catalogue.adapters == ("mine",)
    with pytest.raises(CourseError, match="was made for a base with sha256"):
        load_service(str(tmp_path / "two"), {"mine": adapter})


def test_every_model_has_its_own_help(capsys):
    for model, option in (("arithmetic", "--registry"), ("finqa-tiny", "--adapter")):
        with pytest.raises(SystemExit) as ended:
            main(["serve", model, "--help"])
        assert ended.value.code == 0 and option in capsys.readouterr().out
