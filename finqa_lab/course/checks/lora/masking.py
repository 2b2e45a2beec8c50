"""Checks of lab 06: which tokens of a conversation are learnt."""

import random
import re
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def written(messages: list[dict], reply: bool = False) -> str:
    """A small chat template: a header, the words, an end token; ``reply`` opens the assistant's turn."""
    text = "".join(f"<{m['role']}>\n{m['content']}<end>\n" for m in messages)
    return text + ("<assistant>\n" if reply else "")


def tokens(text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """A small tokenizer: marks, words, and single other characters; ids and (begin, end) of each token."""
    spans = [match.span() for match in re.finditer(r"<\w+>|\w+|.|\n", text)]
    return [sum(map(ord, text[begin:end])) for begin, end in spans], spans


def mask_cases(rng: random.Random) -> Iterator[Case]:
    """Messages, and the two functions of a model."""

    def case(*turns: tuple[str, str], note: str = "") -> Case:
        messages = [{"role": role, "content": content} for role, content in turns]
        return Case(messages, written, tokens, note=f"{note or 'the text is'}: {written(messages)!r}")

    yield case(("user", "double 2"), ("assistant", "4"), note="a short one")
    yield case(("user", "is it 4"), ("assistant", "4"), note="the question has the words of the answer")
    yield case(("system", "be brief"), ("user", "two words"), ("assistant", "net sales"), note="with a system message")
    yield case(
        ("user", "hello"), ("assistant", "yes"), ("user", "3 or 4"), ("assistant", "4"), note="two turns of the model"
    )
    for _ in range(3):
        numbers = [str(rng.randrange(10, 99)) for _ in range(3)]
        yield case(("system", "add"), ("user", " ".join(numbers)), ("assistant", f"{numbers[0]} and {numbers[1]}"))


def _mask(messages, render, encode, roles=("assistant",), end=True, header=False, last=False, found=False):
    text = render(messages)
    spans = []
    for turn, message in enumerate(messages):
        if message["role"] not in roles:
            continue
        before = render(messages[:turn], reply=not header and message["role"] == "assistant")
        after = render(messages[: turn + 1]).rstrip()
        if not end:
            after = after.removesuffix("<end>")
        spans.append((len(before), len(after)))
        if found:
            place = text.find(message["content"])
            spans[-1] = (place, place + len(message["content"] + "<end>"))
    spans = spans[-1:] if last else spans
    return [any(low <= begin and stop <= high for low, high in spans) for begin, stop in encode(text)[1]]


def _shifted(messages, render, encode):
    mask = _mask(messages, render, encode)
    return [*mask[1:], False]


register(
    Check(
        name="lora.answer_mask",
        task="for each token of a conversation, whether the assistant wrote it (its end token included)",
        cases=mask_cases,
        oracle=_mask,
        why="a token that is learnt by mistake is a habit: a model that learns questions, too, goes on to ask some.",
        hint="a reply stands between render(messages[:turn], reply=True) and render(messages[:turn + 1]); a token is "
        "learnt when both its ends are inside.",
        wrong=[
            WrongAnswer(
                "everything learnt",
                lambda messages, render, encode: [True] * len(encode(render(messages))[0]),
                "that is pretraining: only the assistant's words are targets.",
            ),
            WrongAnswer(
                "the questions learnt",
                lambda messages, render, encode: _mask(messages, render, encode, roles=("user",)),
                "these are the user's words; take the turns whose role is assistant.",
            ),
            WrongAnswer(
                "end token left out",
                lambda messages, render, encode: _mask(messages, render, encode, end=False),
                "the token that ends the reply is learnt as well: without it the model never learns to stop.",
            ),
            WrongAnswer(
                "header learnt",
                lambda messages, render, encode: _mask(messages, render, encode, header=True),
                "the header of the reply is written by the program that asks: render the part before with reply=True.",
            ),
            WrongAnswer(
                "answer searched in the text",
                lambda messages, render, encode: _mask(messages, render, encode, found=True),
                "the words of an answer may stand in the question, too: use the template, not a search.",
            ),
            WrongAnswer(
                "last turn only",
                lambda messages, render, encode: _mask(messages, render, encode, last=True),
                "every turn of the assistant is learnt, not only the last one.",
            ),
            WrongAnswer(
                "moved by one",
                _shifted,
                "True belongs to the token that is the target; the shift by one is the loss's business.",
            ),
        ],
    )
)
