"""What OpenAI's clients send to ``/v1/chat/completions`` and ``/v1/completions``, as far as it is supported.

A field that is not here is refused by name, not ignored: a reply that silently lacks what was asked for is worse than
an error. Fields with one possible value are here because clients send their defaults.
"""

from typing import Annotated, Literal

from pydantic import Field

from finqa_lab.serve.http.reading import Strict, only, whole
from finqa_lab.serve.http.structure import Answer, Program, Structure

STOP_STRINGS, STOP_CHARACTERS, MESSAGES = 4, 128, 1024
MODEL_NAME = Annotated[str, Field(min_length=1, max_length=256)]
StopString = Annotated[str, Field(min_length=1, max_length=STOP_CHARACTERS)]


class TextPart(Strict):
    """Part of a message; several are joined without anything between."""

    type: Literal["text"]
    text: str


class ChatMessage(Strict):
    """One turn; ``developer`` is the new name of ``system``."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[TextPart], Field(min_length=1, max_length=MESSAGES)]

    def plain(self) -> dict[str, str]:
        """As the chat template takes it."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": "system" if self.role == "developer" else self.role, "content": text}


class NumberSchema(Strict):
    """JSON schema of a number."""

    type: Literal["number"]
    title: str | None = None
    description: str | None = None


class AnswerProperties(Strict):
    """The members of the answer."""

    answer: NumberSchema


class AnswerSchema(Strict):
    """The JSON schema that this server can guarantee: an object with one number, ``answer``."""

    type: Literal["object"]
    properties: AnswerProperties
    required: Annotated[list[Literal["answer"]], Field(min_length=1, max_length=1)]
    additional_properties: Annotated[only(False), Field(alias="additionalProperties")] = False
    title: str | None = None
    description: str | None = None


class NamedSchema(Strict):
    """OpenAI's envelope of a schema."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    schema_: Annotated[AnswerSchema, Field(alias="schema")]
    strict: bool | None = None
    description: str | None = None


class TextFormat(Strict):
    """Free text."""

    type: Literal["text"]

    def structure(self) -> Structure | None:
        """None."""
        return None


class ObjectFormat(Strict):
    """Any JSON object, by OpenAI's definition; from this server always ``{"answer": number}``."""

    type: Literal["json_object"]

    def structure(self) -> Structure | None:
        """An answer."""
        return Answer()


class SchemaFormat(Strict):
    """JSON of a schema."""

    type: Literal["json_schema"]
    json_schema: NamedSchema

    def structure(self) -> Structure | None:
        """An answer."""
        return Answer()


class ProgramFormat(Strict):
    """Extension: a program of the course's language, ``subtract(5829, 5735), divide(#0, 5735)``."""

    type: Literal["program"]
    program: Program = Program()

    def structure(self) -> Structure | None:
        """The program."""
        return self.program


ResponseFormat = Annotated[TextFormat | ObjectFormat | SchemaFormat | ProgramFormat, Field(discriminator="type")]


class StreamOptions(Strict):
    """Options of a stream."""

    include_usage: bool = False


class Sampled(Strict):
    """What both requests have."""

    model: MODEL_NAME
    max_tokens: whole(1) | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: whole(0, 1_000_000) | None = Field(None, description="extension; 0 keeps all tokens")
    seed: whole(-(2**63), 2**63 - 1) | None = None
    stop: StopString | Annotated[list[StopString], Field(max_length=STOP_STRINGS)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    n: only(1) | None = None
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    user: Annotated[str, Field(max_length=256)] | None = Field(None, description="not used")

    def common(self) -> dict:
        """The arguments of :class:`finqa_lab.serve.http.asking.Asked` that both requests give."""
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        return {
            "model": self.model,
            "stop": stop,
            "temperature": 1.0 if self.temperature is None else self.temperature,
            "top_p": self.top_p or 1.0,
            "top_k": self.top_k or 0,
            "seed": self.seed,
            "structure": self.response_format.structure() if self.response_format else None,
            "stream": bool(self.stream),
        }

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the counts of tokens."""
        return self.stream_options is not None and self.stream_options.include_usage


class ChatRequest(Sampled):
    """``POST /v1/chat/completions``."""

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MESSAGES)]
    max_completion_tokens: whole(1) | None = Field(None, description="counts before max_tokens, its old name")
    logprobs: only(False) | None = None


class CompletionRequest(Sampled):
    """``POST /v1/completions``: a text, or token ids, to be continued as they are, without the chat template."""

    prompt: (
        Annotated[str, Field(min_length=1)]
        | Annotated[list[whole(0)], Field(min_length=1)]
        | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=1)]
    )
    echo: only(False) | None = None
    best_of: only(1) | None = None
