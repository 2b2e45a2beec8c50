"""The application in process: no input makes it fail, and its description says what it does."""

import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from finqa_lab.arithmetic.service.app import make_app
from finqa_lab.arithmetic.service.openapi import STATUSES
from finqa_lab.arithmetic.service.promotion import Promotion
from finqa_lab.arithmetic.service.registry import Registry
from finqa_lab.arithmetic.service.settings import RANGES, Settings
from finqa_lab.arithmetic.service.telemetry import Counters
from finqa_lab.arithmetic.service.validation import InvalidProblem, parse_problem
from finqa_lab.errors import CourseError
from finqa_lab.web.access import key_from_environment
from finqa_lab.web.log import JsonLog
from tests.arithmetic.service_helpers import FakeEngine, fake_version

KEY = "a-key-of-some-length"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    registry = Registry(tmp_path_factory.mktemp("service") / "registry")
    Promotion(registry).promote(fake_version(registry, 1))
    log = JsonLog(io.StringIO())
    app = make_app(Settings(), registry, lambda _, version: FakeEngine(version, unlucky=None), log)
    with TestClient(app) as client:
        client.log = log.stream
        yield client


LEAF = st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.from_regex("[0-9]{1,4}[+-][0-9]{1,4}=?")
VALUES = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner))
BODIES = st.one_of(
    st.binary(max_size=60),
    VALUES.map(lambda value: json.dumps(value).encode()),
    VALUES.map(lambda value: json.dumps({"problem": value}).encode()),
    VALUES.map(lambda value: json.dumps({"problems": value}).encode()),
)


@given(st.sampled_from(["/predict", "/predict/batch"]), BODIES)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_body_is_answered_or_refused_with_a_reason(client, path, body):
    response = client.post(path, content=body)
    assert response.status_code in (200, 400, 422), body
    if response.status_code != 200:
        error = response.json()["error"]
        assert error["reason"] and error["message"] and error["mend"]


@given(st.text(max_size=12) | st.from_regex("[0-9]{1,3}[+-][0-9]{1,3}=?", fullmatch=True))
@settings(max_examples=300, deadline=None)
def test_the_route_and_the_grammar_agree(client, text):
    response = client.post("/predict", json={"problem": text})
    try:
        problem = parse_problem(text)
    except InvalidProblem as error:
        assert (response.status_code, response.json()["error"]["reason"]) == (422, error.reason.value)
    else:
        right = problem.left + problem.right if problem.operator == "+" else problem.left - problem.right
        assert response.json()["answer"] == right and response.json()["text"] == f"{problem}={right}"


HEADERS = st.dictionaries(
    st.sampled_from(["x-request-id", "x-api-key", "authorization"]), st.text("ab\t!\x7f- ", max_size=80)
)


@given(HEADERS)
@settings(max_examples=100, deadline=None)
def test_no_header_gets_into_the_response_unchecked(client, headers):
    response = client.post("/predict", json={"problem": "1+1"}, headers=headers)
    assert response.status_code == 200
    assert set(response.headers["x-request-id"]) <= set("abcdef0123456789.-_") and response.headers["x-request-id"]


def test_one_log_line_a_request_whatever_happens(client):
    before = len(client.log.getvalue().splitlines())
    for method, path, content in [("POST", "/predict", b"{"), ("GET", "/no%0Awhere", None), ("GET", "/health", None)]:
        client.request(method, path, content=content)
    client.post("/predict", json={"problem": '"}\n{"event": "forged"}'})
    lines = [json.loads(line) for line in client.log.getvalue().splitlines()[before:]]
    assert [line["event"] for line in lines] == ["request"] * 4
    assert [line["status"] for line in lines] == [400, 404, 200, 422]
    assert all(line["latency_ms"] > 0 for line in lines)


def test_the_description_names_every_status_and_limit(client):
    document = client.get("/openapi.json").json()
    for path in ("/predict", "/predict/batch"):
        responses = document["paths"][path]["post"]["responses"]
        assert set(responses) == {"200"} | {str(status) for status in STATUSES}
    problems = document["paths"]["/predict/batch"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert problems["properties"]["problems"]["maxItems"] == Settings().largest_request
    answer = client.post("/predict", json={"problem": "1+1"}).json()
    schema = document["paths"]["/predict"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert set(answer) == set(schema["required"]) == set(schema["properties"])


def test_an_unexpected_error_shows_no_inside(client, monkeypatch):
    def broken(*_):
        raise RuntimeError("secret inside")

    monkeypatch.setattr("finqa_lab.arithmetic.service.predict.parse_problem", broken)
    response = client.post("/predict", json={"problem": "1+1"})
    assert response.status_code == 500 and "secret" not in response.text
    error = response.json()["error"]
    line = json.loads(client.log.getvalue().splitlines()[-1])
    assert line["request_id"] == error["request_id"] and "secret inside" in line["reason"] and line["level"] == "error"


@pytest.mark.parametrize("name, low, high", RANGES)
def test_settings_out_of_range(name, low, high):
    for value in (low - 1, high + 1, "8", True):
        with pytest.raises(CourseError, match=name.replace("_", "-")):
            Settings(**{name: value})


def test_the_key_is_taken_from_the_environment_and_never_shown(monkeypatch):
    assert key_from_environment(None) is None
    with pytest.raises(CourseError, match="FINQA_KEY is not set"):
        key_from_environment("FINQA_KEY")
    monkeypatch.setenv("FINQA_KEY", f" {KEY} ")
    assert key_from_environment("FINQA_KEY") == KEY
    assert KEY not in repr(Settings(api_key=KEY))
    with pytest.raises(CourseError, match="shorter than 16"):
        Settings(api_key="short")


def test_percentiles():
    counters = Counters()
    assert counters.percentile(0.95) == 0.0
    counters.latencies.extend(range(100, 0, -1))
    assert [counters.percentile(share) for share in (0.01, 0.5, 0.95, 0.99, 1.0)] == [1, 50, 95, 99, 100]


def test_a_log_whose_reader_is_gone_does_not_stop_the_service():
    stream = io.StringIO()
    stream.close()
    JsonLog(stream)("request", status=200)
