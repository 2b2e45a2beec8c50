"""Ollama's dialect: what its clients send to ``/api/generate`` and ``/api/chat``, and what they get.

As with OpenAI's, a field that is not here is refused by name. Documented at
https://github.com/ollama/ollama/blob/main/docs/api.md.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from finqa_lab.serve.http.openai_shapes import MESSAGES, MODEL_NAME, AnswerSchema, StopString
from finqa_lab.serve.http.reading import Strict, whole
from finqa_lab.serve.http.structure import Answer, Program, Structure

STOP_STRINGS = 16
TEMPERATURE, TOP_K, TOP_P = 0.8, 40, 0.9
"""Ollama's defaults."""


class Options(Strict):
    """How a reply is written; ``num_ctx`` is accepted and not used, because the context is the model's."""

    temperature: Annotated[float, Field(ge=0, le=2)] = TEMPERATURE
    top_k: whole(0, 1_000_000) = TOP_K
    top_p: Annotated[float, Field(gt=0, le=1)] = TOP_P
    seed: whole(-(2**63), 2**63 - 1) | None = None
    num_predict: whole(-2) = Field(-1, description="below 1: as many as there is room for")
    num_ctx: whole(1) | None = None
    stop: Annotated[list[StopString], Field(max_length=STOP_STRINGS)] = []


class _OllamaRequest(Strict):
    """What both requests have."""

    model: MODEL_NAME
    stream: bool = True
    format: Literal["json", "program"] | AnswerSchema | None = Field(
        None, description='"json" and the schema give {"answer": number}; "program" is an extension'
    )
    options: Options = Options()
    keep_alive: str | int | float | None = Field(None, description="not used: the model stays loaded")

    def common(self) -> dict:
        """The arguments of :class:`finqa_lab.serve.http.asking.Asked` that both requests give."""
        options = self.options
        structure: Structure | None = None if self.format is None else Answer()
        return {
            "model": self.model,
            "limit": options.num_predict if options.num_predict > 0 else None,
            "stop": tuple(options.stop),
            "temperature": options.temperature,
            "top_p": options.top_p,
            "top_k": options.top_k,
            "seed": options.seed,
            "structure": Program() if self.format == "program" else structure,
            "stream": self.stream,
        }


class GenerateRequest(_OllamaRequest):
    """``POST /api/generate``: the prompt becomes a user's message.

    With ``raw`` it is a text to go on from, as it is; ``system`` is then not used, as in Ollama.
    """

    prompt: Annotated[str, Field(min_length=1)]
    system: str | None = None
    raw: bool = False


class OllamaMessage(Strict):
    """One turn."""

    role: Literal["system", "user", "assistant"]
    content: str


class OllamaChatRequest(_OllamaRequest):
    """``POST /api/chat``."""

    messages: Annotated[list[OllamaMessage], Field(min_length=1, max_length=MESSAGES)]


class Timing(BaseModel):
    """Counts and durations of a reply that is done; durations in nanoseconds.

    Attributes:
        total_duration: from arrival to the end.
        load_duration: 0; the model was loaded when the server started.
        prompt_eval_count: tokens of the prompt, those from the prefix cache included.
        prompt_eval_duration: from the first step of the engine on the request to the first token.
        eval_count: tokens of the reply.
        eval_duration: from the first token to the last.
    """

    total_duration: int
    load_duration: int
    prompt_eval_count: int
    prompt_eval_duration: int
    eval_count: int
    eval_duration: int


class _OllamaReply(BaseModel):
    model: str
    created_at: str
    done: bool
    done_reason: Literal["stop", "length"] | None = None
    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None


class GenerateReply(_OllamaReply):
    """A line of the stream, or the whole reply; what is of the end stands in the last line only."""

    response: str


class OllamaChatReply(_OllamaReply):
    """A line of the stream, or the whole reply; what is of the end stands in the last line only."""

    message: OllamaMessage


class Details(BaseModel):
    """What kind of model it is."""

    format: str
    family: str
    parameter_size: str
    quantization_level: str
    parent_model: str


class Tag(BaseModel):
    """A model that can be asked for."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: Details


class Tags(BaseModel):
    """``GET /api/tags``."""

    models: list[Tag]


class Version(BaseModel):
    """``GET /api/version``: of this server, not of Ollama."""

    version: str


class OllamaError(BaseModel):
    """An error."""

    error: str
