"""The metrics that the service would publish for the calls to an endpoint; moto keeps none, and has no percentiles."""

import datetime
from collections.abc import Mapping, Sequence

_METRICS = {
    "Invocations": lambda call: 1.0,
    "InvocationsPerInstance": lambda call: 1.0,
    "ModelLatency": lambda call: call["seconds"] * 1e6,
    "Invocation4XXErrors": lambda call: float(400 <= call["status"] < 500),
    "Invocation5XXErrors": lambda call: float(call["status"] >= 500),
}
"""What a call adds to a metric, in the service's units."""


def metric_data(request: Mapping, calls: Sequence[Mapping]) -> list[dict]:
    """``MetricDataResults`` of a ``GetMetricData`` request, one datapoint a minute.

    Args:
        request: with its queries, each for one metric of one endpoint.
        calls: each with ``time``, ``endpoint``, ``status`` and ``seconds``.
    """
    results = []
    for query in request["MetricDataQueries"]:
        metric, statistic = query["MetricStat"]["Metric"], query["MetricStat"]["Stat"]
        endpoint = {one["Name"]: one["Value"] for one in metric["Dimensions"]}.get("EndpointName")
        minutes: dict[datetime.datetime, list[float]] = {}
        for call in calls:
            minute = call["time"].replace(second=0, microsecond=0)
            if call["endpoint"] == endpoint and request["StartTime"] <= call["time"] < request["EndTime"]:
                minutes.setdefault(minute, []).append(_METRICS[metric["MetricName"]](call))
        values = [_statistic(statistic, minutes[minute]) for minute in sorted(minutes)]
        results.append({"Id": query["Id"], "Timestamps": sorted(minutes), "Values": values, "StatusCode": "Complete"})
    return results


def _statistic(name: str, values: list[float]) -> float:
    """``Sum``, or a percentile such as ``p95``."""
    if name == "Sum":
        return float(sum(values))
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(float(name[1:]) / 100 * len(ordered)))]
