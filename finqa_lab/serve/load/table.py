"""One row for each served request, from whichever log: our client's, or an Ollama server's.

The three questions of a log analysis are asked of this table (:mod:`finqa_lab.serve.load.analysis`), so that a server
can be judged from its own log in the same way as from outside.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from finqa_lab.serve.load.record import RequestRecord


@dataclass(frozen=True, slots=True)
class Row:
    """A reply that was served whole. Times are in seconds.

    Attributes:
        begin: when the request came, from any origin.
        latency: until the reply was complete.
        ttft: until the first token; of an Ollama server, loading the model and reading the prompt.
        prompt_tokens: read; an Ollama server counts those of the cached beginning too, or not, by its version.
        output_tokens: written.
    """

    begin: float
    latency: float
    ttft: float
    prompt_tokens: int
    output_tokens: int

    @property
    def end(self) -> float:
        """When the reply was complete."""
        return self.begin + self.latency

    @property
    def decode_rate(self) -> float | None:
        """Output tokens a second behind the first; None without such."""
        seconds = self.latency - self.ttft
        return (self.output_tokens - 1) / seconds if self.output_tokens > 1 and seconds > 0 else None


def rows_of(records: Sequence[RequestRecord], run: int = 0) -> list[Row]:
    """The rows of one run of a request log of ours, in the order in which the requests were planned.

    Requests without a token, or whose prompt the server did not count, are left out.
    """
    return [
        Row(record.planned, record.latency, record.ttft, record.prompt_tokens, record.output_tokens)
        for record in sorted(records, key=lambda record: record.planned)
        if record.ok and record.token_times and record.prompt_tokens is not None and record.run == run
    ]
