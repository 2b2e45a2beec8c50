"""Target tracking as Application Auto Scaling describes it: one decision a minute from the metric's last minutes.

Stated in its user guide ("How target tracking scaling works") and in the model of ``PutScalingPolicy``: it makes the
alarms itself; it scales out proportionally to the metric and in more gradually; a cooldown begins when a scaling is
complete; within the scale-out cooldown only a larger scale-out is carried out; a scale-out ends a scale-in cooldown.

Seen in the alarms that it makes, and not promised: three of three minutes above the target to scale out, fifteen of
fifteen below nine tenths of it to scale in (aws/copilot-cli issue 4233; aws-samples/amazon-aurora-labs-for-mysql issue
3). Assumed: a scale-in takes one instance, and a change in progress blocks the next.
"""

import math
from collections import deque
from dataclasses import dataclass, field

from finqa_lab.cloud.scaling import Scaling

OUT_POINTS, IN_POINTS, IN_SHARE = 3, 15, 0.9


@dataclass(frozen=True)
class Policy:
    """What is set; unlike :class:`finqa_lab.cloud.scaling.Scaling` it may be foolish, so that its effect can be seen.

    Attributes:
        target: calls a minute for one instance; None never scales.
        least, most: instances; it begins with the least.
        out_cooldown_s, in_cooldown_s: seconds behind a scaling before the next in that direction.
        in_step: most instances that one scale-in takes.
    """

    target: float | None
    least: int = 1
    most: int = 10
    out_cooldown_s: int = 300
    in_cooldown_s: int = 300
    in_step: int = 1

    @classmethod
    def of(cls, scaling: Scaling) -> "Policy":
        """That of a plan."""
        return cls(scaling.target, scaling.least, scaling.most, scaling.out_cooldown_s, scaling.in_cooldown_s)


def fixed(instances: int) -> Policy:
    """No scaling: so many instances all day."""
    return Policy(None, instances, instances)


@dataclass
class Tracker:
    """Decides; holds the last datapoints and the cooldowns.

    Attributes:
        policy: that is followed.
        points: the metric's last minutes, newest last.
    """

    policy: Policy
    points: deque = field(default_factory=lambda: deque(maxlen=IN_POINTS))
    last_added: int = 0
    out_until: float = -math.inf
    in_until: float = -math.inf

    def record(self, metric: float | None) -> None:
        """Note a minute's metric; None when there was no call, which is no datapoint.

        It is recorded while a change is in progress, too: the alarms go on looking.
        """
        if metric is None:
            self.points.clear()  # insufficient data: neither alarm scales
        else:
            self.points.append(metric)

    def decide(self, now: float, instances: int) -> int:
        """Instances that are wanted from now on.

        Args:
            now: seconds.
            instances: in service; nothing is being changed.

        >>> tracker = Tracker(Policy(target=40))
        >>> for minute in range(3):
        ...     tracker.record(100)
        ...     print(tracker.decide(60 * minute, instances=2))
        2
        2
        5
        """
        policy = self.policy
        if policy.target is None or not self.points:
            return instances
        newest = list(self.points)
        wanted = math.ceil(instances * newest[-1] / policy.target - 1e-9)
        if len(newest) >= OUT_POINTS and all(point > policy.target for point in newest[-OUT_POINTS:]):
            if now < self.out_until and wanted - instances <= self.last_added:
                return instances
            return max(instances, min(policy.most, wanted))
        low = IN_SHARE * policy.target
        if (
            len(newest) == IN_POINTS
            and all(point < low for point in newest)
            and now >= max(self.in_until, self.out_until)
        ):
            return max(policy.least, wanted, instances - policy.in_step)
        return instances

    def completed(self, now: float, change: int) -> None:
        """A change of that many instances is complete: its cooldown begins, and a scale-out ends the other one."""
        if change > 0:
            self.out_until, self.last_added, self.in_until = now + self.policy.out_cooldown_s, change, -math.inf
        elif change < 0:
            self.in_until = now + self.policy.in_cooldown_s
