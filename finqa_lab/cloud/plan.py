"""The plan: everything that will be asked of the service, what it costs, and nothing done.

A plan is a value. It is printed, priced, compared and confirmed; the requests that it holds are those that are sent,
held to the service's model before anyone is asked to confirm.
"""

import datetime
import json
import re
import secrets
from dataclasses import asdict, dataclass

from finqa_lab.cloud.errors import InvalidRequest
from finqa_lab.cloud.images import Image, environment, serving_image
from finqa_lab.cloud.ledger import Resource
from finqa_lab.cloud.package import Package
from finqa_lab.cloud.prices import Price, price_of
from finqa_lab.cloud.scaling import Scaling, policy_name, resource_id
from finqa_lab.cloud.validation import check_request
from finqa_lab.files import sha256_bytes

PREFIX = "finqa-lab-"
"""Every name begins with it; by it orphans are found."""
VARIANT = "AllTraffic"
ACCOUNT = "123456789012"
OFFLINE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/finqa-lab-offline"
STALE_DAYS = 90


@dataclass(frozen=True)
class Step:
    """One creation: what it makes, and the request.

    Attributes:
        resource: that exists afterwards.
        service: botocore's name of it.
        operation: of the API.
        request: its arguments, for the archive without the bytes; empty for what the service makes by itself when
            the next step is taken, and does not always remove.
    """

    resource: Resource
    service: str
    operation: str
    request: dict


@dataclass(frozen=True)
class Plan:
    """A deployment that was thought through.

    Attributes:
        name: of the endpoint, its configuration and its model.
        region: of all of it.
        image: that serves.
        instance: SageMaker's name.
        package_sha256, package_bytes, adapted: of the archive.
        bucket: for the archive; it must exist.
        role: ARN of the role that the endpoint runs as.
        owner: for the tags.
        hours: that it will run at most.
        price: of the instance.
        scaling: or None for one instance throughout.
        startup_s: limit for the container's first ``/ping``.
        latency_alarm_ms: p95 of the model's latency above which an alarm goes off.
    """

    name: str
    region: str
    image: Image
    instance: str
    package_sha256: str
    package_bytes: int
    adapted: bool
    bucket: str
    role: str
    owner: str
    hours: float
    price: Price
    scaling: Scaling | None = None
    startup_s: int = 600
    latency_alarm_ms: float = 5_000.0

    @property
    def expected_usd(self) -> float:
        """Cost of the least instances over the hours."""
        return self.price.cost(self.hours, self.scaling.least if self.scaling else 1)

    @property
    def worst_usd(self) -> float:
        """Cost when the most instances run all the time."""
        return self.price.cost(self.hours, self.scaling.most if self.scaling else 1)

    @property
    def archive_key(self) -> str:
        """Of the archive in the bucket."""
        return f"{self.name}/model.tar.gz"

    @property
    def digest(self) -> str:
        """What a confirmation is for, the SHA-256 of the plan's JSON."""
        return sha256_bytes(self.as_json().encode())

    def steps(self, ends: datetime.datetime | None = None) -> tuple[Step, ...]:
        """The creations in order.

        Args:
            ends: when it should be gone, for the tag ``finqa-lab:ends``; None for a placeholder.
        """
        until = ends.isoformat(timespec="seconds") if ends else "deployment + hours"
        tags = [{"Key": f"finqa-lab:{key}", "Value": value} for key, value in
                (("owner", self.owner), ("ends", until), ("plan", self.package_sha256[:12]))]  # fmt: skip
        url = f"s3://{self.bucket}/{self.archive_key}"
        container = {"Image": self.image.uri, "ModelDataUrl": url,
                     "Environment": dict(environment(self.image.server, self.adapted))}  # fmt: skip
        variant = {
            "VariantName": VARIANT,
            "ModelName": self.name,
            "InstanceType": self.instance,
            "InitialInstanceCount": self.scaling.least if self.scaling else 1,
            "InitialVariantWeight": 1.0,
            "ContainerStartupHealthCheckTimeoutInSeconds": self.startup_s,
        }
        name = self.name
        steps = [
            Step(Resource("archive", f"{self.bucket}/{self.archive_key}"), "s3", "PutObject",
                 {"Bucket": self.bucket, "Key": self.archive_key}),
            Step(Resource("model", name), "sagemaker", "CreateModel",
                 {"ModelName": name, "PrimaryContainer": container, "ExecutionRoleArn": self.role, "Tags": tags}),
            Step(Resource("endpoint-config", name), "sagemaker", "CreateEndpointConfig",
                 {"EndpointConfigName": name, "ProductionVariants": [variant], "Tags": tags}),
            Step(Resource("log-group", f"/aws/sagemaker/Endpoints/{name}"), "sagemaker", "CreateEndpoint", {}),
            Step(Resource("endpoint", name), "sagemaker", "CreateEndpoint",
                 {"EndpointName": name, "EndpointConfigName": name, "Tags": tags}),
            Step(Resource("alarm", f"{name}-latency"), "cloudwatch", "PutMetricAlarm", self._alarm(
                "latency", "ModelLatency", self.latency_alarm_ms * 1000, ExtendedStatistic="p95")),
            Step(Resource("alarm", f"{name}-errors"), "cloudwatch", "PutMetricAlarm", self._alarm(
                "errors", "Invocation5XXErrors", 0.0, Statistic="Sum")),
        ]  # fmt: skip
        if self.scaling is not None:
            target = resource_id(name, VARIANT)
            steps += [
                Step(Resource("scalable-target", target), "application-autoscaling", "RegisterScalableTarget",
                     self.scaling.register_request(name, VARIANT)),
                Step(Resource("tracking-alarms", f"TargetTracking-{target}-"), "application-autoscaling",
                     "PutScalingPolicy", {}),
                Step(Resource("scaling-policy", f"{target}#{policy_name(name)}"), "application-autoscaling",
                     "PutScalingPolicy", self.scaling.policy_request(name, VARIANT)),
            ]  # fmt: skip
        return tuple(steps)

    def _alarm(self, kind: str, metric: str, threshold: float, **statistic) -> dict:
        """``PutMetricAlarm`` over five minutes of the variant; latency is in microseconds."""
        return statistic | {
            "AlarmName": f"{self.name}-{kind}",
            "Namespace": "AWS/SageMaker",
            "MetricName": metric,
            "Dimensions": [{"Name": "EndpointName", "Value": self.name}, {"Name": "VariantName", "Value": VARIANT}],
            "Period": 60,
            "EvaluationPeriods": 5,
            "DatapointsToAlarm": 3,
            "Threshold": threshold,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
        }

    def check(self) -> None:
        """Hold every request to the service's model.

        Raises:
            InvalidRequest: naming the first field that does not fit.
        """
        if f".{self.region}." not in self.image.uri:
            raise InvalidRequest(f"the image {self.image.uri} is not in {self.region}, where the endpoint would be")
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", self.bucket):
            raise InvalidRequest(f"{self.bucket[:80]!r} is no name of a bucket")
        if not 0 < self.hours <= 24 * 365:
            raise InvalidRequest(f"{self.hours} hours make no sense; give a positive number")
        for step in self.steps():
            if step.request:
                check_request(step.service, step.operation, step.request)

    def as_json(self) -> str:
        """All of it, for a file or a program."""
        values = asdict(self) | {"expected_usd": round(self.expected_usd, 4), "worst_usd": round(self.worst_usd, 4)}
        values["steps"] = [{"creates": str(step.resource), "operation": f"{step.service}:{step.operation}",
                            "request": step.request} for step in self.steps() if step.request]  # fmt: skip
        return json.dumps(values, indent=1, default=str)

    def as_text(self, today: datetime.date | None = None) -> str:
        """All that one needs to decide, for a terminal."""
        price, scaling = self.price, self.scaling
        lines = [
            f"plan {self.name} in {self.region}",
            f"  archive    {self.package_bytes:,} bytes, sha256 {self.package_sha256}",
            f"             {'model with an adapter' if self.adapted else 'model'}",
            f"  image      {self.image.server} {self.image.version}: {self.image.uri}",
            f"  instance   {self.instance} ({price.gpu or 'no GPU'})",
        ]
        if scaling:
            lines += [
                f"  scaling    {scaling.least} to {scaling.most} instances, {scaling.target:g} calls a minute each "
                f"({scaling.service_s:g} s a request: at most {scaling.capacity_per_minute:.0f})",
                f"             cooldown {scaling.out_cooldown_s} s out, {scaling.in_cooldown_s} s in",
            ]
        lines += [f"  creates    {step.resource}" for step in self.steps()]
        age = f", {price.age_days(today)} days ago" if today else ""
        lines += [
            f"  price      {price.usd_per_hour} USD an hour for an instance, as of {price.as_of}{age}",
            f"             source: {price.source}",
            f"  cost       {self.expected_usd:.2f} USD for {self.hours:g} h at the fewest instances, "
            f"{self.worst_usd:.2f} USD at the most",
            "             without storage, transfer, logs and taxes",
        ]
        if today and price.age_days(today) > STALE_DAYS:
            lines.append(f"  WARNING    the price is older than {STALE_DAYS} days; look it up again")
        return "\n".join(lines)


def make_plan(
    package: Package,
    *,
    instance: str,
    region: str,
    role: str = OFFLINE_ROLE,
    bucket: str = "finqa-lab-models",
    server: str = "vllm",
    version: str | None = None,
    hours: float = 1.0,
    scaling: Scaling | None = None,
    owner: str = "course",
    suffix: str | None = None,
    startup_s: int = 600,
    latency_alarm_ms: float = 5_000.0,
) -> Plan:
    """Think a deployment through: look up image and price, name everything, check every request.

    Args:
        package: the archive.
        instance, region: where it runs.
        role, bucket: of the account; the bucket must exist.
        server, version: of :data:`finqa_lab.cloud.images.SERVERS`.
        hours: that it will run at most.
        scaling: or None.
        owner: for the tags.
        suffix: end of the name; random by default, so that two deployments do not meet.
        startup_s: limit for the container's first ``/ping``, 60 to 3,600.
        latency_alarm_ms: p95 above which an alarm goes off.

    Raises:
        InstanceUnavailable: when there is no price for the instance in the region.
        InvalidRequest: when a request does not fit the service's model.
        CloudError: when the SDK knows no such image.
    """
    suffix = suffix or secrets.token_hex(4)
    if not re.fullmatch(r"[a-z0-9](?:-?[a-z0-9]){0,30}", suffix):
        raise InvalidRequest(
            f"the name's end {suffix[:40]!r} may have small letters, digits and single hyphens, 31 at most"
        )
    price = price_of(instance, region)
    image = serving_image(server, region, instance, version)
    plan = Plan(
        name=f"{PREFIX}{suffix}",
        region=region,
        image=image,
        instance=instance,
        package_sha256=package.sha256,
        package_bytes=package.bytes,
        adapted=package.adapted,
        bucket=bucket,
        role=role,
        owner=owner,
        hours=hours,
        price=price,
        scaling=scaling,
        startup_s=startup_s,
        latency_alarm_ms=latency_alarm_ms,
    )
    plan.check()
    return plan
