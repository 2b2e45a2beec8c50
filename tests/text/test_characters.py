"""Character tokenizer, the generated corpus, and what importing the room costs."""

import subprocess
import sys

import pytest

from finqa_lab.errors import CourseError
from finqa_lab.files import data_path
from finqa_lab.text import CharacterTokenizer
from finqa_lab.text.corpus import HELD_OUT, TRAIN, companies, documents
from finqa_lab.text.general import END, general_tokenizer


def test_round_trip():
    tokenizer = CharacterTokenizer("0123456789+-= ")
    assert tokenizer.vocab_size == 14
    assert tokenizer.decode(tokenizer.encode("12+34=46")) == "12+34=46"
    assert tokenizer.encode("") == [] and tokenizer.encode("=0") == [12, 0]


def test_bad_input():
    tokenizer = CharacterTokenizer("01")
    with pytest.raises(CourseError, match="character '2' at position 3"):
        tokenizer.encode("0112")
    with pytest.raises(CourseError, match="id 2 at position 1 is outside 0..1"):
        tokenizer.decode([0, 2])
    with pytest.raises(CourseError, match="id -1 at position 0"):
        tokenizer.decode([-1])
    for symbols in (["ab"], "00", [""]):
        with pytest.raises(CourseError, match="must be one character and occur once"):
            CharacterTokenizer(symbols)


@pytest.mark.parametrize("name, seed, size", [(TRAIN, 0, 420_000), (HELD_OUT, 1, 60_000)])
def test_the_shipped_corpus_is_what_its_command_makes(name, seed, size):
    assert data_path(name).read_bytes() == "\f".join(documents(seed, size)).encode("utf-8")


def test_companies_have_their_own_tickers():
    names, tickers = zip(*companies())
    assert len(set(names)) == len(set(tickers)) == 40


def test_importing_the_room_does_not_import_torch():
    code = "import sys, finqa_lab.text; sys.exit('torch' in sys.modules or 'tokenizers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_general_tokenizer_is_what_the_manifest_says():
    general = general_tokenizer()
    assert general.vocab_size == 4000 and general.specials == {END: 3999} and not general.whole_words
