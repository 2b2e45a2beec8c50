"""The offline stand-in: moto on loopback for the control plane, our container for the calls, and what moto leaves out.

moto keeps the records. Added to it, through botocore's own events, so that the code that deploys cannot tell:

- an endpoint's archive is fetched from the stand-in's bucket and run (:mod:`finqa_lab.cloud.container`), the endpoint
  is ``Creating`` until ``/ping`` answers and ``Failed`` with the service's reason when it does not;
- a call goes to that container; a call to an endpoint that does not exist fails (moto answers ``body``);
- names that are taken, targets of endpoints that do not exist, and references to nothing are refused;
- the log group of an endpoint and the alarms of a policy appear, as the service makes them.

What it does not prove: permissions, quotas, whether a region has the instance, pulling the image, the GPU, networks,
billing, how long anything takes.
"""

import contextlib
import datetime
import io
import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from finqa_lab.cloud.clients import Cloud, new_session
from finqa_lab.cloud.container import Container, Limits, start_host
from finqa_lab.cloud.errors import CloudError, InvokeTimeout, MalformedRequest, StructureError
from finqa_lab.cloud.moto_server import moto_server
from finqa_lab.cloud.package import ARCHIVE, unpack
from finqa_lab.cloud.plan import VARIANT
from finqa_lab.cloud.standin_metrics import metric_data
from finqa_lab.files import sha256_bytes

UNHEALTHY = "The primary container for production variant AllTraffic did not pass the ping health check. {}"
_STATUS = {MalformedRequest: 400, StructureError: 422, InvokeTimeout: 504}
_EXISTING = {"CreateModel": ("describe_model", "ModelName"), "CreateEndpoint": ("describe_endpoint", "EndpointName"),
             "CreateEndpointConfig": ("describe_endpoint_config", "EndpointConfigName")}  # fmt: skip
_MOTO_FAMILIES = ("c4", "c5", "c5d", "g4dn", "inf1", "m4", "m5", "m5d", "p2", "p3", "r5", "r5d", "t2")


_ASKED = "finqa-lab asked"
"""Where a call's arguments are kept in botocore's context of it."""


@dataclass
class _Running:
    """The container behind one endpoint."""

    container: Container | None
    begun: float
    healthy: bool = False
    failure: str | None = None


class StandIn:
    """What is added to moto. Made by :func:`open_stand_in`."""

    def __init__(self, cloud: Cloud, limits: Limits):
        self.cloud, self.limits = cloud, limits
        self.own = Cloud(new_session(read_credentials=False), "offline", cloud.region, cloud.endpoint)  # without events
        self.folder = Path(tempfile.mkdtemp(prefix="finqa-lab-stand-in-"))
        self.running: dict[str, _Running] = {}
        self.calls: list[dict] = []

    def attach(self) -> None:
        """Listen to the session's events."""
        events = self.cloud.session.events
        events.register("before-parameter-build.sagemaker.*", self._refuse_taken)
        events.register("before-parameter-build.application-autoscaling.RegisterScalableTarget", self._need_endpoint)
        events.register("before-call.sagemaker.CreateEndpointConfig", self._substitute_instance)
        events.register("after-call.sagemaker.CreateEndpoint", self._created)
        events.register("after-call.sagemaker.DescribeEndpoint", self._described)
        events.register("after-call.sagemaker.DeleteEndpoint", self._reap)
        events.register("after-call.application-autoscaling.PutScalingPolicy", self._policy_set)
        events.register("after-call.application-autoscaling.DeleteScalingPolicy", self._reap)
        events.register("before-call.sagemaker-runtime.InvokeEndpoint", self._invoke)
        events.register("before-call.cloudwatch.GetMetricData", self._metrics)
        events.register("before-parameter-build.*.*", self._note)

    def close(self) -> None:
        """Stop all containers and remove their files."""
        for one in self.running.values():
            if one.container is not None:
                one.container.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _note(self, params, context, **_) -> None:
        context[_ASKED] = params

    def _refuse_taken(self, params, model, **_) -> None:
        if model.name not in _EXISTING:
            return
        describe, key = _EXISTING[model.name]
        if self._exists(describe, **{key: params[key]}):
            raise _refusal(
                model.name, f"Cannot create already existing {key.removesuffix('Name').lower()} {params[key]!r}."
            )
        for variant in params.get("ProductionVariants", []):
            if not self._exists("describe_model", ModelName=variant["ModelName"]):
                raise _refusal(model.name, f"Could not find model {variant['ModelName']!r}.")

    def _need_endpoint(self, params, model, **_) -> None:
        name = params["ResourceId"].split("/")[1]
        if not self._exists("describe_endpoint", EndpointName=name):
            raise _refusal(model.name, f"Could not find endpoint {name!r}.")

    def _substitute_instance(self, params, **_) -> None:
        """moto 5.2 knows few families; others are recorded as ``ml.g4dn.xlarge``. The request itself was checked."""
        body = json.loads(params["body"])
        for variant in body["ProductionVariants"]:
            if variant.get("InstanceType", "ml.m5.large").split(".")[1] not in _MOTO_FAMILIES:
                variant["InstanceType"] = "ml.g4dn.xlarge"
        params["body"] = json.dumps(body).encode() if isinstance(params["body"], bytes) else json.dumps(body)
        params["headers"].pop("Content-Length", None)

    def _created(self, http_response, context, **_) -> None:
        if http_response.status_code >= 300:
            return
        name = context[_ASKED]["EndpointName"]
        self._make_log_group(f"/aws/sagemaker/Endpoints/{name}")
        self._start(name)

    def _start(self, name: str) -> _Running:
        """Fetch the archive of the endpoint's model and start its container."""
        sagemaker = self.own.client("sagemaker")
        begun = time.monotonic()
        try:
            config = self._record(name)["EndpointConfigName"]
            variant = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"][0]
            primary = sagemaker.describe_model(ModelName=variant["ModelName"])["PrimaryContainer"]
            bucket, _, key = primary["ModelDataUrl"].removeprefix("s3://").partition("/")
            folder = Path(tempfile.mkdtemp(dir=self.folder))
            archive = folder / ARCHIVE
            self.own.client("s3").download_file(bucket, key, str(archive))
            model_dir = unpack(archive, folder / "model")
            container = start_host(model_dir, folder / "container.log", self.limits, primary.get("Environment"))
            self.running[name] = _Running(container, begun)
        except (CloudError, self._client_error) as error:
            self.running[name] = _Running(None, begun, failure=f"Failed to download model data: {error}")
        return self.running[name]

    def _described(self, parsed, http_response, **_) -> None:
        """The status that the container's health says."""
        one = self.running.get(parsed.get("EndpointName", ""))
        if one is None or http_response.status_code >= 300:
            return
        self._look(one)
        if one.failure:
            parsed["EndpointStatus"], parsed["FailureReason"] = "Failed", one.failure
        elif not one.healthy:
            parsed["EndpointStatus"] = "Creating"

    def _look(self, one: _Running) -> None:
        if one.failure or one.healthy:
            return
        try:
            one.container.must_run()
            one.healthy = one.container.ping()
            if not one.healthy and time.monotonic() - one.begun > self.limits.startup:
                one.failure = UNHEALTHY.format(f"Its last line: {one.container.log(1)}")
        except CloudError as error:
            one.failure = UNHEALTHY.format(error)

    def _invoke(self, model, params, **_):
        """Answer a call from the container, in the form in which the service would."""
        name = re.fullmatch(r"/endpoints/([^/]+)/invocations", params["url_path"])[1]
        if not self._exists("describe_endpoint", EndpointName=name):
            return _answer(
                400, {"Error": {"Code": "ValidationError", "Message": f"Endpoint {name} of account not found."}}
            )
        one = self.running.get(name) or self._start(name)
        begin = time.monotonic()
        while not one.healthy and not one.failure and time.monotonic() - begin < self.limits.startup:
            self._look(one)
            time.sleep(0.05)
        if one.failure or not one.healthy:
            told = f"Endpoint {name} not found: not in service"
            return _answer(400, {"Error": {"Code": "ValidationError", "Message": told}})
        body = params["body"]
        body = body.encode() if isinstance(body, str) else bytes(body)
        kind = params["headers"].get("Content-Type", "application/json")
        begin, status, message = time.monotonic(), 200, ""
        try:
            payload = one.container.invoke(body, kind, params["headers"].get("Accept", "application/json"))
        except CloudError as error:
            status, message = _STATUS.get(type(error), 500), str(error).split(": ", 1)[-1]
        self._measure(name, status, time.monotonic() - begin)
        if status != 200:
            told = {"Code": "ModelError", "Message": f"Received error ({status}) from primary: {message}"}
            return _answer(424, {"Error": told, "OriginalStatusCode": status, "OriginalMessage": message})
        from botocore.response import StreamingBody

        stream = StreamingBody(io.BytesIO(payload), len(payload))
        return _answer(200, {"Body": stream, "ContentType": "application/json", "InvokedProductionVariant": VARIANT})

    def _measure(self, name: str, status: int, seconds: float) -> None:
        now = datetime.datetime.now(datetime.UTC)
        self.calls.append({"time": now, "endpoint": name, "status": status, "seconds": seconds})

    def _metrics(self, context, **_):
        """The metrics that the service would publish for the calls; moto has no percentiles."""
        asked = context[_ASKED]
        return _answer(200, {"MetricDataResults": metric_data(asked, self.calls), "Messages": []})

    def _policy_set(self, http_response, context, **_) -> None:
        """The two alarms that the service makes for a target tracking policy."""
        params = context[_ASKED]
        tracking = params.get("TargetTrackingScalingPolicyConfiguration")
        if http_response.status_code >= 300 or not tracking:
            return
        mark = sha256_bytes(params["PolicyName"].encode())[:8]
        for kind, periods, share in (("High", 3, 1.0), ("Low", 15, 0.9)):
            self.own.client("cloudwatch").put_metric_alarm(
                AlarmName=f"TargetTracking-{params['ResourceId']}-Alarm{kind}-{mark}",
                Namespace="AWS/SageMaker", MetricName="InvocationsPerInstance", Statistic="Sum", Period=60,
                EvaluationPeriods=periods, Threshold=tracking["TargetValue"] * share,
                ComparisonOperator="GreaterThanThreshold" if kind == "High" else "LessThanThreshold",
            )  # fmt: skip

    def _reap(self, http_response, model, context, **_) -> None:
        """What the service removes together with a policy, and the container of an endpoint."""
        if http_response.status_code >= 300:
            return
        params = context[_ASKED]
        if model.name == "DeleteEndpoint":
            one = self.running.pop(params["EndpointName"], None)
            if one is not None and one.container is not None:
                one.container.stop()
            return
        alarms = self.own.client("cloudwatch").describe_alarms(
            AlarmNamePrefix=f"TargetTracking-{params['ResourceId']}-"
        )
        names = [alarm["AlarmName"] for alarm in alarms["MetricAlarms"]]
        if names:
            self.own.client("cloudwatch").delete_alarms(AlarmNames=names)

    def _make_log_group(self, name: str) -> None:
        with contextlib.suppress(self._client_error):  # it stays when an endpoint is deleted
            self.own.client("logs").create_log_group(logGroupName=name)

    def _exists(self, describe: str, **name) -> bool:
        try:
            getattr(self.own.client("sagemaker"), describe)(**name)
        except self._client_error:
            return False
        return True

    def _record(self, name: str) -> dict:
        return self.own.client("sagemaker").describe_endpoint(EndpointName=name)

    @property
    def _client_error(self):
        from botocore.exceptions import ClientError

        return ClientError


@contextlib.contextmanager
def open_stand_in(region: str, address: str | None, limits: Limits) -> Iterator[Cloud]:
    """A cloud whose service is a moto server, one of its own or the one at an address.

    Raises:
        CourseError: when moto is not installed.
    """
    with contextlib.nullcontext(address) if address else moto_server() as found:
        cloud = Cloud(new_session(read_credentials=False), "offline", region, found, poll_s=0.1)
        stand_in = cloud.stand_in = StandIn(cloud, limits)
        stand_in.attach()
        try:
            yield cloud
        finally:
            stand_in.close()


def ensure_bucket(cloud: Cloud, bucket: str) -> None:
    """Make the bucket in a stand-in; in an account it must be there."""
    if cloud.target == "offline":
        cloud.client("s3").create_bucket(Bucket=bucket)


def _refusal(operation: str, message: str) -> Exception:
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": "ValidationException", "Message": message}}, operation)


def _answer(status: int, parsed: dict):
    """What botocore takes for a response that it did not have to send for."""
    from botocore.awsrequest import AWSResponse

    metadata = {
        "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "offline", "HTTPHeaders": {}, "RetryAttempts": 0}
    }
    return AWSResponse("http://offline/", status, {}, None), parsed | metadata
