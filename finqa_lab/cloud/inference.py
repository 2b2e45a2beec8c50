"""The handler that travels in ``model.tar.gz`` as ``code/inference.py``: four functions that a SageMaker image calls.

``model_fn`` reads the folder that the archive was unpacked to and attaches the adapter, if there is one; ``input_fn``
reads a chat request; ``predict_fn`` generates, once, and reads the answer; ``output_fn`` writes ``{"answer": number}``.

The request is the one that vLLM and TGI take, ``{"messages": [...], "max_tokens": 64}``, so that the chat template is
applied here and by them. A body with ``inputs`` would go past it, and is refused. A reply without an answer is not
generated again: decoding is deterministic, so the second reply would be the first.
"""

import json
import math
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from finqa_lab.errors import CourseError
from finqa_lab.quantitative.replies import read_reply
from finqa_lab.tune.adapters import CONFIG_FILE, load_adapter
from finqa_lab.tune.answering import replies
from finqa_lab.tune.base import Base, load_base
from finqa_lab.tune.lora import base_model

try:  # in the real images a refusal keeps its status only as this class
    from sagemaker_inference.errors import BaseInferenceToolkitError as _Refusal
except ImportError:

    class _Refusal(Exception):
        def __init__(self, status_code: int, message: str, phrase: str):
            super().__init__(message)
            self.status_code, self.message, self.phrase = status_code, message, phrase


ADAPTER_FOLDER = "adapter"
JSON = "application/json"
MAX_MESSAGES, MAX_CHARACTERS, MAX_TOKENS, DEFAULT_TOKENS = 64, 20_000, 512, 128
ROLES = ("system", "user", "assistant")


class Malformed(_Refusal):
    """The request is wrong: status 400."""

    def __init__(self, message: str):
        super().__init__(400, message, "malformed")


class NoAnswer(_Refusal):
    """The reply has no number for an answer: status 422."""

    def __init__(self, message: str):
        super().__init__(422, message, "structure")


@dataclass(frozen=True)
class Loaded:
    """What ``model_fn`` hands to ``predict_fn``."""

    base: Base
    adapted: bool


@dataclass(frozen=True)
class Question:
    """A checked request: the messages, the most tokens of the reply, and whether the adapter is used."""

    messages: tuple[dict[str, str], ...]
    max_tokens: int
    adapted: bool


def model_fn(model_dir: str, context=None) -> Loaded:
    """Read the model and attach the adapter that lies beside it."""
    base = load_base(str(model_dir), device="cuda" if torch.cuda.is_available() else "cpu")
    folder = Path(model_dir) / ADAPTER_FOLDER
    adapted = (folder / CONFIG_FILE).is_file()
    if adapted:
        load_adapter(folder, base.model)
    base.model.eval()
    return Loaded(base, adapted)


def input_fn(body: bytes | str, content_type: str = JSON, context=None) -> Question:
    """Check a request. Everything that does not belong there is refused with its name."""
    if content_type.partition(";")[0].strip().lower() != JSON:
        raise Malformed(f"the content type is {content_type[:80]!r}; send {JSON}")
    try:
        values = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the body is not JSON: {str(error)[:120]}") from None
    if not isinstance(values, dict):
        raise Malformed('the body is no JSON object; send {"messages": [...]}')
    if "inputs" in values:
        raise Malformed('a body with "inputs" goes past the chat template; send {"messages": [...]}')
    unknown = sorted(set(values) - {"messages", "max_tokens", "temperature", "model"})
    if unknown:
        raise Malformed(
            f"the field '{unknown[0][:40]}' is not known; fields are messages, max_tokens, temperature, model"
        )
    limit = values.get("max_tokens", DEFAULT_TOKENS)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_TOKENS:
        raise Malformed(f"max_tokens must be a whole number from 1 to {MAX_TOKENS}")
    temperature = values.get("temperature", 0)
    if isinstance(temperature, bool) or temperature not in (0, 0.0):
        raise Malformed("the temperature must be 0: answers are decoded greedily")
    model = values.get("model", "adapter")
    if model not in ("adapter", "base"):
        raise Malformed("the model must be 'adapter' or 'base'")
    return Question(_messages(values.get("messages")), limit, model == "adapter")


def predict_fn(question: Question, loaded: Loaded, context=None) -> float:
    """Generate one reply and read its answer."""
    base = loaded.base
    asked = {"request": question.messages}
    without = base_model(base.model) if loaded.adapted and not question.adapted else nullcontext()
    try:
        with without:
            found = replies(base.model, base.tokenizer, base.template, asked, question.max_tokens, end=base.end)
    except CourseError as error:  # a prompt too long, or messages that the template does not take
        raise Malformed(str(error)) from None
    reading = read_reply(found["request"])
    if isinstance(reading.answer, str):
        raise NoAnswer(f"the answer is a name, {reading.answer[:40]!r}, and a number was promised")
    if reading.answer is None or not math.isfinite(reading.answer):
        raise NoAnswer(f"the reply has no answer: {reading.reason[:160]}")
    return reading.answer


def output_fn(answer: float, accept: str = JSON, context=None) -> str:
    """``{"answer": number}``, whatever else the client would accept."""
    kinds = {kind.partition(";")[0].strip().lower() for kind in accept.split(",")}
    if not kinds & {JSON, "application/*", "*/*", ""}:
        raise Malformed(f"the reply is {JSON}, and {accept[:80]!r} does not take it")
    return json.dumps({"answer": answer})


def _messages(values) -> tuple[dict[str, str], ...]:
    if not isinstance(values, list) or not 1 <= len(values) <= MAX_MESSAGES:
        raise Malformed(f'"messages" must be a list of 1 to {MAX_MESSAGES} messages')
    for message in values:
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            raise Malformed("a message has a role and a content, and nothing else")
        if message["role"] not in ROLES or not isinstance(message["content"], str):
            raise Malformed(f"a role is one of {', '.join(ROLES)}, a content is text")
    if values[-1]["role"] == "assistant":
        raise Malformed("the last message must be the question, not a reply")
    if sum(len(message["content"]) for message in values) > MAX_CHARACTERS:
        raise Malformed(f"the messages are longer than {MAX_CHARACTERS} characters together")
    return tuple(values)


def _no_constant(name: str):
    raise ValueError(f"{name} is no number of JSON")
