"""From a request's body to its shape, or one sentence about the first thing that is wrong with it."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from finqa_lab.serve.http.errors import ApiError

Shape = TypeVar("Shape", bound=BaseModel)


def read_shape(shape: type[Shape], body: bytes) -> Shape:
    """The body as an object of a shape. Text with half a surrogate pair, which no tokenizer takes, is no JSON here.

    Raises:
        ApiError: 400 naming the field.
    """
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _explain(first["type"], first["loc"], first["msg"]) from None


def _explain(kind: str, place: tuple, message: str) -> ApiError:
    if kind == "json_invalid":
        return ApiError(400, f"the body is not JSON: {message.removeprefix('Invalid JSON: ')}", "invalid_json")
    field = ".".join(str(part) for part in place)[:100]
    if kind == "extra_forbidden":
        return ApiError(400, f"{field!a} is not supported by this server; leave it out", "unsupported_parameter", field)
    if kind == "missing":
        return ApiError(400, f"{field!a} is missing", "missing_parameter", field)
    if not place:
        return ApiError(400, f"the body is no JSON object: {message}", "invalid_body")
    return ApiError(400, f"{field!a} is wrong: {message}", "invalid_parameter", field)
