"""Every reader of foreign text, given any text at all: a value or the reader's own error, never anything else.

The texts are drawn three ways: anything, pieces that the formats are made of in any order, and nesting deeper than
Python's stack. What each reader makes of right text is tested beside it.
"""

import json
import string
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finqa_lab.cloud.replies import read_answer
from finqa_lab.course import parameters
from finqa_lab.course.grading.rebuild import read_submission
from finqa_lab.errors import CourseError
from finqa_lab.finqa import faults, literals
from finqa_lab.finqa.nested import format_nested, parse_nested
from finqa_lab.finqa.parse import parse
from finqa_lab.finqa.records import read_records
from finqa_lab.finqa.replies import parse_reply
from finqa_lab.quantitative import dsl
from finqa_lab.quantitative.replies import read_last_number, read_reply
from finqa_lab.quantitative.spelling import read_spelled
from finqa_lab.serve.http.request_log import read_requests
from finqa_lab.serve.load.journal import read_log
from finqa_lab.serve.load.ollama_log import parse_ollama_log
from finqa_lab.tune.conversations import read_conversations
from finqa_lab.web.body import NotJSON, parse_json

PIECES = [
    "add(", "subtract(", "divide(", "table_average(", "greater(", ")", "(", ",", ", ", "#0", "#1", "#99", "const_100",
    "const_m1", "none", "5", "-5", "1,234.5", "12.5%", "$", "k", "million", "percent", "1e9", "1e999", "nan", "inf",
    '{"', '"', ":", "}", "[", "]", "\\", "\\ud800", "null", "true", '"answer"', '"program"', '"choices"', '"cells"',
    "program:", "sources:", "[1]", "<think>", "</think>", "answer", "=", " ", "\n", "\x00", "\ufeff", "٣", "²",
    "a: int = 1  # b [0, 2]", "x: str = ", "# ", "'", "lambda", "[GIN]", "time=", "level=INFO",
]  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
    st.sampled_from(["(", "[", "{", '{"a":', "add(", "-", "not "]).map(lambda piece: piece * 20_000),
    st.text(string.digits, min_size=4_000, max_size=6_000),
)

DECLARED = {"n": parameters.parse_line("n: int = 3  # a number [1, 9]")}
FROM_TEXT: dict[str, tuple[Callable, tuple]] = {
    "parse": (parse, (CourseError,)),
    "parse_nested": (parse_nested, (CourseError,)),
    "parse_reply": (parse_reply, ()),
    "literals.read_number": (literals.read_number, (CourseError,)),
    "literals.read_constant": (literals.read_constant, (CourseError,)),
    "faults.read_written": (faults.read_written, ()),
    "dsl.parse": (dsl.parse, (CourseError,)),
    "read_reply": (read_reply, ()),
    "read_last_number": (read_last_number, ()),
    "read_spelled": (read_spelled, ()),
    "parse_line": (parameters.parse_line, (ValueError,)),
    "parse_assignment": (lambda text: parameters.parse_assignment("a lab", f"n={text}", DECLARED), (CourseError,)),
    "parse_ollama_log": (lambda text: parse_ollama_log(text.splitlines()), (CourseError,)),
    "parse_json": (lambda text: parse_json(text.encode(errors="surrogatepass")), (NotJSON,)),
    "read_answer": (lambda text: read_answer(text.encode(errors="surrogatepass")), (CourseError,)),
}
FROM_FILE: dict[str, Callable[[Path], object]] = {
    "read_submission": read_submission,
    "read_log": read_log,
    "read_requests": lambda path: list(read_requests(path)),
    "read_records": read_records,
    "read_conversations": lambda path: read_conversations(str(path)),
}
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", FROM_TEXT)
@FEW
@given(text=TEXTS)
def test_any_text_is_a_value_or_the_readers_own_error(name, text):
    read, own = FROM_TEXT[name]
    try:
        read(text)
    except own as error:
        assert len(str(error)) < 1000, "an error that repeats the whole text helps nobody"


@pytest.mark.parametrize("name", FROM_FILE)
@FEW
@given(content=st.one_of(st.binary(max_size=200), TEXTS.map(lambda text: text.encode(errors="surrogatepass"))))
def test_any_file_is_a_value_or_one_clear_sentence(name, content, tmp_path):
    path = tmp_path / "file.jsonl"
    path.write_bytes(content)
    try:
        FROM_FILE[name](path)
    except CourseError as error:
        assert 0 < len(str(error)) < 1000


@pytest.mark.parametrize("name", FROM_FILE)
def test_a_missing_file_is_named(name, tmp_path):
    with pytest.raises(CourseError) as caught:
        FROM_FILE[name](tmp_path / "missing.jsonl")
    assert "missing.jsonl" in str(caught.value) or name == "read_submission"


NUMBERS = st.integers(1, 10**6).map(str)


@st.composite
def trees(draw, depth=4):
    if depth == 0 or draw(st.booleans()):
        return draw(NUMBERS)
    operation = draw(st.sampled_from(["add", "subtract", "multiply", "divide"]))
    return f"{operation}({draw(trees(depth=depth - 1))}, {draw(trees(depth=depth - 1))})"


@given(trees().filter(lambda text: "(" in text))
@settings(max_examples=100, deadline=None)
def test_a_nested_program_goes_there_and_back(text):
    program = parse_nested(text)
    assert format_nested(program) == text
    assert parse_nested(format_nested(program)) == program


LEAVES = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20)
JSON = st.recursive(LEAVES, lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(max_size=8), x, max_size=4))


@given(JSON)
@settings(max_examples=100, deadline=None)
def test_any_json_is_a_number_or_the_endpoints_own_error(value):
    try:
        assert isinstance(read_answer(json.dumps(value).encode()), float)
    except CourseError:
        pass
