"""What a base model knows, asked in conversations that it has not seen: the share of replies right to the letter.

Conversations come from the seed of the held-out text. Short ones recur all the same: there are only so many round
percentages to ask for, so ``rewrite`` is partly recall.
"""

import random
from collections.abc import Callable
from functools import partial

from tokenizers import Tokenizer

from finqa_lab.finqa.intervals import Rate, wilson
from finqa_lab.nn.transformer import Decoder
from finqa_lab.pretrain import bindings, dialogues, sheets
from finqa_lab.pretrain.bindings import conversation
from finqa_lab.pretrain.corpus import HELD_OUT_SEED
from finqa_lab.pretrain.tokenizer import END, TEMPLATE
from finqa_lab.tune.answering import replies

LIMIT = 120
"""Tokens of a reply; the longest right one, ten prices in pairs, is shorter."""


def knowledge(
    model: Decoder, tokenizer: Tokenizer, each: int = 100, on_kind: Callable[[str], None] | None = None
) -> dict[str, Rate]:
    """Exact replies by kind of conversation, greedy, with Wilson intervals.

    Args:
        model: in evaluation mode.
        tokenizer: of the model.
        each: conversations of a kind; their seed is that of the held-out text.
        on_kind: called with a kind before it is asked.
    """
    makers = {kind.__name__: kind for kind, _ in dialogues.KINDS}
    makers |= {kind.__name__: partial(conversation, kind=kind) for kind, _ in bindings.KINDS}
    makers["sheet"] = sheets.conversation
    found = {}
    for name, make in makers.items():
        if on_kind is not None:
            on_kind(name)
        talks = {str(i): make(random.Random(f"knowledge {HELD_OUT_SEED} {name} {i}")) for i in range(each)}
        given = replies(model, tokenizer, TEMPLATE, talks, LIMIT, end=[tokenizer.token_to_id(END)])
        right = sum(given[number].strip() == talk[-1]["content"] for number, talk in talks.items())
        found[name] = wilson(right, each)
    return found
