"""Deploying and tearing down on the stand-in, with a fault at every single call."""

import datetime
import json

import pytest

from finqa_lab.cloud import errors
from finqa_lab.cloud.confirm import Confirmation, confirm
from finqa_lab.cloud.container import Limits
from finqa_lab.cloud.deploy import deploy, deployed
from finqa_lab.cloud.invoke import ask, invoke
from finqa_lab.cloud.ledger import CREATED, INTEND, Ledger, Resource
from finqa_lab.cloud.orphans import Orphan, find_orphans
from finqa_lab.cloud.teardown import cleanup, tear_down
from tests.cloud.toys import HANDLER, Strike, agreed, listen, toy_cloud, toy_package, toy_plan

QUESTION = [{"role": "user", "content": "2?"}]
KINDS = {"endpoint", "endpoint-config", "model", "scalable-target", "alarm", "log-group"}


def kinds(orphans) -> set[str]:
    return {orphan.resource.kind for orphan in orphans}


def test_a_deployment_answers_is_all_found_and_is_all_removed(tmp_path):
    package = toy_package(tmp_path)
    plan = toy_plan(package)
    with toy_cloud(tmp_path) as (cloud, ledger):
        with deployed(cloud, plan, package.path, agreed(plan), ledger) as live:
            assert ask(cloud, live.name, QUESTION) == 1.0
            found = find_orphans(cloud, ledger)
            assert kinds(found) == KINDS | {"archive"}
            endpoint = found[0]
            assert endpoint.owner == "course" and endpoint.ends == live.ends.isoformat(timespec="seconds")
            alarms = [orphan.resource.name for orphan in found if orphan.resource.kind == "alarm"]
            assert sum(name.startswith("TargetTracking-") for name in alarms) == 2 and len(alarms) == 4
        assert find_orphans(cloud, ledger) == [] and ledger.left() == []
        with pytest.raises(errors.NoSuchEndpoint):
            ask(cloud, live.name, QUESTION)


def test_every_creation_is_in_the_ledger_before_it_is_asked_for(tmp_path):
    package = toy_package(tmp_path)
    plan = toy_plan(package)
    with toy_cloud(tmp_path) as (cloud, ledger):
        seen = []

        def look(model, **_):
            if model.name.startswith(("Create", "Put", "Register")) and model.name not in (
                "CreateBucket",
                "CreateLogGroup",
            ):
                last = list(ledger.lines())[-1]
                seen.append((model.name, last.event, last.resource.kind))

        listen(cloud, "before-call.*.*", look)
        deploy(cloud, plan, package.path, agreed(plan), ledger)
        made = [entry for entry in seen if not entry[2] == "scaling-policy" or entry[0] == "PutScalingPolicy"]
        assert [entry[1] for entry in made] == [INTEND] * len(made)
        assert {kind for _, _, kind in made} == KINDS - {"log-group"} | {"archive", "scaling-policy"}
        events = [line.event for line in ledger.lines() if line.resource.kind == "endpoint"]
        assert events == [INTEND, CREATED]
        tear_down(cloud, ledger, plan.name)


def calls_of_a_deployment(tmp_path) -> list[str]:
    package = toy_package(tmp_path)
    plan = toy_plan(package)
    with toy_cloud(tmp_path) as (cloud, ledger):
        strike = Strike(cloud, None, "before")
        with deployed(cloud, plan, package.path, agreed(plan), ledger):
            made = len(strike.calls)
        return strike.calls[:made], strike.calls[made:]


@pytest.mark.slow
def test_a_fault_at_any_creation_leaves_nothing_behind(tmp_path):
    """Refused before it is sent; answer lost after it was carried out; interrupted by the reader."""
    made, _ = calls_of_a_deployment(tmp_path)
    assert made[:4] == ["PutObject", "CreateModel", "CreateEndpointConfig", "CreateEndpoint"] and len(made) >= 8
    package = toy_package(tmp_path)
    with toy_cloud(tmp_path) as (cloud, ledger):
        for number in range(len(made)):
            for when, error in (("before", None), ("after", None), ("after", KeyboardInterrupt())):
                if made[number] == "PutObject" and error:
                    continue  # the upload runs in threads, and Ctrl-C strikes the main one
                plan = toy_plan(package, suffix=f"f{number}{when}{'i' if error else ''}")
                strike = Strike(cloud, number, when, error)
                with pytest.raises((errors.CloudError, KeyboardInterrupt)):
                    deploy(cloud, plan, package.path, agreed(plan), ledger)
                strike.when = "over"
                assert strike.struck, (made[number], when)
                assert find_orphans(cloud, ledger) == [], (made[number], when)
                assert ledger.left() == []


@pytest.mark.slow
def test_a_fault_at_any_removal_is_told_and_the_next_cleanup_finishes(tmp_path):
    made, removed = calls_of_a_deployment(tmp_path)
    assert {"DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel", "DeregisterScalableTarget", "DeleteScalingPolicy",
            "DeleteAlarms", "DeleteLogGroup", "DeleteObject"} <= set(removed)  # fmt: skip
    package = toy_package(tmp_path)
    with toy_cloud(tmp_path) as (cloud, ledger):
        for number in range(len(made), len(made) + len(removed)):
            for when in ("before", "after"):
                plan = toy_plan(package, suffix=f"r{number}{when}")
                strike = Strike(cloud, number, when)
                with pytest.raises(errors.CleanupIncomplete, match=f"teardown {plan.name}"):
                    with deployed(cloud, plan, package.path, agreed(plan), ledger):
                        pass
                strike.when = "over"
                assert strike.struck and len(ledger.left()) == 1
                assert [removal.outcome for removal in tear_down(cloud, ledger, plan.name)] in (["removed"], ["gone"])
                assert find_orphans(cloud, ledger) == [] and ledger.left() == []


def test_the_body_of_a_block_may_fail_and_its_error_is_the_one_told(tmp_path):
    package = toy_package(tmp_path)
    plan = toy_plan(package)
    with toy_cloud(tmp_path) as (cloud, ledger):
        with pytest.raises(ZeroDivisionError):
            with deployed(cloud, plan, package.path, agreed(plan), ledger):
                _ = 1 / 0
        assert find_orphans(cloud, ledger) == [] and ledger.left() == []


def test_tearing_down_twice_is_an_error_and_cleaning_twice_is_none(tmp_path):
    package = toy_package(tmp_path)
    plan = toy_plan(package)
    with toy_cloud(tmp_path) as (cloud, ledger):
        deploy(cloud, plan, package.path, agreed(plan), ledger)
        assert {removal.outcome for removal in tear_down(cloud, ledger, plan.name)} == {"removed"}
        with pytest.raises(errors.NothingToTearDown, match="torn down before"):
            tear_down(cloud, ledger, plan.name)
        assert cleanup(cloud, ledger, plan.name) == []
        with pytest.raises(
            errors.NothingToTearDown, match="knows no deployment finqa-lab-never; it knows finqa-lab-toy"
        ):
            tear_down(cloud, ledger, "finqa-lab-never")


def test_a_teardown_in_another_place_is_refused(tmp_path):
    package = toy_package(tmp_path)
    plan = toy_plan(package)
    with toy_cloud(tmp_path) as (cloud, ledger):
        deploy(cloud, plan, package.path, agreed(plan), ledger)
        cloud.region = "eu-west-1"
        with pytest.raises(errors.CloudError, match="made with --target offline in us-east-1"):
            tear_down(cloud, ledger, plan.name)
        cloud.region = "us-east-1"
        tear_down(cloud, ledger, plan.name)


def test_a_name_that_is_taken_is_refused_and_the_other_deployment_stays(tmp_path):
    """The ledger of the second machine knows nothing; its cleanup must not remove what is not its own."""
    package = toy_package(tmp_path)
    plan = toy_plan(package)
    with toy_cloud(tmp_path) as (cloud, ledger):
        deploy(cloud, plan, package.path, agreed(plan), ledger)
        with pytest.raises(errors.AlreadyExists, match="the ledger says"):
            deploy(cloud, plan, package.path, agreed(plan), ledger)
        for confirmation in (agreed(plan), Confirmation("0" * 64, 1, 1)):
            with pytest.raises((errors.AlreadyExists, errors.NotConfirmed)):
                with deployed(cloud, plan, package.path, confirmation, ledger):
                    pytest.fail("it must not be entered")
            assert kinds(find_orphans(cloud)) == KINDS  # the one that lives was not removed
        other = Ledger(tmp_path / "other.jsonl")
        with pytest.raises(errors.AlreadyExists, match="from another deployment"):
            deploy(cloud, plan, package.path, agreed(plan), other)
        cloud.client("s3").delete_object(Bucket=plan.bucket, Key=plan.archive_key)
        with pytest.raises(errors.AlreadyExists, match="the name is taken"):
            deploy(cloud, plan, package.path, agreed(plan), other)
        assert other.left() == [] and kinds(find_orphans(cloud)) == KINDS
        assert ask(cloud, plan.name, QUESTION) == 1.0
        tear_down(cloud, ledger, plan.name)


@pytest.mark.parametrize("retries, left", [(0, ["model"]), (1, [])])
def test_a_name_that_is_taken_after_a_lost_answer_is_ours(tmp_path, retries, left):
    """botocore sends again when an answer is lost; the second answer is then that the name is taken, by us."""
    from botocore.exceptions import ClientError

    answer = {"Error": {"Code": "ValidationException", "Message": "Cannot create already existing model"}}
    package = toy_package(tmp_path)
    plan = toy_plan(package)
    with toy_cloud(tmp_path) as (cloud, ledger):
        error = ClientError(answer | {"ResponseMetadata": {"RetryAttempts": retries}}, "CreateModel")
        strike = Strike(cloud, 1, "after", error)
        with pytest.raises(errors.AlreadyExists):
            deploy(cloud, plan, package.path, agreed(plan), ledger)
        assert strike.struck and ledger.left() == []
        assert [orphan.resource.kind for orphan in find_orphans(cloud, ledger)] == left


def test_a_container_that_never_answers_ping_fails_the_endpoint_and_leaves_nothing(tmp_path):
    package = toy_package(tmp_path, HANDLER.replace('return {"model_dir": model_dir}', "time.sleep(60)"))
    plan = toy_plan(package)
    limits = Limits(startup=0.8, ping=0.3, grace=1.0)
    with toy_cloud(tmp_path, limits) as (cloud, ledger):
        with pytest.raises(errors.ContainerUnhealthy, match="did not pass the ping health check"):
            deploy(cloud, plan, package.path, agreed(plan), ledger)
        assert find_orphans(cloud, ledger) == [] and ledger.left() == []


def test_a_handler_that_does_not_load_is_told_with_its_last_line(tmp_path):
    package = toy_package(tmp_path, "raise ValueError('no such weights')")
    plan = toy_plan(package)
    with toy_cloud(tmp_path) as (cloud, ledger):
        with pytest.raises(errors.ContainerUnhealthy, match="no such weights"):
            deploy(cloud, plan, package.path, agreed(plan), ledger)
        assert find_orphans(cloud, ledger) == []


def test_the_service_passes_on_what_the_container_refused(tmp_path):
    package = toy_package(tmp_path)
    plan = toy_plan(package)
    with toy_cloud(tmp_path) as (cloud, ledger):
        with deployed(cloud, plan, package.path, agreed(plan), ledger) as live:
            say = lambda text: ask(cloud, live.name, [{"role": "user", "content": text}])  # noqa: E731
            with pytest.raises(errors.StructureError, match="no answer"):
                say("no answer")
            assert [call["status"] for call in cloud.stand_in.calls] == [422]  # asked once
            with pytest.raises(errors.ModelFailed, match="RuntimeError") as failed:
                say("fail")
            assert "secret detail" not in str(failed.value)
            with pytest.raises(errors.MalformedRequest, match="not JSON"):
                invoke(cloud, live.name, b"{")
            with pytest.raises(errors.InvokeTimeout, match="1.5 s"):
                say("sleep 30")
            with pytest.raises(errors.InvokeTimeout):  # the container still works on what nobody waits for
                say("2?")


@pytest.mark.parametrize(
    "code, message, kind, word",
    [
        ("ExpiredTokenException", "The security token included is expired", errors.CredentialsExpired, "sign in"),
        ("UnrecognizedClientException", "The token is invalid: AKIAABCDEFGHIJKLMNOP", errors.CredentialsProblem,
         "does not accept"),
        ("ResourceLimitExceeded", "The account-level service limit 'ml.g5.xlarge for endpoint usage' is 0 Instances",
         errors.QuotaExceeded, "Service Quotas"),
        ("ValidationException", "The instance type ml.g5.xlarge is not supported in the region. Invalid instanceType",
         errors.InstanceUnavailable, "choose an instance"),
        ("AccessDeniedException", "User is not authorized to perform sagemaker:CreateEndpoint", errors.AccessRefused,
         "not for this"),
    ],
)  # fmt: skip
def test_what_the_service_refuses_is_a_typed_error_and_nothing_is_left(tmp_path, code, message, kind, word):
    from botocore.exceptions import ClientError

    package = toy_package(tmp_path)
    plan = toy_plan(package)
    with toy_cloud(tmp_path) as (cloud, ledger):
        Strike(cloud, 3, "before", ClientError({"Error": {"Code": code, "Message": message}}, "CreateEndpoint"))
        with pytest.raises(kind, match=word) as raised:
            deploy(cloud, plan, package.path, agreed(plan), ledger)
        assert type(raised.value) is kind and "AKIA" not in str(raised.value)
        assert find_orphans(cloud, ledger) == [] and ledger.left() == []


def test_only_the_plan_that_was_confirmed_is_carried_out(tmp_path):
    package = toy_package(tmp_path)
    plan = toy_plan(package)
    with toy_cloud(tmp_path) as (cloud, ledger):
        with pytest.raises(errors.NotConfirmed, match="another plan"):
            deploy(cloud, plan, package.path, Confirmation("0" * 64, 1, 1), ledger)
        with pytest.raises(errors.NotConfirmed, match="another plan"):
            deploy(cloud, plan, package.path, agreed(toy_plan(package, instance="ml.g5.12xlarge")), ledger)
        package.path.write_bytes(package.path.read_bytes() + b"\0")
        with pytest.raises(errors.InvalidPackage, match="not the archive of the plan"):
            deploy(cloud, plan, package.path, agreed(plan), ledger)
        assert list(ledger.lines()) == [] and find_orphans(cloud) == []


def test_without_a_ledger_nothing_is_created(tmp_path):
    package = toy_package(tmp_path)
    plan = toy_plan(package)
    (tmp_path / "file").write_text("")
    with toy_cloud(tmp_path) as (cloud, _):
        strike = Strike(cloud, None, "before")
        with pytest.raises(errors.CloudError, match="ledger .* cannot be written"):
            deploy(cloud, plan, package.path, agreed(plan), Ledger(tmp_path / "file" / "ledger.jsonl"))
        assert strike.calls == []


def test_a_ledger_that_cannot_be_written_any_more_does_not_keep_anything_running(tmp_path, monkeypatch):
    package = toy_package(tmp_path)
    plan = toy_plan(package)
    with toy_cloud(tmp_path) as (cloud, ledger):
        deploy(cloud, plan, package.path, agreed(plan), ledger)

        def full(*_, **__):
            raise errors.CloudError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "write", full)
            assert {removal.outcome for removal in cleanup(cloud, ledger, plan.name)} == {"removed"}
        assert find_orphans(cloud, ledger) == [] and ledger.left() != []
        assert {removal.outcome for removal in cleanup(cloud, ledger, plan.name)} <= {"gone", "removed"}
        assert ledger.left() == []


def test_what_is_overdue_is_known_by_its_tag():
    now = datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.UTC)
    ends = lambda text: Orphan(Resource("endpoint", "e"), True, "me", text).overdue(now)  # noqa: E731
    assert ends("2026-11-21T11:59:59+00:00") and not ends("2026-11-21T14:00:00+01:30")
    assert not ends("") and not ends("soon") and not ends("2026-11-21T11:00:00")  # without a zone it says nothing


def test_a_confirmation_has_limits(tmp_path):
    plan = toy_plan(toy_package(tmp_path), hours=2)
    for given, told in (
        ({"yes": False, "max_hours": 9, "max_usd": 99}, "this was the plan only"),
        ({"yes": True, "max_hours": None, "max_usd": 99}, "needs --max-hours and --max-usd"),
        ({"yes": True, "max_hours": 1, "max_usd": 99}, "for 2 h, and 1 h"),
        ({"yes": True, "max_hours": 2, "max_usd": 28.15}, "28.16 USD, and 28.15"),
    ):
        with pytest.raises(errors.NotConfirmed, match=told):
            confirm(plan, **given)
    assert confirm(plan, yes=True, max_hours=2, max_usd=28.16).digest == plan.digest


def test_an_orphan_of_another_machine_is_found_and_told_apart(tmp_path):
    package = toy_package(tmp_path)
    plan = toy_plan(package)
    with toy_cloud(tmp_path) as (cloud, ledger):
        deploy(cloud, plan, package.path, agreed(plan), ledger)
        cloud.client("logs").create_log_group(logGroupName="/aws/sagemaker/Endpoints/finqa-lab-old")
        cloud.client("logs").create_log_group(logGroupName="/aws/sagemaker/Endpoints/somebody-else")
        cloud.client("s3").put_object(Bucket=plan.bucket, Key="finqa-lab-old/model.tar.gz", Body=b"")
        cloud.client("s3").put_object(Bucket=plan.bucket, Key="other/model.tar.gz", Body=b"")
        found = {orphan.resource.name: orphan.recorded for orphan in find_orphans(cloud, ledger)}
        assert found[f"{plan.bucket}/finqa-lab-old/model.tar.gz"] is False
        assert found[f"{plan.bucket}/finqa-lab-toy/model.tar.gz"] is True
        assert f"{plan.bucket}/other/model.tar.gz" not in found
        assert found["/aws/sagemaker/Endpoints/finqa-lab-old"] is False and found["finqa-lab-toy"] is True
        assert "/aws/sagemaker/Endpoints/somebody-else" not in found
        tear_down(cloud, ledger, plan.name)
        left = ["/aws/sagemaker/Endpoints/finqa-lab-old", f"{plan.bucket}/finqa-lab-old/model.tar.gz"]
        found = find_orphans(cloud, None, buckets=[plan.bucket, "none-there"])
        assert [orphan.resource.name for orphan in found] == left


def test_the_plan_is_all_that_was_asked_for(tmp_path):
    """The requests in the plan's JSON are those that were sent, but for the time in the tags."""
    package = toy_package(tmp_path)
    plan = toy_plan(package)
    sent = []
    with toy_cloud(tmp_path) as (cloud, ledger):
        with deployed(cloud, plan, package.path, agreed(plan), ledger):
            pass
        strike = Strike(cloud, None, "before")
        listen(cloud, "before-parameter-build.*.*", lambda params, model, **_: sent.append((model.name, params)))
        deploy(cloud, toy_plan(package, suffix="toy"), package.path, agreed(plan), ledger)
        assert strike.calls
        tear_down(cloud, ledger, plan.name)
    for step in json.loads(plan.as_json())["steps"]:
        operation, wanted = step["operation"].split(":")[1], step["request"]
        requests = [{k: v for k, v in params.items() if k != "Tags"} for name, params in sent if name == operation]
        wanted = {k: v for k, v in wanted.items() if k != "Tags"}
        assert any(wanted.items() <= request.items() for request in requests), operation
