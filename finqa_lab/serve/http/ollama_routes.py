"""Ollama's dialect: bodies to what is asked, replies to JSON, one object or one a line (NDJSON)."""

import datetime
import json
from collections.abc import Callable

from finqa_lab.serve.http.asking import Asked
from finqa_lab.serve.http.catalogue import LATEST
from finqa_lab.serve.http.errors import ApiError
from finqa_lab.serve.http.ollama_shapes import (
    Details,
    GenerateReply,
    GenerateRequest,
    OllamaChatReply,
    OllamaChatRequest,
    OllamaMessage,
    Tag,
    Tags,
    Timing,
)
from finqa_lab.serve.http.reading import read_shape
from finqa_lab.serve.http.request_log import Exchange
from finqa_lab.serve.http.service import Service

NANOSECONDS = 1_000_000_000


def read_generate(body: bytes) -> tuple[Asked, Callable[[Exchange], "LineWriter"]]:
    """A body of ``/api/generate``.

    Raises:
        ApiError: 400 when it is not of the supported shape.
    """
    shape = read_shape(GenerateRequest, body)
    if shape.raw:
        asked = Asked(prompt=shape.prompt, **shape.common())
    else:
        system = [] if shape.system is None else [{"role": "system", "content": shape.system}]
        asked = Asked(messages=[*system, {"role": "user", "content": shape.prompt}], **shape.common())
    return asked, lambda exchange: GenerateWriter(shape.model, exchange)


def read_ollama_chat(body: bytes) -> tuple[Asked, Callable[[Exchange], "LineWriter"]]:
    """A body of ``/api/chat``.

    Raises:
        ApiError: 400 when it is not of the supported shape.
    """
    shape = read_shape(OllamaChatRequest, body)
    asked = Asked(messages=[message.model_dump() for message in shape.messages], **shape.common())
    return asked, lambda exchange: ChatLineWriter(shape.model, exchange)


class LineWriter:
    """What the two writers share: one object a line, and the counts at the end.

    Args:
        model: name as the client wrote it.
        exchange: with counts and times.
    """

    stream_type = b"application/x-ndjson"

    def __init__(self, model: str, exchange: Exchange):
        self.model, self.exchange = model, exchange

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def piece(self, text: str) -> bytes:
        """A line with text."""
        return self._object(text, done=False) + b"\n"

    def end(self, finish: str) -> bytes:
        """The line with the counts."""
        return self.whole("", finish) + b"\n"

    def broken(self, error: ApiError) -> bytes:
        """A line with the error."""
        return json.dumps(error.body("/api/")).encode() + b"\n"

    def whole(self, text: str, finish: str) -> bytes:
        """All of a reply with the counts, as one object."""
        return self._object(text, done=True, done_reason=finish, **timing(self.exchange).model_dump())

    def _object(self, text: str, **members) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        reply = self._reply(text, {"model": self.model, "created_at": timestamp(now)} | members)
        return reply.model_dump_json(exclude_unset=True).encode()

    def _reply(self, text: str, members: dict):
        raise NotImplementedError


class GenerateWriter(LineWriter):
    """Replies to prompts."""

    def _reply(self, text: str, members: dict) -> GenerateReply:
        return GenerateReply(response=text, **members)


class ChatLineWriter(LineWriter):
    """Replies to conversations."""

    def _reply(self, text: str, members: dict) -> OllamaChatReply:
        return OllamaChatReply(message=OllamaMessage(role="assistant", content=text), **members)


def timing(exchange: Exchange) -> Timing:
    """Counts and durations of a reply that has ended."""
    return Timing(
        total_duration=round(exchange.elapsed() * NANOSECONDS),
        load_duration=0,
        prompt_eval_count=exchange.prompt_tokens,
        prompt_eval_duration=round(exchange.prompt_time * NANOSECONDS),
        eval_count=exchange.output_tokens,
        eval_duration=round((exchange.last_token - exchange.first_token) * NANOSECONDS),
    )


def tags(service: Service) -> Tags:
    """The base, and its adapters as its tags."""
    base, names = service.catalogue.base, (LATEST, *service.catalogue.adapters)
    millions = f"{service.parameters / 1e6:.1f}M"
    made = timestamp(datetime.datetime.fromtimestamp(service.created, datetime.UTC))
    details = Details(
        format="safetensors", family="finqa-lab", parameter_size=millions, quantization_level="none", parent_model=""
    )
    return Tags(
        models=[
            Tag(
                name=f"{base}:{name}",
                model=f"{base}:{name}",
                modified_at=made,
                size=service.size,
                digest=service.fingerprint,
                details=details.model_copy(update={"parent_model": "" if name == LATEST else base}),
            )
            for name in names
        ]
    )


def timestamp(moment: datetime.datetime) -> str:
    """As Ollama writes it.

    >>> timestamp(datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.UTC))
    '2026-11-21T12:00:00.000000Z'
    """
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
