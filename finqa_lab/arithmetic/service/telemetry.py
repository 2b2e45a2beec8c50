"""Counters for machines that look now; for people who look later there is the log (:mod:`finqa_lab.web.log`)."""

import time
from collections import Counter, deque

WINDOW = 4096  # latencies kept for the percentiles


class Counters:
    """Requests by path and status, and the latencies of the last ``WINDOW`` answered predictions."""

    def __init__(self):
        self.started = time.monotonic()
        self.requests: Counter = Counter()
        self.latencies: deque[float] = deque(maxlen=WINDOW)

    def percentile(self, share: float) -> float:
        """The latency in milliseconds that ``share`` of the recent predictions did not exceed; 0 without any.

        >>> counters = Counters()
        >>> counters.latencies.extend([1.0, 2.0, 3.0, 4.0])
        >>> counters.percentile(0.5)
        2.0
        """
        ordered = sorted(self.latencies)
        return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else 0.0

    def exposition(self, gauges: dict[str, float]) -> str:
        """All numbers in the text format of Prometheus, version 0.0.4."""
        lines = ["# TYPE finqa_requests_total counter"]
        for (path, status), count in sorted(self.requests.items()):
            lines.append(f'finqa_requests_total{{path="{path}",status="{status}"}} {count}')
        lines.append("# TYPE finqa_latency_ms summary")
        for share in (0.5, 0.95, 0.99):
            lines.append(f'finqa_latency_ms{{quantile="{share}"}} {self.percentile(share):.3f}')
        for name, value in gauges.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# TYPE finqa_{name} {kind}", f"finqa_{name} {value:g}"]
        return "\n".join(lines) + "\n"
