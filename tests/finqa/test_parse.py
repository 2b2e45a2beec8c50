"""Programs as text, tokens and nested expressions: every form survives the round trip, every fault is placed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.finqa.equivalence import equivalent
from finqa_lab.finqa.failure import STRUCTURE, FailureKind, ProgramError
from finqa_lab.finqa.lexer import MAX_LENGTH
from finqa_lab.finqa.literals import MAX_DIGITS, cell_number, read_constant, read_number
from finqa_lab.finqa.nested import format_nested, parse_nested
from finqa_lab.finqa.parse import parse
from finqa_lab.finqa.program import (
    ARITHMETIC,
    MAX_STEPS,
    TABLE,
    Constant,
    Ignored,
    Number,
    Reference,
    RowName,
    Step,
    format_program,
    format_tokens,
    row_of,
    used_steps,
)

numbers = st.from_regex(r"[+-]?([0-9]{1,3}(,[0-9]{3}){0,3}|[0-9]{1,9})(\.[0-9]{0,6})?%?", fullmatch=True)
constants = st.sampled_from(["const_100", "const_m1", "const_2.5"])
row_names = st.lists(
    st.sampled_from(["net", "sales", "2008", "(", "( 2 )", ",", "100%", "add", "const_1", "$", "none", "-"]), min_size=1
).map(" ".join)


@st.composite
def programs(draw):
    steps = []
    for index in range(draw(st.integers(1, 6))):
        tables = [i for i in range(index) if steps[i].operation in TABLE]
        values = [i for i in range(index) if steps[i].operation != "greater"]
        if draw(st.booleans()):
            reference = st.sampled_from(tables).map(Reference) if tables else st.nothing()
            steps.append(Step(draw(st.sampled_from(TABLE)), draw(row_names.map(RowName) | reference), Ignored()))
        else:
            reference = st.sampled_from(values).map(Reference) if values else st.nothing()
            argument = numbers.map(Number) | constants.map(Constant) | reference
            steps.append(Step(draw(st.sampled_from(ARITHMETIC)), draw(argument), draw(argument)))
    return tuple(steps)


@given(programs())
def test_text_and_tokens_survive_the_round_trip(program):
    assert parse(format_tokens(program)) == program
    assert parse(format_tokens(program)[:-1]) == program  # EOF may be missing
    text = format_program(program)
    assert parse(text) == program
    assert parse(text.replace("(", " (  ", 1) + " ") == program
    for step in parse(text):
        operation, first, second = step.positions
        assert text.startswith(f"{step.operation}(", operation)
        assert text.startswith(str(step.first), first) and text.startswith(str(step.second), second)


@given(programs())
def test_the_nested_form_keeps_the_meaning(program):
    nested = format_nested(program)
    back = parse_nested(nested)
    assert format_nested(back) == nested and used_steps(back) == list(range(len(back)))
    used = used_steps(program)
    renumbered = tuple(
        Step(program[i].operation, *(Reference(used.index(a.step)) if isinstance(a, Reference) else a
                                     for a in program[i].arguments))
        for i in used
    )  # fmt: skip
    assert equivalent(renumbered, back) == equivalent(renumbered, renumbered)


def test_the_nested_form_of_the_task_description():
    text = "divide(subtract(5829, 5735), 5735)"
    assert format_program(parse_nested(text)) == "subtract(5829, 5735), divide(#0, 5735)"
    assert format_nested(parse("subtract(5829, 5735), divide(#0, 5735)")) == text
    assert format_program(parse_nested("multiply(add(1, 2), add(1, 2))")) == "add(1, 2), multiply(#0, #0)"
    assert format_nested(parse("add(3, 4), table_max(a ( 1 ), none), table_min(#1, none), divide(#2, #1)")) == (
        "divide(table_min(a ( 1 ), none), table_max(a ( 1 ), none))"
    )
    assert parse_nested("divide(table_sum(cost , net ( a, b ), none), 5)")[0].first == RowName("cost , net ( a, b )")


@pytest.mark.parametrize("name", [
    "goodwill ( 2 )", "2008", "17695228", "cash , net", "fees, net ( a , b )", "none", "( in millions )", "a (", ") b",
    "less : adjustment ( 2 ) ( 3 )", "#1 rated", "x%",
])  # fmt: skip
@pytest.mark.parametrize("follow", ["", ", table_max(other, none), divide(#0, #1)"])
def test_row_names_of_the_data_set_are_read_whole(name, follow):
    program = parse(f"table_sum({name}, none){follow}")
    assert program[0] == Step("table_sum", RowName(name), Ignored("none"))
    assert len(program) == (3 if follow else 1)
    assert parse_nested(f"add(table_sum({name}, none), table_max({name}, none))")[1].first == RowName(name)


def test_the_second_argument_of_a_table_operation_is_kept_but_ignored():
    text = "table_sum(17695228, 963202), table_max(a ( 1 ), none)"  # the first step is one of the training split
    assert parse(text)[0] == Step("table_sum", RowName("17695228"), Ignored("963202"))
    assert format_program(parse(text)) == text


def test_a_reference_to_a_table_operation_is_its_row():
    program = parse("table_max(a, none), table_min(b, none), table_sum(#0, none), table_average(#2, none)")
    assert [row_of(program, i) for i in range(4)] == ["a", "b", "a", "a"]


LONG = ", ".join(["add(1, 2)"] * (MAX_STEPS + 1))
FAULTS = [
    ("add(1, 5.5.5)", FailureKind.LEXICAL, 7),
    ("add(1, 5%%)", FailureKind.LEXICAL, 7),
    ("add($ 5, 2)", FailureKind.LEXICAL, 4),
    ("add(1_000, 2)", FailureKind.LEXICAL, 4),
    ("add(1e3, 2)", FailureKind.LEXICAL, 4),
    ("add(const_pi, 2)", FailureKind.LEXICAL, 4),
    ("add(#-1, 2)", FailureKind.LEXICAL, 4),
    ("add(٣, 2)", FailureKind.LEXICAL, 4),
    ("", FailureKind.SYNTAX, 0),
    ("   ", FailureKind.SYNTAX, 0),
    ("add", FailureKind.SYNTAX, 3),
    ("add(1)", FailureKind.SYNTAX, 5),
    ("add(1,2)", FailureKind.SYNTAX, 7),
    ("add(1, 2, 3)", FailureKind.SYNTAX, 8),
    ("add(1, )", FailureKind.SYNTAX, 7),
    ("add(, 1)", FailureKind.SYNTAX, 4),
    ("add(1, 2", FailureKind.SYNTAX, 8),
    ("add(1, 2) add(3, 4)", FailureKind.SYNTAX, 9),
    ("add(1, 2),", FailureKind.SYNTAX, 9),
    ("divide(add(1, 2), 3)", FailureKind.SYNTAX, 10),
    ("table_sum(a)", FailureKind.SYNTAX, 10),
    ("table_sum(, none)", FailureKind.SYNTAX, 10),
    ("plus(1, 2)", FailureKind.UNKNOWN_OPERATION, 0),
    ("add(1, 2), Divide(#0, 2)", FailureKind.UNKNOWN_OPERATION, 11),
    ("add(#0, 2)", FailureKind.BAD_REFERENCE, 4),
    ("add(1, 2), add(1, #1)", FailureKind.BAD_REFERENCE, 18),
    ("add(1, 2), add(#9999, 1)", FailureKind.BAD_REFERENCE, 15),
    ("table_sum(#0, none)", FailureKind.BAD_REFERENCE, 10),
    ("add(net sales, 2)", FailureKind.TYPE, 4),
    ("add(1, none)", FailureKind.TYPE, 7),
    ("add(nan, inf)", FailureKind.TYPE, 4),
    ("greater(1, 2), add(#0, 1)", FailureKind.TYPE, 19),
    ("greater(1, 2), greater(#0, #0)", FailureKind.TYPE, 23),
    ("add(1, 2), table_sum(#0, none)", FailureKind.TYPE, 21),
    (f"add({'9' * (MAX_DIGITS + 1)}, 1)", FailureKind.TOO_LONG, 4),
    (LONG, FailureKind.TOO_LONG, len(", ".join(["add(1, 2)"] * MAX_STEPS) + ", ")),
    ("add(1, " + " " * MAX_LENGTH, FailureKind.TOO_LONG, MAX_LENGTH),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "position"), FAULTS)
def test_every_fault_has_its_kind_and_its_place(text, kind, position):
    with pytest.raises(ProgramError) as caught:
        parse(text)
    failure = caught.value.failure
    assert (failure.kind, failure.position) == (kind, position)
    assert isinstance(caught.value, CourseError) and "\n" not in str(failure) and len(failure.message) < 200
    assert kind in STRUCTURE


def test_every_kind_of_fault_of_the_program_alone_is_among_the_examples():
    assert {kind for _, kind, _ in FAULTS} == STRUCTURE


@pytest.mark.parametrize(
    ("tokens", "kind", "position"),
    [
        ([], FailureKind.SYNTAX, 0),
        (["EOF"], FailureKind.SYNTAX, 0),
        (["add(", "1", "2", ")", "EOF", "EOF"], FailureKind.SYNTAX, 4),
        (["add", "1", "2", ")", "EOF"], FailureKind.SYNTAX, 0),
        (["add(", "1", "2", "EOF"], FailureKind.SYNTAX, 3),
        (["add(", "1", "2", "]", "EOF"], FailureKind.SYNTAX, 3),
        (["add(", "1", "2", ")", "sum(", "#0", "1", ")"], FailureKind.UNKNOWN_OPERATION, 4),
        (["add(", "1", "2", ")", "add(", "#0", "#1", ")"], FailureKind.BAD_REFERENCE, 6),
        (["add(", "1", 2, ")"], FailureKind.LEXICAL, 2),
        (["add(", "1", None, ")"], FailureKind.LEXICAL, 2),
        (["add(", "", "2", ")"], FailureKind.SYNTAX, 1),
        (["table_sum(", " ", "none", ")"], FailureKind.SYNTAX, 1),
        (["add(", "1", "x" * (MAX_LENGTH + 1), ")"], FailureKind.TOO_LONG, 2),
        (["add(", "1", "2", ")"] * (MAX_STEPS + 1), FailureKind.TOO_LONG, 4 * MAX_STEPS),
    ],
)
def test_faults_of_token_lists_are_placed_by_index(tokens, kind, position):
    with pytest.raises(ProgramError) as caught:
        parse(tokens)
    assert (caught.value.failure.kind, caught.value.failure.position) == (kind, position)


@pytest.mark.parametrize(
    ("text", "kind", "position"),
    [
        ("add(1, 2), add(3, 4)", FailureKind.SYNTAX, 9),
        ("add(add(1, 2), #0)", FailureKind.BAD_REFERENCE, 15),
        ("add(add(1, 2), table_sum(#0, none))", FailureKind.BAD_REFERENCE, 25),
        ("add(greater(1, 2), 3)", FailureKind.TYPE, 4),
        ("add(1, sum(2, 3))", FailureKind.UNKNOWN_OPERATION, 7),
        ("add(1, (2))", FailureKind.SYNTAX, 7),
        ("add(" * 5000, FailureKind.TOO_LONG, MAX_LENGTH),
        ("add(" * 500, FailureKind.TOO_LONG, 4 * MAX_STEPS),
        ("add(" * 40 + "1" + ", 2)" * 40, FailureKind.TOO_LONG, 4 * MAX_STEPS),
        ("add(1, " * 20, FailureKind.SYNTAX, 139),
    ],
)
def test_faults_of_nested_programs(text, kind, position):
    with pytest.raises(ProgramError) as caught:
        parse_nested(text)
    assert (caught.value.failure.kind, caught.value.failure.position) == (kind, position)


def test_a_nested_form_of_exponential_length_is_refused():
    doubling = "add(5, 6), " + ", ".join(f"add(#{i}, #{i})" for i in range(24))
    with pytest.raises(ProgramError) as caught:
        format_nested(parse(doubling))
    assert caught.value.failure.kind == FailureKind.TOO_LONG


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5829", 5829), ("5,829", 5829), ("-5.5", -5.5), ("+.5", 0.5), ("5.", 5), ("50%", 0.5), ("-12.5%", -0.125),
        ("1,234,567.5", 1234567.5), ("50 %", 0.5), ("0", 0), ("0.000", 0), ("-0%", 0), ("00012", 12),
        ("", None), (".", None), ("%", None), ("-", None), ("5%%", None), ("%5", None), ("$5", None), ("1 000", None),
        (",5", None), ("5,,000", None), ("nan", None), ("1e3", None), ("1_000", None), ("٣", None), ("9" * 41, None),
    ],
)  # fmt: skip
def test_numbers_are_read_exactly(text, value):
    assert read_number(text) == value


def test_constants_and_cells():
    assert [read_constant(text) for text in ("const_100", "const_m1", "const_", "100", "xconst_1")] == [
        "100", "-1", None, None, None,
    ]  # fmt: skip
    cells = {"$ 5,829": 5829, "-32 ( 32 )": -32, "$ -32 ( 32 )": -32, "6.5% ( 6.5 % )": 0.065, "5": 5}
    assert {cell: read_number(cell_number(cell)) for cell in cells} == pytest.approx(cells)
    assert all(read_number(cell_number(cell)) is None for cell in ("( 32 )", "-", "", "n/a", "$", "2013 2012", "5 x"))


@pytest.mark.parametrize(
    "program, sentence",
    [
        ("table_sum(, none)", "the row name is missing"),
        ("add(1,2)", "expected a comma and a space, found ')'"),
        ("add(1, 2) divide(#0, 2)", "expected a comma and a space, found ' divide(#0, '"),
    ],
)
def test_the_sentence_of_an_error_names_what_was_expected(program, sentence):
    with pytest.raises(ProgramError) as caught:
        parse(program)
    assert sentence in str(caught.value)


def test_tokens_are_refused_with_the_reason():
    with pytest.raises(ProgramError, match="token 1 is no text"):
        parse(["add(", 3, "4", ")", "EOF"])
    with pytest.raises(ProgramError, match="2 tokens are no whole number of steps"):
        parse(["add(", "3"])
    longest = "9" * MAX_LENGTH
    with pytest.raises(ProgramError, match="token 1 has more than"):
        parse(["add(", longest + "9", "4", ")", "EOF"])
    with pytest.raises(ProgramError) as caught:  # refused further on, as a number with too many digits
        parse(["add(", longest, "4", ")", "EOF"])
    assert "more than 8192 characters" not in str(caught.value)
