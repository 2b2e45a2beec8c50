"""Broken and hostile submissions: each has its verdict, and the others' grades are what they are alone."""

import json
from pathlib import Path

import psutil
import pytest

import finqa_lab
from finqa_lab.cli import main
from finqa_lab.course.grading import sandbox
from tests.course import toy
from tests.course.grading import small_lab
from tests.course.grading.hostile import CORPUS

# A right submission needs some three seconds of processor time, imports included, and 200 MiB.
LIMITS = [
    "--timeout",
    "600",
    "--cpu",
    "12",
    "--output",
    "1",
    "--memory",
    "800",
    "--processes",
    "24",
    "--file-size",
    "8",
]
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hostile")]


def grades_of(folder: Path, out: Path, *options: str) -> dict[str, dict]:
    """Grade a folder with the command line; the stored grades by student."""
    main(["grade", str(folder), "--out", str(out), *options])
    return {path.parts[-3]: json.loads(path.read_text()) for path in sorted(out.glob("*/01_toy/grade.json"))}


def points(grade: dict) -> list[float]:
    return [exercise["points"] for exercise in grade["exercises"]]


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """The whole corpus and one honest, unfinished submission, graded side by side: (grades, folder of results)."""
    folder = tmp_path_factory.mktemp("course")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINQA_LAB_COURSE", str(toy.course(folder, l01_toy=small_lab.solution())))
        handed_in, out = folder / "handed-in", folder / "grades"
        small_lab.hand_in(handed_in, "half-done", small_lab.submission(merge="def merge(*a):\n    return []"))
        for name, case in CORPUS.items():
            if not case.limits and (sandbox.closed_room() or not case.needs_room):
                small_lab.hand_in(handed_in, name, case.make(), case.file)
        return grades_of(handed_in, out, "--jobs", "3", *LIMITS), out


def hold(case, grade: dict) -> None:
    said = " ".join([grade["sentence"], *grade["notes"]])
    assert (grade["verdict"], sum(points(grade))) == (case.verdict, case.points), said
    assert case.says in said


@pytest.mark.parametrize("name", [name for name, case in CORPUS.items() if not case.limits])
def test_it_gets_its_verdict_and_its_points(batch, name):
    grades, out = batch
    if name not in grades:
        pytest.skip("this machine has no user namespaces: the submission would write into the checkout")
    hold(CORPUS[name], grades[name])
    page = (out / name / "01_toy" / "feedback.html").read_text()
    assert CORPUS[name].verdict in page and "<script" not in page and "double(21)" not in page


@pytest.mark.parametrize("name", [name for name, case in CORPUS.items() if case.limits])
def test_it_gets_its_verdict_alone_with_its_own_limits(toy_course, tmp_path, name):
    toy_course(l01_toy=small_lab.solution())
    small_lab.hand_in(tmp_path / "handed-in", name, CORPUS[name].make())
    hold(CORPUS[name], grades_of(tmp_path / "handed-in", tmp_path / "grades", *CORPUS[name].limits)[name])


def test_the_honest_submission_among_them_has_the_grade_that_it_has_alone(batch, toy_course, tmp_path):
    toy_course(l01_toy=small_lab.solution())
    small_lab.hand_in(tmp_path / "handed-in", "half-done", small_lab.submission(merge="def merge(*a):\n    return []"))
    alone = grades_of(tmp_path / "handed-in", tmp_path / "grades", *LIMITS)["half-done"]
    assert alone == batch[0]["half-done"]
    assert points(alone) == [2, 0, 1]


def test_nothing_of_them_is_left_running_or_written(batch):
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if "time.sleep(77.25)" in command]
    assert not (Path(finqa_lab.__file__).parent / "spoiled.txt").exists()


@pytest.mark.parametrize("name", ["right", "exits", "fork-bomb", "leaves-a-process", "patched-check"])
def test_without_namespaces_the_verdicts_are_the_same(toy_course, tmp_path, name, monkeypatch):
    monkeypatch.setattr(sandbox, "closed_room", lambda: False)
    toy_course(l01_toy=small_lab.solution())
    small_lab.hand_in(tmp_path / "handed-in", name, CORPUS[name].make())
    grade = grades_of(tmp_path / "handed-in", tmp_path / "grades", *LIMITS)[name]
    hold(CORPUS[name], grade)
    assert "ordinary process" in grade["isolation"]
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if "time.sleep(77.25)" in command]
