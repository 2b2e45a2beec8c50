"""How an endpoint follows its load: the target value, the cooldowns, the bounds; and the requests that set them.

The target of ``SageMakerVariantInvocationsPerInstance`` is in calls a **minute** for each instance. The developer guide
("Load testing your auto scaling configuration") gives it as ``MAX_RPS * SAFETY_FACTOR * 60`` and starts with a factor
of 0.5. ``MAX_RPS`` is measured; for an instance that answers one request at a time it is one by the service time.
"""

import math
from dataclasses import dataclass

from finqa_lab.cloud.errors import InvalidRequest
from finqa_lab.cloud.validation import METRICS, VARIANT

SAFETY = 0.5
LEAST_SHARE = 0.05
"""Of an instance's capacity; a target below it pays for idle instances, and is nearly always a unit mistaken."""


def target_per_minute(service_s: float, safety: float = SAFETY, at_once: int = 1) -> int:
    """Calls a minute for one instance, the target of the policy.

    Args:
        service_s: seconds that one request takes, measured on one instance.
        safety: share of the capacity that is used; the rest is for bursts while instances start.
        at_once: requests that an instance works on at the same time at that speed.

    >>> target_per_minute(0.73)
    41

    Raises:
        InvalidRequest: when a number is not positive, or the target is less than one call a minute.
    """
    if not (math.isfinite(service_s) and service_s > 0 and 0 < safety <= 1 and at_once >= 1):
        raise InvalidRequest(
            f"a target from {service_s} s a request, a safety factor of {safety} and {at_once} at once makes no sense; "
            "give a measured time, a factor above 0 and up to 1, and at least one"
        )
    target = math.floor(at_once / service_s * safety * 60)
    if target < 1:
        raise InvalidRequest(
            f"at {service_s} s a request the target is below one call a minute; use an asynchronous endpoint"
        )
    return target


@dataclass(frozen=True)
class Scaling:
    """Target tracking on calls a minute for each instance.

    Attributes:
        service_s: seconds a request, measured; the target is judged by it.
        target: calls a minute for one instance.
        least, most: instances.
        out_cooldown_s, in_cooldown_s: seconds behind a scaling before the next in the same direction.
        at_once: requests that an instance works on at the same time.

    Raises:
        InvalidRequest: for bounds that cross, a target above what an instance can answer, or far below it.
    """

    service_s: float
    target: float
    least: int = 1
    most: int = 10
    out_cooldown_s: int = 60
    in_cooldown_s: int = 300
    at_once: int = 1

    def __post_init__(self):
        if not 1 <= self.least <= self.most:
            raise InvalidRequest(f"instances from {self.least} to {self.most}: at least 1, and not above the most")
        if min(self.out_cooldown_s, self.in_cooldown_s) < 0:
            raise InvalidRequest("a cooldown cannot be negative")
        capacity = self.capacity_per_minute
        if not LEAST_SHARE * capacity <= self.target <= capacity:
            raise InvalidRequest(
                f"a target of {self.target:g} calls a minute does not fit {self.service_s:g} s a request: an instance "
                f"answers {capacity:.1f} a minute, so the target belongs between {LEAST_SHARE * capacity:.1f} and that"
            )

    @property
    def capacity_per_minute(self) -> float:
        """Calls that an instance can answer in a minute."""
        return 60 * self.at_once / self.service_s

    def register_request(self, endpoint: str, variant: str) -> dict:
        """``RegisterScalableTarget``."""
        return _target(endpoint, variant) | {"MinCapacity": self.least, "MaxCapacity": self.most}

    def policy_request(self, endpoint: str, variant: str) -> dict:
        """``PutScalingPolicy``."""
        return _target(endpoint, variant) | {
            "PolicyName": policy_name(endpoint),
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": float(self.target),
                "PredefinedMetricSpecification": {"PredefinedMetricType": METRICS[VARIANT][0]},
                "ScaleOutCooldown": self.out_cooldown_s,
                "ScaleInCooldown": self.in_cooldown_s,
            },
        }


def scaling_for(service_s: float, safety: float = SAFETY, at_once: int = 1, **bounds) -> Scaling:
    """The policy for a measured time.

    >>> scaling_for(0.73).target
    41
    """
    return Scaling(service_s, target_per_minute(service_s, safety, at_once), at_once=at_once, **bounds)


def policy_name(endpoint: str) -> str:
    """Of the policy of an endpoint."""
    return f"{endpoint}-calls"


def resource_id(endpoint: str, variant: str) -> str:
    """How Application Auto Scaling calls a variant."""
    return f"endpoint/{endpoint}/variant/{variant}"


def _target(endpoint: str, variant: str) -> dict:
    return {"ServiceNamespace": "sagemaker", "ResourceId": resource_id(endpoint, variant), "ScalableDimension": VARIANT}
