"""What a base model knows, asked in conversations that it has not seen: the share of replies right to the letter.

Conversations come from the seed of the held-out text. Short ones recur all the same: there are only so many round
percentages to ask for, so ``rewrite`` is partly recall.
"""

import random
from collections.abc import Callable

from tokenizers import Tokenizer

from finqa_lab.finqa.intervals import Rate, wilson
from finqa_lab.nn.transformer import Decoder
from finqa_lab.pretrain.corpus import HELD_OUT_SEED
from finqa_lab.pretrain.dialogues import KINDS
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
    found = {}
    for kind, _ in KINDS:
        if on_kind is not None:
            on_kind(kind.__name__)
        talks = {str(i): kind(random.Random(f"knowledge {HELD_OUT_SEED} {kind.__name__} {i}")) for i in range(each)}
        given = replies(model, tokenizer, TEMPLATE, talks, LIMIT, end=[tokenizer.token_to_id(END)])
        right = sum(given[name].strip() == talk[-1]["content"] for name, talk in talks.items())
        found[kind.__name__] = wilson(right, each)
    return found
