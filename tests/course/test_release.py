"""Release: deterministic, nothing of an answer survives, edits in labs/ are noticed."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from finqa_lab.cli import main
from finqa_lab.course import labs, release
from finqa_lab.course.normalise import normalised, to_text
from finqa_lab.errors import CourseError
from tests.course import toy


def test_solution_and_hidden_test_disappear_and_the_parameters_cell_is_locked(toy_course):
    toy_course(l01_toy=toy.graded_notebook())
    notebook = nbformat.reads(release.release_text("01_toy"), as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells)
    assert "raise NotImplementedError" in text and "assert double(2) == 4" in text
    for gone in ("x + x", "SOLUTION", "HIDDEN", "double(21)"):
        assert gone not in text
    flags = {
        cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader
        for cell in notebook.cells
        if "nbgrader" in cell.metadata
    }
    assert flags["parameters"].locked and flags["test-double"].locked and not flags["double"].locked
    assert flags["test-double"].points == 2 and flags["test-double"].checksum
    parameters = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    assert "steps: int = 3" in parameters.source
    nbformat.validate(notebook)


def test_the_same_source_gives_the_same_bytes_and_the_source_is_untouched(toy_course):
    folder = toy_course(l01_toy=toy.graded_notebook())
    before = (folder / "solutions" / "01_toy.ipynb").read_bytes()
    assert release.release_text("01_toy") == release.release_text("01_toy")
    assert release.release("01_toy") is True and release.release("01_toy") is False
    assert (folder / "solutions" / "01_toy.ipynb").read_bytes() == before


def test_it_equals_what_nbgrader_generates(toy_course, tmp_path):
    """nbgrader's own converter, with its database and folders, gives the same cells."""
    toy_course(l01_toy=toy.graded_notebook())
    course = tmp_path / "nbgrader"
    (course / "source" / "toy").mkdir(parents=True)
    (course / "source" / "toy" / "toy.ipynb").write_text(to_text(toy.graded_notebook()))
    (course / "nbgrader_config.py").write_text(
        "c = get_config()\nc.ClearSolutions.code_stub = {'python': '# YOUR CODE HERE\\nraise NotImplementedError'}\n"
        "c.IncludeHeaderFooter.header = ''\n"
    )
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # nbgrader calls alembic
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "generate_assignment", "toy", "--create"],
        cwd=course, capture_output=True, text=True, env={**os.environ, "PATH": path},
    )  # fmt: skip
    made = course / "release" / "toy" / "toy.ipynb"
    assert made.exists(), done.stderr
    theirs = nbformat.read(made, as_version=4)
    ours = nbformat.reads(release.release_text("01_toy"), as_version=4)
    assert [(c.id, c.source, c.metadata) for c in ours.cells] == [(c.id, c.source, c.metadata) for c in theirs.cells]


@pytest.mark.parametrize(
    "where, text",
    [
        ("prose", "Hint: `answer = combine(x, x) % 10` does it."),
        ("code", "answer = combine(x, x) % 10"),
        ("prose over a line break", "Hint: `answer = combine(x,\n   x) % 10`"),
        ("a left marker", "between begin solution and the end"),
    ],
)
def test_an_answer_that_survives_is_refused(toy_course, where, text):
    made = toy.graded_notebook()
    made.cells[-2].source = made.cells[-2].source.replace(
        "return x + x", "answer = combine(x, x) % 10\n    return answer"
    )
    cell = nbformat.v4.new_code_cell if where == "code" else nbformat.v4.new_markdown_cell
    made.cells.append(cell(text, id="leak"))
    toy_course(l01_toy=made)
    with pytest.raises(CourseError, match="lab 01_toy cannot be released: cell 'leak'"):
        release.release_text("01_toy")


def test_an_unclosed_region_is_one_sentence(toy_course):
    made = toy.graded_notebook()
    made.cells[-2].source = made.cells[-2].source.replace("### END SOLUTION", "")
    toy_course(l01_toy=made)
    with pytest.raises(CourseError, match="01_toy cannot be released: .*solution"):
        release.release_text("01_toy")


def test_an_edited_and_a_missing_student_notebook_are_noticed(toy_course, capsys):
    toy_course(l01_toy=toy.graded_notebook())
    assert main(["release", "--check"]) == 1 and "is missing; run `finqa-lab release`" in capsys.readouterr().out
    assert main(["release"]) == 0 and main(["release", "--check"]) == 0
    path = labs.release_path("01_toy")
    path.write_text(path.read_text().replace("A lab for tests", "A lab for cheats"))
    capsys.readouterr()
    assert (
        main(["release", "--check"]) == 1 and "is not what solutions/01_toy.ipynb generates" in capsys.readouterr().out
    )


def test_the_committed_form_drops_outputs_and_keeps_ids_tags_and_sources(toy_course):
    made = toy.graded_notebook()
    made.cells[2].outputs = [nbformat.v4.new_output("stream", text="old")]
    made.cells[2].execution_count = 7
    made.cells[2].metadata["papermill"] = {"duration": 1}
    made.metadata["papermill"] = {}
    form = normalised(made)
    assert [c.id for c in form.cells] == [c.id for c in made.cells]
    assert form.cells[2].outputs == [] and form.cells[2].execution_count is None
    assert set(form.cells[1].metadata) == {"tags", "nbgrader"} and "papermill" not in form.metadata
    assert to_text(nbformat.reads(to_text(made), as_version=4)) == to_text(made)


def test_normalise_rewrites_and_checks(toy_course, capsys):
    toy_course(l01_toy=toy.notebook("x = 1   \n\n"))
    assert main(["normalise", "--check"]) == 1
    assert main(["normalise"]) == 0
    assert main(["normalise", "--check"]) == 0


def test_a_set_repository_adds_the_cell_that_hosted_notebooks_need(toy_course):
    folder = toy_course(l01_toy=toy.graded_notebook())
    assert "hosted-setup" not in release.release_text("01_toy")
    (folder / "course.yml").write_text("launch: {repository: 'https://git.example.org/c', branch: spring}")
    made = nbformat.reads(release.release_text("01_toy"), as_version=4)
    assert made.cells[1].id == "hosted-setup"
    exec(compile(made.cells[1].source, "hosted-setup", "exec"), {})  # noqa: S102  here the course is installed: nothing happens
    assert '"--branch", "spring", "https://git.example.org/c"' in made.cells[1].source
