"""What a server must survive: bodies of every kind, clients that leave or never read, deadlines, strangers."""

import json
import socket
import struct
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from finqa_lab.errors import CourseError
from finqa_lab.serve.http.app import make_app
from finqa_lab.serve.http.catalogue import Catalogue
from finqa_lab.serve.http.settings import ServerSettings
from finqa_lab.web.log import JsonLog
from tests.serve.http.serving import KEY, SETTINGS, FakeWorker, fake_service, live, small_service

CHAT = {"model": "finqa-tiny", "messages": [{"role": "user", "content": "What is 2 + 3?"}]}
TEXT = {"model": "small", "prompt": "net income", "max_tokens": 100, "temperature": 1, "seed": 4}
POSTS = ("/v1/chat/completions", "/v1/completions", "/api/generate", "/api/chat")


@pytest.fixture(scope="module")
def client():
    app = make_app(fake_service(), JsonLog(open("/dev/null", "w")))
    with TestClient(app, base_url="http://localhost") as client:
        yield client


LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["finqa-tiny"])
VALUES = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner))
FIELDS = st.sampled_from(
    "model messages prompt stop stream options format max_tokens temperature top_p seed response_format n".split()
)


@given(st.sampled_from(POSTS), st.dictionaries(FIELDS, VALUES, max_size=4))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_object_is_answered_or_refused_with_a_reason(client, path, fields):
    good = {"messages": CHAT["messages"]} if path.endswith(("chat", "chat/completions")) else {"prompt": "a"}
    response = client.post(path, content=json.dumps({"model": "finqa-tiny", "stream": False} | good | fields))
    assert response.status_code in (200, 400, 404), (path, fields, response.text)
    if response.status_code != 200:
        error = response.json()["error"]
        assert error if path.startswith("/api/") else error["message"] and error["type"] and error["code"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"model": "\\ud800"}',
        b'{"model": 1' + b"0" * 5000 + b"}",
    ],
)
def test_a_body_that_is_no_json_object_is_a_bad_request(client, path, body):
    response = client.post(path, content=body)
    assert response.status_code == 400 and response.json()["error"]


def test_a_prompt_with_half_a_character_is_refused(client):
    body = b'{"model": "finqa-tiny", "messages": [{"role": "user", "content": "\\ud83d"}]}'
    response = client.post("/v1/chat/completions", content=body)
    assert response.status_code == 400 and response.json()["error"]["code"] == "invalid_json"


def test_other_methods_and_paths_are_refused_in_the_dialect_of_the_path(client):
    response = client.get("/v1/chat/completions")
    assert response.status_code == 405 and response.headers["allow"] == "POST"
    assert response.json()["error"]["code"] == "method_not_allowed"
    assert client.get("/api/nothing").json() == {"error": "Not Found; GET /openapi.json lists what there is"}
    assert client.get("/v1/models/").status_code == client.get("/v1/models/none").status_code == 404


def test_a_body_over_the_cap_is_413_with_a_length_and_without():
    with live(fake_service(settings=ServerSettings(body_cap=1000))) as server:
        body = CHAT | {"user": "x" * 2000}
        status, headers, answer = server.ask("POST", "/v1/chat/completions", body)
        assert (status, answer["error"]["code"], headers["connection"]) == (413, "body_too_large", "close")
        connection = server.connect()
        connection.request("POST", "/api/chat", iter([b"x" * 400] * 10), encode_chunked=True)
        assert connection.getresponse().status == 413
        assert server.ask("POST", "/v1/chat/completions", CHAT)[0] == 200


def test_a_prompt_over_the_servers_own_limit_is_refused():
    with live(fake_service(settings=ServerSettings(max_prompt=12))) as server:
        body = {"model": "finqa-tiny", "prompt": [5] * 12, "max_tokens": 3}
        talk = CHAT | {"messages": [{"role": "user", "content": "What is 2 + 3? " * 3}]}
        assert server.ask("POST", "/v1/completions", body)[0] == 200
        for path, long in (("completions", body | {"prompt": [5] * 13}), ("chat/completions", talk)):
            status, _, answer = server.ask("POST", f"/v1/{path}", long)
            assert (status, answer["error"]["code"]) == (400, "context_length_exceeded")
            assert "this server takes 12" in answer["error"]["message"]


def test_the_api_key():
    with live(fake_service(settings=ServerSettings(api_key=KEY))) as server:
        for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": f"Basic {KEY}"}):
            status, answered, body = server.ask("POST", "/v1/chat/completions", CHAT, headers)
            assert (status, body["error"]["code"], answered["www-authenticate"]) == (401, "invalid_api_key", "Bearer")
        assert server.ask("POST", "/v1/chat/completions", CHAT, {"Authorization": f"Bearer {KEY}"})[0] == 200
        assert server.ask("GET", "/metrics")[0] == server.ask("GET", "/openapi.json")[0] == 401
        assert server.ask("GET", "/health")[0] == 200
        assert KEY not in server.log.getvalue() and KEY not in repr(server.service.settings)


def test_web_pages_of_other_machines_are_refused():
    with live(fake_service()) as server:
        for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}):
            status, _, body = server.ask("POST", "/api/chat", CHAT, headers)
            assert status == 403 and "web pages" in body["error"]
        assert server.ask("POST", "/api/chat", CHAT, {"Origin": "http://localhost:3000"})[0] == 200
        assert len(server.service.worker.requests) == 1


def begin(server, body, path="/v1/completions") -> socket.socket:
    """A connection on which the first token of a stream has come."""
    payload = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(payload)}\r\n\r\n".encode()
    client = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    client.sendall(head + payload)
    received = b""
    while b"data: " not in received:
        received += client.recv(4096)
    return client


@pytest.mark.parametrize("rude", [False, True])
def test_a_client_that_leaves_in_mid_stream_frees_its_blocks(rude):
    with live(small_service(slow=0.03)) as server:
        worker = server.service.worker
        clients = [begin(server, TEXT | {"stream": True}) for _ in range(3)]
        statistics = worker.statistics
        assert statistics.running == 3 and statistics.blocks_free < statistics.blocks
        for client in clients[:2]:
            if rude:  # a reset instead of an orderly end
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        server.until(lambda: worker.statistics.running == 1)
        left = [line for line in server.until(lambda: len(server.lines()) == 2 and server.lines())]
        assert {(line["status"], line["finish_reason"], line["reason"]) for line in left} == {
            (499, "cancelled", "client_gone")
        }
        assert all(0 < line["output_tokens"] < 100 for line in left)
        while b"[DONE]" not in (received := clients[2].recv(65536)):  # the third is not disturbed
            assert received
        clients[2].close()
        server.until(lambda: not worker.engine.busy)
        statistics = worker.statistics
        assert statistics.cancelled == 2 and statistics.blocks_free == statistics.blocks and statistics.finished == 1


def test_a_client_that_leaves_before_the_first_token_or_a_whole_reply_is_forgotten():
    with live(small_service(slow=0.05)) as server:
        worker = server.service.worker
        for body in (TEXT, TEXT | {"stream": True}):
            connection = server.connect()
            connection.request("POST", "/v1/completions", json.dumps(body).encode())
            server.until(lambda: worker.statistics.running + worker.statistics.waiting == 1)
            connection.sock.close()
            connection.close()
            server.until(lambda: not worker.engine.busy)
        assert [line["status"] for line in server.until(lambda: len(server.lines()) == 2 and server.lines())] == [
            499
        ] * 2
        assert worker.statistics.blocks_free == worker.statistics.blocks


def test_a_reply_that_takes_too_long_is_ended_and_cancelled():
    quick = ServerSettings(timeout=0.4, max_tokens=200)
    with live(small_service(quick, slow=0.05)) as server:
        worker = server.service.worker
        status, headers, body = server.ask("POST", "/v1/completions", TEXT)
        assert (status, body["error"]["code"], headers["retry-after"]) == (503, "timeout", "1")
        text = server.ask("POST", "/v1/completions", TEXT | {"stream": True})[2]
        assert text.count("data: ") > 2 and "[DONE]" not in text
        assert json.loads(text.rstrip().rpartition("data: ")[2])["error"]["code"] == "timeout"
        server.until(lambda: not worker.engine.busy)
        lines = [(line["status"], line["finish_reason"], line["reason"]) for line in server.lines()]
        assert lines == [(503, "timeout", "timeout"), (200, "timeout", "timeout")]


def test_a_body_that_never_comes_ends_with_408():
    with live(fake_service(settings=ServerSettings(timeout=0.2))) as server:
        client = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        client.sendall(b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        assert client.recv(100).startswith(b"HTTP/1.1 408 ")
        client.close()


def test_a_full_queue_refuses_and_the_others_are_served():
    from concurrent.futures import ThreadPoolExecutor

    from finqa_lab.serve.engine import EngineSettings

    with live(small_service(engine=EngineSettings(batch=1, waiting=2), slow=0.01)) as server:
        with ThreadPoolExecutor(10) as pool:
            body = TEXT | {"max_tokens": 10}
            answers = list(pool.map(lambda _: server.ask("POST", "/v1/completions", body), range(10)))
        statuses = [status for status, _, _ in answers]
        assert set(statuses) == {200, 429} and statuses.count(200) >= 3
        assert all(int(headers["retry-after"]) >= 1 for status, headers, _ in answers if status == 429)
        assert server.service.worker.statistics.refused == statuses.count(429)
        assert server.ask("POST", "/v1/completions", body)[0] == 200


def test_an_unexpected_fault_shows_no_inside():
    def broken(request):
        raise ArithmeticError("secret inside")

    with live(fake_service(FakeWorker(broken))) as server:
        status, headers, body = server.ask("POST", "/v1/chat/completions", CHAT)
        assert (status, body["error"]["code"]) == (500, "internal_error") and "secret" not in json.dumps(body)
        line = server.until(server.lines)[0]
        assert line["level"] == "error" and "secret inside" in line["reason"]
        assert line["request_id"] == headers["x-request-id"]


def test_a_stream_that_nobody_reads_does_not_stop_the_others():
    words = "word " * 4000
    with live(fake_service(FakeWorker(words), SETTINGS.__class__(max_tokens=4000, timeout=30))) as server:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        body = json.dumps({"model": "finqa-tiny", "prompt": "a", "stream": True, "max_tokens": 4000}).encode()
        deaf.sendall(
            b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        server.until(lambda: server.service.worker.requests)
        time.sleep(0.2)
        assert server.ask("POST", "/v1/completions", {"model": "finqa-tiny", "prompt": "a", "max_tokens": 3})[0] == 200
        deaf.close()
        server.until(lambda: server.service.worker.open == 0)


@pytest.mark.parametrize(
    "name, value",
    [("port", 70_000), ("max_tokens", 0), ("body_cap", 1.5), ("timeout", -1), ("drain", "8"), ("port", True)],
)
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(CourseError, match=name.replace("_", "-")):
        ServerSettings(**{name: value})


@pytest.mark.parametrize(
    "base, adapters",
    [
        ("../x", []),
        ("a/b/c", []),
        ("", []),
        ("a b", []),
        ("base", ["../x"]),
        ("base", ["a/b"]),
        ("base", ["a:b"]),
        ("base", ["a.b"]),
        ("base", ["latest"]),
        ("base", ["base"]),
        ("base", ["one", "one"]),
        ("base", ["-x"]),
    ],
)
def test_names_that_could_be_something_else_are_refused_at_the_start(base, adapters):
    with pytest.raises(CourseError):
        Catalogue(base, adapters)
