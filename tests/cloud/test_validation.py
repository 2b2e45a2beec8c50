"""Requests held to the service's model: what botocore's client, its Stubber and moto let pass is refused here."""

import copy

import pytest

from finqa_lab.cloud.errors import InvalidRequest
from finqa_lab.cloud.scaling import Scaling, scaling_for, target_per_minute
from finqa_lab.cloud.validation import COMPONENT, METRICS, VARIANT, _compiled, check_request, enumeration, service_model

REGISTER = scaling_for(0.73).register_request("finqa-lab-a", "AllTraffic")
POLICY = scaling_for(0.73).policy_request("finqa-lab-a", "AllTraffic")


def changed(request: dict, path: str, value) -> dict:
    request = copy.deepcopy(request)
    *outer, last = path.split(".")
    place = request
    for name in outer:
        place = place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return request


def test_what_we_send_fits():
    check_request("application-autoscaling", "RegisterScalableTarget", REGISTER)
    check_request("application-autoscaling", "PutScalingPolicy", POLICY)


@pytest.mark.parametrize(
    "operation, path, value, told",
    [
        # the reference's own: no such dimension
        ("RegisterScalableTarget", "ScalableDimension", "sagemaker:endpoint:DesiredInstanceCount",
         "does not know; it knows sagemaker:variant:DesiredInstanceCount"),
        ("RegisterScalableTarget", "ScalableDimension", "ecs:service:DesiredCount", "no dimension of SageMaker"),
        ("RegisterScalableTarget", "ScalableDimension", COMPONENT, "form inference-component/NAME"),
        ("RegisterScalableTarget", "ResourceId", "endpoint/finqa-lab-a", "form endpoint/NAME/variant/VARIANT"),
        ("RegisterScalableTarget", "ResourceId", "endpoint/a_b/variant/x", "form endpoint/NAME/variant/VARIANT"),
        ("RegisterScalableTarget", "MinCapacity", 11, "MinCapacity 11 is above MaxCapacity 10"),
        ("RegisterScalableTarget", "MinCapacity", 0, "at least one instance"),
        ("RegisterScalableTarget", "ServiceNamespace", "ecs", "an endpoint is in 'sagemaker'"),
        ("RegisterScalableTarget", "MinimumCapacity", 1, "no field 'MinimumCapacity'"),
        ("RegisterScalableTarget", "ResourceId", None, "lacks the field 'ResourceId'"),
        ("RegisterScalableTarget", "MinCapacity", "1", "must be a number"),
        ("PutScalingPolicy", "TargetTrackingScalingPolicyConfiguration.TargetValue", -1.0, "above zero"),
        ("PutScalingPolicy", "TargetTrackingScalingPolicyConfiguration.TargetValue", float("nan"), "must be finite"),
        ("PutScalingPolicy", "TargetTrackingScalingPolicyConfiguration.ScaleInCooldown", -1, "cannot be negative"),
        ("PutScalingPolicy", "TargetTrackingScalingPolicyConfiguration.PredefinedMetricSpecification", None,
         "has one metric"),
        ("PutScalingPolicy",
         "TargetTrackingScalingPolicyConfiguration.PredefinedMetricSpecification.PredefinedMetricType",
         "SageMakerCalls", "does not know; it knows SageMaker"),
        ("PutScalingPolicy",
         "TargetTrackingScalingPolicyConfiguration.PredefinedMetricSpecification.PredefinedMetricType",
         "ECSServiceAverageCPUUtilization", "does not follow sagemaker:variant"),
        ("PutScalingPolicy", "PolicyType", "Tracking", "does not know"),
        ("PutScalingPolicy", "PolicyName", "", "has 0 characters"),
    ],
)  # fmt: skip
def test_a_request_that_does_not_fit_is_not_sent(operation, path, value, told):
    request = changed(REGISTER if operation == "RegisterScalableTarget" else POLICY, path, value)
    with pytest.raises(InvalidRequest, match=told):
        check_request("application-autoscaling", operation, request)


@pytest.mark.parametrize(
    "operation, request_, told",
    [
        ("CreateModel", {"ModelName": "a_b"}, "does not match"),
        ("CreateModel", {"ModelName": "a" * 64}, "has 64 characters, and the service takes from 0 to 63"),
        ("CreateModel", {"ModelName": "a", "PrimaryContainer": {"ModelDataUrl": "ftp://x/y"}}, "does not match"),
        ("CreateModel", {"ModelName": "a", "ExecutionRoleArn": "arn:aws:iam::1:role/x"}, "does not match"),
        ("CreateEndpointConfig", {"EndpointConfigName": "a", "ProductionVariants": []}, "has 0 items"),
        ("CreateEndpointConfig", {"EndpointConfigName": "a", "ProductionVariants": [
            {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.g5.huge", "InitialInstanceCount": 1}]},
         "'ml.g5.huge', which the service does not know; it knows ml.g5"),
        ("CreateEndpointConfig", {"EndpointConfigName": "a", "ProductionVariants": [
            {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.g5.xlarge"}]}, "at least one instance"),
        ("CreateEndpointConfig", {"EndpointConfigName": "a", "ProductionVariants": 2 * [
            {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 1}]},
         "same name"),
        ("CreateEndpointConfig", {"EndpointConfigName": "a", "ProductionVariants": [
            {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 1,
             "ContainerStartupHealthCheckTimeoutInSeconds": 30}]}, "from 60 to 3600"),
    ],
)  # fmt: skip
def test_names_types_and_bounds_of_sagemaker(operation, request_, told):
    with pytest.raises(InvalidRequest, match=told):
        check_request("sagemaker", operation, request_)


def test_what_botocore_and_moto_let_pass(tmp_path):
    """The reason for this module: the same wrong requests, sent without it."""
    import boto3
    from botocore.stub import Stubber

    client = boto3.client("application-autoscaling", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    wrong = changed(REGISTER, "ScalableDimension", "sagemaker:endpoint:DesiredInstanceCount")
    with Stubber(client) as stubber:
        stubber.add_response("register_scalable_target", {}, wrong)
        client.register_scalable_target(**wrong)  # nothing is raised
    from finqa_lab.cloud.clients import Cloud, open_cloud

    with open_cloud() as cloud:
        unchecked = boto3.Session("offline", "offline")
        scaling = Cloud(unchecked, "offline", "us-east-1", cloud.endpoint).client("application-autoscaling")
        crossed = changed(REGISTER, "MinCapacity", 11)
        scaling.register_scalable_target(**crossed)
        scaling.put_scaling_policy(**changed(POLICY, "TargetTrackingScalingPolicyConfiguration.TargetValue", -1.0))
        with pytest.raises(InvalidRequest, match="above MaxCapacity"):
            cloud.client("application-autoscaling").register_scalable_target(**crossed)


def test_every_metric_of_ours_is_in_the_models_enumeration():
    known = enumeration("application-autoscaling", "MetricType")
    assert all(metric in known for metrics in METRICS.values() for metric in metrics)
    assert VARIANT in enumeration("application-autoscaling", "ScalableDimension")


@pytest.mark.parametrize("service", ["sagemaker", "application-autoscaling", "cloudwatch", "logs", "s3"])
def test_all_patterns_of_the_models_can_be_used(service):
    model = service_model(service)
    patterns = {model.shape_for(name).metadata.get("pattern") for name in model.shape_names} - {None}
    for pattern in patterns:
        _compiled(pattern)


@pytest.mark.parametrize("text, fits", [("Überschuss +1", True), ("a#b", False)])
def test_patterns_with_unicode_classes_are_those_of_the_service(text, fits):
    request = {"ModelName": "a", "Tags": [{"Key": "k", "Value": text}]}
    if fits:
        check_request("sagemaker", "CreateModel", request)
    else:
        with pytest.raises(InvalidRequest):
            check_request("sagemaker", "CreateModel", request)


@pytest.mark.parametrize(
    "service_s, safety, at_once, target",
    [(0.73, 0.5, 1, 41), (0.73, 1.0, 1, 82), (0.73, 0.5, 4, 164), (1.0, 0.5, 1, 30), (30.0, 0.5, 1, 1)],
)
def test_the_target_is_in_calls_a_minute(service_s, safety, at_once, target):
    assert target_per_minute(service_s, safety, at_once) == target


def test_targets_that_make_no_sense_are_refused():
    for service_s, safety, at_once in ((0, 0.5, 1), (float("nan"), 0.5, 1), (1, 0, 1), (1, 1.1, 1), (1, 0.5, 0)):
        with pytest.raises(InvalidRequest, match="makes no sense"):
            target_per_minute(service_s, safety, at_once)
    with pytest.raises(InvalidRequest, match="below one call a minute"):
        target_per_minute(45.0)
    with pytest.raises(InvalidRequest, match="a target of 1 calls a minute .* belongs between 4.1"):
        Scaling(0.73, target=1.0)  # the reference's: once a minute
    with pytest.raises(InvalidRequest, match="answers 82.2 a minute"):
        Scaling(0.73, target=100)
    for bounds in ({"least": 0}, {"least": 3, "most": 2}, {"out_cooldown_s": -1}):
        with pytest.raises(InvalidRequest):
            scaling_for(0.73, **bounds)
