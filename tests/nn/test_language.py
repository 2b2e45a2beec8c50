"""The plain training loop: it learns, repeats itself by seed, and its measure has known values."""

import math

import pytest
import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.language import bits_per_token, byte_tokens, train_language_model
from finqa_lab.nn.transformer import Decoder

CONFIG = DecoderConfig(256, width=16, layers=1, heads=2, hidden=32, context=32, mlp="swiglu", positions="rotary")


def text():
    return byte_tokens("revenue 12, costs 7; " * 60)


def test_a_model_that_knows_nothing_scores_eight_bits():
    model = Decoder(CONFIG)
    with torch.no_grad():
        model.token_embedding.weight.zero_()
    assert bits_per_token(model, text(), length=16) == pytest.approx(8.0, abs=1e-5)


def test_bits_are_the_mean_over_all_windows_whatever_the_batch():
    model, tokens = Decoder(CONFIG), text()[:50]
    windows = [tokens[begin : begin + 17] for begin in range(0, 48, 16)]
    rows = [model(w[None, :-1])[0].detach().log_softmax(-1)[torch.arange(16), w[1:]] for w in windows]
    expected = -float(torch.cat(rows).mean()) / math.log(2)
    for batch in (1, 2, 64):
        assert bits_per_token(model, tokens, length=16, batch=batch) == pytest.approx(expected, rel=1e-5)


def test_training_learns_and_repeats_itself():
    runs = []
    for seed in (0, 0, 1):
        model = Decoder(CONFIG)
        losses = train_language_model(model, text(), steps=60, batch=4, length=16, lr=1e-2, seed=seed)
        runs.append((losses, bits_per_token(model, text(), length=16)))
        assert len(losses) == 60 and not model.training
    assert runs[0] == runs[1] and runs[0][0] != runs[2][0]
    assert runs[0][1] < 1 < 8 < runs[0][0][0]  # 0.39 to 0.44 for five seeds


def test_the_first_loss_is_the_model_s_own_before_any_step():
    model = Decoder(CONFIG)
    window = torch.arange(17)
    before = bits_per_token(model, window, length=16)
    losses = train_language_model(model, window, steps=1, batch=3, length=16)
    assert losses[0] == pytest.approx(before, rel=1e-5)
    assert bits_per_token(model, window, length=16) < before


def test_a_text_shorter_than_a_window_is_refused():
    with pytest.raises(CourseError, match="the text has 16 tokens; a window takes 17"):
        train_language_model(Decoder(CONFIG), torch.zeros(16, dtype=torch.int64), steps=1, length=16)
