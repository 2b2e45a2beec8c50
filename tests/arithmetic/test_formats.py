"""Every format against string formatting, over the whole space where that is cheap."""

import numpy as np
import pytest

from finqa_lab.arithmetic import problems
from finqa_lab.arithmetic import vocabulary as voc
from finqa_lab.arithmetic.formats import ENDLESS, FORMATS, MALFORMED, named
from finqa_lab.errors import CourseError

EVERYTHING = np.arange(problems.SPACE)
SOME = np.concatenate([EVERYTHING[::997], EVERYTHING[:300], EVERYTHING[-300:]])


def spelled(name: str, problem: int) -> str:
    a, operation, b = (int(x[0]) for x in problems.operands(np.array([problem])))
    sign, value = "+-"[operation], a - b if operation else a + b
    if name == "reversed":
        return f"{a:03d}{sign}{b:03d}={value:04d}"[:8] + f"{value:04d}"[::-1]
    if name == "plain":
        return f"{a:03d}{sign}{b:03d}={value:04d}"
    digits = str(value)[::-1] if name == "text_units" else str(value)
    return f"{a}{sign}{b}=".rjust(8, "_") + f"{digits}$".ljust(5, "_")


@pytest.mark.parametrize("name", FORMATS)
def test_encoding_is_the_written_text(name):
    spelling = FORMATS[name]
    prompts = spelling.encode_prompts(*problems.operands(SOME))
    answers = spelling.encode_answers(problems.answers(SOME))
    rows = np.concatenate([prompts, answers], axis=1)
    assert rows.dtype == np.int64 and rows.shape[1] == spelling.length
    for problem, row in zip(SOME.tolist(), rows, strict=True):
        assert voc.decode(row) == spelled(name, problem)


@pytest.mark.parametrize("name", FORMATS)
def test_decoding_inverts_encoding_on_the_whole_space(name):
    spelling, values = FORMATS[name], problems.answers(EVERYTHING)
    assert np.array_equal(spelling.decode_answers(spelling.encode_answers(values)), values)


def test_prompts_of_different_problems_differ():
    for name in ("reversed", "text"):
        code = FORMATS[name].encode_prompts(*problems.operands(EVERYTHING)) @ 17 ** np.arange(8)
        code.sort()
        assert (np.diff(code) > 0).all()


def answer(name: str, text: str) -> int:
    return int(FORMATS[name].decode_answers(voc.encode(text)[None])[0])


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("text", "962$_", 962),
        ("text", "0$___", 0),
        ("text", "962$7", 962),  # what follows the end is not read
        ("text", "$962_", MALFORMED),
        ("text", "096$_", MALFORMED),
        ("text", "00$__", MALFORMED),
        ("text", "9+2$_", MALFORMED),
        ("text", "96299", ENDLESS),
        ("text", "____+", ENDLESS),
        ("text_units", "269$_", 962),
        ("text_units", "0$___", 0),
        ("text_units", "690$_", MALFORMED),
        ("plain", "0962", 962),
        ("plain", "09=2", MALFORMED),
        ("reversed", "2690", 962),
        ("reversed", "2$90", MALFORMED),
    ],
)
def test_what_counts_as_a_number(name, text, value):
    assert answer(name, text) == value


def test_places_follow_from_the_text():
    spelling = FORMATS["text_places"]
    rows = {"951+11=": [0, 3, 2, 1, 7, 5, 4, 8], "7-7=": [0, 0, 0, 0, 1, 7, 4, 8], "12+345=": [0, 2, 1, 7, 6, 5, 4, 8]}
    for text, places in rows.items():
        found = spelling.digit_places(voc.encode(text.rjust(8, "_"))[None])
        assert found.tolist() == [places + [9, 10, 11, 12, 13]]
    assert FORMATS["text"].digit_places(voc.encode("_951+11=")[None]) is None


def test_names():
    assert named("plain") is FORMATS["plain"]
    with pytest.raises(CourseError, match="choose one of: reversed, plain, text, text_units, text_places"):
        named("roman")
    with pytest.raises(ValueError, match="'x' is not in the vocabulary"):
        voc.encode("9x1")
