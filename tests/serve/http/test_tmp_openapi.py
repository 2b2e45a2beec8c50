"""The OpenAPI document says what the server does: Schemathesis tries to prove the contrary."""

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from finqa_lab.serve.http.openapi import STATUSES
from finqa_lab.serve.http.settings import ServerSettings
from tests.serve.http.serving import KEY, FakeWorker, fake_service, live

BOUNDED = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
HEADERS = {"Authorization": f"Bearer {KEY}"}
BEYOND_SCHEMA = ("response format: ", "the prompt has ")
"""Refusals of what no JSON schema can exclude: bounds that contradict each other, and prompts counted in tokens."""


@pytest.fixture(scope="module")
def server():
    with live(fake_service(FakeWorker('{"answer": 12}'), ServerSettings(api_key=KEY, max_tokens=64))) as running:
        yield running


@pytest.fixture(scope="module")
def described(server):
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json", headers=HEADERS)


POSTS = [("POST", path) for path in ("/v1/chat/completions", "/v1/completions", "/api/generate", "/api/chat")]
NAMED = ("GET", "/v1/models/{model}")
PLAIN = [("GET", path) for path in ("/v1/models", "/api/tags", "/api/version", "/health", "/metrics")]
GOOD, BAD = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
CASES = [(*one, mode) for one in (*POSTS, NAMED) for mode in (GOOD, BAD)] + [(*one, GOOD) for one in PLAIN]


@pytest.mark.parametrize("method, path, mode", CASES)
def test_schemathesis_finds_nothing(described, method, path, mode):
    operation, seen = described[path][method], set()

    @given(operation.as_strategy(generation_mode=mode))
    @BOUNDED
    def attempt(case):
        response = case.call(headers=HEADERS)
        seen.add(response.status_code)
        excluded = [positive_data_acceptance] if beyond_schema(path, response) else []
        case.validate_response(response, excluded_checks=excluded)

    attempt()
    tried = 404 if path == NAMED[1] else 200 if mode is GOOD else 400
    assert tried in seen, f"only {seen} were seen: nothing was tried"


def beyond_schema(path: str, response) -> bool:
    if response.status_code != 400:
        return False
    error = response.json()["error"]
    return (error if path.startswith("/api/") else error["message"]).startswith(BEYOND_SCHEMA)


def test_the_document_is_valid_and_knows_the_names_and_limits_of_this_server(server):
    status, _, document = server.ask("GET", "/openapi.json", headers=HEADERS)
    assert status == 200 and document["openapi"] == "3.1.0" and document["info"]["version"]
    schemas = document["components"]["schemas"]
    for one in schemas.values():
        Draft202012Validator.check_schema(one)
    chat = schemas["ChatRequest"]["properties"]
    assert chat["model"]["enum"] == sorted(server.service.catalogue.names)
    assert [one["maximum"] for one in chat["max_tokens"]["anyOf"] if "maximum" in one] == [64]
    for name in ("ChatRequest", "CompletionRequest", "GenerateRequest", "OllamaChatRequest"):
        assert schemas[name]["additionalProperties"] is False
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    open_paths = [path for path, item in document["paths"].items() for one in item.values() if "security" not in one]
    assert open_paths == ["/v1/models/{model}", "/health"]  # the first is its list of parameters


def test_every_refusal_is_described(server):
    document = server.ask("GET", "/openapi.json", headers=HEADERS)[2]
    for _, path in POSTS:
        assert set(document["paths"][path]["post"]["responses"]) == {"200"} | {str(status) for status in STATUSES}


def test_every_event_of_a_stream_is_of_the_described_shape(server):
    document = server.ask("GET", "/openapi.json", headers=HEADERS)[2]
    bodies = {
        "/v1/chat/completions": ("ChatChunk", {"messages": [{"role": "user", "content": "a"}]}),
        "/v1/completions": ("TextCompletion", {"prompt": "a"}),
        "/api/chat": ("OllamaChatReply", {"messages": [{"role": "user", "content": "a"}]}),
        "/api/generate": ("GenerateReply", {"prompt": "a"}),
    }
    for path, (shape, body) in bodies.items():
        more = {"stream_options": {"include_usage": True}} if path.startswith("/v1") else {}
        text = server.ask("POST", path, {"model": "finqa-tiny", "stream": True} | body | more, HEADERS)[2]
        lines = [line.removeprefix("data: ") for line in text.splitlines() if line and not line.endswith("[DONE]")]
        validator = Draft202012Validator({"$ref": f"#/components/schemas/{shape}"} | document)
        assert len(lines) > 3
        for line in lines:
            validator.validate(json.loads(line))
