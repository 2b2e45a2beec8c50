"""Chat templates: how a list of messages becomes the text that a model was trained on.

A template is a Jinja program in ``tokenizer_config.json`` (or ``chat_template.jinja``), as ``transformers`` writes it.
It comes with a model from a stranger, so it runs in Jinja's sandbox without access to Python's internals; the settings
(trimmed blocks, ``raise_exception``, ``tojson``) are those of ``transformers``, so that the text is the same byte for
byte.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from jinja2 import Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json

CONFIG_FILE, TEMPLATE_FILE = "tokenizer_config.json", "chat_template.jinja"

Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class ChatTemplate:
    """A template with the special tokens that it may write.

    Attributes:
        source: the Jinja program.
        specials: ``bos_token``, ``eos_token`` and others, as text.

    >>> template = ChatTemplate("{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}"
    ...                         "{% if add_generation_prompt %}[assistant]{% endif %}", {"eos_token": "#"})
    >>> template.render([{"role": "user", "content": "2+2?"}], reply=True)
    '[user]2+2?#[assistant]'
    """

    source: str
    specials: Mapping[str, str] = field(default_factory=dict)

    def render(self, messages: Messages, reply: bool = False) -> str:
        """The text of a conversation.

        Args:
            messages: each with ``role`` and ``content``.
            reply: end where the assistant's reply begins (``add_generation_prompt``).

        Raises:
            CourseError: when the template refuses the messages or fails.
        """
        try:
            return _compiled(self.source).render(messages=messages, add_generation_prompt=reply, **self.specials)
        except (TemplateError, TypeError, KeyError, RecursionError, OverflowError, ValueError) as error:
            raise CourseError(f"the chat template does not take these messages: {error}") from None


def load_chat_template(folder: str | os.PathLike) -> ChatTemplate:
    """The template of a model folder.

    Raises:
        CourseError: when the folder has none, or several by name.
    """
    folder = Path(folder)
    path = folder / CONFIG_FILE
    values = read_json(path, "the tokenizer's config") if path.is_file() else {}
    own = folder / TEMPLATE_FILE
    source = own.read_text(encoding="utf-8") if own.is_file() else values.get("chat_template")
    if not isinstance(source, str):
        problem = "has several chat templates" if source else "has no chat template"
        raise CourseError(
            f"{folder} {problem}, so nobody knows how its model reads a conversation; give a chat model's folder"
        )
    named = {key: value for key, value in values.items() if key.endswith("_token") and value is not None}
    specials = {key: value["content"] if isinstance(value, dict) else value for key, value in named.items()}
    return ChatTemplate(source, {key: value for key, value in specials.items() if isinstance(value, str)})


@lru_cache(maxsize=64)
def _compiled(source: str) -> Template:
    """A template, compiled once for all the conversations that it renders."""
    return _environment().from_string(source)


def _environment() -> ImmutableSandboxedEnvironment:
    def raise_exception(message):
        raise TemplateError(message)

    def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        # Jinja's own filter escapes < and > for HTML; that would change the prompt.
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment
