"""Forgetting: the loss of a model on held-out text of every genre, before and after an adaptation.

A rise is what the adaptation has cost elsewhere. The genres are those that the course's base model was trained on; for
a model of a hub they are ordinary text that it was not adapted to, which serves as well.
"""

import torch
from tokenizers import Tokenizer
from torch import nn

from finqa_lab.errors import CourseError
from finqa_lab.pretrain.corpus import HELD_OUT_SEED, SHARES, texts
from finqa_lab.tune.batches import Batch
from finqa_lab.tune.training import mean_loss


def genre_losses(
    model: nn.Module, tokenizer: Tokenizer, rows: int = 8, length: int = 256, end: int | None = None
) -> dict[str, float]:
    """Loss in nats a token by genre, for a tokenizer of any size.

    Args:
        model: on any device.
        tokenizer: of the model.
        rows: windows of each genre.
        length: predicted tokens of a window.
        end: the id that ends a document, where the model was trained with one.

    Raises:
        CourseError: when rows or length are not positive.
    """
    if rows < 1 or length < 1:
        raise CourseError(f"{rows} windows of {length} tokens cannot be measured; give at least one of each")
    found = {}
    for genre in SHARES:
        ids: list[int] = []
        for _, text in texts(HELD_OUT_SEED, {genre: 1.0}):
            ids += tokenizer.encode(text, add_special_tokens=False).ids
            if end is not None and ids[-1] != end:  # a conversation ends with it already
                ids.append(end)
            if len(ids) >= rows * (length + 1):
                break
        tokens = torch.tensor(ids[: rows * (length + 1)]).view(rows, length + 1)
        learn = torch.ones_like(tokens, dtype=torch.bool)
        learn[:, 0] = False
        found[genre] = mean_loss(model, [Batch(tokens, learn)])
    return found
