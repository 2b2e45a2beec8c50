"""The description of the server for programs, OpenAPI 3.1, made from the shapes that requests are read with."""

from pydantic.json_schema import models_json_schema

import finqa_lab
from finqa_lab.serve.http import ollama_shapes as ollama
from finqa_lab.serve.http import openai_replies as replies
from finqa_lab.serve.http import openai_shapes as openai
from finqa_lab.serve.http.service import Service

STATUSES = {
    400: "the request is not of the supported shape, or does not fit the model; `code` says how",
    401: "the API key is missing or wrong",
    403: "a web page of another machine asks",
    404: "there is no such model",
    408: "the body did not come in time",
    413: "the body is too large",
    429: "the queue is full; Retry-After says for how long",
    500: "the server failed on this request",
    503: "the reply was not complete in time, or the engine does not run",
}
_SHAPES = "#/components/schemas/{model}"


def document(service: Service) -> dict:
    """The whole document, with the names and limits of this server."""
    sent = (openai.ChatRequest, openai.CompletionRequest, ollama.GenerateRequest, ollama.OllamaChatRequest)
    got = (
        *(replies.ChatCompletion, replies.ChatChunk, replies.TextCompletion, replies.ModelList, replies.ModelCard),
        *(replies.OpenAIError, ollama.OllamaError, ollama.GenerateReply, ollama.OllamaChatReply),
        *(ollama.Tags, ollama.Version),
    )
    pairs = [(one, "validation") for one in sent] + [(one, "serialization") for one in got]
    schemas = models_json_schema(pairs, ref_template=_SHAPES)[1]["$defs"]
    for one in sent:
        _tighten(schemas[one.__name__], service)
    schemas["Options"]["properties"]["num_predict"]["maximum"] = service.settings.max_tokens
    _tighten_ids(schemas["CompletionRequest"], service)
    paths = {
        "/v1/chat/completions": _post(
            "Write the next turn", "ChatRequest", "ChatCompletion", _events("ChatChunk"), "OpenAIError"
        ),
        "/v1/completions": _post(
            "Continue a text", "CompletionRequest", "TextCompletion", _events("TextCompletion"), "OpenAIError"
        ),
        "/v1/models": _get("All names", "ModelList", "OpenAIError"),
        "/v1/models/{model}": _get("One name", "ModelCard", "OpenAIError", 404) | {"parameters": [_model_parameter()]},
        "/api/generate": _post(
            "Answer a prompt", "GenerateRequest", "GenerateReply", _lines("GenerateReply"), "OllamaError"
        ),
        "/api/chat": _post(
            "Write the next turn", "OllamaChatRequest", "OllamaChatReply", _lines("OllamaChatReply"), "OllamaError"
        ),
        "/api/tags": _get("All names", "Tags", "OllamaError"),
        "/api/version": _get("Version of the server", "Version", "OllamaError"),
        "/health": _bare("Ready, or 503", {"200": _json_answer(), "503": _json_answer()}, 403),
        "/metrics": _bare("Numbers in Prometheus's text format", {"200": _text_answer()}, 401, 403),
    }
    if service.settings.api_key is not None:
        for path, item in paths.items():
            for method in item.keys() & {"get", "post"}:
                if path != "/health":
                    item[method]["security"] = [{"key": []}]
    components = {"schemas": dict(sorted(schemas.items()))}
    if service.settings.api_key is not None:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"finqa-lab serve {service.catalogue.base}", "version": finqa_lab.__version__},
        "paths": paths,
        "components": components,
    }


def _tighten(schema: dict, service: Service) -> None:
    """Names and limits that only the running server knows."""
    schema["properties"]["model"] |= {"enum": sorted(service.catalogue.names)}
    for name in ("max_tokens", "max_completion_tokens"):
        if name in schema["properties"]:
            for choice in schema["properties"][name]["anyOf"]:
                if choice.get("type") == "integer":
                    choice["maximum"] = service.settings.max_tokens


def _tighten_ids(schema: dict, service: Service) -> None:
    """A prompt of token ids: which there are, and how many the context holds."""
    most = min(service.chat.context, service.settings.max_prompt)
    for choice in schema["properties"]["prompt"]["anyOf"]:
        if choice.get("items", {}).get("type") == "integer":
            choice["items"]["maximum"], choice["maxItems"] = service.chat.vocabulary - 1, most


def _reference(name: str) -> dict:
    return {"schema": {"$ref": _SHAPES.format(model=name)}}


def _operation(summary: str, responses: dict) -> dict:
    return {"summary": summary, "responses": responses}


def _errors(shape: str, statuses) -> dict:
    content = {"application/json": _reference(shape)}
    return {str(status): {"description": STATUSES[status], "content": content} for status in statuses}


def _events(shape: str) -> dict:
    """Content of a stream of server-sent events; the data of the last one are ``[DONE]``."""
    chunk = {"type": "string", "contentMediaType": "application/json", "contentSchema": _reference(shape)["schema"]}
    data = {"anyOf": [{"const": "[DONE]"}, chunk]}
    event = {"type": "object", "properties": {"data": data}, "required": ["data"]}
    return {"text/event-stream": {"schema": event | {"description": "one event"}}}


def _lines(shape: str) -> dict:
    """Content of a stream of one JSON object a line."""
    return {"application/x-ndjson": {"schema": {"type": "string", "description": f"lines, each a {shape}"}}}


def _post(summary: str, request: str, reply: str, stream: dict, error: str) -> dict:
    good = {"description": "the reply", "content": {"application/json": _reference(reply)} | stream}
    operation = _operation(summary, {"200": good} | _errors(error, STATUSES))
    operation["requestBody"] = {"required": True, "content": {"application/json": _reference(request)}}
    return {"post": operation}


def _get(summary: str, reply: str, error: str, *others: int) -> dict:
    good = {"description": summary, "content": {"application/json": _reference(reply)}}
    return {"get": _operation(summary, {"200": good} | _errors(error, (401, 403, *others)))}


def _bare(summary: str, answers: dict, *others: int) -> dict:
    return {"get": _operation(summary, answers | _errors("OpenAIError", others))}


def _model_parameter() -> dict:
    return {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _json_answer() -> dict:
    return {"description": "the state of the server", "content": {"application/json": {"schema": {"type": "object"}}}}


def _text_answer() -> dict:
    return {"description": "the numbers", "content": {"text/plain": {"schema": {"type": "string"}}}}
