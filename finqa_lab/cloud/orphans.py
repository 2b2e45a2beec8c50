"""What is left in an account: everything whose name begins as ours do, whether or not the ledger knows of it.

The ledger is a file on one machine; another machine may have deployed, or the file may be lost. So this asks the
service: endpoints, configurations, models, scalable targets, alarms, log groups, and archives in the buckets that the
ledger or the caller names.
"""

import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finqa_lab.cloud.clients import Cloud
from finqa_lab.cloud.faults import sorted_faults
from finqa_lab.cloud.ledger import Ledger, Resource
from finqa_lab.cloud.plan import PREFIX

LOGS = "/aws/sagemaker/Endpoints/"


@dataclass(frozen=True)
class Orphan:
    """Something that is there.

    Attributes:
        resource: its kind and name.
        recorded: whether the ledger says that it may be there.
        owner, ends: from its tags; empty where it has none.
    """

    resource: Resource
    recorded: bool
    owner: str = ""
    ends: str = ""

    def overdue(self, now: datetime.datetime) -> bool:
        """Whether its tag says that it should be gone by now; a tag that is no time says nothing."""
        try:
            return now >= datetime.datetime.fromisoformat(self.ends)
        except (ValueError, TypeError):
            return False


def find_orphans(
    cloud: Cloud, ledger: Ledger | None = None, prefix: str = PREFIX, buckets: Iterable[str] = ()
) -> list[Orphan]:
    """Everything in the region whose name begins with the prefix, endpoints first: they cost by the hour.

    Args:
        cloud: where to look.
        ledger: what it has is marked, and the buckets that it names are searched.
        prefix: of the names.
        buckets: to search for archives besides; one that is not there holds none. None by default: names of buckets are
            the world's, and a default one would be a stranger's.

    Raises:
        CloudError: when the service cannot be asked; an empty list then would be a lie.
    """
    recorded = set(ledger.left()) if ledger is not None else set()
    with sorted_faults("looking for what is left"):
        found = list(_everything(cloud, prefix))
        named = {one.name.partition("/")[0] for one in recorded if one.kind == "archive"}
        for bucket in sorted({*buckets, *named}):
            found += [(archive, {}) for archive in _archives(cloud, bucket, prefix)]
    return [Orphan(resource, _recorded(resource, recorded), **tags) for resource, tags in found]


def _recorded(resource: Resource, recorded: set[Resource]) -> bool:
    """Whether the ledger has it; the alarms of a policy stand there by the beginning of their names."""
    begins = [one.name for one in recorded if one.kind == "tracking-alarms"]
    return resource in recorded or resource.kind == "alarm" and resource.name.startswith(tuple(begins))


def _everything(cloud: Cloud, prefix: str) -> Iterator[tuple[Resource, dict[str, str]]]:
    sagemaker = cloud.client("sagemaker")
    for kind, operation, key, field in (
        ("endpoint", "list_endpoints", "Endpoints", "Endpoint"),
        ("endpoint-config", "list_endpoint_configs", "EndpointConfigs", "EndpointConfig"),
        ("model", "list_models", "Models", "Model"),
    ):
        for one in _pages(sagemaker, operation, key, NameContains=prefix):
            if one[f"{field}Name"].startswith(prefix):
                yield Resource(kind, one[f"{field}Name"]), _tags(sagemaker, one[f"{field}Arn"])
    scaling = cloud.client("application-autoscaling")
    for one in _pages(scaling, "describe_scalable_targets", "ScalableTargets", ServiceNamespace="sagemaker"):
        if one["ResourceId"].split("/")[1].startswith(prefix):
            yield Resource("scalable-target", one["ResourceId"]), {}
    watch = cloud.client("cloudwatch")
    for start in (prefix, f"TargetTracking-endpoint/{prefix}"):
        for one in _pages(watch, "describe_alarms", "MetricAlarms", AlarmNamePrefix=start):
            yield Resource("alarm", one["AlarmName"]), {}
    for one in _pages(cloud.client("logs"), "describe_log_groups", "logGroups", logGroupNamePrefix=LOGS + prefix):
        yield Resource("log-group", one["logGroupName"]), {}


def _archives(cloud: Cloud, bucket: str, prefix: str) -> Iterator[Resource]:
    from botocore.exceptions import ClientError

    try:
        for one in _pages(cloud.client("s3"), "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix):
            yield Resource("archive", f"{bucket}/{one['Key']}")
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise


def _pages(client, operation: str, key: str, **request) -> Iterator[dict]:
    for page in client.get_paginator(operation).paginate(**request):
        yield from page.get(key, [])


def _tags(sagemaker, arn: str) -> dict[str, str]:
    """Owner and end; an account may forbid looking."""
    from botocore.exceptions import ClientError

    try:
        tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
    except ClientError:
        return {}
    return {name: tags.get(f"finqa-lab:{name}", "") for name in ("owner", "ends")}
