"""From a request's body to its shape, or one sentence about the first thing that is wrong with it."""

import json
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from finqa_lab.serve.http.errors import ApiError

Shape = TypeVar("Shape", bound="Strict")


class Strict(BaseModel):
    """What every shape of a request begins with: no text is taken for a number, and no unknown field."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


def _whole(value):
    return int(value) if isinstance(value, float) and value.is_integer() else value


def whole(least: int, most: int | None = None):
    """The type of a whole number within bounds, as JSON schema has it: 12, and 12.0 too."""
    return Annotated[int, Field(ge=least, le=most), BeforeValidator(_whole)]


def only(expected: bool | int):
    """The type of one value. ``Literal`` compares with ``==``, by which 0 is False and True is 1."""

    def same_kind(value):
        if isinstance(value, bool) != isinstance(expected, bool):
            raise ValueError(f"Input should be {json.dumps(expected)}")
        return _whole(value)

    return Annotated[Literal[expected], BeforeValidator(same_kind)]


def read_shape(shape: type[Shape], body: bytes) -> Shape:
    """The body as an object of a shape. Text with half a surrogate pair, which no tokenizer takes, is no JSON here.

    Raises:
        ApiError: 400 naming the field.
    """
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _explain(first["type"], first["loc"], first["msg"], body) from None


def _explain(kind: str, place: tuple, message: str, body: bytes) -> ApiError:
    if kind == "json_invalid":
        return ApiError(400, f"the body is not JSON: {message.removeprefix('Invalid JSON: ')}", "invalid_json")
    if not place:
        return ApiError(400, f"the body is no JSON object: {message}", "invalid_body")
    field = ".".join(_fields(place, json.loads(body)))[:100]
    if kind == "extra_forbidden":
        return ApiError(400, f"{field!a} is not supported by this server; leave it out", "unsupported_parameter", field)
    if kind == "missing":
        return ApiError(400, f"{field!a} is missing", "missing_parameter", field)
    return ApiError(400, f"{field!a} is wrong: {message}", "invalid_parameter", field)


def _fields(place: tuple, value) -> list[str]:
    """The names of an error's place without those of pydantic's own that stand for the kinds of a union.

    >>> _fields(("stop", "list[str]", 1), {"stop": ["a", 2]}), _fields(("messages", 0, "role"), {"messages": [{}]})
    (['stop', '1'], ['messages', '0', 'role'])
    """
    found = []
    for index, part in enumerate(place):
        last = index == len(place) - 1
        if isinstance(value, dict) and part in value or isinstance(value, list) and isinstance(part, int):
            found.append(str(part))
            value = value[part]
        elif last and isinstance(value, dict):  # a field that is missing
            found.append(str(part))
    return found
