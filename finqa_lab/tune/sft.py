"""Supervised fine-tuning data: conversations as tokens, with a mask of what the assistant wrote.

Only the assistant's words and the token that ends them are learnt; the questions are there to be read. Learning them
too would spend the model on guessing what users ask (L. Shi et al., "Instruction Tuning With Loss Over Instructions",
2024, arXiv:2405.14394, measure when that helps).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tokenizers import Tokenizer

from finqa_lab.errors import CourseError
from finqa_lab.text.chat import ChatTemplate, Messages


@dataclass(frozen=True)
class Example:
    """A conversation as tokens.

    Attributes:
        ids: of the whole text.
        learn: whether each token is a target.
        name: of the sample it was made from.
    """

    ids: tuple[int, ...]
    learn: tuple[bool, ...]
    name: str = ""

    @property
    def answer(self) -> tuple[int, ...]:
        """The learnt tokens."""
        return tuple(token for token, learnt in zip(self.ids, self.learn) if learnt)


@dataclass(frozen=True)
class Encoded:
    """A data set as tokens.

    Attributes:
        examples: that fit the context.
        too_long: name and length of those that do not; they are left out, never cut, because the end of a
            conversation is what is learnt.
    """

    examples: tuple[Example, ...]
    too_long: tuple[tuple[str, int], ...]

    @property
    def share_too_long(self) -> float:
        """Share of the data that was left out."""
        return len(self.too_long) / max(1, len(self.examples) + len(self.too_long))

    def report(self, context: int) -> str:
        """One sentence on what was left out."""
        if not self.too_long:
            return f"all {len(self.examples)} samples fit {context} tokens"
        name, longest = max(self.too_long, key=lambda pair: pair[1])
        return (
            f"{len(self.too_long)} of {len(self.examples) + len(self.too_long)} samples are longer than {context} "
            f"tokens and were left out (the longest, {name}, has {longest})"
        )


def encode(messages: Messages, tokenizer: Tokenizer, template: ChatTemplate, name: str = "") -> Example:
    """Tokens of a conversation and the mask of the assistant's turns, each with the token that ends it.

    The mask comes from the template itself: what stands between the text up to the turn, written so that a reply
    begins, and the text with the turn, is what the model would have to write.

    Args:
        messages: the last one by the assistant.
        tokenizer: of the model.
        template: of the model.
        name: of the sample, for messages.

    Raises:
        CourseError: when no turn is the assistant's, one is empty, the template does not write a turn behind the text
            that asks for it, or a token covers both.
    """
    where = f" of sample {name}" if name else ""
    text = template.render(messages)
    spans = []
    for turn, message in enumerate(messages):
        if message.get("role") != "assistant":
            continue
        before = template.render(messages[:turn], reply=True)
        after = template.render(messages[: turn + 1])
        if not (after.startswith(before) and text.startswith(after)):
            raise CourseError(
                f"the chat template does not continue the text that asks for turn {turn}{where}, so its reply cannot "
                "be told apart; use the template's own training form"
            )
        written = after[len(before) :].rstrip()
        if not str(message.get("content", "")).strip():
            raise CourseError(f"the assistant's turn {turn}{where} is empty; give it an answer or leave the sample out")
        spans.append((len(before), len(before) + len(written)))
    if not spans:
        raise CourseError(f"no turn{where} is the assistant's, so there is nothing to learn; add the reply")
    encoding = tokenizer.encode(text, add_special_tokens=False)
    learn = []
    for begin, end in encoding.offsets:
        inside = any(low <= begin and end <= high for low, high in spans)
        if not inside and any(begin < low < end for low, _ in spans):
            raise CourseError(
                f"a token{where} covers the end of the prompt and the start of the reply; put a line end between them "
                "in the template"
            )
        learn.append(inside and end > begin)
    return Example(tuple(encoding.ids), tuple(learn), name)


def encode_all(
    conversations: Iterable[tuple[str, Messages]], tokenizer: Tokenizer, template: ChatTemplate, context: int
) -> Encoded:
    """Encode named conversations; those longer than ``context`` tokens are counted and left out.

    Raises:
        CourseError: as :func:`encode`, and when nothing is left.
    """
    found, too_long = [], []
    for name, messages in conversations:
        example = encode(messages, tokenizer, template, name)
        if len(example.ids) > context:
            too_long.append((name, len(example.ids)))
        else:
            found.append(example)
    if not found:
        raise CourseError(
            f"all {len(too_long)} samples are longer than {context} tokens; shorten them or raise the context"
            if too_long
            else "there is no sample to train on"
        )
    return Encoded(tuple(found), tuple(too_long))
