"""Extension: new tokens only where a word equals them, old ids untouched, rows that start at the mean."""

import numpy as np
import pytest
import torch

from finqa_lab.errors import CourseError
from finqa_lab.text import extend_embeddings, extend_vocabulary, propose_words
from finqa_lab.text.corpus import HELD_OUT
from tests.text.samples import SPECIALS, corpus, mixed_text, tokenizer


def test_new_tokens_replace_their_pieces_and_nothing_else():
    base = tokenizer(size=600)
    words = [" WidgetCo", "$GALF", " semiannual", "a", " WidgetCo"]
    extended, parts = extend_vocabulary(base, words)
    assert list(parts) == [600, 601, 602], "a word that is a token already, or comes twice, gets no row"
    assert extended.specials == base.specials and extended.vocab_size == 603
    for new_id, old in parts.items():
        assert base.decode_bytes(old) == extended.decode_bytes([new_id])
    text = "WidgetCo WidgetCo WidgetCos $GALF x$GALF semiannuals semiannual " + mixed_text()[:5000]
    ids = extended.encode(text)
    assert [piece for i in ids for piece in parts.get(i, [i])] == base.encode(text)
    assert [ids.count(new_id) for new_id in parts] == [1, 1, 1]
    assert extended.decode(ids) == text
    assert extended.encode("<|end|>", "all") == [base.specials["<|end|>"]]


def test_proposed_words_save_what_is_promised():
    base, documents = tokenizer(size=600), corpus()
    proposed = propose_words(base, documents, 40)
    assert len(proposed) == 40 and proposed == sorted(proposed, key=lambda pair: (-pair[1], pair[0]))
    assert not any(character.isdigit() for word, _ in proposed for character in word)
    extended, parts = extend_vocabulary(base, [word for word, _ in proposed])
    before, after = (sum(len(t.encode(text)) for text in documents) for t in (base, extended))
    assert before - after == sum(saved for _, saved in proposed) > 0 and len(parts) == 40


@pytest.mark.parametrize("kind", ["numpy64", "numpy32", "torch", "bfloat16", "parameter"])
def test_rows_are_the_mean_of_the_pieces(kind):
    base = tokenizer(size=600)
    _, parts = extend_vocabulary(base, [" WidgetCo", "$GALF"])
    values = np.random.default_rng(0).normal(size=(600, 8))
    rows = {
        "numpy64": lambda: values,
        "numpy32": lambda: values.astype(np.float32),
        "torch": lambda: torch.tensor(values),
        "bfloat16": lambda: torch.tensor(values, dtype=torch.bfloat16),
        "parameter": lambda: torch.nn.Parameter(torch.tensor(values)),
    }[kind]()
    new = extend_embeddings(rows, parts)
    assert new.dtype == rows.dtype and new.shape == (602, 8)
    as_numpy = new.float().numpy() if isinstance(new, torch.Tensor) else new
    assert np.allclose(as_numpy[:600], values, atol=2e-2)
    for new_id, old in parts.items():
        assert np.allclose(as_numpy[new_id], values[old].mean(axis=0), atol=2e-2)
    if isinstance(new, torch.Tensor):
        assert not new.requires_grad and new.data_ptr() != rows.data_ptr()


def test_nothing_to_add_gives_a_copy():
    rows = np.zeros((5, 2))
    assert extend_embeddings(rows, {}) is not rows
    assert torch.equal(extend_embeddings(torch.ones(2, 2), {}), torch.ones(2, 2))


def test_bad_input():
    base = tokenizer(size=600)
    with pytest.raises(
        CourseError, match=r"' \$AAPL' cannot become a token: the pre-split cuts it into ' \$' \| 'AAPL'"
    ):
        extend_vocabulary(base, [" $AAPL"])
    with pytest.raises(CourseError, match="cuts it into nothing"):
        extend_vocabulary(base, [""])
    _, parts = extend_vocabulary(base, [" WidgetCo"])
    with pytest.raises(CourseError, match="has 599 rows but the first new id is 600"):
        extend_embeddings(np.zeros((599, 4)), parts)


def test_specials_survive_on_any_corpus():
    proposed = [word for word, _ in propose_words(tokenizer(), corpus(HELD_OUT), 20)]
    extended, _ = extend_vocabulary(tokenizer(), proposed)
    assert [extended.encode(name, "all") for name in SPECIALS] == [
        tokenizer().encode(name, "all") for name in SPECIALS
    ]
