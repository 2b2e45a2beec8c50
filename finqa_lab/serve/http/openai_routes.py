"""OpenAI's dialect: bodies to what is asked, replies to JSON or server-sent events.

A stream is a sequence of events ``data: {...}``, each with what is new; the last one is ``data: [DONE]``. An error in
the middle is an event ``data: {"error": ...}``, which OpenAI's clients raise, and no ``[DONE]`` follows.
"""

import json
import time
from collections.abc import Callable

from pydantic import BaseModel

from finqa_lab.serve.http.asking import Asked
from finqa_lab.serve.http.errors import ApiError
from finqa_lab.serve.http.openai_replies import (
    CachedTokens,
    ChatChoice,
    ChatChunk,
    ChatCompletion,
    ChunkChoice,
    Delta,
    ModelCard,
    ModelList,
    ReplyMessage,
    TextChoice,
    TextCompletion,
    Usage,
)
from finqa_lab.serve.http.openai_shapes import ChatRequest, CompletionRequest
from finqa_lab.serve.http.reading import read_shape
from finqa_lab.serve.http.request_log import Exchange
from finqa_lab.serve.http.service import Service

COMPLETION_TOKENS = 16  # OpenAI's default for /v1/completions


def read_chat(service: Service, body: bytes) -> tuple[Asked, Callable[[Exchange], "ChatWriter"]]:
    """A body of ``/v1/chat/completions``.

    Raises:
        ApiError: 400 when it is not of the supported shape.
    """
    shape = read_shape(ChatRequest, body)
    messages = [message.plain() for message in shape.messages]
    limit = shape.max_completion_tokens or shape.max_tokens
    asked = Asked(messages=messages, limit=limit, **shape.common())
    return asked, lambda exchange: ChatWriter(service, shape.model, shape.wants_usage, exchange)


def read_completion(service: Service, body: bytes) -> tuple[Asked, Callable[[Exchange], "TextWriter"]]:
    """A body of ``/v1/completions``.

    Raises:
        ApiError: 400 when it is not of the supported shape.
    """
    shape = read_shape(CompletionRequest, body)
    prompt = shape.prompt[0] if isinstance(shape.prompt[0], str) and not isinstance(shape.prompt, str) else shape.prompt
    asked = Asked(prompt=prompt, limit=shape.max_tokens or COMPLETION_TOKENS, **shape.common())
    return asked, lambda exchange: TextWriter(service, shape.model, shape.wants_usage, exchange)


class _EventWriter:
    """What the two writers share: the envelope of every chunk, and server-sent events.

    Args:
        service: the model.
        model: name as the client wrote it.
        usage: whether a stream ends with the counts of tokens.
        exchange: with the counts.
    """

    stream_type = b"text/event-stream; charset=utf-8"
    prefix = ""

    def __init__(self, service: Service, model: str, usage: bool, exchange: Exchange):
        self.wants_usage, self.exchange = usage, exchange
        self.envelope = {
            "id": f"{self.prefix}-{exchange.request_id}",
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": f"fp_{service.fingerprint[:12]}",
        }

    def broken(self, error: ApiError) -> bytes:
        """An event with the error."""
        return f"data: {json.dumps(error.body('/v1/'))}\n\n".encode()

    def usage(self) -> Usage:
        """The counts of tokens."""
        prompt, reply = self.exchange.prompt_tokens, self.exchange.output_tokens
        cached = CachedTokens(cached_tokens=self.exchange.cached_tokens)
        return Usage(
            prompt_tokens=prompt,
            completion_tokens=reply,
            total_tokens=prompt + reply,
            prompt_tokens_details=cached,
        )

    def _last(self, kind: type[BaseModel]) -> bytes:
        counts = self._event(kind, choices=[], usage=self.usage()) if self.wants_usage else b""
        return counts + b"data: [DONE]\n\n"

    def _event(self, kind: type[BaseModel], **members) -> bytes:
        usage = {"usage": None} if self.wants_usage else {}  # in every chunk, as OpenAI sends it
        return b"data: " + _json(kind(**self.envelope | usage | members, object=_object(kind))) + b"\n\n"


class ChatWriter(_EventWriter):
    """Replies to conversations."""

    prefix = "chatcmpl"

    def begin(self) -> bytes:
        """An event with the role."""
        return self._delta(Delta(role="assistant", content=""))

    def piece(self, text: str) -> bytes:
        """An event with text."""
        return self._delta(Delta(content=text))

    def end(self, finish: str) -> bytes:
        """The events with the reason of the end, the counts and the mark of the end."""
        return self._delta(Delta(), finish) + self._last(ChatChunk)

    def whole(self, text: str, finish: str) -> bytes:
        """The reply as one object."""
        message = ReplyMessage(role="assistant", content=text)
        choice = ChatChoice(index=0, message=message, finish_reason=finish, logprobs=None)
        kind = _object(ChatCompletion)
        return _json(ChatCompletion(**self.envelope, object=kind, choices=[choice], usage=self.usage()))

    def _delta(self, delta: Delta, finish: str | None = None) -> bytes:
        choice = ChunkChoice(index=0, delta=delta, finish_reason=finish, logprobs=None)
        return self._event(ChatChunk, choices=[choice])


class TextWriter(_EventWriter):
    """Continuations of texts."""

    prefix = "cmpl"

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def piece(self, text: str) -> bytes:
        """An event with text."""
        return self._event(TextCompletion, choices=[self._choice(text, None)])

    def end(self, finish: str) -> bytes:
        """The events with the reason of the end, the counts and the mark of the end."""
        return self._event(TextCompletion, choices=[self._choice("", finish)]) + self._last(TextCompletion)

    def whole(self, text: str, finish: str) -> bytes:
        """The continuation as one object."""
        kind, choices = _object(TextCompletion), [self._choice(text, finish)]
        return _json(TextCompletion(**self.envelope, object=kind, choices=choices, usage=self.usage()))

    @staticmethod
    def _choice(text: str, finish: str | None) -> TextChoice:
        return TextChoice(index=0, text=text, finish_reason=finish, logprobs=None)


def model_list(service: Service) -> ModelList:
    """The base and its adapters."""
    names = [(service.catalogue.base, None), *((name, service.catalogue.base) for name in service.catalogue.adapters)]
    return ModelList(data=[_card(service, name, parent) for name, parent in names])


def model_card(service: Service, name: str) -> ModelCard:
    """The card behind a name that a client may use.

    Raises:
        ApiError: 404 when there is no such model.
    """
    adapter = service.catalogue.adapter(name)
    return _card(service, adapter or service.catalogue.base, service.catalogue.base if adapter else None)


def _card(service: Service, name: str, parent: str | None) -> ModelCard:
    return ModelCard(id=name, created=service.created, parent=parent, max_model_len=service.chat.context)


def _object(kind: type[BaseModel]) -> str:
    return kind.model_fields["object"].default


def _json(value: BaseModel) -> bytes:
    """JSON of what was set: a member that is None because it was left out does not appear."""
    return value.model_dump_json(exclude_unset=True).encode()
