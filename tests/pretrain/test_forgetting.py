"""Forgetting is seen: a model that has learnt something else loses on the text of its base."""

import pytest
import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.transformer import Decoder
from finqa_lab.pretrain.corpus import SHARES
from finqa_lab.pretrain.forgetting import genre_losses
from finqa_lab.pretrain.tokenizer import train_tokenizer

TOKENIZER = train_tokenizer(["the net sales of 2018 were 384.3 million dollars"] * 20, 300)
CONFIG = DecoderConfig.llama(TOKENIZER.get_vocab_size(), 16, 1, 2, 32, 64)


def test_an_untrained_model_knows_no_genre_and_one_that_was_spoilt_less():
    model = Decoder(CONFIG)
    losses = genre_losses(model, TOKENIZER, rows=2, length=32)
    assert list(losses) == list(SHARES) and all(3 < loss < 9 for loss in losses.values())
    with torch.no_grad():
        model.token_embedding.weight[TOKENIZER.encode("the").ids[0]] *= 30
    spoilt = genre_losses(model, TOKENIZER, rows=2, length=32)
    assert sum(spoilt.values()) > sum(losses.values())


def test_it_is_the_same_text_each_time():
    model = Decoder(CONFIG)
    assert genre_losses(model, TOKENIZER, 2, 32) == genre_losses(model, TOKENIZER, 2, 32)


def test_no_window_is_refused():
    with pytest.raises(CourseError, match="cannot be measured"):
        genre_losses(Decoder(CONFIG), TOKENIZER, rows=0)
