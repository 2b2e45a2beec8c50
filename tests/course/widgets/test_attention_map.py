"""The attention map: a softmax over the past, the model's own heads, and texts that it refuses."""

import pytest
import torch

from finqa_lab.course.widgets import attention_map
from finqa_lab.course.widgets.attention_map import EXAMPLE, head_weights, shares, weights_of
from finqa_lab.errors import CourseError


def test_every_row_is_a_distribution_over_the_past():
    tokens, every = weights_of(EXAMPLE)
    assert every.shape == (attention_map.LAYERS, attention_map.HEADS, len(tokens), len(tokens))
    assert torch.allclose(every.sum(dim=-1), torch.ones(every.shape[:-1]), atol=1e-5)
    assert (every >= 0).all() and not every.triu(1).any()
    assert torch.equal(every[..., 0, 0], torch.ones(every.shape[:2])), "the first token has no choice"


def test_the_numbers_of_the_chapter():
    """What the chapter says of the picture: sizes that follow from its tokens, and the circuit that was planted."""
    tokens, previous = head_weights(EXAMPLE, 1, 1)
    assert len(tokens) == 13 and int(torch.ones(13, 13).tril().sum()) == 91
    assert shares(previous)["the token before"] > 0.8
    _, induction = head_weights(EXAMPLE, 2, 1)
    second, after_first = len(tokens) - 1, tokens.index("␣Alder") + 1
    assert tokens[second] == "␣Alder" and tokens[after_first] == "␣was"
    assert int(induction[second].argmax()) == after_first


def test_later_tokens_change_no_row_before_them():
    _, short = weights_of("net income of Alder")
    _, long = weights_of("net income of Alder was 12")
    length = short.shape[-1]
    assert torch.allclose(long[..., :length, :length], short, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "layer", "head", "said"),
    [
        ("", 1, 1, "is empty"),
        ("word " * 60, 1, 1, "shorten it to 40"),
        ("net income", 7, 1, "the model has 6 layers of 4 heads"),
        ("net income", 1, 0, "there is no head 0"),
        ("1", 1, 1, "a single token"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(text, layer, head, said):
    with pytest.raises(CourseError, match=said):
        attention_map.draw(text, layer, head)


@pytest.mark.parametrize("text", ["$x$ and $y$", "多少 é 🙂", "<|im_end|> a", "\\alpha_1 {"])
def test_any_text_is_drawn(text):
    assert "<figure" in attention_map.draw(text, 2, 1).markup()
