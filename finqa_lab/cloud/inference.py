"""The handler that travels in ``model.tar.gz`` as ``code/inference.py``: four functions that a SageMaker image calls.

``model_fn`` reads the folder that the archive was unpacked to and attaches the adapter, if there is one; ``input_fn``
reads a chat request; ``predict_fn`` generates, once, and reads the answer; ``output_fn`` writes ``{"answer": number}``.

The request is the one that vLLM and TGI take, ``{"messages": [...], "max_tokens": 64}``, so that the chat template is
applied here and by them. A body with ``inputs`` would go past it, and is refused.

What the model may write is bound by a grammar (:mod:`finqa_lab.serve.structured`), named in the archive's
``answering.json``: ``json`` for ``{"answer": number}``, ``program`` for a program that is executed here, ``free`` for
anything, which is read and may have no answer in it. Decoding is deterministic, so a reply without an answer (of a free
model, or a program that divides by zero) is not generated again: the second reply would be the first.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json
from finqa_lab.nn.generate import Stop
from finqa_lab.quantitative.replies import read_reply
from finqa_lab.serve.engine import Engine, EngineSettings, complete
from finqa_lab.serve.request import Request, TokenAutomaton
from finqa_lab.serve.structured.answers import answer_json
from finqa_lab.serve.structured.budget import within
from finqa_lab.serve.structured.programs import program
from finqa_lab.tune.adapters import CONFIG_FILE, load_adapter
from finqa_lab.tune.base import Base, load_base

try:  # in the real images a refusal keeps its status only as this class
    from sagemaker_inference.errors import BaseInferenceToolkitError as _Refusal
except ImportError:

    class _Refusal(Exception):
        def __init__(self, status_code: int, message: str, phrase: str):
            super().__init__(message)
            self.status_code, self.message, self.phrase = status_code, message, phrase


ADAPTER = "adapter"
"""Folder of the adapter in the archive, and its name in a request."""
FORM_FILE = "answering.json"
GRAMMARS = {"json": answer_json, "program": program, "free": None}
"""Makers of the grammar, by form."""
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
    """What ``model_fn`` hands to ``predict_fn``.

    Attributes:
        base: the model with its tokenizer and template.
        engine: that generates; it keeps the prefixes of prompts.
        grammar: of the replies, or None.
        adapted: whether there is an adapter.
    """

    base: Base
    engine: Engine
    grammar: TokenAutomaton | None
    adapted: bool


@dataclass(frozen=True)
class Question:
    """A checked request: the messages, the most tokens of the reply, and whether the adapter is used."""

    messages: tuple[dict[str, str], ...]
    max_tokens: int
    adapted: bool


def model_fn(model_dir: str, context=None) -> Loaded:
    """Read the model, attach the adapter that lies beside it, compile the grammar of its replies."""
    folder = Path(model_dir)
    base = load_base(str(folder), device="cuda" if torch.cuda.is_available() else "cpu")
    adapted = (folder / ADAPTER / CONFIG_FILE).is_file()
    if adapted:
        load_adapter(folder / ADAPTER, base.model, ADAPTER)
    base.model.eval()
    values = read_json(folder / FORM_FILE, "the form of the answers") if (folder / FORM_FILE).is_file() else {}
    make = GRAMMARS[values.get("form", "free")]
    grammar = make(base.tokenizer, base.end, vocabulary=base.model.config.vocabulary) if make else None
    blocks = 2 * -(-base.model.config.context // EngineSettings.block_size)
    return Loaded(base, Engine(base.model, EngineSettings(blocks=blocks, batch=1)), grammar, adapted)


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
    try:
        prompt = base.tokenizer.encode(
            base.template.render(question.messages, reply=True), add_special_tokens=False
        ).ids
        stop = Stop(question.max_tokens, frozenset(base.end))
        grammar = within(loaded.grammar, question.max_tokens) if loaded.grammar else None
        adapter = ADAPTER if loaded.adapted and question.adapted else None
        (tokens,) = complete(loaded.engine, [Request(tuple(prompt), stop, adapter=adapter, grammar=grammar)])
    except CourseError as error:  # a prompt too long, messages that the template does not take, too few tokens
        raise Malformed(str(error)) from None
    reading = read_reply(base.tokenizer.decode(tokens, skip_special_tokens=True))
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
