"""The description of the service for programs, OpenAPI 3.1: the prediction routes are plain ASGI and stated by hand."""

from finqa_lab.arithmetic.service.settings import Settings
from finqa_lab.arithmetic.service.validation import Reason

STATUSES = {
    400: "the body is not JSON",
    401: "the API key is missing or wrong",
    413: "the body is too large",
    422: "a problem or the shape of the request is not valid; `reason` says how",
    429: "the queue is full; Retry-After says for how long",
    500: "the model failed on this batch",
    503: "no model is loaded, or no answer came in time",
}
REQUEST_REASONS = ("not_an_object", "missing_field", "unknown_field", "not_a_list", "batch_too_large")


def schema(settings: Settings) -> dict:
    """The whole document."""
    grammar = "^(0|[1-9][0-9]{0,2})[+-](0|[1-9][0-9]{0,2})=?$"
    problem = {"type": "string", "maxLength": 8, "examples": ["951+11"], "pattern": grammar}
    problems = {"type": "array", "items": problem, "minItems": 1, "maxItems": settings.largest_request}
    result = {"answer": {"type": ["integer", "null"]}, "text": {"type": "string", "examples": ["951+11=962"]}}
    served = {"version": {"type": "string"}, "latency_ms": {"type": "number"}}
    results = {"results": {"type": "array", "items": _object(result)}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "The arithmetic transformer", "version": "1"},
        "paths": {
            "/predict": {"post": _operation("Answer one problem", {"problem": problem}, result | served)},
            "/predict/batch": {"post": _operation("Answer several", {"problems": problems}, results | served)},
            "/health": {"get": _plain("Ready, or 503 with the reason", 503)},
            "/metrics": {"get": _plain("Counters and latencies in the text format of Prometheus")},
        },
        "components": {"schemas": {"Error": _error()}},
    }
    if settings.api_key is not None:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
    return document


def _object(properties: dict) -> dict:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _content(body: dict) -> dict:
    return {"application/json": {"schema": body}}


def _operation(summary: str, request: dict, response: dict) -> dict:
    error = {"$ref": "#/components/schemas/Error"}
    refusals = {str(status): {"description": text, "content": _content(error)} for status, text in STATUSES.items()}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": _content(_object(request))},
        "responses": {"200": {"description": "answered", "content": _content(_object(response))}} | refusals,
    }


def _plain(summary: str, *others: int) -> dict:
    return {"summary": summary, "responses": {str(status): {"description": summary} for status in (200, *others)}}


def _error() -> dict:
    text = {"type": "string"}
    reasons = [*REQUEST_REASONS, *(reason.value for reason in Reason)]
    described = {"type": "string", "description": f"for status 422 one of: {', '.join(reasons)}"}
    members = {name: text for name in ("message", "mend", "field", "suggestion", "request_id")}
    inner = {"type": "object", "properties": {"reason": described} | members, "required": ["reason", "message", "mend"]}
    return {"type": "object", "properties": {"error": inner}, "required": ["error"]}
