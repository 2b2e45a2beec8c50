"""The text of the base model: seven genres of generated documents, mixed by shares of their characters.

=============  ======================================================================================
genre          documents
=============  ======================================================================================
``reports``    pages of annual reports with their tables read out (:mod:`finqa_lab.finqa.synthetic`)
``filings``    sentences with amounts in many formats (:mod:`finqa_lab.text.corpus`)
``textbook``   what the words of finance mean
``numbers``    statements about numbers
``dialogues``  short conversations, as text of the chat template
``bindings``   which number belongs to which name; four of five are conversations
``sheets``     figures of one thing, asked for by label, in the second stage only
=============  ======================================================================================

A document is made from its genre, the seed and its number alone. The pages come from seeds of their own: none is in
``data/reports``, and the questions of those pages are nowhere.
"""

import random
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from tokenizers import Tokenizer

from finqa_lab.errors import CourseError
from finqa_lab.finqa.linearise import unit_text
from finqa_lab.finqa.synthetic.reports import make_page
from finqa_lab.pretrain import sheets
from finqa_lab.pretrain.bindings import bindings, conversation
from finqa_lab.pretrain.dialogues import dialogue
from finqa_lab.pretrain.statements import statements
from finqa_lab.pretrain.textbook import textbook
from finqa_lab.pretrain.tokenizer import END, TEMPLATE
from finqa_lab.text.corpus import documents as filings

GENRES = ("reports", "filings", "textbook", "numbers", "dialogues", "bindings", "sheets")
SHARES = {"reports": 0.1, "filings": 0.03, "textbook": 0.04, "numbers": 0.24, "dialogues": 0.22, "bindings": 0.37}
"""Shares of the characters in the first stage, and where a recipe names no others."""
TRAIN_SEED, HELD_OUT_SEED = 20_000, 30_000


def document(genre: str, seed: int, index: int) -> str:
    """A document of a genre, the same for the same seed and index.

    >>> document("textbook", 0, 0) == document("textbook", 0, 0)
    True

    Raises:
        CourseError: for another genre.
    """
    rng = random.Random(f"{genre} {seed} {index}")
    if genre == "reports":
        return _report(rng, index)
    if genre == "filings":
        return next(iter(filings(rng.randrange(2**40), 1)))
    if genre == "textbook":
        return textbook(rng, rng.randint(4, 16))
    if genre == "numbers":
        return statements(rng, rng.randint(6, 24))
    if genre == "dialogues":
        return TEMPLATE.render(dialogue(rng))
    if genre == "bindings":
        return TEMPLATE.render(conversation(rng)) if rng.random() < 0.8 else bindings(rng, rng.randint(4, 12))
    if genre == "sheets":
        talk = rng.random() < 0.8
        return TEMPLATE.render(sheets.conversation(rng)) if talk else sheets.sheets(rng, rng.randint(3, 8))
    raise CourseError(f"there is no genre '{genre}'; choose one of {', '.join(GENRES)}")


def _report(rng: random.Random, number: int) -> str:
    """A page as text: sentences before the table, the table in one of its styles, sentences after it."""
    page, _ = make_page(rng, number)
    style = rng.choice(("sentences", "sentences", "pairs", "markdown"))
    rows = [unit_text(page, f"table_{i}", style) for i in range(1, len(page.table))]
    before, after = list(page.pre_text), list(page.post_text)
    # A page is longer than a window: its ends are as often near the table as far from it.
    keep = rng.randint(1, 8)
    return "\n".join([*before[-keep:], *rows, *after[:keep]]) + "\n"


def texts(seed: int, shares: Mapping[str, float] = SHARES) -> Iterator[tuple[str, str]]:
    """Endless (genre, document); genres take turns so that their characters keep to the shares."""
    written = dict.fromkeys(shares, 0)
    counts = dict.fromkeys(shares, 0)
    while True:
        genre = min(shares, key=lambda name: written[name] / shares[name])
        text = document(genre, seed, counts[genre])
        counts[genre] += 1
        written[genre] += len(text)
        yield genre, text


def token_stream(tokenizer: Tokenizer, tokens: int, seed: int, shares: Mapping[str, float] = SHARES) -> np.ndarray:
    """Documents as one stream of ids, each ended by the end token, uint16 of shape (tokens,).

    Raises:
        CourseError: when the tokenizer has more ids than 16 bits hold.
    """
    if tokenizer.get_vocab_size() > 2**16:
        raise CourseError(f"{tokenizer.get_vocab_size()} ids do not fit 16 bits; use a smaller vocabulary")
    end, found, count = tokenizer.token_to_id(END), [], 0
    for _, text in texts(seed, shares):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        if not ids or ids[-1] != end:  # a conversation ends with it already
            ids.append(end)
        found.append(np.array(ids, dtype=np.uint16))
        count += len(ids)
        if count >= tokens:
            return np.concatenate(found)[:tokens]


def held_out(tokenizer: Tokenizer, tokens: int, genres: Iterable[str] = SHARES) -> dict[str, np.ndarray]:
    """Unseen text of genres, ``tokens`` ids each: what forgetting is measured on."""
    return {genre: token_stream(tokenizer, tokens, HELD_OUT_SEED, {genre: 1.0}) for genre in genres}
