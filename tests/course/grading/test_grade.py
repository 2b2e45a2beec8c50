"""``finqa-lab grade``: points, tables, pages, Gradescope's files; repeated, resumed and in parallel the same."""

import csv
import io
import json
import os
import subprocess
import sys
import zipfile

import nbformat
import pytest

from finqa_lab.cli import main
from finqa_lab.course.grading import exports, feedback, rebuild, source, submissions
from finqa_lab.course.grading.model import Exercise, Grade, Limits
from finqa_lab.errors import CourseError
from tests.course import toy
from tests.course.grading import small_lab


@pytest.fixture
def small(toy_course):
    """The source of the small lab, in a toy course that is the current one."""
    toy_course(l01_toy=small_lab.solution())
    return source.read(small_lab.LAB)


def rows(path) -> list[dict]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def contents(folder) -> dict:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.slow
def test_two_students_two_labs_graded_twice_and_resumed(toy_course, tmp_path, capsys):
    toy_course(l01_toy=small_lab.solution(), l02_more=toy.graded_notebook())
    folder, out = tmp_path / "handed-in", tmp_path / "grades"
    wrong = "def merge(ids, pair, new_id):\n    return ids"
    small_lab.hand_in(folder, "amy", small_lab.submission())
    small_lab.hand_in(folder, "=bob", small_lab.submission(merge=wrong), "01_toy/01_toy.ipynb")  # nbgrader's layout
    command = ["grade", str(folder), "--out", str(out)]
    assert main([*command, "--jobs", "2"]) == 0
    # A lab that nobody handed in is no column; a student without it is "missing" once somebody has.
    assert rows(out / "grades.csv") == [
        {"student": "'=bob", "01_toy": "3", "01_toy possible": "6", "01_toy verdict": "graded", "total": "3",
         "possible": "6"},
        {"student": "amy", "01_toy": "6", "01_toy possible": "6", "01_toy verdict": "graded", "total": "6",
         "possible": "6"},
    ]  # fmt: skip
    by_exercise = {(row["student"], row["exercise"]): row["points"] for row in rows(out / "exercises.csv")}
    assert by_exercise["'=bob", "test-merge"] == "0" and by_exercise["amy", "test-merge"] == "3"
    page = (out / "=bob" / "01_toy" / "feedback.html").read_text()
    assert "[wrong] tokenizers.merge" in page and "hint:" in page and "seed=7" not in page
    result = json.loads((out / "=bob" / "01_toy" / "results.json").read_text())
    assert result["score"] == 3 == sum(test["score"] for test in result["tests"])
    assert sum(test["max_score"] for test in result["tests"]) == 6

    before = contents(out)
    assert main([*command, "--jobs", "1"]) == 0 and contents(out) == before
    small_lab.hand_in(folder, "=bob", small_lab.submission(), "01_toy/01_toy.ipynb")
    capsys.readouterr()
    assert main([*command, "--resume"]) == 0
    said = capsys.readouterr().out
    assert "amy 01_toy: graded (kept: inputs unchanged)" in said and "=bob 01_toy: graded. All" in said
    assert main([*command, "--lab", "1", "--lab", "2", "--resume"]) == 1
    assert [row["02_more verdict"] for row in rows(out / "grades.csv")] == ["missing", "missing"]
    assert [row["01_toy"] for row in rows(out / "grades.csv")] == ["6", "6"]


def test_the_fingerprint_covers_notebook_source_and_limits(small, tmp_path):
    from finqa_lab.course.grading.batch import fingerprint

    path = small_lab.hand_in(tmp_path, "amy", small_lab.submission())
    handed_in = submissions.Submission("amy", small_lab.LAB, path)
    keys = [fingerprint(handed_in, small, Limits()), fingerprint(handed_in, small, Limits(seconds=5))]
    small_lab.hand_in(tmp_path, "amy", small_lab.submission(half="def half(x): return 0"))
    keys.append(fingerprint(handed_in, small, Limits()))
    small.text += "another source"
    keys.append(fingerprint(handed_in, small, Limits()))
    assert len(set(keys)) == 4


def test_cells_to_run_have_the_hidden_tests_and_the_students_order(small):
    made = small_lab.submission()
    made.cells.insert(4, nbformat.v4.new_code_cell("added = 1"))
    made.cells.insert(5, nbformat.v4.new_markdown_cell("my notes"))
    rebuilt = rebuild.rebuild(made, small)
    assert rebuilt.notes == []
    names = [cell["grade_id"] or cell["source"][:9] for cell in rebuilt.cells]
    assert names == [
        "steps: in", "import ma", "def doubl", "added = 1", "test-double", "def merge", "test-merge", "def half(",
        "test-half",
    ]  # fmt: skip
    test = next(cell for cell in rebuilt.cells if cell["grade_id"] == "test-double")
    assert "double(21)" in test["source"] and test["source"].splitlines()[test["hidden_from"] - 1].endswith("TESTS")


def test_a_deleted_cell_goes_back_behind_its_neighbour(small):
    made = small_lab.submission()
    made.cells = [cell for cell in made.cells if "merge" not in cell.source]
    rebuilt = rebuild.rebuild(made, small)
    assert [cell["id"] for cell in rebuilt.cells] == [
        "parameters", "cell-2", "double", "test-double", "merge", "test-merge", "half", "test-half",
    ]  # fmt: skip
    assert "NotImplementedError" in next(cell["source"] for cell in rebuilt.cells if cell["id"] == "merge")
    assert len(rebuilt.notes) == 2 and all("restored from the release" in note for note in rebuilt.notes)


def test_names_that_only_imports_bind_are_trusted(small):
    assert small.trusted_names == ["bpe", "check", "math", "record"]
    assert [(e.grade_id, e.max_points) for e in small.exercises] == [
        ("test-double", 2), ("test-merge", 3), ("test-half", 1)
    ]  # fmt: skip


def test_a_name_that_a_cell_of_the_source_also_defines_is_left_to_the_student(toy_course):
    made = small_lab.solution()
    made.cells.insert(3, nbformat.v4.new_code_cell("math = 3", id="again"))
    toy_course(l01_toy=made)
    assert "math" not in source.read(small_lab.LAB).trusted_names


def test_a_link_is_not_followed_and_an_overlong_file_not_read(small, tmp_path, monkeypatch):
    real = small_lab.hand_in(tmp_path, "amy", small_lab.submission())
    (tmp_path / "bob").mkdir()
    link = tmp_path / "bob" / "01_toy.ipynb"
    link.symlink_to(real)
    with pytest.raises(CourseError, match="link to another place"):
        rebuild.read_submission(link)
    monkeypatch.setattr(submissions, "LARGEST_MB", 0)
    with pytest.raises(CourseError, match="clear its outputs"):
        rebuild.read_submission(real)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["grade"], "say which folder to grade"),
        (["grade", "nowhere"], "nowhere does not exist"),
        (["grade", "."], "holds no folder"),
        (["grade", ".", "--timeout", "0"], "the limit 'seconds' is 0"),
        (["grade", ".", "--results", "r.json"], "name it with --lab"),
        (["grade", ".", "--lab", "99"], "unknown lab '99'"),
    ],
)
def test_what_cannot_be_graded_is_one_sentence(small, tmp_path, monkeypatch, capsys, arguments, said):
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_the_page_escapes_whatever_a_submission_says(small):
    evil = "<img src=x onerror=alert(1)>\ud800\x1b[31m"
    grade = Grade("<b>amy</b>", small_lab.LAB, "ended early", evil, [Exercise("test-half", 0, 1, "wrong", evil)],
                  [evil], evil, evil)  # fmt: skip
    page = feedback.page(grade, small)
    assert "<img" not in page and "<b>amy" not in page and "\x1b" not in page
    page.encode("utf-8")


def test_a_stored_grade_reads_back_as_it_was():
    grade = Grade("amy", "01_toy", "graded", "All.", [Exercise("a", 1.0, 2.0, "right")], ["n"], fingerprint="f")
    assert Grade.from_dict(json.loads(json.dumps(grade.as_dict()))) == grade
    assert (grade.points, grade.max_points) == (1, 2)


def test_students_with_different_labs_keep_their_columns():
    grades = [Grade("amy", "01_a", "graded", "", [Exercise("x", 1.5, 2)]), Grade("bob", "02_b", "missing", "", [])]
    assert exports.grades_csv(grades).splitlines()[1:] == ["amy,1.5,2,graded,,,,1.5,2", "bob,,,,0,0,missing,0,0"]


@pytest.mark.slow
def test_the_autograder_zip_is_the_same_twice_and_grades_as_gradescope_runs_it(small, tmp_path):
    first, second = tmp_path / "a.zip", tmp_path / "b.zip"
    assert main(["grade", "--autograder-zip", "1", str(first)]) == 0
    assert main(["grade", "--autograder-zip", "1", str(second)]) == 0
    assert first.read_bytes() == second.read_bytes()
    home = tmp_path / "autograder"
    with zipfile.ZipFile(first) as made:
        assert {"setup.sh", "run_autograder"} <= set(made.namelist())
        assert not [name for name in made.namelist() if name.endswith(".pyc") or "/." in name]
        assert {i.external_attr >> 16 for i in made.infolist() if "/" not in i.filename} == {0o755}
        made.extractall(home / "source")
    small_lab.hand_in(home, "submission", small_lab.submission(half="def half(x): return 0"), "my lab.ipynb")
    done = subprocess.run(
        ["bash", str(home / "source" / "run_autograder")], capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "AUTOGRADER": str(home), "PYTHON": sys.executable},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((home / "results" / "results.json").read_text())
    assert result["score"] == 5 and "my lab.ipynb" in result["output"]
    assert subprocess.run(["bash", "-n", str(home / "source" / "setup.sh")]).returncode == 0
