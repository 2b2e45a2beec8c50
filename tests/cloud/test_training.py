"""The training job: lab 08's command in a request that the service would take."""

import importlib.util
import subprocess
import sys

import pytest

from finqa_lab.cloud.errors import InvalidRequest
from finqa_lab.cloud.plan import OFFLINE_ROLE
from finqa_lab.cloud.training import TrainingJob, hyperparameters, model_trainer, write_source
from finqa_lab.errors import CourseError
from finqa_lab.tune.settings import settings_from

SETTINGS = {
    "method": "lora",
    "rank": 16,
    "strategy": "fsdp",
    "recompute": True,
    "device": "cuda",
    "targets": "query,value",
}


def job(**changes) -> TrainingJob:
    given = {"name": "finqa-lab-lora", "region": "us-east-1", "instance": "ml.g5.12xlarge", "role": OFFLINE_ROLE,
             "bucket": "finqa-lab-models", "processes": 4, "settings": SETTINGS}  # fmt: skip
    return TrainingJob(**(given | changes))


def test_the_request_fits_the_services_model_and_names_every_folder():
    made = job(validation=True, spot=True)
    made.check()
    request = made.request()
    assert [channel["ChannelName"] for channel in request["InputDataConfig"]] == [
        "code",
        "model",
        "training",
        "validation",
    ]
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200, "MaxWaitTimeInSeconds": 14400}
    assert "pytorch-training" in request["AlgorithmSpecification"]["TrainingImage"]
    assert request["CheckpointConfig"]["LocalPath"] == "/opt/ml/checkpoints"


def test_the_arguments_are_those_of_the_command():
    """Read by the command's own parser, they give the settings back."""
    from finqa_lab.cli import build_parser
    from finqa_lab.cli.train import settings_of

    words = job().request()["AlgorithmSpecification"]["ContainerArguments"]
    assert words[0] == "4"
    found = settings_of(build_parser().parse_args(["train", *words[1:]]))
    folders = {"model": "/opt/ml/input/data/model", "data": "/opt/ml/input/data/training", "out": "/opt/ml/model",
               "state": "/opt/ml/checkpoints"}  # fmt: skip
    assert found == settings_from(folders | SETTINGS)


def test_the_sdk_gets_settings_and_not_folders():
    """Its images name the folders in variables, which the command reads."""
    from finqa_lab.cli.train import VARIABLES

    given = hyperparameters(job())
    assert given["rank"] == "16" and given["recompute"] == "true" and not set(given) & set(VARIABLES)
    channels = {
        variable.removeprefix("SM_CHANNEL_").lower() for variable in VARIABLES.values() if "CHANNEL" in variable
    }
    assert set(job(validation=True).channels) == channels


@pytest.mark.parametrize(
    "changes, kind, told",
    [
        ({"settings": {"rang": 16}}, CourseError, "no setting 'rang'"),
        ({"settings": {"rank": 0}}, CourseError, "rank is 0"),
        ({"settings": {"out": "/tmp"}}, CourseError, "'out' is a folder of the job"),
        ({"processes": 0}, InvalidRequest, "at least one process"),
        ({"hours": 0}, InvalidRequest, "more than 0 hours"),
        ({"name": "a_b"}, InvalidRequest, "TrainingJobName"),
        ({"role": "me"}, InvalidRequest, "RoleArn"),
        ({"volume_gb": 0}, InvalidRequest, "one GB"),
    ],
)
def test_a_job_that_cannot_work_is_refused_here(changes, kind, told):
    with pytest.raises(kind, match=told):
        job(**changes).check()


def test_an_instance_that_does_not_exist_is_refused():
    with pytest.raises(InvalidRequest, match="InstanceType is 'ml.g5.huge'"):
        job(instance="ml.g5.huge").check()


def test_the_source_runs_without_this_repository(tmp_path):
    source = write_source(tmp_path / "source")
    start = (source / "start.sh").read_text()
    assert (
        "torchrun --standalone --nproc-per-node" in start
        and subprocess.run(["bash", "-n", source / "start.sh"]).returncode == 0
    )
    code = (
        "import finqa_lab.cli.train as t; print(t.__file__); from finqa_lab.cli import main; main(['train', '--help'])"
    )
    alone = {"PYTHONPATH": str(source), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=source, env=alone, capture_output=True, text=True)
    assert done.returncode == 0 and str(source) in done.stdout and "--strategy" in done.stdout
    with pytest.raises(CourseError, match="is not empty"):
        write_source(source)


@pytest.mark.skipif(importlib.util.find_spec("sagemaker.train") is not None, reason="sagemaker-train is installed")
def test_without_the_sdk_its_object_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(CourseError, match=r"pip install 'finqa-lab\[sagemaker\]'"):
        model_trainer(job(), tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("sagemaker.train") is None, reason="needs sagemaker-train")
def test_the_sdks_object_says_what_the_request_says(tmp_path):
    made = model_trainer(job(), write_source(tmp_path / "source"))
    assert made.distributed.process_count_per_node == 4 and made.compute.instance_type == "ml.g5.12xlarge"
    assert made.training_image == job().request()["AlgorithmSpecification"]["TrainingImage"]
    assert made.hyperparameters["rank"] == "16"
