"""The files around the course name commands, files and versions that exist; no container and no service is run."""

import json
import os
import re
import tomllib

import pytest
import yaml

import finqa_lab
from finqa_lab.cli import COMMANDS
from finqa_lab.course import settings
from finqa_lab.files import REPOSITORY

WORKFLOWS = ("ci", "nightly")
CONTAINERS = ("Dockerfile", ".devcontainer/devcontainer.json", ".binder/postBuild", ".ci/cpu_environment", ".ci/run")
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
PYTHON = "3.11"
NAMING = (*(f".github/workflows/{name}.yml" for name in WORKFLOWS), *CONTAINERS, *PAGES)


def text(name):
    return (REPOSITORY / name).read_text(encoding="utf-8")


def workflow(name):
    return yaml.safe_load(text(f".github/workflows/{name}.yml"))


def jobs():
    return [(f"{name}/{job}", content) for name in WORKFLOWS for job, content in workflow(name)["jobs"].items()]


@pytest.mark.parametrize("name", NAMING)
def test_every_make_target_that_is_named_is_one(name):
    targets = set(re.findall(r"(?m)^([a-z]+):", text("Makefile")))
    named = re.findall(r"(?:^|[`\s\[:&])make ([a-z]+)(?=[`\s,\]&:.]|$)", text(name), re.MULTILINE)
    sentences = {"the", "a", "it", "sure"}  # "make the same environment"
    assert not set(named) - targets - sentences
    if name == ".github/workflows/ci.yml":
        assert set(named) == {"labs", "test", "lint"}


@pytest.mark.parametrize("name", NAMING)
def test_every_finqa_lab_command_that_is_named_is_one(name):
    named = re.findall(r"finqa-lab ([a-z]+(?:-[a-z]+)*)", text(name))
    assert not set(named) - {*COMMANDS, "inspect", "vendor", "normalise", "authors"}


@pytest.mark.parametrize("name", [name for name in NAMING if name != "CHANGELOG.md"])
def test_every_file_that_is_named_exists(name):
    named = re.findall(r"\]\(([^)#:]+)\)", text(name)) + re.findall(r"(?<![\w/])\.(?:ci|binder)/\w*", text(name))
    named += re.findall(r"`((?:book|labs|solutions)/[\w./]+\.\w+)`", text(name))
    for path in named:
        assert (REPOSITORY / path).exists(), path


def test_continuous_integration_runs_the_commands_of_the_readme():
    first_block = re.search(r"```bash\n(.*?)```", text("README.md"), re.DOTALL)[1]
    commands = [line.partition("#")[0].strip() for line in first_block.splitlines()]
    assert commands == ["make labs", "make test"]
    (job,) = workflow("ci")["jobs"].values()
    assert set(commands) < set(job["strategy"]["matrix"]["command"])
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/cpu_environment", "${{ matrix.command }}"]


@pytest.mark.parametrize("name, job", jobs())
def test_a_job_is_bounded_in_time_uses_the_python_of_the_course_and_keeps_no_credentials(name, job):
    assert 0 < job["timeout-minutes"] <= 360
    used = {step["uses"].partition("@")[0]: step.get("with", {}) for step in job["steps"] if "uses" in step}
    assert used["actions/setup-python"]["python-version"] == PYTHON, "a string: 3.10 would be read as 3.1"
    assert used["actions/checkout"]["persist-credentials"] is False
    assert not [action for action in used if not action.startswith("actions/")]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_only_read(name):
    assert workflow(name)["permissions"] == {"contents": "read"}
    assert "secrets." not in text(f".github/workflows/{name}.yml")
    assert "pull_request_target" not in text(f".github/workflows/{name}.yml"), (
        "it would run a stranger's code with rights"
    )


def test_what_needs_a_gpu_or_hours_is_started_by_hand():
    content = workflow("nightly")
    triggers = content[True]  # YAML 1.1 reads the key `on` as true
    assert set(triggers) == {"schedule", "workflow_dispatch"}
    for name in ("gpu", "cpu"):
        assert triggers["workflow_dispatch"]["inputs"][name]["default"] is False
        assert content["jobs"][name]["if"] == f"github.event_name == 'workflow_dispatch' && inputs.{name}"
        assert any(f"--profile {name}" in step.get("run", "") for step in content["jobs"][name]["steps"])
    assert "gpu" in content["jobs"]["gpu"]["runs-on"]
    assert not [job for name, job in content["jobs"].items() if name in ("links", "newest") and "if" in job]
    assert "linkcheck" in text(".github/workflows/nightly.yml")


def test_the_python_version_is_one_everywhere():
    required = tomllib.loads(text("pyproject.toml"))["project"]["requires-python"]
    assert required == f">={PYTHON}"
    assert set(re.findall(r"FROM python:(\d+\.\d+)", text("Dockerfile"))) == {PYTHON}
    assert text(".binder/runtime.txt").strip() == f"python-{PYTHON}"
    assert f"python:1-{PYTHON}-" in json.loads(text(".devcontainer/devcontainer.json"))["image"]


def test_scripts_can_be_executed_stop_at_the_first_failure_and_take_torch_from_the_lock():
    for name in (".ci/cpu_environment", ".ci/run", ".binder/postBuild"):
        assert os.access(REPOSITORY / name, os.X_OK), name
        assert text(name).startswith("#!/usr/bin/env bash\n") and "set -euo pipefail" in text(name)
        assert not re.search(r"torch==\d", text(name)), "the version stands in the lock only"
    assert len(re.findall(r"(?m)^torch==", text("requirements.txt"))) == 1


def test_the_container_copies_what_exists_runs_without_rights_and_leaves_the_environment_out():
    for line in re.findall(r"(?m)^COPY (?:--\S+ )*(.+)$", text("Dockerfile")):
        *sources, _ = line.split()
        assert sources and all((REPOSITORY / source).exists() for source in sources), line
    assert re.search(r"(?m)^USER student$", text("Dockerfile"))
    assert {".git", ".venv", "_build"} <= set(text(".dockerignore").splitlines())
    ignored = {line.strip("/") for line in text(".gitignore").splitlines()}
    assert not {"Dockerfile", ".binder", ".devcontainer", ".github"} & ignored


def test_the_citation_has_what_its_format_requires_and_the_version_of_the_library():
    citation = yaml.safe_load(text("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    assert citation["version"] == finqa_lab.__version__ == tomllib.loads(text("pyproject.toml"))["project"]["version"]
    assert f"## {citation['version']} ({citation['date-released'].isoformat()})" in text("CHANGELOG.md")
    assert all("name" in one or "family-names" in one for one in citation["authors"])
    (finqa,) = citation["references"]
    assert finqa["doi"] in text("book/references.bib") and len(finqa["authors"]) == 11


def test_the_address_in_the_citation_is_the_one_of_the_settings():
    assert yaml.safe_load(text("CITATION.cff")).get("repository-code", "") == settings.launch().repository
    assert "repository-code" in text("course.yml") and "course.yml" in text("CITATION.cff")


def test_code_and_text_have_their_licences():
    assert text("LICENSE").startswith("MIT License")
    assert "CC BY 4.0" in text("LICENSE-text") and "creativecommons.org/licenses/by/4.0/legalcode" in text(
        "LICENSE-text"
    )
    licences = text("README.md").partition("## Licence")[2]
    assert "`LICENSE`" in licences and "`LICENSE-text`" in licences and "CC BY 4.0" in licences
    assert yaml.safe_load(text("CITATION.cff"))["license"] == ["MIT", "CC-BY-4.0"]


def test_every_version_of_the_changelog_lists_handouts_and_code_apart():
    sections = re.split(r"(?m)^## ", text("CHANGELOG.md"))[1:]
    assert sections[0].startswith("Unreleased")
    for section in sections:
        parts = re.split(r"(?m)^### ", section)
        assert [part.splitlines()[0] for part in parts[1:]] == ["Handouts", "Code"], parts[0]
        assert "- " not in parts[0] and all(part.count("\n- ") for part in parts[1:])
