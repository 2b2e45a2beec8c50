"""Every request held to the service's own model of it, offline, before it is sent.

botocore ships that model: names, types, enumerations, lengths, patterns. Its client checks names and types only, its
Stubber accepts any enumeration, and moto accepts a minimum above the maximum or a metric that does not exist. Here all
of the model is checked, and the rules that it cannot express: which resource id goes with which dimension, which metric
with which dimension, minimum and maximum.
"""

import functools
import math
from collections.abc import Mapping

import regex

from finqa_lab.cloud.errors import InvalidRequest
from finqa_lab.errors import CourseError

VARIANT = "sagemaker:variant:DesiredInstanceCount"
COMPONENT = "sagemaker:inference-component:DesiredCopyCount"
CONCURRENCY = "sagemaker:variant:DesiredProvisionedConcurrency"
_NAME = r"[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,62}"
RESOURCE_IDS = {VARIANT: f"endpoint/{_NAME}/variant/{_NAME}", CONCURRENCY: f"endpoint/{_NAME}/variant/{_NAME}",
                COMPONENT: f"inference-component/{_NAME}"}  # fmt: skip
"""What a scalable target of SageMaker is called, by its dimension."""
METRICS = {
    VARIANT: ("SageMakerVariantInvocationsPerInstance", "SageMakerVariantConcurrentRequestsPerModelHighResolution"),
    CONCURRENCY: ("SageMakerVariantProvisionedConcurrencyUtilization",),
    COMPONENT: ("SageMakerInferenceComponentInvocationsPerCopy",
                "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution"),
}  # fmt: skip
"""Predefined metrics that follow the number that a dimension changes."""


def check_request(service: str, operation: str, request: Mapping) -> None:
    """Hold a request to the model of its operation.

    Args:
        service: botocore's name, ``sagemaker`` or ``application-autoscaling``.
        operation: the API's name, ``CreateModel``.
        request: as keyword arguments of the client's method.

    Raises:
        InvalidRequest: naming the field, the value, and what is allowed.
        CourseError: when botocore is not installed, or has no such operation.
    """
    model = service_model(service)
    if operation not in model.operation_names:
        raise CourseError(f"the service {service} has no operation {operation}")
    shape = model.operation_model(operation).input_shape
    if shape is not None:
        _check(f"{operation}", shape, dict(request))
    rule = _RULES.get(operation)
    if rule is not None:
        rule(request)


@functools.lru_cache(maxsize=16)
def service_model(service: str):
    """botocore's model of a service, read from the installed package; nothing is sent."""
    files = loader()
    from botocore.model import ServiceModel

    return ServiceModel(files.load_service_model(service, "service-2"), service)


@functools.lru_cache(maxsize=1)
def loader():
    """Reads botocore's files, and keeps what it read."""
    try:
        from botocore.loaders import create_loader
    except ImportError:
        raise CourseError("the cloud commands need boto3: pip install 'finqa-lab[cloud]'") from None
    return create_loader()


def enumeration(service: str, shape: str) -> tuple[str, ...]:
    """The values that a shape allows.

    >>> "sagemaker:endpoint:DesiredInstanceCount" in enumeration("application-autoscaling", "ScalableDimension")
    False
    """
    return tuple(service_model(service).shape_for(shape).enum)


def _check(place: str, shape, value) -> None:
    kind = shape.type_name
    if kind == "structure":
        _structure(place, shape, value)
    elif kind == "list":
        _must(isinstance(value, list | tuple), place, value, "must be a list")
        _bounds(place, shape, len(value), "items")
        for number, item in enumerate(value):
            _check(f"{place}[{number}]", shape.member, item)
    elif kind == "map":
        _must(isinstance(value, Mapping), place, value, "must be a mapping")
        _bounds(place, shape, len(value), "entries")
        for key, item in value.items():
            _check(f"{place} (key)", shape.key, key)
            _check(f"{place}['{key}']", shape.value, item)
    elif kind == "string":
        _must(isinstance(value, str), place, value, "must be text")
        if shape.enum and value not in shape.enum:
            first = regex.match(r"ml\.\w+|[A-Z]?[a-z0-9]+|", value)[0]
            near = [one for one in shape.enum if one.startswith(first)] or shape.enum
            raise InvalidRequest(
                f"{place} is {value!r}, which the service does not know; it knows {', '.join(near[:12])}"
            )
        _bounds(place, shape, len(value), "characters")
        pattern = shape.metadata.get("pattern")
        _must(not pattern or _compiled(pattern).fullmatch(value), place, value, f"does not match {pattern}")
    elif kind in ("integer", "long", "float", "double"):
        wanted = int if kind in ("integer", "long") else int | float
        _must(isinstance(value, wanted) and not isinstance(value, bool), place, value, "must be a number")
        _must(math.isfinite(value), place, value, "must be finite")
        _bounds(place, shape, value, "")
    elif kind == "boolean":
        _must(isinstance(value, bool), place, value, "must be true or false")
    elif kind == "blob" and isinstance(value, bytes | str):
        _bounds(place, shape, len(value), "bytes")


def _structure(place: str, shape, value) -> None:
    _must(isinstance(value, Mapping), place, value, "must be a mapping")
    unknown = sorted(set(value) - set(shape.members))
    if unknown:
        raise InvalidRequest(f"{place} has no field '{unknown[0]}'; fields are {', '.join(list(shape.members)[:12])}")
    missing = [name for name in shape.required_members if name not in value]
    if missing:
        raise InvalidRequest(f"{place} lacks the field '{missing[0]}'")
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        raise InvalidRequest(f"{place} must have exactly one of {', '.join(shape.members)}")
    for name, item in value.items():
        _check(f"{place}.{name}", shape.members[name], item)


def _bounds(place: str, shape, size, unit: str) -> None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and size < low) or (high is not None and size > high):
        allowed = (
            f"from {low} to {high}" if None not in (low, high) else f"{'at least' if high is None else 'at most'} "
        )
        allowed += "" if None not in (low, high) else str(low if high is None else high)
        raise InvalidRequest(f"{place} has {size} {unit}".rstrip() + f", and the service takes {allowed}")


def _must(held: bool, place: str, value, problem: str) -> None:
    if not held:
        raise InvalidRequest(f"{place} is {str(value)[:80]!r}, which {problem}")


@functools.lru_cache(maxsize=256)
def _compiled(pattern: str):
    """A pattern of the model, which is written for a machine with 16-bit characters."""
    return regex.compile(pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF"))


def _scalable_target(request: Mapping) -> None:
    dimension, resource = request["ScalableDimension"], request["ResourceId"]
    if request["ServiceNamespace"] != "sagemaker":
        raise InvalidRequest(f"the namespace is {request['ServiceNamespace']!r}, and an endpoint is in 'sagemaker'")
    wanted = RESOURCE_IDS.get(dimension)
    if wanted is None:
        raise InvalidRequest(f"{dimension} is no dimension of SageMaker; they are {', '.join(RESOURCE_IDS)}")
    if not regex.fullmatch(wanted, resource):
        form = "inference-component/NAME" if dimension == COMPONENT else "endpoint/NAME/variant/VARIANT"
        raise InvalidRequest(f"the resource id is {resource!r}; for {dimension} it has the form {form}")


def _register(request: Mapping) -> None:
    _scalable_target(request)
    low, high = request.get("MinCapacity"), request.get("MaxCapacity")
    if low is not None and high is not None and low > high:
        raise InvalidRequest(f"MinCapacity {low} is above MaxCapacity {high}")
    if low is not None and low < (0 if request["ScalableDimension"] == COMPONENT else 1):
        raise InvalidRequest(f"MinCapacity is {low}; a variant keeps at least one instance")


def _policy(request: Mapping) -> None:
    _scalable_target(request)
    tracking = request.get("TargetTrackingScalingPolicyConfiguration")
    if request.get("PolicyType") != "TargetTrackingScaling" or tracking is None:
        return
    if not tracking["TargetValue"] > 0:
        raise InvalidRequest(f"TargetValue is {tracking['TargetValue']}; it must be above zero")
    for name in ("ScaleOutCooldown", "ScaleInCooldown"):
        if tracking.get(name, 0) < 0:
            raise InvalidRequest(f"{name} is {tracking[name]} s; it cannot be negative")
    predefined, custom = (tracking.get(f"{kind}MetricSpecification") for kind in ("Predefined", "Customized"))
    if (predefined is None) == (custom is None):
        raise InvalidRequest("a target tracking policy has one metric, predefined or customized")
    allowed = METRICS[request["ScalableDimension"]]
    if predefined is not None and predefined["PredefinedMetricType"] not in allowed:
        raise InvalidRequest(
            f"the metric {predefined['PredefinedMetricType']} does not follow {request['ScalableDimension']}; "
            f"use {' or '.join(allowed)}"
        )


def _endpoint_config(request: Mapping) -> None:
    names = [variant["VariantName"] for variant in request["ProductionVariants"]]
    if len(set(names)) != len(names):
        raise InvalidRequest("two production variants have the same name")
    for variant in request["ProductionVariants"]:
        if "ServerlessConfig" not in variant and variant.get("InitialInstanceCount", 0) < 1:
            raise InvalidRequest(f"the variant {variant['VariantName']} needs at least one instance to begin with")


def _alarm(request: Mapping) -> None:
    if request.get("DatapointsToAlarm", 1) > request["EvaluationPeriods"]:
        raise InvalidRequest("an alarm cannot need more datapoints than it looks at periods")


_RULES = {"RegisterScalableTarget": _register, "PutScalingPolicy": _policy, "CreateEndpointConfig": _endpoint_config,
          "PutMetricAlarm": _alarm}  # fmt: skip
