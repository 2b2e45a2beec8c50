"""The command: dry by default, one code path with the library, exit statuses that a script can use."""

import json
import signal
import subprocess
import sys

import pytest

from finqa_lab.cli import main
from finqa_lab.cloud.moto_server import moto_server
from tests.cloud.toys import toy_package


@pytest.fixture
def archive(tmp_path):
    return str(toy_package(tmp_path).path)


@pytest.fixture
def ledger(tmp_path):
    return ["--ledger", str(tmp_path / "ledger.jsonl")]


def test_the_archive_of_the_courses_model_is_built_and_named_by_its_digest(tmp_path, capsys):
    out = str(tmp_path / "model.tar.gz")
    assert main(["cloud", "package", "finqa-tiny", "--out", out]) == 0
    first = capsys.readouterr().out
    assert main(["cloud", "package", "finqa-tiny", "--out", out]) == 0
    assert capsys.readouterr().out == first and "sha256" in first


def test_a_plan_creates_nothing_and_its_json_can_be_read(archive, capsys):
    assert main(["cloud", "plan", archive, "--service-time", "0.73", "--name", "x", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["scaling"]["target"] == 41 and values["worst_usd"] == 14.08
    assert main(["cloud", "plan", archive, "--name", "x"]) == 0
    assert "1.41 USD for 1 h" in capsys.readouterr().out


def test_deploying_is_dry_unless_three_things_are_said(archive, ledger, capsys):
    for more, told in (([], "this was the plan only"), (["--yes"], "needs --max-hours"),
                       (["--yes", "--max-hours", "1", "--max-usd", "1"], "1.41 USD, and 1.00"),
                       (["--yes", "--max-hours", "1", "--max-usd", "9", "--keep"], "needs --stand-in")):  # fmt: skip
        assert main(["cloud", "deploy", archive, *ledger, *more]) == 2
        shown = capsys.readouterr()
        assert told in shown.err and "USD an hour" in shown.out and "creating" not in shown.out


def test_an_account_needs_a_role(archive, capsys):
    assert main(["cloud", "plan", archive, "--target", "aws"]) == 2
    assert "--role ARN" in capsys.readouterr().err


def test_a_deployment_is_kept_asked_found_and_torn_down_by_separate_commands(archive, ledger, capsys):
    with moto_server() as address:
        there = ["--stand-in", address, *ledger]
        yes = ["--yes", "--max-hours", "1", "--max-usd", "99", "--service-time", "0.73", "--name", "kept"]
        assert main(["cloud", "deploy", archive, *yes, "--keep", "--ask", "2?", *there]) == 0
        assert '{"answer": 1.0}' in capsys.readouterr().out
        assert main(["cloud", "invoke", "finqa-lab-kept", "no answer", *there]) == 1
        assert main(["cloud", "invoke", "finqa-lab-kept", '{"messages"', *there]) == 2
        assert "begins like JSON and is none" in capsys.readouterr().err
        assert main(["cloud", "orphans", "--json", *there]) == 1
        found = json.loads(capsys.readouterr().out)["orphans"]
        assert {one["kind"] for one in found} >= {"endpoint", "scalable-target", "log-group", "alarm"}
        assert all(one["recorded"] for one in found)
        assert main(["cloud", "orphans", *there]) == 1
        assert "endpoint finqa-lab-kept  (owner course, ends " in capsys.readouterr().out
        assert main(["cloud", "teardown", *there]) == 0
        assert "removed endpoint finqa-lab-kept" in capsys.readouterr().out
        assert main(["cloud", "orphans", *there]) == 0
        assert main(["cloud", "teardown", "finqa-lab-kept", *there]) == 2
        assert "torn down before" in capsys.readouterr().err
        assert main(["cloud", "teardown", *there]) == 2
        assert "nothing left" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a system without these signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, getattr(signal, "SIGHUP", None), signal.SIGINT])
def test_a_signal_in_the_middle_removes_everything(archive, ledger, capsys, number):
    """A cancelled CI job sends SIGTERM, a closed terminal SIGHUP; by default neither runs what is in ``finally``."""
    with moto_server() as address:
        there = ["--stand-in", address, *ledger]
        command = [
            "cloud",
            "deploy",
            archive,
            "--yes",
            "--max-hours",
            "1",
            "--max-usd",
            "9",
            "--ask",
            "sleep 50",
            *there,
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", "finqa_lab.cli", *command],
            stdout=subprocess.PIPE,
            text=True,
            # A shell starts what runs in the background with SIGINT ignored, and children inherit that.
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
        )
        for line in process.stdout:
            if line.startswith("creating alarm"):
                break
        process.send_signal(number)
        shown, _ = process.communicate(timeout=60)
        assert "removed endpoint" in shown and process.returncode == 130
        assert main(["cloud", "orphans", *there]) == 0, capsys.readouterr().out


def test_an_archive_can_be_asked_in_a_container_here(archive, capsys):
    assert main(["cloud", "invoke", archive, "2?"]) == 0
    assert json.loads(capsys.readouterr().out) == {"answer": 1.0}


def test_the_day_is_simulated_and_printed_both_ways(capsys):
    small = ["cloud", "simulate", "--night", "0.1", "--noon", "0.8", "--bursts", "2", "--most", "4"]
    assert main(small) == 0
    text = capsys.readouterr().out
    assert "target 41 (half)" in text and "target 1 (mistaken unit)" in text
    assert main([*small, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert len(values["bursts"]) == 2 and values["policies"]["1 instance"]["mean_instances"] == 1.0
    assert main([*small, "--instance", "ml.p5.48xlarge"]) == 2
