"""Numbers for Prometheus, in a registry of their own: nothing of the process or of other libraries is mixed in.

Counts and gauges of the engine are read from its statistics when somebody asks. What concerns single requests is
observed when a request ends, from its line of the log, so the log and the metrics cannot contradict each other.
"""

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from finqa_lab.serve.http.request_log import RequestLine
from finqa_lab.serve.worker import EngineWorker

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_LONG = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_TOKENS = tuple(2**power for power in range(14))


class Metrics:
    """All numbers of one server.

    Args:
        worker: whose engine is counted.
    """

    def __init__(self, worker: EngineWorker):
        self.registry = registry = CollectorRegistry()
        registry.register(_EngineCollector(worker))

        def histogram(name: str, text: str, buckets) -> Histogram:
            return Histogram(f"finqa_{name}", text, buckets=buckets, registry=registry)

        self.requests = Counter(
            "finqa_requests", "requests by route and HTTP status", ("route", "status"), registry=registry
        )
        self.finished = Counter(
            "finqa_replies", "replies by adapter ('' is the base) and end", ("adapter", "finish"), registry=registry
        )
        self.ttft = histogram("time_to_first_token_seconds", "from arrival to the first token", _LONG)
        self.tpot = histogram("time_per_output_token_seconds", "from one token to the next, mean of a reply", _SHORT)
        self.total = histogram("request_seconds", "from arrival to the end of a reply", _LONG)
        self.queue = histogram("queue_seconds", "from the engine's receipt to its first step", _LONG)
        self.prompt = histogram("prompt_length_tokens", "of a request", _TOKENS)
        self.output = histogram("reply_length_tokens", "of a request", _TOKENS)

    def observe(self, line: RequestLine) -> None:
        """Count a request that has ended."""
        self.requests.labels(line.route, line.status).inc()
        if line.finish_reason is None:
            return
        self.finished.labels(line.adapter or "", line.finish_reason).inc()
        if line.finish_reason not in ("stop", "length"):
            return
        self.total.observe(line.total)
        observed = (self.ttft, line.ttft), (self.tpot, line.tpot), (self.queue, line.queue)
        for histogram, value in (*observed, (self.prompt, line.prompt_tokens), (self.output, line.output_tokens)):
            if value is not None:
                histogram.observe(value)

    def exposition(self) -> bytes:
        """All numbers in Prometheus's text format."""
        return generate_latest(self.registry)


class _EngineCollector:
    """Reads the engine's statistics when Prometheus asks."""

    gauges = (
        ("running", "running", "sequences in the running batch"),
        ("waiting", "waiting", "requests in the queue"),
        ("blocks", "blocks", "KV blocks in all"),
        ("blocks_free", "blocks_free", "KV blocks that no running sequence holds"),
    )
    counters = (
        ("steps", "steps", "steps of the engine"),
        ("preemptions", "preemptions", "sequences whose blocks were taken away"),
        ("finished_requests", "finished", "replies that came to their end"),
        ("cancelled_requests", "cancelled", "requests that were cancelled"),
        ("refused_requests", "refused", "requests that found the queue full"),
        ("prompt_tokens", "prompt_tokens", "tokens of the prompts that were admitted"),
        ("cached_prompt_tokens", "cached_tokens", "those found in the prefix cache"),
        ("generated_tokens", "generated_tokens", "tokens that were chosen"),
        ("computed_tokens", "computed_tokens", "positions that were run through the model"),
    )

    def __init__(self, worker: EngineWorker):
        self.worker = worker

    def collect(self) -> Iterator[Metric]:
        """One family for each number."""
        statistics = self.worker.statistics
        for name, field, text in self.gauges:
            yield GaugeMetricFamily(f"finqa_{name}", text, value=getattr(statistics, field))
        for name, field, text in self.counters:
            yield CounterMetricFamily(f"finqa_{name}", text, value=getattr(statistics, field))
