"""What an endpoint did: the service's own metrics, asked for in one request and put into rows.

The metrics are those of the namespace ``AWS/SageMaker`` for a variant, one datapoint a minute; latencies are in
microseconds there and in seconds here. Offline they are those of the calls that this process sent to the stand-in.
"""

import datetime
from dataclasses import dataclass

from finqa_lab.cloud.clients import Cloud
from finqa_lab.cloud.errors import InvalidRequest
from finqa_lab.cloud.faults import sorted_faults
from finqa_lab.cloud.plan import VARIANT

NAMESPACE = "AWS/SageMaker"
SERIES = (
    ("calls", "Invocations", "Sum", 1.0),
    ("calls_per_instance", "InvocationsPerInstance", "Sum", 1.0),
    ("p50_s", "ModelLatency", "p50", 1e-6),
    ("p95_s", "ModelLatency", "p95", 1e-6),
    ("refused", "Invocation4XXErrors", "Sum", 1.0),
    ("failed", "Invocation5XXErrors", "Sum", 1.0),
)
"""Our name, the service's, the statistic, and the factor to our unit."""


@dataclass(frozen=True)
class Minute:
    """What happened in one minute; a figure is None where the service has no datapoint."""

    time: datetime.datetime
    figures: dict[str, float | None]


def observation_request(endpoint: str, begin: datetime.datetime, end: datetime.datetime) -> dict:
    """``GetMetricData`` for an endpoint between two times."""
    if not begin < end:
        raise InvalidRequest("the time to observe must begin before it ends")
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": VARIANT}]
    queries = [
        {
            "Id": name,
            "MetricStat": {
                "Metric": {"Namespace": NAMESPACE, "MetricName": metric, "Dimensions": dimensions},
                "Period": 60,
                "Stat": statistic,
            },
        }
        for name, metric, statistic, _ in SERIES
    ]
    return {"MetricDataQueries": queries, "StartTime": begin, "EndTime": end, "ScanBy": "TimestampAscending"}


def observe(cloud: Cloud, endpoint: str, minutes: int = 60, now: datetime.datetime | None = None) -> list[Minute]:
    """The last minutes in which anything happened, oldest first.

    Args:
        cloud: with the endpoint.
        endpoint: its name.
        minutes: to look back.
        now: the end; the present by default.

    Raises:
        CloudError: when the service cannot be asked.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    request = observation_request(endpoint, now - datetime.timedelta(minutes=minutes), now)
    factors = {name: factor for name, _, _, factor in SERIES}
    found: dict[datetime.datetime, dict[str, float]] = {}
    with sorted_faults(f"observing {endpoint}"):
        for page in cloud.client("cloudwatch").get_paginator("get_metric_data").paginate(**request):
            for series in page["MetricDataResults"]:
                for time, value in zip(series["Timestamps"], series["Values"], strict=True):
                    found.setdefault(time, {})[series["Id"]] = value * factors[series["Id"]]
    names = [name for name, *_ in SERIES]
    return [Minute(time, {name: found[time].get(name) for name in names}) for time in sorted(found)]
