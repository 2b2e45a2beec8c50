"""The instructor's tables are complete: every lab, every graded check, every catalogued mistake."""

import pytest

from finqa_lab.course import labs, teaching


@pytest.mark.parametrize("lab", labs.lab_names())
def test_a_lab_states_its_time_its_objectives_and_its_points(lab):
    found = teaching.facts(lab)
    assert found["heading"].startswith(f"Lab {lab[:2]}") and found["Time"].endswith("minutes")
    assert 3 <= len(teaching.outcomes(lab)) <= 10 and all("**" not in outcome for outcome in teaching.outcomes(lab))
    graded = [cell.metadata.nbgrader for cell in labs.read_notebook(labs.solution_path(lab)).cells
              if cell.metadata.get("nbgrader", {}).get("grade")]  # fmt: skip
    assert sum(points for _, points in teaching.exercises(lab)) == pytest.approx(sum(one.points for one in graded))


def test_every_mistake_of_a_graded_check_is_on_the_page():
    page = teaching.misconceptions_page()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    graded = [check for lab in labs.lab_names() for check, _ in teaching.exercises(lab)]
    assert len(rows) == sum(len(check.wrong) for check in graded) > 300
    assert all(line.count(" | ") == 2 for line in rows)


def test_what_markdown_would_read_is_escaped_outside_code():
    assert teaching.prose("2 * x < $3, `a_b*`") == "2 \\* x \\< \\$3, `a_b*`"


def test_the_times_add_up_and_name_every_lab():
    lines = teaching.times_table().splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [row[0] for row in cells] == [*labs.lab_names(), "together"]
    assert abs(sum(float(row[1]) for row in cells[:-1]) - float(cells[-1][1])) <= len(cells) / 2
