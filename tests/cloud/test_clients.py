"""Offline reads no credentials and sends nothing away; on the service's side boto3 looks for them as it always does."""

import datetime
import json
import subprocess
import sys

import pytest

from finqa_lab.cloud import errors, images
from finqa_lab.cloud.clients import new_session, open_cloud
from finqa_lab.cloud.deploy import deployed
from finqa_lab.cloud.images import LOOK_UP, sdk_environment
from finqa_lab.cloud.invoke import ask
from finqa_lab.cloud.observe import observation_request, observe
from finqa_lab.cloud.validation import check_request
from tests.cloud.toys import agreed, toy_cloud, toy_package, toy_plan

WATCH = """
import json, os, socket, sys
opened, called = [], []
def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        opened.append(arguments[0])
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        called.append(arguments[1][0])
sys.addaudithook(hook)
from finqa_lab.cli import main
status = main(sys.argv[1:])
print(json.dumps({"status": status, "opened": opened, "called": sorted(set(called))}))
"""


@pytest.mark.slow
def test_a_whole_offline_deployment_reads_no_credentials_and_calls_nobody(tmp_path, monkeypatch):
    """Every file that is opened and every address that is called, of the real command."""
    package = toy_package(tmp_path)
    for name, text in (
        ("credentials", "[default]\naws_access_key_id = AKIAABCDEFGHIJKLMNOP\n"),
        ("config", "[profile x]\n"),
    ):
        (tmp_path / ".aws").mkdir(exist_ok=True)
        (tmp_path / ".aws" / name).write_text(text)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / ".aws" / "credentials"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAABCDEFGHIJKLMNOP")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    command = ["cloud", "deploy", str(package.path), "--yes", "--max-hours", "1", "--max-usd", "99",
               "--service-time", "0.73", "--ask", "2?", "--ledger", str(tmp_path / "ledger.jsonl")]  # fmt: skip
    done = subprocess.run([sys.executable, "-c", WATCH, *command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    *shown, last = done.stdout.strip().splitlines()
    found = json.loads(last)
    assert found["status"] == 0, done.stderr
    assert '{"answer": 1.0}' in shown
    assert not [path for path in found["opened"] if "/.aws/" in path]
    assert set(found["called"]) <= {"127.0.0.1", "localhost"}
    for text in (done.stdout, done.stderr, (tmp_path / "ledger.jsonl").read_text()):
        assert "AKIA" not in text.replace(last, "") and "wJalr" not in text.replace(last, "")


def test_the_sdk_is_asked_without_the_users_account(tmp_path, monkeypatch):
    """Importing it makes a session, which reads the profile; so it is imported elsewhere, with empty files."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text("[default]\naws_access_key_id = AKIAABCDEFGHIJKLMNOP\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    variables = sdk_environment()
    assert "AWS_PROFILE" not in variables and "AWS_SECRET_ACCESS_KEY" not in variables
    watch = WATCH.partition("from finqa_lab")[0] + LOOK_UP + "\nprint(json.dumps(opened))"
    asked = json.dumps(["huggingface-vllm", "0.21.0", "us-east-1", "ml.g5.xlarge", "inference"])
    done = subprocess.run([sys.executable, "-c", watch, asked], capture_output=True, text=True, env=variables)
    uri, opened = done.stdout.strip().splitlines()
    assert "huggingface-vllm:0.21.0" in uri and not [path for path in json.loads(opened) if "/.aws/" in path]


def test_answers_of_the_sdk_are_kept_and_a_damaged_file_of_them_is_not_believed(tmp_path, monkeypatch):
    monkeypatch.setenv("FINQA_LAB_HOME", str(tmp_path))
    asked = []
    monkeypatch.setattr(images, "_ask_sdk", lambda question: asked.append(question) or {"uri": "registry/image:1"})
    for _ in range(2):
        assert images.serving_image("vllm", "us-east-1", "ml.g5.xlarge").uri == "registry/image:1"
    assert len(asked) == 1
    (kept,) = (tmp_path / "cloud").iterdir()
    kept.write_text("{")
    images.serving_image("vllm", "us-east-1", "ml.g5.xlarge")
    assert len(asked) == 2


def test_offline_credentials_are_invented_whatever_the_environment_says(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAABCDEFGHIJKLMNOP")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    assert new_session(read_credentials=False).get_credentials().access_key == "offline"
    assert new_session(read_credentials=False).client("sagemaker", "us-east-1")  # no profile is looked for
    monkeypatch.delenv("AWS_PROFILE")
    assert new_session(read_credentials=True).get_credentials().access_key == "AKIAABCDEFGHIJKLMNOP"


def test_without_credentials_the_service_is_a_typed_error(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with open_cloud("aws") as cloud:
        assert cloud.endpoint is None
        with pytest.raises(errors.CredentialsProblem, match="there are no credentials"):
            ask(cloud, "finqa-lab-x", [{"role": "user", "content": "2?"}])


def test_the_requests_to_the_service_are_checked_before_credentials_are_needed(monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with open_cloud("aws") as cloud:
        with pytest.raises(errors.InvalidRequest, match="does not know"):
            variant = {"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.g9.xlarge"}
            cloud.client("sagemaker").create_endpoint_config(EndpointConfigName="a", ProductionVariants=[variant])


@pytest.mark.parametrize(
    "address", ["http://example.com:5000", "http://127.0.0.1.example.com", "https://sagemaker.aws"]
)
def test_a_stand_in_is_on_this_machine(address):
    with pytest.raises(errors.CloudError, match="not on this machine"):
        with open_cloud(stand_in=address):
            pytest.fail("it must not be opened")


def test_an_unknown_target_is_refused():
    with pytest.raises(errors.CloudError, match="choose offline or aws"):
        with open_cloud("azure"):
            pytest.fail("there is none")


def test_two_stand_ins_do_not_share_their_records(tmp_path):
    for _ in range(2):
        with toy_cloud(tmp_path) as (cloud, _):
            assert cloud.client("sagemaker").list_models()["Models"] == []
            cloud.client("sagemaker").create_model(ModelName="finqa-lab-a")
            assert cloud.endpoint.startswith("http://127.0.0.1:")


def test_the_stand_in_refuses_what_moto_accepts(tmp_path):
    """Names that are taken, references to nothing: the service refuses them, moto 5.2 does not."""
    from botocore.exceptions import ClientError

    with toy_cloud(tmp_path) as (cloud, _):
        sagemaker, scaling = cloud.client("sagemaker"), cloud.client("application-autoscaling")
        sagemaker.create_model(ModelName="m")
        with pytest.raises(ClientError, match="already existing model"):
            sagemaker.create_model(ModelName="m")
        variant = {"VariantName": "v", "ModelName": "none", "InitialInstanceCount": 1, "InstanceType": "ml.g5.xlarge"}
        with pytest.raises(ClientError, match="Could not find model"):
            sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
        with pytest.raises(ClientError, match="Could not find endpoint"):
            scaling.register_scalable_target(ServiceNamespace="sagemaker", ResourceId="endpoint/none/variant/v",
                ScalableDimension="sagemaker:variant:DesiredInstanceCount", MinCapacity=1, MaxCapacity=2)  # fmt: skip


def test_what_an_endpoint_did_is_in_its_metrics(tmp_path):
    package = toy_package(tmp_path)
    plan = toy_plan(package)
    with toy_cloud(tmp_path) as (cloud, ledger), deployed(cloud, plan, package.path, agreed(plan), ledger) as live:
        call = lambda text: ask(cloud, live.name, [{"role": "user", "content": text}])  # noqa: E731
        call("2?"), call("3?")
        for text, kind in (("no answer", errors.StructureError), ("fail", errors.ModelFailed)):
            with pytest.raises(kind):
                call(text)
        later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=2)
        minutes = observe(cloud, live.name, minutes=10, now=later)
        total = lambda name: sum(minute.figures[name] or 0 for minute in minutes)  # noqa: E731
        assert total("calls") == 4 and total("refused") == 1 and total("failed") == 1
        assert 0 < minutes[0].figures["p50_s"] < 5
        assert observe(cloud, "finqa-lab-other", now=later) == []


def test_the_observation_fits_the_services_model():
    now = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)
    check_request("cloudwatch", "GetMetricData", observation_request("finqa-lab-a", now - datetime.timedelta(1), now))
    with pytest.raises(errors.InvalidRequest, match="must begin before"):
        observation_request("finqa-lab-a", now, now)
