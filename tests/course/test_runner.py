"""The runner on toy labs: real papermill, real kernels; failures are reported and the rest still runs."""

import json
import os
import threading
import time
from dataclasses import replace

import psutil
import pytest

from finqa_lab.cli import main
from finqa_lab.course import golden, runner
from finqa_lab.errors import CourseError
from tests.course import toy

GOOD = "from finqa_lab.course import record\nrecord('total', steps * 2, 'steps')"


def ended(folder) -> bool:
    """True when the kernel that wrote its process id is gone (or waits, dead, for its parent to notice)."""
    pid = int((folder / "pid").read_text())
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


def by_lab(results):
    return {result.lab: result for result in results}


def test_each_way_to_fail_is_reported_and_the_others_still_run(toy_course):
    folder = toy_course(
        l01_good=toy.notebook(GOOD),
        l02_error=toy.notebook("x = 1", "1 / 0"),
        l03_dead=toy.notebook("import os; os._exit(3)"),
        l04_slow=toy.notebook("import time; time.sleep(600)"),
    )
    golden.update("01_good", {"total": {"value": 6, "unit": "steps"}}, "smoke")
    events = []
    # Only the slow lab has a limit that a busy machine could reach before its kernel has started.
    jobs = [replace(job, timeout=20 if job.lab == "04_slow" else 300) for job in runner.plan([])]
    results = runner.run(jobs, workers=3, on_event=lambda lab, e: events.append((lab, e["event"])))
    found = by_lab(results)
    assert found["01_good"].status == "passed" and found["01_good"].metrics["total"]["value"] == 6
    error = found["02_error"]
    assert (error.status, error.reason, error.cell) == ("failed", "error", "cell-3")
    assert "ZeroDivisionError" in error.detail and error.cell_source == "1 / 0"
    assert (found["03_dead"].reason, found["03_dead"].cell) == ("kernel died", "cell-2")
    assert (found["04_slow"].reason, found["04_slow"].cell) == ("timeout", "cell-2")
    assert "after 20 s" in found["04_slow"].detail
    assert ("01_good", "cell") in events and ("04_slow", "end") in events
    leftovers = [p.name for p in (folder / "_build" / "run" / "smoke").iterdir() if p.name.startswith(".")]
    assert leftovers == [] and not list(folder.glob("kernel-ipc*"))


def test_the_timed_out_kernel_is_gone(toy_course):
    folder = toy_course(
        l01_slow=toy.notebook("import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(600)")
    )
    (result,) = runner.run(runner.plan([], timeout=20))
    assert result.reason == "timeout" and ended(folder)


def test_resume_skips_what_has_not_changed_and_only_that(toy_course):
    folder = toy_course(l01_good=toy.notebook(GOOD))
    golden.update("01_good", {"total": {"value": 6, "unit": "steps"}}, "smoke")
    assert not runner.run(runner.plan([]))[0].resumed
    assert runner.run(runner.plan([]), resume=True)[0].resumed
    changed = runner.run(runner.plan([], assignments=["steps=4"]), resume=True)[0]
    assert not changed.resumed and changed.metrics["total"]["value"] == 8
    runner.run(runner.plan([]))
    toy.course(folder, l01_good=toy.notebook(GOOD + "\n# edited"))
    assert not runner.run(runner.plan([]), resume=True)[0].resumed


def test_the_key_covers_library_data_lock_and_parameters(toy_course, tmp_path, monkeypatch):
    folder = toy_course(l01_good=toy.notebook(GOOD))
    monkeypatch.setenv("FINQA_LAB_DATA", str(tmp_path / "data"))
    keys = [runner.fingerprint(runner.plan([])[0])]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "manifest.json").write_text("{}")
    keys.append(runner.fingerprint(runner.plan([])[0]))
    (folder / "requirements.txt").write_text("torch==1")
    keys.append(runner.fingerprint(runner.plan([])[0]))
    keys.append(runner.fingerprint(runner.plan([], assignments=["seed=1"])[0]))
    assert len(set(keys)) == 4


def test_a_metric_out_of_bounds_fails_the_run_also_when_resumed(toy_course, capsys):
    toy_course(l01_good=toy.notebook(GOOD))
    assert main(["run", "--update-golden"]) == 0
    assert "total: new -> 6" in capsys.readouterr().out
    assert main(["run", "1", "--resume"]) == 0
    golden.update("01_good", {"total": {"value": 7, "unit": "steps"}}, "smoke")
    assert main(["run", "01", "--resume"]) == 1
    assert "total = 6 is outside exactly 7" in capsys.readouterr().out


def test_reports_are_written_for_programs_and_people(toy_course):
    folder = toy_course(l01_good=toy.notebook(GOOD), l02_error=toy.notebook("raise ValueError('here')"))
    assert main(["run", "-p", "steps=5"]) == 1
    out = folder / "_build" / "run" / "smoke"
    payload = json.loads((out / "report.json").read_text())
    assert payload["passed"] is False and [lab["status"] for lab in payload["labs"]] == ["passed", "failed"]
    text = (out / "report.md").read_text()
    assert "| total | 10 | steps |" in text and "ValueError: here" in text and "cell `cell-2`" in text


def test_without_keep_going_no_further_lab_starts(toy_course):
    toy_course(l01_error=toy.notebook("1 / 0"), l02_good=toy.notebook(GOOD))
    found = by_lab(runner.run(runner.plan([]), workers=1, keep_going=False))
    assert found["01_error"].status == "failed" and found["02_good"].status == "not run"


def test_parameters_are_refused_before_anything_runs(toy_course, capsys):
    folder = toy_course(l01_good=toy.notebook(GOOD))
    for wrong, said in [
        (
            ["run", "1", "-p", "steps=99"],
            "lab 01_good: parameter 'steps': 99 is out of range; allowed: int, from 1 to 10",
        ),
        (["run", "1", "-p", "stops=1"], "lab 01_good: unknown parameter 'stops'"),
        (["run", "7"], "unknown lab '7'; known labs: 01_good"),
        (["run", "--profile", "tpu"], "unknown profile 'tpu'"),
        (["run", "--update-golden", "-p", "steps=3"], "--update-golden takes the smoke profile without -p"),
    ]:
        assert main(wrong) == 2
        captured = capsys.readouterr().err
        assert said in captured and captured.count("\n") == 1
    assert not (folder / "_build").exists()


def test_a_notebook_without_parameters_cell_and_a_broken_notebook_are_one_sentence(toy_course, capsys):
    folder = toy_course(l01_bare=toy.notebook("1", parameters=None))
    assert main(["run"]) == 2
    assert "lab 01_bare has 0 cells tagged 'parameters'" in capsys.readouterr().err
    (folder / "solutions" / "01_bare.ipynb").write_text("{")
    assert main(["run"]) == 2
    assert "is not a readable notebook" in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, which only Linux has")
def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(toy_course, monkeypatch, capsys, tmp_path):
    folder = toy_course(l01_good=toy.notebook(GOOD))
    assert main(["run", "-p", "steps=3"]) == 0
    out = folder / "_build" / "run" / "smoke"
    before = (out / "report.json").read_bytes()
    real = os.fdopen

    def full(handle, *args, **kwargs):
        os.dup2(os.open("/dev/full", os.O_WRONLY), handle)
        return real(handle, *args, **kwargs)

    monkeypatch.setattr("finqa_lab.files.os.fdopen", full)
    assert main(["run", "-p", "steps=3", "--resume"]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert (out / "report.json").read_bytes() == before
    assert [p for p in out.iterdir() if p.name.startswith(".")] == []


def test_an_interrupt_ends_the_kernels(toy_course, monkeypatch):
    folder = toy_course(
        l01_slow=toy.notebook("import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(600)")
    )
    main_thread_join = threading.Thread.join
    calls = []

    def join(self, timeout=None):
        # The first join is the one in which Ctrl-C arrives, once the kernel is up.
        if not calls:
            calls.append(1)
            while not (folder / "pid").exists() or not (folder / "pid").read_text():
                main_thread_join(self, 0.1)
            raise KeyboardInterrupt
        return main_thread_join(self, timeout)

    monkeypatch.setattr(threading.Thread, "join", join)
    with pytest.raises(KeyboardInterrupt):
        runner.run(runner.plan([]))
    monkeypatch.undo()
    assert ended(folder)


def test_a_lab_is_found_by_number_subject_name_or_path(toy_course):
    toy_course(l01_good=toy.notebook(GOOD))
    for name in ("1", "01", "good", "01_good", "solutions/01_good.ipynb"):
        assert [job.lab for job in runner.plan([name])] == ["01_good"]


def test_outside_a_checkout_the_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("FINQA_LAB_COURSE", str(tmp_path / "nowhere"))
    with pytest.raises(CourseError, match="labs are run from a checkout"):
        runner.plan([])
