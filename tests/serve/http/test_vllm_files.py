"""The files that start vLLM: well formed, with documented options, and never an open server. vLLM itself is not run."""

import os
import re
import shutil
import subprocess

import pytest
import yaml

from finqa_lab.files import REPOSITORY
from finqa_lab.serve.http.openai_shapes import ChatRequest
from tests.serve.http.serving import KEY

FOLDER = REPOSITORY / "deploy" / "vllm"
FLAGS = yaml.safe_load((FOLDER / "flags.yaml").read_text())
CONFIGS = ("single", "tensor_parallel", "ray")
KINDS = {"text": str, "integer": int, "number": float, "boolean": bool}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_option_of_a_configuration_is_documented_and_has_a_value_of_its_kind(name):
    config = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    for option, value in config.items():
        kind = FLAGS["vllm"][option]
        assert value in kind if isinstance(kind, list) else type(value) is KINDS[kind], (option, value)
    assert config["host"] == "127.0.0.1" and config["max-num-batched-tokens"] >= config["max-num-seqs"]


def test_the_parallel_layouts_are_what_their_names_say():
    single, tensor, ray = (yaml.safe_load((FOLDER / f"{name}.yaml").read_text()) for name in CONFIGS)
    assert "tensor-parallel-size" not in single and tensor["tensor-parallel-size"] == 4
    assert tensor["distributed-executor-backend"] == "mp" and "pipeline-parallel-size" not in tensor
    assert (ray["distributed-executor-backend"], ray["pipeline-parallel-size"]) == ("ray", 2)


def test_every_option_in_text_and_scripts_is_documented():
    text = "".join(path.read_text() for path in FOLDER.iterdir() if path.suffix in (".md", ".sh"))
    ours = {"adapter", "batch", "blocks", "step-tokens", "waiting", "help"}
    used = set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", text))
    assert used - ours <= {*FLAGS["vllm"], *FLAGS["ray"]} and {"head", "config", "lora-modules"} <= used


@pytest.mark.parametrize("script", ["serve.sh", "ray_cluster.sh"])
def test_the_scripts_are_well_formed_and_executable(script):
    done = subprocess.run(["bash", "-n", FOLDER / script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert os.access(FOLDER / script, os.X_OK)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", FOLDER / script], check=True)


@pytest.fixture
def run(tmp_path):
    """Run a script with a program in place of vLLM and Ray that prints what it is called with."""
    for program in ("vllm", "ray"):
        fake = tmp_path / program
        fake.write_text('#!/bin/sh\nprintf "%s\\n" "$(basename "$0")" "$@" "address=$VLLM_HOST_IP"\n')
        fake.chmod(0o755)

    def run(script, *words, **variables):
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **variables}
        done = subprocess.run([FOLDER / script, *words], capture_output=True, text=True, env=environment)
        return done.returncode, done.stdout.split("\n")[:-1], done.stderr

    return run


@pytest.mark.parametrize("name", CONFIGS)
def test_serving_takes_the_configuration_and_further_options(run, name):
    status, words, _ = run("serve.sh", name, "--max-num-seqs", "64", VLLM_API_KEY=KEY)
    assert status == 0 and words[:3] == ["vllm", "serve", "--config"]
    assert words[3:6] == [str(FOLDER / f"{name}.yaml"), "--max-num-seqs", "64"]


def test_a_server_without_a_key_or_with_a_short_one_is_not_started(run):
    for variables in ({}, {"VLLM_API_KEY": "short"}):
        status, words, error = run("serve.sh", "single", **variables)
        assert status == 2 and not words and "VLLM_API_KEY" in error and error.count("\n") == 1


def test_a_machine_joins_as_head_or_as_worker(run):
    end = ["--block", "address=10.0.0.2"]
    head = run("ray_cluster.sh", "head", "10.0.0.2", RAY_PORT="7000")[1]
    assert head == ["ray", "start", "--head", "--port=7000", "--node-ip-address=10.0.0.2", *end]
    worker = run("ray_cluster.sh", "worker", "10.0.0.2", "10.0.0.1")[1]
    assert worker == ["ray", "start", "--address=10.0.0.1:6379", "--node-ip-address=10.0.0.2", *end]


@pytest.mark.parametrize("words", [(), ("single_node",), ("head",), ("worker", "10.0.0.2"), ("head", "a", "b")])
def test_wrong_words_are_a_usage_line(run, words):
    for script in ("serve.sh", "ray_cluster.sh"):
        status, started, error = run(script, *words, VLLM_API_KEY=KEY)
        assert status == 2 and not started and error.startswith("usage: ")


def test_the_body_that_our_server_takes_has_no_field_that_vllm_lacks():
    """Fields of both, by vLLM's documentation of its OpenAI-compatible server; so one client serves for both."""
    theirs = set(
        "model messages max_tokens max_completion_tokens temperature top_p top_k seed stop stream stream_options "
        "response_format n presence_penalty frequency_penalty user logprobs".split()
    )
    assert set(ChatRequest.model_fields) == theirs
