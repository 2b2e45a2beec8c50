"""Ollama's dialect: lines of JSON, and counts with times in nanoseconds."""

import datetime
import json

import pytest

from tests.serve.http.serving import END, FakeWorker, overloaded, tokenizer

COUNTS = ("total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration")
CHAT = {"model": "finqa-tiny", "messages": [{"role": "user", "content": "What is 2 + 3?"}]}
GENERATE = {"model": "finqa-tiny", "prompt": "What is 2 + 3?"}


def lines_of(text: str) -> list[dict]:
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("path, body", [("/api/generate", GENERATE), ("/api/chat", CHAT)])
def test_a_stream_is_one_object_a_line_and_the_last_has_the_counts(server, worker, path, body):
    worker.delay = 0.01
    status, headers, text = server.ask("POST", path, body)
    assert status == 200 and headers["content-type"] == "application/x-ndjson"
    *pieces, last = lines_of(text)
    texts = [line["response"] if path == "/api/generate" else line["message"]["content"] for line in (*pieces, last)]
    assert "".join(texts) == "The answer is 12." and len(pieces) > 3 and texts[-1] == ""
    assert all(line["done"] is False and not set(COUNTS) & set(line) for line in pieces)
    assert last["done"] is True and last["done_reason"] == "stop" and all(type(last[name]) is int for name in COUNTS)
    assert last["prompt_eval_count"] == len(worker.requests[0].prompt)
    assert last["eval_count"] == len(tokenizer().encode("The answer is 12.").ids) + 1
    moments = [datetime.datetime.fromisoformat(line["created_at"]) for line in (*pieces, last)]
    assert moments == sorted(moments) and moments[0].tzinfo is not None
    if path == "/api/chat":
        assert all(line["message"]["role"] == "assistant" for line in (*pieces, last))


def test_the_durations_add_up_and_are_nanoseconds(server, worker):
    worker.delay = 0.02
    found = server.ask("POST", "/api/chat", CHAT | {"stream": False})[2]
    tokens = found["eval_count"]
    assert found["message"]["content"] == "The answer is 12." and found["done"] is True
    assert found["load_duration"] == 0 and found["prompt_eval_duration"] >= 15_000_000
    assert found["eval_duration"] >= (tokens - 1) * 20_000_000  # the fake sleeps 20 ms before every token
    assert found["prompt_eval_duration"] + found["eval_duration"] <= found["total_duration"] < 20_000_000_000
    line = server.until(lambda: [one for one in server.lines() if one["stream"] is False])[-1]
    assert line["tpot"] * 1e9 * (tokens - 1) == pytest.approx(
        found["eval_duration"], abs=1000 * tokens
    )  # the log rounds to microseconds


def test_the_prompt_is_a_users_message_unless_it_is_raw(server, worker):
    server.ask("POST", "/api/generate", GENERATE | {"system": "Be brief."})
    server.ask("POST", "/api/generate", GENERATE | {"raw": True})
    texts = [tokenizer().decode(request.prompt, skip_special_tokens=False) for request in worker.requests]
    asked = GENERATE["prompt"]
    assert texts == [f"<|system|>Be brief.<|end|><|user|>{asked}<|end|><|assistant|>", asked]


def test_options_and_formats_reach_the_engine(server, worker):
    options = {"temperature": 0, "top_k": 3, "top_p": 0.5, "seed": 9, "num_predict": 12, "stop": ["x"], "num_ctx": 512}
    server.ask("POST", "/api/chat", CHAT | {"options": options, "keep_alive": "5m", "format": "json"})
    server.ask("POST", "/api/chat", CHAT | {"format": "program"})
    schema = {"type": "object", "properties": {"answer": {"type": "number"}}, "required": ["answer"]}
    server.ask("POST", "/api/chat", CHAT | {"format": schema, "model": "finqa-tiny:json"})
    server.ask("POST", "/api/chat", CHAT | {"model": "finqa-tiny:latest", "options": {"num_predict": -1}})
    first, second, third, fourth = worker.requests
    sampling = first.sampling
    assert (sampling.temperature, sampling.top_k, sampling.top_p, sampling.seed) == (0, 3, 0.5, 9)
    assert first.stop.limit == 12 and first.grammar.longest == 12
    assert (fourth.sampling.temperature, fourth.sampling.top_k, fourth.sampling.top_p) == (0.8, 40, 0.9)
    assert fourth.stop.limit == 200 and fourth.grammar is None and fourth.adapter is None
    assert second.grammar is not None and third.grammar is not None and third.adapter == "json"
    begins = [tokenizer().decode([int(grammar.allowed(grammar.start).nonzero()[0])]) for grammar in (first.grammar,)]
    assert begins == ["{"]


def test_stop_strings_end_the_text(server, worker):
    worker.reply = "alpha beta gamma"
    found = server.ask("POST", "/api/generate", GENERATE | {"stream": False, "options": {"stop": ["eta g"]}})[2]
    assert (found["response"], found["done_reason"]) == ("alpha b", "stop")


def test_errors_are_ollamas(server, worker):
    status, _, body = server.ask("POST", "/api/chat", CHAT | {"model": "llama3"})
    assert status == 404 and set(body) == {"error"} and "llama3" in body["error"]
    for wrong in (
        {"images": []},
        {"options": {"mirostat": 1}},
        {"messages": []},
        {"format": "yaml"},
        {"stream": "yes"},
    ):
        status, _, body = server.ask("POST", "/api/chat", CHAT | wrong)
        assert status == 400 and isinstance(body["error"], str) and body["error"]
    assert server.ask("POST", "/api/chat", b"{")[0] == 400
    worker.refusal = overloaded()
    status, headers, body = server.ask("POST", "/api/generate", GENERATE)
    assert status == 429 and headers["retry-after"] == "2" and set(body) == {"error"}


def test_a_stream_that_breaks_says_so_in_its_last_line(server, worker):
    worker.failing = 2
    *_, last = lines_of(server.ask("POST", "/api/chat", CHAT)[2])
    assert set(last) == {"error"} and "secret" not in last["error"]


def test_the_models_are_the_base_and_its_adapters(server, worker):
    models = server.ask("GET", "/api/tags")[2]["models"]
    assert [model["name"] for model in models] == ["finqa-tiny:latest", "finqa-tiny:json", "finqa-tiny:program"]
    assert all(server.ask("POST", "/api/chat", CHAT | {"model": model["name"]})[0] == 200 for model in models)
    assert models[0]["size"] == 20_000_000 and models[0]["details"]["parameter_size"] == "5.0M"
    assert server.ask("GET", "/api/version")[2]["version"]


def test_the_end_token_of_a_reply_is_not_text(server, worker):
    assert FakeWorker("a").tokens(None) != [] and END not in FakeWorker("a").tokens(None)
    found = server.ask("POST", "/api/generate", GENERATE | {"stream": False, "options": {"num_predict": 1}})[2]
    assert (found["response"], found["done_reason"], found["eval_count"]) == ("The", "length", 1)
