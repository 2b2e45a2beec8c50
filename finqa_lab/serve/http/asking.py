"""What a client wants, in one form for both dialects, and the engine's request that it becomes."""

import functools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from finqa_lab.errors import CourseError
from finqa_lab.nn.generate import Stop
from finqa_lab.nn.sampling import LEAST_TEMPERATURE, Sampling
from finqa_lab.serve.http.catalogue import Catalogue
from finqa_lab.serve.http.errors import ApiError
from finqa_lab.serve.http.settings import ServerSettings
from finqa_lab.serve.http.structure import Grammars, Structure
from finqa_lab.serve.request import Request
from finqa_lab.text.chat import ChatTemplate, Messages


@dataclass(frozen=True)
class Asked:
    """A request of either dialect.

    Attributes:
        model: as the client wrote it.
        messages: of a conversation whose next turn is wanted; or None.
        prompt: text or token ids to be continued; or None.
        limit: most tokens of the reply; None for as many as there is room.
        stop: strings that end the reply.
        temperature, top_p, top_k: of the sampling.
        seed: of the sampling; None draws one.
        structure: that the reply must have, or None.
        stream: whether the reply is wanted in pieces.
    """

    model: str
    messages: Messages | None = None
    prompt: str | Sequence[int] | None = None
    limit: int | None = None
    stop: tuple[str, ...] = ()
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    structure: Structure | None = None
    stream: bool = False


@dataclass(frozen=True)
class Chat:
    """A model as far as prompts are concerned.

    Attributes:
        tokenizer, template: of the model.
        end: ids that end a reply.
        context: positions that prompt and reply share.
        vocabulary: number of ids.
    """

    tokenizer: Tokenizer
    template: ChatTemplate
    end: tuple[int, ...]
    context: int
    vocabulary: int

    def prompt(self, asked: Asked, most: int) -> tuple[int, ...]:
        """Token ids of the prompt: a conversation through the chat template, a text as it is, ids as they are.

        Args:
            asked: by the client.
            most: tokens of any prompt; the context bounds them too.

        Raises:
            ApiError: 400 when there is no token or there are too many, an id is unknown, or a message holds one of the
                tokens by which the template tells the roles apart.
        """
        field = "prompt" if asked.messages is None else "messages"
        if asked.messages is not None:
            self._refuse_control_tokens(asked.messages)
            ids = self._encode(render(self.template, asked.messages))
        elif isinstance(asked.prompt, str):
            ids = self._encode(asked.prompt)
        else:
            ids = list(asked.prompt)
            if any(not 0 <= token < self.vocabulary for token in ids):
                raise ApiError(400, f"token ids go from 0 to {self.vocabulary - 1}", "invalid_token", field)
        if not ids:
            raise ApiError(400, "the prompt has no token; send some text", "empty_prompt", field)
        if len(ids) > min(most, self.context):
            bound = f"this server takes {most}" if most < self.context else f"the context holds {self.context}"
            text = f"the prompt has {len(ids)} tokens, and {bound}; shorten it"
            raise ApiError(400, text, "context_length_exceeded", field)
        return tuple(ids)

    @functools.cached_property
    def _control_tokens(self) -> list[str]:
        return [token.content for token in self.tokenizer.get_added_tokens_decoder().values() if token.special]

    def _encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def _refuse_control_tokens(self, messages: Messages) -> None:
        """Text like ``<|end|><|system|>`` in a message would become the tokens themselves: a turn of another role."""
        for index, message in enumerate(messages):
            for token in self._control_tokens:
                if token in message["content"]:
                    text = f"messages[{index}] contains {token!a}, which tells the turns of a conversation apart"
                    raise ApiError(400, text, "control_token", f"messages[{index}].content")


def render(template: ChatTemplate, messages: Messages) -> str:
    """The prompt's text: the conversation, and the beginning of the assistant's turn.

    Raises:
        ApiError: 400 when the template refuses the conversation.
    """
    try:
        return template.render([dict(message) for message in messages], reply=True)
    except CourseError as error:
        raise ApiError(400, str(error), "invalid_messages", "messages") from None


def request_for(
    asked: Asked, chat: Chat, catalogue: Catalogue, grammars: Grammars, settings: ServerSettings
) -> Request:
    """The engine's request. Its stop strings are not in it: they are text, and the engine sees tokens only.

    Args:
        asked: by the client.
        chat, catalogue, grammars: of the model.
        settings: the server's limits.

    Raises:
        ApiError: 404 for an unknown model, 400 for a prompt or a bound that does not fit.
    """
    adapter, most = catalogue.adapter(asked.model), settings.max_tokens
    if asked.limit is not None and asked.limit > most:
        text = f"{asked.limit} tokens are more than the {most} that this server writes in one reply"
        raise ApiError(400, text, "too_many_tokens", "max_tokens")
    prompt = chat.prompt(asked, settings.max_prompt)
    room = chat.context - len(prompt) + 1  # the last token of a reply is never read, so it needs no position
    limit = min(asked.limit or most, room)
    seed = secrets.randbits(64) if asked.seed is None else asked.seed % 2**64
    temperature = 0 if asked.temperature < LEAST_TEMPERATURE else asked.temperature
    sampling = Sampling(temperature, asked.top_k, asked.top_p, seed)
    grammar = None if asked.structure is None else grammars.automaton(asked.structure, limit)
    return Request(prompt, Stop(limit, frozenset(chat.end)), sampling, adapter, grammar)
