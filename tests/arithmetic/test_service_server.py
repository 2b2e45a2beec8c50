"""The whole service in its own process, over real HTTP."""

import json
import signal
import socket
import threading
import time

import pytest

from finqa_lab.arithmetic.service.promotion import Promotion
from finqa_lab.arithmetic.service.registry import Registry
from tests.arithmetic.service_helpers import fake_version, running

KEY = "a-key-of-some-length"


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry")


@pytest.fixture
def promoted(registry):
    Promotion(registry).promote(fake_version(registry, 1))
    return registry


def in_parallel(count, ask):
    """Results of ``ask(index)`` from ``count`` threads at once."""
    results = [None] * count

    def one(index):
        results[index] = ask(index)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_answers_health_metrics_and_log(promoted, tmp_path):
    version = Promotion(promoted).current()
    with running(promoted, tmp_path / "log", engine="fake") as server:
        status, headers, body = server.predict("951+11=", {"X-Request-ID": "mine-1"})
        assert (status, body["answer"], body["text"], body["version"]) == (200, 962, "951+11=962", version)
        assert body["latency_ms"] > 0 and headers["x-request-id"] == "mine-1"
        status, _, body = server.ask("POST", "/predict/batch", {"problems": ["1+1", "9-4", "999+999"]})
        assert status == 200 and [result["answer"] for result in body["results"]] == [2, 5, 1998]
        status, _, health = server.ask("GET", "/health")
        assert (status, health["status"], health["version"], health["queue_depth"]) == (200, "ready", version, 0)
        assert health["reason"] is None and health["promotion_problem"] is None and health["uptime_s"] > 0
        status, headers, text = server.ask("GET", "/metrics")
        assert 'finqa_requests_total{path="/predict",status="200"} 1\n' in text
        assert "finqa_problems_decoded_total 4\n" in text and 'finqa_latency_ms{quantile="0.95"}' in text
        status, _, document = server.ask("GET", "/openapi.json")
        assert set(document["paths"]) == {"/predict", "/predict/batch", "/health", "/metrics"}
        assert server.ask("GET", "/nothing")[0] == 404
        assert server.ask("GET", "/predict")[0] == 405
        server.wait_for("request", 7)
        assert server.stop() == 0
    lines = server.lines("request")
    assert len(lines) == 7  # one a request
    first = lines[0]
    assert (first["request_id"], first["status"], first["version"]) == ("mine-1", 200, version)
    assert first["latency_ms"] > 0 and first["batch"] == first["problems"] == 1
    assert server.lines("stopped")[0]["drained"] is True


REFUSED = [
    (b"{", 400, "not_json"),
    (b"", 400, "not_json"),
    (b"\xff\xfe", 400, "not_json"),
    (b"[" * 30_000, 400, "not_json"),
    (b"[1" + b"0" * 5000 + b"]", 400, "not_json"),
    ([], 422, "not_an_object"),
    ({}, 422, "missing_field"),
    ({"problem": "1+1", "extra": 1}, 422, "unknown_field"),
    ({"problem": 7}, 422, "not_text"),
    ({"problem": ""}, 422, "empty"),
    ({"problem": "1" * 100}, 422, "too_long"),
    ({"problem": "1 +1"}, 422, "whitespace"),
    ({"problem": "\u0661+1"}, 422, "non_ascii"),
    ({"problem": "\ud800+1"}, 422, "non_ascii"),
    ({"problem": "1*1"}, 422, "bad_character"),
    ({"problem": "1++1"}, 422, "malformed"),
    ({"problem": "007+1="}, 422, "leading_zero"),
    ({"problem": "1000+1"}, 422, "out_of_range"),
    ({"problem": "5-9="}, 422, "negative_result"),
    (b'{"problem": "1+1", "pad": "' + b"x" * 70_000 + b'"}', 413, "body_too_large"),
]


def test_refusals(promoted, tmp_path):
    with running(promoted, tmp_path / "log", engine="fake", batch_cap=3) as server:
        for body, status, reason in REFUSED:
            found, headers, answer = server.ask("POST", "/predict", body)
            error = answer["error"]
            assert (found, error["reason"]) == (status, reason), body
            assert error["message"] and error["mend"] and error["request_id"] == headers["x-request-id"]
            if status == 422 and reason not in ("not_an_object", "unknown_field"):
                assert error["field"] == "problem"
        for body, reason, field in [
            ({"problems": "1+1"}, "not_a_list", "problems"),
            ({"problems": []}, "not_a_list", "problems"),
            ({"problems": ["1+1"] * 4}, "batch_too_large", "problems"),
            ({"problems": ["1+1", "1-2"]}, "negative_result", "problems[1]"),
        ]:
            found, _, answer = server.ask("POST", "/predict/batch", body)
            assert (found, answer["error"]["reason"], answer["error"]["field"]) == (422, reason, field)
        assert server.predict("007+1")[2]["error"]["suggestion"] == "7+1"
        assert server.predict("7+1")[2]["answer"] == 8  # still there after all that


def test_a_long_body_without_a_length_is_cut_off(promoted, tmp_path):
    with running(promoted, tmp_path / "log", engine="fake", body_cap=1000) as server:
        connection = server.connect()
        connection.request("POST", "/predict", iter([b"x" * 400] * 10), encode_chunked=True)
        assert connection.getresponse().status == 413


def test_the_api_key(promoted, tmp_path):
    with running(promoted, tmp_path / "log", engine="fake", api_key=KEY) as server:
        for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": f"Basic {KEY}"}, {"X-API-Key": KEY + "x"}):
            status, answered, body = server.predict("1+1", headers)
            assert (status, body["error"]["reason"]) == (401, "unauthorized")
            assert answered["www-authenticate"] == "Bearer"
        for headers in ({"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}):
            assert server.predict("1+1", headers)[0] == 200
        assert server.ask("GET", "/metrics")[0] == 401
        assert server.ask("GET", "/health")[0] == 200
    assert KEY not in server.log.read_text()


def test_a_full_queue_answers_429(promoted, tmp_path):
    with running(promoted, tmp_path / "log", engine="fake", delay=0.4, max_batch=1, queue=2) as server:
        answers = in_parallel(8, lambda index: server.predict(f"{100 + index}+1"))
        statuses = sorted(status for status, _, _ in answers)
        assert set(statuses) == {200, 429} and statuses.count(200) >= 3
        for index, (status, headers, body) in enumerate(answers):
            if status == 429:
                assert int(headers["retry-after"]) >= 1 and body["error"]["reason"] == "queue_full"
            else:
                assert body["answer"] == 101 + index
        assert server.predict("1+1")[0] == 200


def test_concurrent_requests_share_decodes(promoted, tmp_path):
    with running(promoted, tmp_path / "log", engine="fake", delay=0.3) as server:
        answers = in_parallel(12, lambda index: server.predict(f"{index}+1"))
        assert [body["answer"] for _, _, body in answers] == [index + 1 for index in range(12)]
        server.wait_for("request", 12)
    assert max(line["batch"] for line in server.lines("request")) > 1


def test_no_model_then_promotion_without_restart(registry, tmp_path):
    with running(registry, tmp_path / "log", engine="fake", wait=False) as server:
        server.wait_for("not_serving")
        status, _, body = server.predict("1+1")
        assert (status, body["error"]["reason"]) == (503, "no_model") and "promote" in body["error"]["message"]
        status, _, health = server.ask("GET", "/health")
        assert (status, health["status"]) == (503, "unavailable") and "no version is promoted" in health["reason"]
        version = Promotion(registry).promote(fake_version(registry, 1))
        server.wait_for("serving")
        assert server.predict("1+1")[2]["version"] == version
        assert server.ask("GET", "/health")[0] == 200


def test_promote_roll_back_and_a_request_in_flight(promoted, tmp_path):
    promotion = Promotion(promoted)
    old, new = promotion.current(), fake_version(promoted, 2)
    with running(promoted, tmp_path / "log", engine="fake", delay=1.5) as server:
        results = []
        in_flight = threading.Thread(target=lambda: results.append(server.predict("1+1")))
        in_flight.start()
        while server.ask("GET", "/health")[2]["decoding"] == 0:
            time.sleep(0.005)
        promotion.promote(new)
        server.wait_for("serving", 2)
        assert not results  # the new version serves, the request still runs
        in_flight.join()
        assert (results[0][0], results[0][2]["version"]) == (200, old)
        assert server.predict("1+1")[2]["version"] == new
        promotion.roll_back()
        assert server.wait_for("serving", 3)["version"] == old
        assert server.predict("1+1")[2]["version"] == old
        assert server.ask("GET", "/health")[2]["version"] == old


def test_an_altered_version_does_not_replace_the_serving_one(promoted, tmp_path):
    promotion = Promotion(promoted)
    good, bad = promotion.current(), fake_version(promoted, 2)
    with running(promoted, tmp_path / "log", engine="fake") as server:
        promotion.promote(bad)
        server.wait_for("serving", 2)
        promotion.roll_back()
        server.wait_for("serving", 3)
        pointer = promotion.path.read_text()
        (promoted.folder(bad) / "config.json").write_text("{}")
        promotion.path.write_text(pointer.replace(f'"{good}"\n ]', f'"{bad}"\n ]'))  # past the check of `promote`
        assert promotion.current() == bad
        assert "altered" in server.wait_for("not_serving")["reason"]
        status, _, health = server.ask("GET", "/health")
        assert (status, health["version"]) == (200, good) and "altered" in health["promotion_problem"]
        assert server.predict("1+1")[2]["version"] == good


def test_shutdown_answers_what_is_in_flight(promoted, tmp_path):
    with running(promoted, tmp_path / "log", engine="fake", delay=0.5, max_batch=4) as server:
        connections = [server.connect() for _ in range(10)]
        for index, connection in enumerate(connections):
            connection.request("POST", "/predict", json.dumps({"problem": f"{index}+1"}))
        while "finqa_queue_depth 0" in (text := server.ask("GET", "/metrics")[2]):
            assert "finqa_problems_decoded_total 10" not in text
        server.process.send_signal(signal.SIGTERM)
        answers = [connection.getresponse() for connection in connections]
        assert [json.loads(answer.read())["answer"] for answer in answers] == [index + 1 for index in range(10)]
        assert server.process.wait(30) == 0
    assert server.lines("stopped") and server.lines("stopped")[0]["drained"] is True


def test_a_failing_model_is_a_clean_500_and_shows_in_health(promoted, tmp_path):
    with running(promoted, tmp_path / "log", engine="fake") as server:
        for _ in range(3):
            status, _, body = server.predict("13+1")
            assert (status, body["error"]["reason"]) == (500, "decode_failed")
            assert "unlucky" not in json.dumps(body)
        status, _, health = server.ask("GET", "/health")
        assert status == 503 and "last 3 decodes failed" in health["reason"]
        assert server.predict("12+1")[2]["answer"] == 13
        assert server.ask("GET", "/health")[0] == 200


def test_a_request_that_waits_too_long_and_a_client_that_leaves(promoted, tmp_path):
    with running(promoted, tmp_path / "log", engine="fake", delay=0.6, max_batch=1, timeout=0.3) as server:
        answers = in_parallel(3, lambda index: server.predict(f"{index}+1"))
        assert {status for status, _, _ in answers} == {503}
        assert all(headers["retry-after"] for _, headers, _ in answers)
    with running(promoted, tmp_path / "log2", engine="fake", delay=0.6) as server:
        connection = server.connect()
        connection.request("POST", "/predict", b'{"problem": "1+1"}')
        connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()
        assert server.wait_for("request")["status"] == 499
        assert server.predict("1+1")[0] == 200


def test_control_c_ends_as_cleanly(promoted, tmp_path):
    with running(promoted, tmp_path / "log", engine="fake") as server:
        assert server.predict("1+1")[0] == 200
        assert server.stop(signal.SIGINT) == 0
    assert server.lines("stopped")[0]["drained"] is True


def test_listening_beyond_the_machine_is_announced(promoted, tmp_path):
    with running(promoted, tmp_path / "log", engine="fake", host="0.0.0.0") as server:
        warning = server.wait_for("exposed")
        assert warning["level"] == "warning" and "--api-key-env" in warning["message"]
    with running(promoted, tmp_path / "log2", engine="fake") as server:
        assert not server.lines("exposed") and server.lines("listening")[0]["host"] == "127.0.0.1"
