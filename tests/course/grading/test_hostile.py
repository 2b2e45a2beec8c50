"""Broken and hostile submissions: each has its verdict, and the others' grades are what they are alone."""

import json
from pathlib import Path

import psutil
import pytest

import finqa_lab
from finqa_lab.cli import main
from finqa_lab.course.grading import sandbox
from tests.course.grading import small_lab
from tests.course.grading.hostile import CORPUS

# A right submission needs some three seconds of processor time, imports included, and 200 MiB.
LIMITS = "--timeout 600 --cpu 12 --output 1 --memory 800 --processes 24 --file-size 8".split()
pytestmark = pytest.mark.slow


def grades_of(folder: Path, out: Path, *options: str) -> dict[str, dict]:
    """Grade a folder with the command line; the stored grades by student."""
    main(["grade", str(folder), "--out", str(out), *options])
    return {path.parts[-3]: json.loads(path.read_text()) for path in sorted(out.glob("*/01_toy/grade.json"))}


def points(grade: dict) -> list[float]:
    return [exercise["points"] for exercise in grade["exercises"]]


def said_wrongly(case, grade: dict) -> list:
    """What of a grade is not what the case must get; [] when all is."""
    said = " ".join([grade["sentence"], *grade["notes"]])
    as_expected = (grade["verdict"], sum(points(grade))) == (case.verdict, case.points) and case.says in said
    return [] if as_expected else [grade["verdict"], points(grade), said]


def left_running() -> list[str]:
    """Processes that the corpus starts and that should be gone."""
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return [command for command in commands if "time.sleep(77.25)" in command]


def test_each_of_a_batch_has_its_verdict_and_nobody_elses_grade_changes(toy_course, tmp_path):
    """One test, because the batch is one: the honest submission is graded beside all the others, and alone."""
    toy_course(l01_toy=small_lab.solution())
    cases = {n: c for n, c in CORPUS.items() if not c.limits and (sandbox.closed_room() or not c.needs_room)}
    folder, out = tmp_path / "handed-in", tmp_path / "grades"
    honest = small_lab.submission(merge="def merge(*a):\n    return []")
    small_lab.hand_in(folder, "half-done", honest)
    small_lab.hand_in(tmp_path / "one", "half-done", honest)
    for name, case in cases.items():
        small_lab.hand_in(folder, name, case.make(), case.file)
    grades = grades_of(folder, out, "--jobs", "3", *LIMITS)
    wrong = {name: said_wrongly(case, grades[name]) for name, case in cases.items()}
    assert {name: what for name, what in wrong.items() if what} == {}
    alone = grades_of(tmp_path / "one", tmp_path / "grades-of-one", *LIMITS)["half-done"]
    assert alone == grades["half-done"] and points(alone) == [2, 0, 1]
    assert left_running() == [] and not (Path(finqa_lab.__file__).parent / "spoiled.txt").exists()
    for name, case in cases.items():
        page = (out / name / "01_toy" / "feedback.html").read_text()
        assert case.verdict in page and "<script" not in page and "double(21)" not in page, name


@pytest.mark.parametrize("name", [name for name, case in CORPUS.items() if case.limits])
def test_it_gets_its_verdict_alone_with_its_own_limits(toy_course, tmp_path, name):
    toy_course(l01_toy=small_lab.solution())
    small_lab.hand_in(tmp_path / "handed-in", name, CORPUS[name].make())
    grade = grades_of(tmp_path / "handed-in", tmp_path / "grades", *CORPUS[name].limits)[name]
    assert said_wrongly(CORPUS[name], grade) == []


@pytest.mark.parametrize("name", ["right", "exits", "fork-bomb", "leaves-a-process", "patched-check"])
def test_without_namespaces_the_verdicts_are_the_same(toy_course, tmp_path, name, monkeypatch):
    monkeypatch.setattr(sandbox, "closed_room", lambda: False)
    toy_course(l01_toy=small_lab.solution())
    small_lab.hand_in(tmp_path / "handed-in", name, CORPUS[name].make())
    grade = grades_of(tmp_path / "handed-in", tmp_path / "grades", *LIMITS)[name]
    assert said_wrongly(CORPUS[name], grade) == [] and left_running() == []
    assert "ordinary process" in grade["isolation"]
