"""What a run says about a server: waiting times with intervals, tokens a second, and goodput.

**Goodput** counts the requests that were served within what users accept (a service-level objective, SLO): a bound on
the time to first token and one on the time per further token. A server that answers twice as many requests too late
has twice the throughput and no goodput (Zhong et al., "DistServe", OSDI 2024).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from finqa_lab.errors import CourseError
from finqa_lab.finqa.intervals import Rate, wilson
from finqa_lab.serve.load.quantiles import Interval, quantile
from finqa_lab.serve.load.record import RequestRecord

PERCENTILES = (0.5, 0.95, 0.99)
REFUSED = (429, 503)


@dataclass(frozen=True, slots=True)
class Slo:
    """What users accept, in seconds.

    Attributes:
        ttft: until the first token.
        tpot: for each further token.
    """

    ttft: float
    tpot: float

    def met(self, record: RequestRecord) -> bool:
        """Whether a request was served within it; one that failed, was refused or is empty was not."""
        if not record.ok or record.ttft is None:
            return False
        return record.ttft <= self.ttft and (record.tpot is None or record.tpot <= self.tpot)


@dataclass(frozen=True)
class Summary:
    """Of one run. Times are in seconds; percentiles are of the requests that were served.

    Attributes:
        requests: that were sent.
        served, refused, failed, empty: of them; refused are 429 and 503, empty are whole replies without text.
        seconds: from the first planned request to the last that ended.
        ttft, tpot, latency: by percentile, p50, p95, p99; empty when nothing was served.
        tokens_a_second: output tokens of served requests by ``seconds``.
        requests_a_second: served, by ``seconds``.
        within: share of the requests that were served within the SLO; None without one.
        goodput: requests a second within the SLO; None without one.
        late: largest delay by which the client itself sent a request.
    """

    requests: int
    served: int
    refused: int
    failed: int
    empty: int
    seconds: float
    ttft: dict[str, Interval]
    tpot: dict[str, Interval]
    latency: dict[str, Interval]
    tokens_a_second: float
    requests_a_second: float
    within: Rate | None
    goodput: float | None
    late: float

    def as_dict(self) -> dict:
        """For a JSON file; infinite ends of intervals become None."""
        return _finite(asdict(self))


def summarise(records: Sequence[RequestRecord], slo: Slo | None = None) -> Summary:
    """Summary of the requests of one run.

    Raises:
        CourseError: when there are none, or they are of several runs: their clocks do not fit together.
    """
    if len({record.run for record in records}) != 1:
        raise CourseError("a summary needs the requests of exactly one run; choose one of the log's runs")
    served = [record for record in records if record.ok and record.token_times]
    refused = sum(record.status in REFUSED for record in records)
    empty = sum(record.ok and not record.token_times for record in records)
    seconds = max(record.finished for record in records) - min(record.planned for record in records)
    rate = lambda count: count / seconds if seconds > 0 else 0.0  # noqa: E731  (all refused at once, in no time)
    met = None if slo is None else sum(map(slo.met, records))
    return Summary(
        requests=len(records),
        served=len(served),
        refused=refused,
        failed=len(records) - len(served) - refused - empty,
        empty=empty,
        seconds=seconds,
        ttft=percentiles([record.ttft for record in served]),
        tpot=percentiles([record.tpot for record in served if record.tpot is not None]),
        latency=percentiles([record.latency for record in served]),
        tokens_a_second=rate(sum(record.output_tokens for record in served)),
        requests_a_second=rate(len(served)),
        within=None if met is None else wilson(met, len(records)),
        goodput=None if met is None else rate(met),
        late=max(record.late for record in records),
    )


def percentiles(sample: Sequence[float]) -> dict[str, Interval]:
    """p50, p95 and p99 with their intervals; {} of an empty sample.

    >>> sorted(percentiles([1.0, 2.0, 3.0]))
    ['p50', 'p95', 'p99']
    """
    return {f"p{100 * q:.0f}": quantile(sample, q) for q in PERCENTILES} if sample else {}


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, float):
        return round(value, 6) if abs(value) != float("inf") else None
    return value
