"""What a submission can reach while it is graded: its scratch folder and its own loopback device, nothing else."""

import json
import socket

import pytest

from finqa_lab.cli import main
from finqa_lab.course.grading import sandbox
from finqa_lab.course.grading.model import Limits
from finqa_lab.files import REPOSITORY
from tests.course.grading import small_lab

_ASK = """
import os, socket
from pathlib import Path
def reached(address):
    try:
        socket.create_connection(address, timeout=5).close()
        return True
    except OSError:
        return False
here = socket.create_server(("127.0.0.1", 0))
seen = {{
    "own": reached(here.getsockname()), "host": reached(("127.0.0.1", {port})), "away": reached(("192.0.2.1", 80)),
    "source": Path({source!r}).exists(), "others": Path({others!r}).exists(),
    "scratch": sorted(set(os.listdir(".")) - {{"profile_default"}}),
}}
raise RuntimeError(seen)
"""


def seen_by_a_submission(toy_course, tmp_path) -> dict:
    """What a submission reports of its surroundings, through the message of an exception."""
    folder = toy_course(l01_toy=small_lab.solution())
    other = small_lab.hand_in(tmp_path / "handed-in", "amy", small_lab.submission())
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = _ASK.format(
            port=server.getsockname()[1], source=str(folder / "solutions" / "01_toy.ipynb"), others=str(other)
        )
        small_lab.hand_in(tmp_path / "handed-in", "eve", small_lab.submission(half=code))
        main(["grade", str(tmp_path / "handed-in"), "--out", str(tmp_path / "grades")])
    grade = json.loads((tmp_path / "grades" / "eve" / "01_toy" / "grade.json").read_text())
    note = next(note for note in grade["notes"] if "RuntimeError" in note)
    return json.loads(
        note.split("RuntimeError: ")[1].replace("'", '"').replace("True", "true").replace("False", "false")
    )


@pytest.mark.slow
def test_in_the_closed_room_only_its_own_loopback_and_scratch_folder_are_there(toy_course, tmp_path):
    if not sandbox.closed_room():
        pytest.skip("this machine has no user namespaces, or no unshare")
    nothing = {"host": False, "away": False, "source": False, "others": False, "scratch": []}
    assert seen_by_a_submission(toy_course, tmp_path) == {"own": True} | nothing


@pytest.mark.slow
def test_without_the_room_python_refuses_other_machines_and_nothing_is_hidden(toy_course, tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "closed_room", lambda: False)
    seen = seen_by_a_submission(toy_course, tmp_path)
    assert seen["own"] and seen["host"] and not seen["away"] and seen["source"] and seen["others"]


def test_a_folder_that_holds_the_library_or_the_scratch_folder_is_not_covered(tmp_path):
    (tmp_path / "scratch").mkdir()
    others = tmp_path / "others"
    plan = sandbox._plan(tmp_path / "scratch", [REPOSITORY, REPOSITORY.parent, tmp_path, others], Limits())
    assert json.loads(plan.read_text())["hidden"] == [str(others)]


def test_the_graders_own_settings_do_not_reach_a_submission(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "secret")
    made = sandbox._environment(tmp_path)
    assert "SOME_TOKEN" not in made and made["HOME"] == str(tmp_path) and made["OMP_NUM_THREADS"] == "1"
