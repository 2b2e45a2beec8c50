"""What a container sent back, as an answer or as the error that it is.

The same for the local container and for the service, which passes a container's refusal on as ``ModelError`` with the
original status and message.
"""

import math

from finqa_lab.cloud.errors import CloudError, InvokeTimeout, MalformedRequest, ModelFailed, StructureError
from finqa_lab.files import parse_json
from finqa_lab.quantitative.replies import read_reply

_KINDS = {400: MalformedRequest, 411: MalformedRequest, 413: MalformedRequest, 415: MalformedRequest,
          422: StructureError, 408: InvokeTimeout, 504: InvokeTimeout}  # fmt: skip


def raise_for_status(status: int, payload: bytes) -> None:
    """Nothing for status 200; else the typed error, with the container's own sentence.

    Raises:
        MalformedRequest, StructureError, InvokeTimeout, ModelFailed: by the status.
    """
    if status != 200:
        kind = _KINDS.get(status, ModelFailed)
        raise kind(f"the container answered {status}: {_message(payload)}")


def read_answer(payload: bytes) -> float:
    """The number in the reply of our handler, or of a server with OpenAI's chat format (vLLM, TGI).

    >>> read_answer(b'{"answer": 0.25}')
    0.25
    >>> read_answer(b'{"choices": [{"message": {"content": "divide(1, 4)"}}]}')
    0.25

    Raises:
        StructureError: when there is no number. It is not asked again: a deterministic reply does not change.
        CloudError: when the reply is neither format.
    """
    try:
        values = parse_json(payload)
    except ValueError:
        raise CloudError(f"the endpoint's reply is not JSON: {payload[:60]!r}") from None
    answer = values.get("answer") if isinstance(values, dict) else None
    if isinstance(answer, int | float) and not isinstance(answer, bool) and math.isfinite(answer):
        return float(answer)
    try:
        content = values["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        raise CloudError(f"the endpoint's reply has neither an answer nor choices: {payload[:60]!r}") from None
    reading = read_reply(content if isinstance(content, str) else "")
    if not isinstance(reading.answer, float | int):
        raise StructureError(f"the reply has no number for an answer: {reading.reason or repr(reading.answer)}")
    return float(reading.answer)


def _message(payload: bytes) -> str:
    try:
        return str(parse_json(payload)["error"]["message"])[:300]
    except (ValueError, KeyError, TypeError):
        return payload[:200].decode("utf-8", "replace").strip() or "without a word"
