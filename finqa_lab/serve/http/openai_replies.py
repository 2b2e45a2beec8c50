"""What OpenAI's clients get: whole replies, chunks of a stream, and the list of models.

The models are at the same time what is sent and what the OpenAPI document says is sent.
"""

from typing import Literal

from pydantic import BaseModel

Finish = Literal["stop", "length"]


class CachedTokens(BaseModel):
    """How much of the prompt had been computed before."""

    cached_tokens: int


class Usage(BaseModel):
    """Counts of tokens; those of the reply include the one that ended it."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens


class ReplyMessage(BaseModel):
    """The turn that was written."""

    role: Literal["assistant"] = "assistant"
    content: str


class ChatChoice(BaseModel):
    """The one reply."""

    index: Literal[0] = 0
    message: ReplyMessage
    finish_reason: Finish
    logprobs: None = None


class ChatCompletion(BaseModel):
    """A whole reply to a conversation."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: Usage


class Delta(BaseModel):
    """What is new of the turn."""

    role: Literal["assistant"] | None = None
    content: str | None = None


class ChunkChoice(BaseModel):
    """What is new of the one reply."""

    index: Literal[0] = 0
    delta: Delta
    finish_reason: Finish | None
    logprobs: None = None


class ChatChunk(BaseModel):
    """A piece of a reply to a conversation; the last one has the usage and no choice."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: Usage | None = None


class TextChoice(BaseModel):
    """A continuation, or a piece of it."""

    index: Literal[0] = 0
    text: str
    finish_reason: Finish | None
    logprobs: None = None


class TextCompletion(BaseModel):
    """A continuation, or a piece of it; the last piece has the usage and no choice."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[TextChoice]
    usage: Usage | None = None


class ModelCard(BaseModel):
    """A name that can be asked for: the base, or an adapter (its base is ``parent``)."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "finqa-lab"
    parent: str | None = None
    max_model_len: int


class ModelList(BaseModel):
    """All names."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class OpenAIErrorBody(BaseModel):
    """What was wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(BaseModel):
    """An error."""

    error: OpenAIErrorBody
