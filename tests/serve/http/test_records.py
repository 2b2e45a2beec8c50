"""What is kept of a request: its line in the log, and the numbers that Prometheus reads."""

import dataclasses
import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from finqa_lab.errors import CourseError
from finqa_lab.serve.http.gate import ROUTES
from finqa_lab.serve.http.request_log import RequestLine, read_requests
from tests.serve.http.serving import FakeWorker, fake_service, live, overloaded, tokenizer

CHAT = {"model": "json", "messages": [{"role": "user", "content": "What is 2 + 3?"}], "stream": True}
REPLY_TOKENS = len(tokenizer().encode("The answer is 12.").ids) + 1


def numbers(server) -> dict:
    """Every sample of ``/metrics`` by name and labels."""
    text = server.ask("GET", "/metrics")[2]
    families = text_string_to_metric_families(text)
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


@pytest.fixture(scope="module")
def server():
    with live(fake_service(FakeWorker(delay=0.01, cached=2))) as running:
        running.ask("POST", "/v1/chat/completions", CHAT, {"X-Request-ID": "mine-1"})
        running.service.worker.refusal = overloaded()
        running.ask("POST", "/v1/chat/completions", CHAT)
        running.ask("POST", "/api/chat", b"{")
        running.ask("GET", "/v1/models/finqa-tiny")
        running.ask("GET", '/no"}\n{"event": "request"}'.replace("\n", "%0A").replace(" ", ""))
        running.until(lambda: len(running.lines()) == 5)
        yield running


@pytest.fixture
def lines(server, tmp_path):
    path = tmp_path / "server.jsonl"
    path.write_text(server.log.getvalue())
    return list(read_requests(path))[:5]


def test_every_request_has_one_line_and_the_file_is_read_back(lines):
    assert [line.status for line in lines] == [200, 429, 400, 200, 404]
    assert [line.route for line in lines[:4]] == ["/v1/chat/completions"] * 2 + ["/api/chat", "/v1/models/{model}"]
    assert lines[4].route == "other" and [line.reason for line in lines[1:3]] == ["queue_full", "invalid_json"]


def test_a_reply_has_all_times_and_counts(lines):
    line = lines[0]
    assert (line.request_id, line.model, line.adapter, line.stream) == ("mine-1", "json", "json", True)
    assert (line.cached_tokens, line.output_tokens, line.finish_reason) == (2, REPLY_TOKENS, "stop")
    assert line.prompt_tokens == len(tokenizer().encode("<|user|>What is 2 + 3?<|end|><|assistant|>").ids)
    assert line.arrival > 1.7e9 and line.queue == 0.001
    assert 0.01 <= line.ttft < line.total and line.tpot >= 0.01  # the fake sleeps 10 ms before every token
    assert line.ttft + line.tpot * (line.output_tokens - 1) <= line.total
    assert lines[1].ttft is lines[1].finish_reason is lines[1].output_tokens is None and lines[1].prompt_tokens


def test_the_schema_names_every_member_and_the_log_writes_all_of_them(server):
    names = [field.name for field in dataclasses.fields(RequestLine)]
    for name in names:
        assert f"        {name}: " in RequestLine.__doc__, f"{name} is not described"
    assert all(list(line)[3:] == names for line in server.lines())


def test_a_log_that_is_none_is_refused(tmp_path):
    path = tmp_path / "log"
    for bad in ("{", "[]", '{"event": "request", "status": 200}'):
        path.write_text('{"event": "listening"}\n' + bad + "\n")
        with pytest.raises(CourseError, match="line 2 of "):
            list(read_requests(path))
    path.write_text('{"event": "listening"}\n')
    assert list(read_requests(path)) == []


def test_the_numbers_are_those_of_the_log(server):
    found = numbers(server)
    assert found["finqa_requests_total", "/v1/chat/completions", "200"] == 1
    assert found["finqa_requests_total", "/v1/chat/completions", "429"] == 1
    assert found["finqa_requests_total", "other", "404"] == 1
    assert found["finqa_replies_total", "json", "stop"] == 1
    line = server.lines()[0]
    for name, value in (("time_to_first_token", "ttft"), ("time_per_output_token", "tpot"), ("request", "total")):
        assert found[f"finqa_{name}_seconds_count",] == 1
        assert found[f"finqa_{name}_seconds_sum",] == pytest.approx(line[value])
    assert found["finqa_reply_length_tokens_sum",] == REPLY_TOKENS
    assert found["finqa_blocks",] == found["finqa_blocks_free",] == 100 and found["finqa_running",] == 0


def test_a_client_cannot_make_up_routes_or_statuses(server):
    for path in ("/a", "/b", "/v1/models/zzz", "/v1/models/a%2Fb", "/metrics?x=1"):
        server.ask("GET", path)
    routes = {key[1] for key in numbers(server) if key[0] == "finqa_requests_total"}
    assert routes <= {*ROUTES, "/v1/models/{model}", "other"}


def test_nothing_that_a_client_sends_can_forge_a_line(server):
    body = CHAT | {"model": '"}\n{"event": "request", "forged": 1}'}
    server.ask("POST", "/v1/chat/completions", body)
    server.until(lambda: any(line["reason"] == "model_not_found" for line in server.lines()))
    assert all(json.loads(line)["event"] in ("serving", "request") for line in server.log.getvalue().splitlines())
    assert "forged" not in {key for line in server.lines() for key in line}
