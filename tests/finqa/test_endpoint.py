"""An endpoint that is busy, broken, slow or rude, in a thread of this process; and a log that survives a stop."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from finqa_lab.errors import CourseError
from finqa_lab.finqa import endpoint as module
from finqa_lab.finqa.asking import ask_all, predictions, read_log
from finqa_lab.finqa.contexts import gold
from finqa_lab.finqa.endpoint import Endpoint, complete
from finqa_lab.finqa.prompts import messages, reply_to
from finqa_lab.finqa.scoring import score
from finqa_lab.finqa.synthetic.reports import make_records

RECORDS = list(make_records(reports=3, each=2))
PROMPTS = {record.id: messages(record.question, gold(record)) for record in RECORDS}
RIGHT = {PROMPTS[record.id][1]["content"]: reply_to(record, gold(record)) for record in RECORDS}
SECRET = "sk-very-secret"


def chat(text: str) -> bytes:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}).encode()


class Handler(BaseHTTPRequestHandler):
    """Answers rightly, unless ``server.script`` has (status, headers, body), or an event to wait for in silence."""

    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.requests.append((self.path, self.headers.get("Authorization"), body))
            step = server.script.pop(0) if server.script else None
        if isinstance(step, threading.Event):
            step.wait(10)
            return
        status, headers, content = step or (200, {}, chat(RIGHT.get(body["messages"][-1]["content"], "?")))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    running.requests, running.script, running.lock = [], [], threading.Lock()
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def at(server, **settings) -> Endpoint:
    return Endpoint(f"http://127.0.0.1:{server.server_port}/v1", "tiny", **({"pause": 0.0} | settings))


def some_messages():
    return PROMPTS[RECORDS[0].id]


def test_a_question_is_asked_as_the_interface_says(server, monkeypatch):
    monkeypatch.setenv("A_KEY", SECRET)
    endpoint = at(server, api_key_env="A_KEY", seed=7, max_tokens=64, extra={"top_p": 0.9})
    found = complete(endpoint, some_messages())
    assert found.text == RIGHT[some_messages()[1]["content"]] and found.error is None
    assert (found.finish_reason, found.prompt_tokens, found.completion_tokens, found.attempts) == ("stop", 9, 3, 1)
    ((path, authorization, body),) = server.requests
    assert path == "/v1/chat/completions" and authorization == f"Bearer {SECRET}"
    assert body == {
        "model": "tiny", "messages": some_messages(), "stream": False, "temperature": 0.0, "max_tokens": 64,
        "seed": 7, "top_p": 0.9,
    }  # fmt: skip


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(server, status):
    server.script = [(status, {}, b"busy")] * 2
    waits = []
    found = complete(at(server, pause=1.0), some_messages(), waits.append)
    assert found.error is None and found.attempts == 3 == len(server.requests)
    assert 0.5 <= waits[0] <= 1.0 <= waits[1] <= 2.0


def test_the_pause_is_what_the_server_asks_for_and_has_an_end(server):
    server.script = [(429, {"Retry-After": "7"}, b""), (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, b"")]
    server.script += [(429, {"Retry-After": "99999"}, b""), (429, {"Retry-After": "soon"}, b"")]
    waits = []
    assert complete(at(server), some_messages(), waits.append).attempts == 5
    assert waits == [7.0, 0.0, module.LONGEST_PAUSE, 0.0]


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"{", b"[]", b"null", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}',
     b'{"error": "no"}', b"\xff\xfe", b"[" * 100_000],
)  # fmt: skip
def test_malformed_json_is_asked_again_and_then_reported(server, content):
    server.script = [(200, {}, content)] * 3
    found = complete(at(server, retries=2), some_messages())
    assert found.text == "" and found.attempts == 3 and "sent no chat completion" in found.error
    server.script = [(200, {}, content)]
    assert complete(at(server), some_messages()).error is None


def test_half_a_character_does_not_spoil_the_log(server, tmp_path):
    server.script = [(200, {}, b'{"choices": [{"message": {"content": "add(1, 2) \\ud83d"}}]}')]
    found = complete(at(server), some_messages())
    assert found.text == "add(1, 2) ?" and found.finish_reason is None and found.prompt_tokens is None


def test_a_silent_server_is_given_up_after_the_timeout(server):
    silence = threading.Event()
    server.script = [silence, silence]
    found = complete(at(server, timeout=0.05, retries=1), some_messages())
    silence.set()
    assert found.attempts == 2 and "did not answer: " in found.error


def test_a_server_that_is_not_there_is_one_sentence():
    endpoint = Endpoint("http://127.0.0.1:9/v1", "tiny", retries=0)
    assert "did not answer" in complete(endpoint, some_messages()).error


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_request_is_an_error_of_that_question_alone(server, status):
    server.script = [(status, {}, b'{"error": "prompt is too long"}')]
    found = complete(at(server), some_messages())
    assert found.attempts == 1 and f"answered {status}" in found.error and "prompt is too long" in found.error


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_model_ends_everything_and_the_key_is_not_shown(server, status, monkeypatch):
    monkeypatch.setenv("A_KEY", SECRET)
    server.script = [(status, {}, f"bad key {SECRET}".encode())]
    with pytest.raises(CourseError, match=f"answered {status}.* check the endpoint's address") as caught:
        complete(at(server, api_key_env="A_KEY"), some_messages())
    assert SECRET not in str(caught.value) and "bad key ***" in str(caught.value)


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_is_not_followed(server, status):
    server.script = [(status, {"Location": "http://127.0.0.1:9/"}, b"")]
    with pytest.raises(CourseError, match=f"answered {status}"):
        complete(at(server), some_messages())
    assert len(server.requests) == 1


def test_a_reply_without_end_is_refused(server, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_REPLY", 10)
    assert "more than 10 bytes" in complete(at(server), some_messages()).error


def test_addresses_and_keys_are_checked_before_anything_is_sent(monkeypatch):
    monkeypatch.delenv("A_KEY", raising=False)
    with pytest.raises(CourseError, match="A_KEY is not set"):
        complete(Endpoint("https://example.org/v1", "m", api_key_env="A_KEY"), [])
    monkeypatch.setenv("A_KEY", "two\nlines")
    with pytest.raises(CourseError, match="A_KEY holds characters that no key has"):
        complete(Endpoint("https://example.org/v1", "m", api_key_env="A_KEY"), [])
    with pytest.raises(CourseError, match="would go to example.org unencrypted"):
        Endpoint("http://example.org/v1", "m", api_key_env="A_KEY")
    assert Endpoint("http://example.org/v1", "m").model == "m"
    for url in ("file:///etc/passwd", "example.org", "http://", "https://user:word@example.org"):
        with pytest.raises(CourseError, match="is no http address") as caught:
            Endpoint(url, "m")
        assert "word" not in str(caught.value).replace("password", "")


def test_all_questions_are_asked_and_scored(server, tmp_path):
    seen = []
    answers = ask_all(at(server), PROMPTS, tmp_path / "log.jsonl", workers=3, on_answer=seen.append)
    assert [answer.id for answer in answers] == list(PROMPTS) and len(seen) == len(PROMPTS)
    card = score(predictions(answers), RECORDS)
    assert card.rate("execution").hits == len(RECORDS) == card.rate("program").hits


def test_a_second_run_asks_nothing_and_a_changed_prompt_is_asked_anew(server, tmp_path):
    log = tmp_path / "deep" / "log.jsonl"
    first = ask_all(at(server), PROMPTS, log)
    server.requests.clear()
    again = ask_all(at(server), PROMPTS, log)
    assert server.requests == [] and all(answer.resumed for answer in again)
    assert predictions(again) == predictions(first)
    name = RECORDS[2].id
    changed = PROMPTS | {name: messages("another question", gold(RECORDS[2]))}
    assert [answer.resumed for answer in ask_all(at(server), changed, log)] == [n != name for n in PROMPTS]
    ask_all(at(server, temperature=0.5), PROMPTS, log)
    assert len(server.requests) == 1 + len(PROMPTS)


def test_a_failed_question_is_missing_and_the_next_run_asks_it(server, tmp_path):
    log = tmp_path / "log.jsonl"
    server.script = [(400, {}, b"")]
    answers = ask_all(at(server), PROMPTS, log, workers=1)
    failed = [answer.id for answer in answers if answer.completion.error]
    assert failed == [RECORDS[0].id] and score(predictions(answers), RECORDS).missing == (RECORDS[0].id,)
    server.requests.clear()
    assert not any(answer.completion.error for answer in ask_all(at(server), PROMPTS, log, workers=1))
    assert len(server.requests) == 1


def test_a_stopped_run_is_taken_up_where_it_stopped(server, tmp_path):
    log = tmp_path / "log.jsonl"

    def interrupt(answered):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask_all(at(server), PROMPTS, log, workers=1, on_answer=interrupt)
    done = len(read_log(log))
    assert 1 <= done <= len(PROMPTS)
    log.write_bytes(log.read_bytes() + b'{"id": "cut o')  # a stop in the middle of a line
    server.requests.clear()
    assert len(predictions(ask_all(at(server), PROMPTS, log))) == len(PROMPTS)
    assert len(server.requests) == len(PROMPTS) - done and len(read_log(log)) == len(PROMPTS)
    assert ask_all(at(server), PROMPTS, log)[0].resumed


def test_a_stop_does_not_wait_for_repetitions(server, tmp_path):
    """A busy server would keep each request for minutes; the wrong key of one ends them all."""
    server.script = [(503, {"Retry-After": "60"}, b"")] * 2 + [(401, {}, b"")] * 9
    with pytest.raises(CourseError, match="answered 401"):
        ask_all(at(server), PROMPTS, tmp_path / "log.jsonl", workers=3)
    asked = [body["messages"][1]["content"] for _, _, body in server.requests]
    assert len(set(asked)) == len(asked)


def test_no_proxy_is_asked_for_a_server_on_this_machine(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert complete(at(server, retries=0), some_messages()).error is None


def test_a_wrong_setup_stops_the_run_and_keeps_what_was_answered(server, tmp_path):
    log = tmp_path / "log.jsonl"
    right = (200, {}, chat("program: add(1, 2)"))
    server.script = [right, right, *[(401, {}, b"")] * 10]
    with pytest.raises(CourseError, match="answered 401"):
        ask_all(at(server), PROMPTS, log, workers=1)
    assert len(read_log(log)) == 2 and len(server.requests) <= 4


def test_the_log_holds_prompts_and_replies_and_no_key(server, tmp_path, monkeypatch):
    monkeypatch.setenv("A_KEY", SECRET)
    log = tmp_path / "log.jsonl"
    server.script = [(400, {}, SECRET.encode())]
    endpoint = at(server, api_key_env="A_KEY")
    ask_all(endpoint, PROMPTS, log, workers=1)
    assert SECRET not in log.read_text()
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(entries) == len(PROMPTS) and entries[1]["request"]["messages"] == PROMPTS[entries[1]["id"]]
    assert entries[1]["prompt_sha256"] == endpoint.prompt_hash(PROMPTS[entries[1]["id"]])


@pytest.mark.parametrize("content", ['{"id": 4}\n{"a": 1}\n', "a note\n", "[]", '{"id": "a", "prompt_sha256": "b"}'])
def test_a_file_that_is_no_log_is_refused_and_not_written_to(server, tmp_path, content):
    log = tmp_path / "notes.txt"
    log.write_text(content)
    with pytest.raises(CourseError, match=r"notes\.txt, line 1 is no logged reply"):
        ask_all(at(server), PROMPTS, log)
    assert log.read_text() == content and server.requests == []


def test_unusable_logs_and_workers_are_one_sentence(server, tmp_path):
    with pytest.raises(CourseError, match="cannot"):
        ask_all(at(server), PROMPTS, tmp_path)
    with pytest.raises(CourseError, match="0 workers"):
        ask_all(at(server), PROMPTS, tmp_path / "x", workers=0)
