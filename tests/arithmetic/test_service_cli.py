"""`finqa-lab serve` and `finqa-lab registry`, and what is shipped for deployment."""

import json
import re
import socket
from pathlib import Path

import pytest

from finqa_lab.arithmetic.service import defaults
from finqa_lab.arithmetic.service.promotion import Promotion
from finqa_lab.cli import main
from finqa_lab.files import register_data
from tests.arithmetic.service_helpers import write_checkpoint

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy" / "arithmetic"


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "registry")


def registry_command(capsys, folder, *words):
    status = main(["registry", *words, "--registry", folder])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_add_list_promote_and_roll_back(capsys, tmp_path, folder):
    metrics, data = tmp_path / "metrics.json", tmp_path / "data.txt"
    metrics.write_text('{"wrong": 0}')
    data.write_text("1+1=2")
    one, two = (str(write_checkpoint(tmp_path / f"c{seed}", seed)) for seed in (1, 2))
    described = ("--metrics", str(metrics), "--data", str(data), "--note", "first")
    status, out, _ = registry_command(capsys, folder, "add", one, "--promote", *described)
    assert status == 0 and out.startswith("promoted ")
    first = out.split()[1]
    second = json.loads(registry_command(capsys, folder, "add", two, "--json")[1])["version"]
    listed = registry_command(capsys, folder, "list")[1].splitlines()
    assert listed[0].startswith(f"* {first}") and "wrong 0" in listed[0] and listed[0].endswith("first")
    assert listed[1].startswith(f"  {second}") and "no metrics" in listed[1]
    assert registry_command(capsys, folder, "promote", second[:6])[1] == f"promoted {second}\n"
    assert registry_command(capsys, folder, "rollback")[1] == f"rolled back to {first}\n"
    state = json.loads(registry_command(capsys, folder, "list", "--json")[1])
    assert [version["serving"] for version in state["versions"]] == [True, False]
    assert [entry["action"] for entry in state["history"]] == ["promote", "promote", "rollback"]


@pytest.mark.parametrize(
    "words, sentence",
    [
        (("add", "nowhere"), "nowhere is not a checkpoint folder"),
        (("promote", "0123456789abcdef"), "is not in the registry"),
        (("promote", "../x"), "is not a version id"),
        (("rollback",), "no earlier version"),
    ],
)
def test_mistakes_are_one_sentence_and_status_2(capsys, folder, words, sentence):
    Path(folder).mkdir()
    status, out, error = registry_command(capsys, folder, *words)
    assert status == 2 and not out and sentence in error and error.count("\n") == 1


def test_metrics_must_be_numbers(capsys, tmp_path, folder):
    (tmp_path / "metrics.json").write_text('{"wrong": "none"}')
    words = ("add", str(write_checkpoint(tmp_path / "c")), "--metrics", str(tmp_path / "metrics.json"))
    status, _, error = registry_command(capsys, folder, *words)
    assert status == 2 and "not an object of numbers" in error and not Path(folder).exists()


@pytest.mark.parametrize(
    "words, sentence",
    [
        (("--queue", "0"), "queue is 0; allowed: 1 to 1000000"),
        (("--port", "99999"), "port is 99999"),
        (("--timeout", "-1"), "timeout is -1.0"),
        (("--api-key-env", "NOT_SET_ANYWHERE"), "NOT_SET_ANYWHERE is not set"),
        (("--host", "no.such.host.invalid"), "cannot listen on no.such.host.invalid"),
    ],
)
def test_serve_refuses_bad_options(capsys, folder, words, sentence):
    assert main(["serve", "arithmetic", "--registry", folder, *words]) == 2
    assert sentence in capsys.readouterr().err


def test_serve_says_that_the_port_is_taken(capsys, folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "arithmetic", "--registry", folder, "--port", port]) == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in capsys.readouterr().err


def test_the_default_registry_starts_with_the_shipped_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setenv("FINQA_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FINQA_LAB_DATA", str(tmp_path / "data"))
    assert Promotion(defaults.default_registry()).current() is None  # nothing shipped: an empty registry
    source = write_checkpoint(tmp_path / "made")
    record = {"metadata": {"evaluation": {"wrong": 0, "kind": "all"}, "data": {"rows": 0}, "seed": 1}}
    register_data("models/arithmetic/config.json", json.dumps(record).encode(), "train")
    register_data("models/arithmetic/model.safetensors", (source / "model.safetensors").read_bytes(), "train")
    registry = defaults.default_registry()
    version = Promotion(registry).current()
    card = registry.card(version)
    assert card.metrics == {"wrong": 0} and len(card.data_sha256) == 64
    again = defaults.default_registry()
    assert len(Promotion(again).history()) == 1  # the second start adds nothing


def test_the_dockerfile_is_pinned_unprivileged_and_watched():
    text = (DEPLOY / "Dockerfile").read_text()
    bases = re.findall(r"^FROM (\S+)", text, re.M)
    assert bases and all(re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base) for base in bases)
    serve = text[text.index("AS serve") :]
    user = re.search(r"^USER (\S+)", serve, re.M)[1]
    assert user == "10001" and f"--uid {user}" in serve
    assert serve.index("pip install") < serve.index("\nUSER") < serve.index("\nENTRYPOINT")
    assert "HEALTHCHECK" in serve and "/health" in serve and "STOPSIGNAL SIGTERM" in serve
    assert not re.search(r"^(ADD|COPY \. )|:latest|curl|sudo|chmod 777", text, re.M)
    for source in re.findall(r"^COPY (?!--from)(\S+) ", text, re.M):
        assert (ROOT / source).exists(), source


def test_the_image_holds_what_serving_imports_and_no_torch():
    lines = (DEPLOY / "requirements.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    lock = re.sub("_", "-", (ROOT / "requirements.txt").read_text().lower())
    for name, version in pins.items():
        pattern = rf"^{re.escape(name)}=={re.escape(version)}( ;|$)"
        assert re.search(pattern, lock, re.M), f"{name} is not as in the lock"
    assert {"fastapi", "uvicorn", "onnxruntime", "numpy", "platformdirs"} <= set(pins)
    assert not {"torch", "onnx", "safetensors"} & set(pins)


def test_the_build_context_lets_in_only_what_is_copied():
    rules = [rule for rule in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if not rule.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = set(re.findall(r"^COPY (?!--from)(\S+) ", (DEPLOY / "Dockerfile").read_text(), re.M))
    assert all(any(path == entry or entry.startswith(path + "/") for entry in allowed) for path in copied)
