"""The anatomy rules: each has a fixture that breaks it, so that no rule is decoration."""

import nbformat
import pytest

from finqa_lab.course import structure
from tests.course import toy

OPENING = "# Toy\n\n**Objectives.** Learn.\n\n**Time:** 1 minute. **Difficulty:** easy. **Prerequisites:** none."


def sound() -> nbformat.NotebookNode:
    made = toy.graded_notebook()
    made.cells[0].source = OPENING
    made.cells += [
        nbformat.v4.new_markdown_cell("## Takeaways\n\nOne.", id="takeaways"),
        nbformat.v4.new_markdown_cell("## Next\n\nAnother lab.", id="next"),
    ]
    return made


def test_a_sound_lab_has_no_problems():
    assert structure.problems(sound()) == []


def break_title(nb):
    nb.cells[-2].source += "\n\n# Second title"


def break_levels(nb):
    nb.cells[0].source += "\n\n### Deep"


def break_closing(nb):
    nb.cells.pop()


def break_opening(nb):
    nb.cells[0].source = nb.cells[0].source.replace("**Time:**", "**Duration:**")


def break_parameters(nb):
    nb.cells[1].metadata.tags = []


def break_lock(nb):
    nb.cells[1].metadata.nbgrader.locked = False


def break_ids(nb):
    nb.cells[3]["id"] = nb.cells[2]["id"]


def break_grade_ids(nb):
    nb.cells[3].metadata.nbgrader.grade_id = "double"


def break_schema(nb):
    nb.cells[2].metadata.nbgrader.schema_version = 2


def break_outputs(nb):
    nb.cells[2].execution_count = 1


def break_figure(nb):
    nb.cells[2].source += "\nplt.show()"


def break_region(nb):
    nb.cells[2].source = "def double(x):\n    return 2 * x"


def break_pace(nb):
    for index in range(3):
        cell = nbformat.v4.new_code_cell(toy.EXERCISE, id=f"more-{index}")
        cell.metadata = toy.nbgrader(f"more-{index}", solution=True)
        nb.cells.insert(2, cell)


def break_check(nb):
    nb.cells[3].source = "print(double(2))"


def break_swallow(nb):
    nb.cells[3].source = "try:\n    assert double(2) == 4\nexcept AssertionError:\n    print('no')"


def break_unchecked(nb):
    cell = nbformat.v4.new_code_cell(toy.EXERCISE, id="late")
    cell.metadata = toy.nbgrader("late", solution=True)
    nb.cells.insert(4, cell)


@pytest.mark.parametrize(
    "break_it, said",
    [
        (break_title, "only level-one heading"),
        (break_levels, "skips from level 1 to level 3"),
        (break_closing, "'Takeaways' and 'Next'"),
        (break_opening, "does not state its time"),
        (break_parameters, "0 cells tagged 'parameters'"),
        (break_lock, "not locked"),
        (break_ids, "cell id 'cell-2' occurs twice"),
        (break_grade_ids, "grade_id 'double' occurs twice"),
        (break_schema, "not in nbgrader schema version 3"),
        (break_outputs, "has stored outputs"),
        (break_figure, "without the figure() helper"),
        (break_region, "without a solution region"),
        (break_pace, "fourth exercise in a row"),
        (break_check, "graded but checks nothing"),
        (break_swallow, "swallows a failure"),
        (break_unchecked, "cell 'late' is never checked"),
    ],
)
def test_each_rule_notices_its_breach(break_it, said):
    made = sound()
    break_it(made)
    assert any(said in problem for problem in structure.problems(made)), structure.problems(made)
