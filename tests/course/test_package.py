"""The package: quick to import, buildable, and honest about what is missing on a machine."""

import json
import os
import subprocess
import sys
import zipfile

import pytest

from finqa_lab import files
from finqa_lab.cli import COMMANDS, build_parser, main
from finqa_lab.course import doctor
from finqa_lab.errors import CourseError


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(' '.join(sorted(name.partition('.')[0] for name in sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import finqa_lab",
        "import finqa_lab.course",
        "import finqa_lab.cli; finqa_lab.cli.build_parser()",
        "import finqa_lab.text",
    ],
)
def test_importing_pulls_in_nothing_heavy(code):
    """Time is not asserted here; what costs it is. `python -X importtime -c "import finqa_lab"` shows the rest."""
    assert not loaded_by(code) & {"torch", "matplotlib", "onnxruntime", "transformers", "papermill", "nbgrader"}


def test_the_wheel_builds_and_holds_the_library_and_the_command(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path)]
    done = subprocess.run([*command, str(files.REPOSITORY)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("finqa_lab-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry = next(name for name in names if name.endswith("entry_points.txt"))
        assert "finqa-lab = finqa_lab.cli:main" in archive.read(entry).decode()
    assert "finqa_lab/course/checking.py" in names and not [n for n in names if n.startswith(("tests", "solutions"))]


def test_every_command_has_help(capsys):
    for name in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            build_parser().parse_args([name, "--help"])
        assert ended.value.code == 0 and name in capsys.readouterr().out


def test_the_doctor_finds_nothing_to_mend_here(capsys):
    assert main(["doctor"]) == 0, capsys.readouterr().out


def test_the_doctor_names_a_missing_and_a_differing_package():
    lock = "torch==2.13.0\nno-such-package==1.0\nnumpy==0.1\nonly-elsewhere==1 ; sys_platform == 'nowhere'\n-e .\n"
    found = doctor.wrong_packages(lock)
    assert found[0] == "no-such-package missing (locked: 1.0)"
    assert found[1].startswith("numpy ") and found[1].endswith("(locked: 0.1)") and len(found) == 2


def test_the_doctor_says_how_to_mend(toy_course, monkeypatch, tmp_path, capsys):
    from tests.course import toy

    toy_course(l01_toy=toy.graded_notebook())
    monkeypatch.setenv("FINQA_LAB_DATA", str(tmp_path / "none"))
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "MEND  student notebooks" in out and "-> finqa-lab release" in out
    assert "manifest" in out and "to mend" in out


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = files.write_atomic(tmp_path / "deep" / "report.txt", "old")
    monkeypatch.setattr(
        "finqa_lab.files.os.replace", lambda *a: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(CourseError, match="No space left on device; free some space"):
        files.write_atomic(path, "new")
    assert path.read_text() == "old" and os.listdir(path.parent) == ["report.txt"]


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    monkeypatch.setenv("FINQA_LAB_DATA", str(tmp_path))
    files.register_data("text/a.txt", b"hello", "python -m make_it")
    return tmp_path


def test_shipped_data_is_verified(shipped):
    assert files.data_path("text/a.txt").read_bytes() == b"hello" and files.data_problems() == []
    (shipped / "text" / "a.txt").write_bytes(b"hellO")
    with pytest.raises(CourseError, match="is damaged: sha256 .* rebuild it with `python -m make_it`"):
        files.data_path("text/a.txt")
    (shipped / "text" / "a.txt").unlink()
    assert "is missing" in files.data_problems()[0]
    with pytest.raises(CourseError, match="'b.txt' is not in .* it lists: text/a.txt"):
        files.data_path("b.txt")
    (shipped / "manifest.json").write_text("{")
    with pytest.raises(CourseError, match="the data manifest .* is not JSON"):
        files.data_path("text/a.txt")
    assert main(["data", "verify"]) == 2


def test_the_data_of_the_repository_is_as_recorded(capsys):
    assert files.data_problems() == []
    listed = json.loads((files.data_root() / "manifest.json").read_text())["files"]
    cards = {path.parent for path in files.data_root().rglob("README.md")}
    for name, entry in listed.items():
        folder = (files.data_root() / name).parent
        assert {folder, *folder.parents} & cards, f"{name} has no card"
        assert entry["command"]
