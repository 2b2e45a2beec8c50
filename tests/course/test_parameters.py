"""Parameters: every kind of wrong value is refused in one sentence that names lab, parameter and allowed values."""

import pytest

from finqa_lab.course import parameters
from finqa_lab.errors import CourseError
from tests.course import toy

LINES = """
steps: int = 3  # optimizer steps [1, 10]
rate: float = 0.5  # learning rate [0, 1]
order: str = "reversed"  # digit order {reversed, plain}
tag: str = "a#b"  # free text
loud: bool = False  # print more
digits: list[int] = [1, 2]  # operand lengths [1, 3]
"""


@pytest.fixture
def lab(toy_course):
    toy_course(l01_toy=toy.notebook(parameters=LINES))
    return "01_toy"


def test_every_field_is_read(lab):
    found = parameters.declared(lab)
    assert list(found) == ["steps", "rate", "order", "tag", "loud", "digits"]
    assert (found["steps"].default, found["steps"].low, found["steps"].high) == (3, 1, 10)
    assert found["order"].choices == ("reversed", "plain") and found["order"].meaning == "digit order"
    assert found["tag"].default == "a#b"
    assert found["digits"].allowed == "list[int], each from 1 to 3"


@pytest.mark.parametrize(
    "text, value",
    [
        ("steps=4", 4),
        ("rate=1", 1),
        ("order=plain", "plain"),
        ("tag=007", "007"),
        ("loud=true", True),
        ("digits=[3]", [3]),
    ],
)
def test_command_line_values_are_typed_by_the_declaration(lab, text, value):
    assert parameters.parse_assignment(lab, text, parameters.declared(lab)) == (text.split("=")[0], value)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("step=4", "unknown parameter 'step'; it has: steps, rate"),
        ("steps=11", "parameter 'steps': 11 is out of range; allowed: int, from 1 to 10"),
        ("steps=1.5", "1.5 is not of type int"),
        ("steps=true", "True is not of type int"),
        ("steps=many", "'many' is not of type int"),
        ("order=up", "'up' is not allowed; allowed: one of reversed, plain"),
        ("digits=[1,9]", "9 is out of range; allowed: list[int], each from 1 to 3"),
        ("digits=3", "3 is not a list"),
        ("loud=1", "1 is not of type bool; allowed: true or false"),
        ("steps", "write it as name=value"),
        ("steps=__import__('os')", "is not of type int"),
    ],
)
def test_refusals(lab, text, reason):
    with pytest.raises(CourseError) as caught:
        parameters.parse_assignment(lab, text, parameters.declared(lab))
    assert reason in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line, reason",
    [
        ("steps = 3  # steps [1, 10]", "must read"),
        ("steps: int = 3", "a comment must say"),
        ("steps: int = 3  # steps", "needs its range"),
        ("steps: int = 30  # steps [1, 10]", "its own default is refused"),
        ("steps: dict = {}  # steps", "type dict is not one of"),
        ("steps: int = 3  # steps, default = 3 [1, 10]", "holds '='"),
        ("steps: int = two()  # steps [1, 10]", "must be a literal"),
    ],
)
def test_a_line_that_breaks_the_convention_is_refused(line, reason):
    with pytest.raises(ValueError, match=reason):
        parameters.parse_line(line)


def test_a_notebook_without_a_parameters_cell_is_one_sentence(toy_course):
    toy_course(l01_toy=toy.notebook("1", parameters=None))
    with pytest.raises(CourseError, match="lab 01_toy has 0 cells tagged 'parameters', it needs exactly one"):
        parameters.declared("01_toy")


def test_a_profile_is_held_to_the_declarations(lab, tmp_path):
    path = tmp_path / "labs" / "profiles" / "cpu.yml"
    path.write_text("01_toy: {steps: 500}")
    with pytest.raises(CourseError, match="lab 01_toy, profile cpu: parameter 'steps': 500 is out of range"):
        parameters.profile("cpu", lab)
    path.write_text("01_toy: [")
    with pytest.raises(CourseError, match="cannot be read"):
        parameters.profile("cpu", lab)
    with pytest.raises(CourseError, match="unknown profile 'tpu'; profiles: smoke, cpu, gpu"):
        parameters.profile("tpu", lab)


def test_tables_show_each_profile(lab):
    (row,) = [row for row in parameters.table(lab) if row[0] == "steps"]
    assert row == ("steps", "int, from 1 to 10", "3", "5", "3", "optimizer steps")
    assert "| `order` | one of reversed, plain |" in parameters.markdown_table(lab)


def test_papermill_reads_the_same_cell(lab, tmp_path):
    import papermill

    found = papermill.inspect_notebook(str(tmp_path / "solutions" / f"{lab}.ipynb"))
    assert found["steps"]["inferred_type_name"] == "int" and "optimizer steps" in found["steps"]["help"]
