"""Turn what happened to a submission into a grade: points by graded cell, one verdict, one sentence."""

import copy
import signal

from finqa_lab.course.grading.model import GRADED, Exercise, Grade, Limits, number
from finqa_lab.course.grading.rebuild import Rebuilt
from finqa_lab.course.grading.sandbox import Run
from finqa_lab.course.grading.source import Source

_SHOWN_ERRORS = 5


def without_run(student: str, source: Source, verdict: str, sentence: str, notes: list[str]) -> Grade:
    """A grade of 0 points for a submission that was not run."""
    return Grade(student, source.lab, verdict, sentence, copy.deepcopy(source.exercises), notes)


def from_run(student: str, source: Source, rebuilt: Rebuilt, run: Run, limits: Limits, notes: list[str]) -> Grade:
    """The grade after a run. Points of graded cells that were reached count, also when the run was stopped later;
    after tampering nothing counts.
    """
    verdict = run.ending or GRADED
    results = {rebuilt.cells[event["index"]]["grade_id"]: event for event in _of_kind(run, "graded", rebuilt)}
    exercises = [_exercise(exercise, results.get(exercise.grade_id), verdict) for exercise in source.exercises]
    grade = Grade(student, source.lab, verdict, "", exercises, notes + rebuilt.notes, output=run.output)
    errors = [event for event in _of_kind(run, "ran", rebuilt) if event["error"]]
    for event in errors[:_SHOWN_ERRORS]:
        grade.notes.append(f"{_where(rebuilt, event['index'])} raised {event['error']}")
    if len(errors) > _SHOWN_ERRORS:
        grade.notes.append(f"{len(errors) - _SHOWN_ERRORS} more cells raised an error.")
    grade.sentence = _sentence(grade, rebuilt, run, limits)
    return grade


def _of_kind(run: Run, kind: str, rebuilt: Rebuilt) -> list[dict]:
    return [event for event in run.events if event["event"] == kind and event["index"] < len(rebuilt.cells)]


def _exercise(exercise: Exercise, event: dict | None, verdict: str) -> Exercise:
    if event is None:
        return Exercise(exercise.grade_id, 0.0, exercise.max_points, "not run", "The run ended before this test.")
    if verdict == "tampered":
        return Exercise(exercise.grade_id, 0.0, exercise.max_points, "not run", "Its result cannot be relied on.")
    if event["passed"]:
        return Exercise(exercise.grade_id, exercise.max_points, exercise.max_points, "right", "")
    return Exercise(exercise.grade_id, 0.0, exercise.max_points, "wrong", event["message"])


def _where(rebuilt: Rebuilt, index: int) -> str:
    name = rebuilt.cells[index]["id"]
    return f"Cell {index + 1}" + (f" ('{name}')" if name else "")


def _sentence(grade: Grade, rebuilt: Rebuilt, run: Run, limits: Limits) -> str:
    started = _of_kind(run, "cell", rebuilt)
    where = _where(rebuilt, started[-1]["index"]) if started else "The first cell"
    points = f"{number(grade.points)} of {number(grade.max_points)} points"
    if grade.verdict == GRADED:
        return f"All cells were run: {points}."
    reasons = {
        "timed out": f"{where} was still running when the limit of {limits.seconds:g} s was over",
        "CPU time": f"{where} was running when {limits.cpu_seconds:g} s of processor time were used up",
        "memory": f"{where} was running when its processes held more than {limits.memory_mb} MiB of memory",
        "too many processes": f"{where} was running when there were more than {limits.processes} processes",
        "output too large": f"{where} was running when more than {limits.output_mb:g} MiB had been printed",
        "scratch full": f"{where} was running when its files held more than {limits.scratch_mb} MiB",
        "ended early": f"{where} ended the process ({_status(run.status)})",
        "tampered": f"{where} was running when something wrote to the grader's channel; a person has to look",
        "grader failed": f"The process ended before the first cell ({_status(run.status)}); grade it again",
    }
    return f"{reasons[grade.verdict]}: {points}."


def _status(status: int) -> str:
    if status < 0:
        known = {item.value: item.name for item in signal.Signals}
        return f"signal {known.get(-status, -status)}"
    return f"exit status {status}"
