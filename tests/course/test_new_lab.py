"""A scaffolded lab passes what the tests ask of every lab; a name that does not fit leaves nothing behind."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from finqa_lab.cli import main
from finqa_lab.course import golden, labs, new_lab, parameters, release, structure
from finqa_lab.course import new_lab_template as template
from finqa_lab.course.normalise import to_text
from finqa_lab.errors import CourseError
from finqa_lab.files import REPOSITORY
from tests.course import toy

pytestmark = pytest.mark.xdist_group("new-lab")  # one checkout for all of them

# Judges the scaffolded check in the checkout's own library: the oracle, the blank, every catalogued wrong answer.
JUDGE = """
import json
from finqa_lab.course import checking
item = checking.find("drift.relative_change")
def blank(before, after):
    raise NotImplementedError
verdicts = {wrong.name: item.judge(wrong.answer, 7) for wrong in item.wrong}
print(json.dumps({
    "right": item.judge(item.oracle).status,
    "blank": item.judge(blank).status,
    "wrong": {name: [v.status, v.mistake] for name, v in verdicts.items()},
    "hints": [" ".join(w.hint.split()) in " ".join(verdicts[w.name].message.split()) for w in item.wrong],
}))
"""


def files_of(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def empty_course(toy_course):
    """A toy course with lab 01 and a folder for checks; the library's own folder is never written."""
    folder = toy_course(l01_toy=toy.graded_notebook())
    (folder / "finqa_lab" / "course" / "checks").mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout of its own, with the library as it is and one new lab in it; ``command`` runs Python there."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(REPOSITORY / "finqa_lab", folder / "finqa_lab")
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    (folder / "solutions").mkdir()
    (folder / "labs" / "profiles").mkdir(parents=True)
    for profile in parameters.PROFILES:
        (folder / "labs" / "profiles" / f"{profile}.yml").write_text("# Values of one profile.\n03_other:\n  seed: 0\n")
    left_out = ("FINQA_LAB_COURSE", "FINQA_LAB_DATA")
    environment = {k: v for k, v in os.environ.items() if k not in left_out} | {"PYTHONPATH": str(folder)}

    def command(*arguments):
        return subprocess.run(
            [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
        )

    made = command("-m", "finqa_lab.cli", "new-lab", "12_drift", "--title", "How numbers drift")
    assert made.returncode == 0, made.stderr
    return folder, command, made.stdout


def test_the_new_lab_is_sound_normalised_and_released(checkout, monkeypatch):
    folder, _, _ = checkout
    monkeypatch.setenv("FINQA_LAB_COURSE", str(folder))
    path = labs.solution_path("12_drift")
    notebook = labs.read_notebook(path)
    assert structure.problems(notebook) == []
    assert path.read_text() == to_text(notebook)
    assert labs.title(notebook) == "Lab 12: How numbers drift" and "@" not in path.read_text()
    assert release.stale("12_drift") == ""
    student = labs.release_path("12_drift").read_text()
    assert "NotImplementedError" in student and "BEGIN SOLUTION" not in student and "seed=7" not in student
    assert release.solution_lines(notebook), "a search for leaks would find nothing"


def test_its_profiles_and_golden_file_fit_it(checkout, monkeypatch):
    folder, _, _ = checkout
    monkeypatch.setenv("FINQA_LAB_COURSE", str(folder))
    declared = parameters.declared("12_drift")
    defaults = {name: parameter.default for name, parameter in declared.items()}
    assert parameters.profile("smoke", "12_drift") == defaults and "seed" in declared
    for profile in parameters.PROFILES:
        assert parameters.profile(profile, "12_drift")
        text = (folder / "labs" / "profiles" / f"{profile}.yml").read_text()
        assert text.startswith("# Values of one profile.\n03_other:\n  seed: 0\n\n12_drift:\n"), "the others stay"
    assert all(len(entry["why"]) > 20 for entry in golden.load("12_drift").values())


@pytest.mark.slow
def test_it_runs_within_its_bounds_and_shows_right_and_three_figures(checkout):
    folder, command, _ = checkout
    done = command("-m", "finqa_lab.cli", "run", "12", "--jobs", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    executed = labs.read_notebook(folder / "_build" / "run" / "smoke" / "12_drift.ipynb")
    outputs = [out for cell in executed.cells if cell.cell_type == "code" for out in cell.outputs]
    assert "[right] drift.relative_change:" in "".join(out.get("text", "") for out in outputs)
    assert sum("<figure" in "".join(out.get("data", {}).get("text/html", "")) for out in outputs) == 3


def test_its_check_fails_on_the_blank_and_on_every_catalogued_wrong_answer_with_its_hint(checkout):
    _, command, _ = checkout
    done = command("-c", JUDGE)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["right"], found["blank"]) == ("right", "not started")
    assert len(found["wrong"]) >= 3 and all(found["hints"])
    assert all(verdict == ["wrong", name] for name, verdict in found["wrong"].items())


@pytest.mark.slow
def test_it_passes_the_tests_that_every_lab_of_the_course_has_to_pass(checkout):
    folder, command, _ = checkout
    shared = ("__init__.py", "conftest.py", "notebooks/__init__.py", "notebooks/conftest.py")
    tests = ("notebooks/test_labs.py", "notebooks/test_checks.py", "course/test_teaching.py")
    for name in (*shared, *tests):
        (folder / "tests" / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(REPOSITORY / "tests" / name, folder / "tests" / name)
    done = command("-m", "pytest", "-k", "drift", *(f"tests/{name}" for name in tests))
    assert done.returncode == 0, done.stdout[-3000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= 20 and "skipped" not in done.stdout


def test_its_files_are_in_the_style_of_the_course(checkout):
    folder, command, _ = checkout
    made = ("solutions/12_drift.ipynb", "finqa_lab/course/checks/drift.py")
    done = command("-m", "ruff", "check", *made)
    assert done.returncode == 0, done.stdout
    done = command("-m", "ruff", "format", "--check", made[1])
    assert done.returncode == 0, done.stderr


def test_the_command_names_its_files_and_what_is_left_to_do(checkout):
    folder, _, printed = checkout
    written = [line.removeprefix("written: ") for line in printed.splitlines() if line.startswith("written: ")]
    assert len(written) == 7 and all((folder / name).is_file() for name in written)
    for place in ("_toc.yml", "book/index.md", "README.md", "CHANGELOG.md", "test_book.py", "REPLACE"):
        assert place in printed
    assert "labs/12_drift" in printed and "@" not in printed
    for name in ("_toc.yml", "README.md", "CHANGELOG.md", "book/index.md", "tests/notebooks/test_book.py"):
        assert (REPOSITORY / name).is_file(), "the list names a file that is gone"


def test_without_a_number_the_next_one_is_taken(empty_course, capsys):
    assert main(["new-lab", "drift"]) == 0
    assert (empty_course / "solutions" / "02_drift.ipynb").is_file()
    assert "written: solutions/02_drift.ipynb" in capsys.readouterr().out
    assert set(yaml.safe_load((empty_course / "labs/profiles/cpu.yml").read_text())) == {"01_toy", "02_drift"}


@pytest.mark.parametrize(
    "name, said",
    [
        ("Drift", "is no name for a lab"),
        ("2_drift", "is no name for a lab"),
        ("12-drift", "is no name for a lab"),
        ("12_", "is no name for a lab"),
        ("12_a__b", "is no name for a lab"),
        ("../12_drift", "is no name for a lab"),
        ("12_drift\n", "is no name for a lab"),
        ("12_import", "is no name for a lab"),
        ("a" * 41, "is no name for a lab"),
        ("01_drift", "number 01 is taken by lab 01_toy"),
        ("12_toy", "subject 'toy' is taken by lab 01_toy"),
        ("12_taken", "subject 'taken' has checks already"),
        ("12_folder", "subject 'folder' has checks already"),
        ("12_stray", "without a source"),
    ],
)
def test_a_name_that_is_malformed_or_taken_is_refused_in_one_sentence(empty_course, capsys, name, said):
    checks = empty_course / "finqa_lab" / "course" / "checks"
    (checks / "taken.py").write_text("")
    (checks / "folder").mkdir()
    (empty_course / "tests" / "golden" / "12_stray.json").write_text("{}")
    before = files_of(empty_course)
    assert main(["new-lab", name]) == 2
    out, err = capsys.readouterr()
    assert said in err and err.count("\n") == 1 + name.count("\n") and not out
    assert files_of(empty_course) == before


def test_no_number_is_left_after_99(toy_course):
    folder = toy_course(l99_last=toy.graded_notebook())
    (folder / "finqa_lab" / "course" / "checks").mkdir(parents=True)
    with pytest.raises(CourseError, match="no number left after lab 99_last"):
        new_lab.create("drift")
    assert new_lab.chosen_name("12_drift") == "12_drift"


def test_a_course_without_the_library_is_refused(toy_course):
    folder = toy_course(l01_toy=toy.graded_notebook())
    before = files_of(folder)
    with pytest.raises(CourseError, match="in a checkout of the course"):
        new_lab.create("drift")
    assert files_of(folder) == before


@pytest.mark.parametrize("where", ["release", "write", "interrupt", "unsound", "profile"])
def test_a_failure_half_way_leaves_nothing(empty_course, monkeypatch, where):
    def fail(*arguments):
        raise KeyboardInterrupt if where == "interrupt" else CourseError("no space")

    before = files_of(empty_course)
    if where == "write":
        write = new_lab.write_atomic
        monkeypatch.setattr(new_lab, "write_atomic", lambda p, c: fail() if p.name == "gpu.yml" else write(p, c))
    elif where == "unsound":
        monkeypatch.setattr(template, "CELLS", template.CELLS[:-1])
    elif where == "profile":
        monkeypatch.setitem(template.PROFILES, "gpu", {"samples": "many"})
    else:
        monkeypatch.setattr(release, "release", fail)
    with pytest.raises((CourseError, KeyboardInterrupt)):
        new_lab.create("drift")
    assert files_of(empty_course) == before


def test_a_broken_profile_is_refused_before_anything_is_written(empty_course):
    (empty_course / "labs" / "profiles" / "gpu.yml").write_text("01_toy: [")
    before = files_of(empty_course)
    with pytest.raises(CourseError, match="gpu.yml cannot be read"):
        new_lab.create("drift")
    assert files_of(empty_course) == before
