"""Texts and small tokenizers that the tests of this room share."""

import unicodedata
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from finqa_lab.files import data_path
from finqa_lab.text import ByteLevelBPE, PreSplit, train_bpe
from finqa_lab.text.corpus import HELD_OUT, TRAIN, read_documents

SPECIALS = ("<|end|>", "<|user|>", "<|end|>ing")

EMOJI = "👍🏽 👩\u200d👩\u200d👧 🇨🇭 café naïve Übergröße 東京タワー привет ١٢٣٤٥ ½ ⁵ ﬁ "
EMOJI += "e\u0301 \u200d\ufeff \x00\x1c\x85\u2028\u3000"


def corpus(name: str = TRAIN) -> list[str]:
    return read_documents(data_path(name).read_text(encoding="utf-8"))


@cache
def mixed_text() -> str:
    """About 200 kB: generated filings, source code, emoji and scripts, white space of every kind."""
    import finqa_lab.text.bpe as module

    # no special token in it: `tokenizers` always recognises them
    code = Path(module.__file__).read_text(encoding="utf-8").replace("<|", "<")
    filings = "\f".join(corpus(HELD_OUT))
    spaces = "".join(f"a{' ' * n}b{chr(10) * n}\t{' ' * n}\r\n{n}\n" for n in range(8))
    piece = f"{filings[:40_000]}\n{code}\n{EMOJI * 20}\n{spaces}"
    return (piece * 5)[:200_000]


@cache
def tokenizer(digits: str = "left", size: int = 1500) -> ByteLevelBPE:
    documents = [*corpus(HELD_OUT), mixed_text()[-30_000:]]
    return train_bpe(documents, size, PreSplit(digits), SPECIALS)


# Characters known to Unicode 14 (Python 3.11): engines with younger tables disagree about the later ones.
texts = st.text(
    st.one_of(
        st.characters(codec="utf-8").filter(lambda c: unicodedata.category(c) != "Cn"),
        st.sampled_from("abcdeEnst'’019 \n\r\t .,()$%-"),
    ),
    max_size=60,
)
