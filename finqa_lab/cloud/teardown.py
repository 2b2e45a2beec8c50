"""Removing what was created: in reverse, each thing on its own, as often as it takes.

A removal that finds nothing is a success. One that fails is noted and the others go on: an endpoint costs money
whether or not its alarm could be deleted. The ledger says what is left, and the same call tries again.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from finqa_lab.cloud.clients import Cloud
from finqa_lab.cloud.errors import CleanupIncomplete, CloudError, NothingToTearDown
from finqa_lab.cloud.faults import is_missing, sort_fault, sorted_faults
from finqa_lab.cloud.ledger import FAILED, REMOVED, Ledger, Resource
from finqa_lab.cloud.validation import VARIANT


@dataclass(frozen=True)
class Removal:
    """How one removal went: ``removed``, ``gone`` (there was nothing), or ``failed`` with the reason."""

    resource: Resource
    outcome: str
    reason: str = ""


def cleanup(cloud: Cloud, ledger: Ledger, deployment: str) -> list[Removal]:
    """Remove whatever of a deployment may exist. Never raises for a resource: the list says how each went."""
    found = []
    for resource in ledger.left(deployment):
        removal = remove(cloud, resource)
        event = FAILED if removal.outcome == "failed" else REMOVED
        with contextlib.suppress(CloudError):  # a full disk must not keep an endpoint running; it is only removed twice
            ledger.write(deployment, event, resource, cloud.region, cloud.target, removal.reason)
        found.append(removal)
    return found


def tear_down(cloud: Cloud, ledger: Ledger, deployment: str) -> list[Removal]:
    """The command: remove a deployment, and say so when there is nothing to remove.

    Raises:
        NothingToTearDown: when the ledger does not know the deployment, or knows that all of it was removed.
        CleanupIncomplete: when something is left.
    """
    facts = ledger.facts(deployment)
    if facts is None:
        known = ", ".join(ledger.deployments()[-5:]) or "none"
        raise NothingToTearDown(f"the ledger {ledger.path} knows no deployment {deployment}; it knows {known}")
    if (facts.region, facts.target) != (cloud.region, cloud.target):
        raise CloudError(
            f"{deployment} was made with --target {facts.target} in {facts.region}; tear it down there, not with "
            f"--target {cloud.target} in {cloud.region}"
        )
    if not ledger.left(deployment):
        raise NothingToTearDown(f"{deployment} was torn down before ({facts.time}); nothing of it is left")
    found = cleanup(cloud, ledger, deployment)
    raise_if_left(found, deployment)
    return found


def raise_if_left(removals: list[Removal], deployment: str) -> None:
    """Say what could not be removed.

    Raises:
        CleanupIncomplete: naming the first, its reason and the number.
    """
    failed = [removal for removal in removals if removal.outcome == "failed"]
    if failed:
        others = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise CleanupIncomplete(
            f"{failed[0].resource}{others} could not be removed ({failed[0].reason}); it may cost money: run "
            f"`finqa-lab cloud teardown {deployment}` again"
        )


def remove(cloud: Cloud, resource: Resource) -> Removal:
    """Remove one thing, of whatever kind."""
    try:
        REMOVALS[resource.kind](cloud, resource.name)
    except Exception as error:
        if is_missing(error):
            return Removal(resource, "gone")
        told = error if isinstance(error, CloudError) else sort_fault(error, f"removing {resource}")
        return Removal(resource, "failed", str(told or f"{type(error).__name__}: {error}"))
    return Removal(resource, "removed")


def _endpoint(cloud: Cloud, name: str) -> None:
    """Delete, and wait until it is gone: its configuration may be deleted only then, and billing ends then."""
    cloud.client("sagemaker").delete_endpoint(EndpointName=name)
    waiter = cloud.client("sagemaker").get_waiter("endpoint_deleted")
    with sorted_faults(f"deleting the endpoint {name}"):
        waiter.wait(EndpointName=name, WaiterConfig={"Delay": cloud.poll_s, "MaxAttempts": 60})


def _archive(cloud: Cloud, name: str) -> None:
    bucket, _, key = name.partition("/")
    cloud.client("s3").delete_object(Bucket=bucket, Key=key)


def _target(cloud: Cloud, name: str) -> None:
    cloud.client("application-autoscaling").deregister_scalable_target(
        ServiceNamespace="sagemaker", ResourceId=name, ScalableDimension=VARIANT
    )


def _policy(cloud: Cloud, name: str) -> None:
    target, _, policy = name.partition("#")
    cloud.client("application-autoscaling").delete_scaling_policy(
        PolicyName=policy, ServiceNamespace="sagemaker", ResourceId=target, ScalableDimension=VARIANT
    )


def _tracking_alarms(cloud: Cloud, prefix: str) -> None:
    """Alarms that the service made for a policy and left behind."""
    client = cloud.client("cloudwatch")
    found = client.describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]
    if found:
        client.delete_alarms(AlarmNames=[alarm["AlarmName"] for alarm in found])


REMOVALS: dict[str, Callable[[Cloud, str], None]] = {
    "archive": _archive,
    "model": lambda cloud, name: cloud.client("sagemaker").delete_model(ModelName=name),
    "endpoint-config": lambda cloud, name: cloud.client("sagemaker").delete_endpoint_config(EndpointConfigName=name),
    "endpoint": _endpoint,
    "log-group": lambda cloud, name: cloud.client("logs").delete_log_group(logGroupName=name),
    "alarm": lambda cloud, name: cloud.client("cloudwatch").delete_alarms(AlarmNames=[name]),
    "scalable-target": _target,
    "tracking-alarms": _tracking_alarms,
    "scaling-policy": _policy,
}
"""How each kind is removed."""
