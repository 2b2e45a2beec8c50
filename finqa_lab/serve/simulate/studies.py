"""The worked numbers of the chapter on measuring, from the virtual clock: the same on every machine.

``python -m finqa_lab.serve.simulate.studies`` prints them as the tables of the chapter (half a minute). The machine is
the course's own, as it was fitted once (``benchmarks/serving_cost.py``, one thread of a two-core AMD EPYC), with the
shape of finqa-tiny; nothing below is a measurement of it.
"""

from collections.abc import Callable, Sequence

import numpy as np

from finqa_lab import markdown
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.serve.engine import EngineSettings
from finqa_lab.serve.load.arrivals import poisson
from finqa_lab.serve.load.quantiles import quantile
from finqa_lab.serve.load.summary import Slo, summarise
from finqa_lab.serve.simulate import ladder
from finqa_lab.serve.simulate.machine import StepModel
from finqa_lab.serve.simulate.virtual import Asked, Played, play

LAPTOP = StepModel(float("inf"), 65e9, overhead=0.0047, sequence_overhead=0.00027, matrix_overhead=0.0010)
TINY = DecoderConfig.llama(2048, 256, 6, 4, 704, 1024, kv_heads=2, tied=True)
PROMPT, REPLY = 96, 32
LIMITS = Slo(ttft=0.5, tpot=0.05)
Table = tuple[Sequence[str], list[Sequence[str]]]


def asked(count: int, prompt: int = PROMPT, reply: int = REPLY) -> list[Asked]:
    """Requests without a common beginning."""
    tokens = np.random.default_rng(0).integers(0, 2048, (count, prompt)).tolist()
    return [Asked(tuple(row), reply) for row in tokens]


def served(requests: Sequence[Asked], **options) -> Played:
    """A run on the course's machine; ``settings`` are options of the engine, without prefix cache by default."""
    settings = EngineSettings(**({"prefix_cache": False, "waiting": 10_000} | options.pop("settings", {})))
    return play(LAPTOP, TINY, requests, settings=settings, **options)


def requests_needed() -> Table:
    """How many requests must be served before a percentile has an upper bound."""
    rows = []
    for percent in (50, 90, 95, 99, 99.9):
        count = 1
        while quantile(range(count), percent / 100).high == float("inf"):
            count += max(1, count // 500)
        while quantile(range(count - 1), percent / 100).high != float("inf"):
            count -= 1
        rows.append((f"p{percent:g}", f"{count:,}"))
    return ("percentile", "requests"), rows


def omission() -> Table:
    """One request at a time: 200 of 8 tokens, and in their middle one of 1,000 that holds up all others."""
    requests = asked(200, prompt=8, reply=8)
    requests[100] = Asked(requests[100].prompt, 1000)
    closed = summarise(served(requests, concurrency=1, settings={"batch": 1}).records)
    times = [0.08 * number for number in range(200)]
    opened = summarise(served(requests, times=times, settings={"batch": 1}).records)
    rows = [(name, *_times(one.latency)) for name, one in (("closed, 1 worker", closed), ("open, every 80 ms", opened))]
    return ("loop", "p50, s", "p95, s", "p99, s"), rows


def queue() -> Table:
    """One request at a time with a fixed service time: waiting against load, simulated and by formula."""
    one = served(asked(1, prompt=8, reply=1), concurrency=1).seconds
    rows = []
    for load in (0.5, 0.8, 0.9, 0.95):
        times = poisson(load / one, 8000, seed=1)
        played = served(asked(8000, prompt=8, reply=1), times=times, settings={"batch": 1})
        waits = [record.latency - one for record in played.records]
        formula = load / (2 * (1 - load))
        p95 = float(np.quantile(waits, 0.95)) / one
        rows.append((f"{load:.0%}", f"{np.mean(waits) / one:.1f}", f"{formula:.1f}", f"{p95:.1f}"))
    return ("load", "mean wait, in services", "by the formula", "p95"), rows


def rising_load() -> Table:
    """Goodput against arrivals, with a queue without bound and with room for eight."""
    requests, rows = asked(400), []
    for rate in (10, 20, 25, 30, 40, 60):
        times, cells = poisson(rate, len(requests), seed=0), [str(rate)]
        for waiting in (10_000, 8):
            found = summarise(served(requests, times=times, settings={"waiting": waiting}).records, LIMITS)
            cells += [f"{found.goodput:.1f}", f"{found.ttft['p95'].value:.2f}"] + (
                [f"{found.refused}"] * (waiting == 8)
            )
        rows.append(tuple(cells))
    head = ("arrivals a second", "goodput, no bound", "p95 TTFT, s", "goodput, 8 may wait", "p95 TTFT, s", "refused")
    return head, rows


def step_sizes() -> Table:
    """Long prompts beside replies: what the budget of tokens in a step trades."""
    rng, mixture = np.random.default_rng(3), []
    for number, request in enumerate(asked(120, prompt=700, reply=40)):
        length = 700 if number % 4 == 0 else int(rng.integers(20, 60))
        mixture.append(Asked(request.prompt[:length], request.output))
    times, rows = poisson(6, len(mixture), seed=2), []
    for tokens in (16, 32, 64, 128, 256, 1024):
        played = served(mixture, times=times, settings={"step_tokens": tokens, "blocks": 1024})
        found = summarise(played.records)
        gaps = np.concatenate([np.diff(record.token_times) for record in played.records])
        rows.append(
            (f"{tokens:,}", f"{1000 * np.quantile(gaps, 0.99):.0f}", *(t for t in _times(found.ttft)[:2])),
        )
    return ("tokens in a step", "p99 of the gap between tokens, ms", "p50 TTFT, s", "p95 TTFT, s"), rows


def concurrency() -> Table:
    """Throughput of a closed loop, and what one user sees."""
    rows = []
    for count in (1, 2, 4, 8, 16, 32):
        found = summarise(served(asked(96), concurrency=count, settings={"batch": count}).records)
        rows.append((str(count), f"{found.tokens_a_second:.0f}", f"{1000 * found.tpot['p50'].value:.1f}"))
    return ("concurrency", "tokens/s", "p50 of TPOT, ms"), rows


def diary() -> Table:
    """The diary's table of workers beside two models of it."""
    line, alone, share = ladder.explain(), ladder.weights_alone(), ladder.efficiency()
    rows = [
        (str(count), f"{rate}", f"{alone[count]:.1f}", f"{line.predicted[count]:.1f}", f"{share[count]:.0%}")
        for count, rate in ladder.DIARY.items()
    ]
    return ("workers", "reported", "weights alone", "line", "of linear"), rows


def gpu() -> Table:
    """Estimates for Llama-3.2-3B in bfloat16 on an A10G, between two fractions of its ceilings."""
    counts = (1, 2, 4, 8, 16, 64)
    low, high = (
        ladder.decode_rates(ladder.reaching(ladder.A10G, part), ladder.LLAMA_3B, counts) for part in ladder.REACHED
    )
    rows = [(str(count), f"{low[count]:.0f} to {high[count]:.0f}") for count in counts]
    return ("sequences", "tokens/s, estimate"), rows


STUDIES: tuple[Callable[[], Table], ...] = (
    requests_needed,
    omission,
    queue,
    concurrency,
    rising_load,
    step_sizes,
    diary,
    gpu,
)


def as_markdown(table: Table) -> str:
    """A table as the chapter has it, all columns set to the right."""
    head, rows = table
    return markdown.table([f"{name}:" for name in head], rows)


def _times(intervals: dict) -> list[str]:
    return [f"{interval.value:.2f}" for interval in intervals.values()]


def main() -> None:
    """Print all tables."""
    for study in STUDIES:
        print(f"{study.__name__}: {study.__doc__.splitlines()[0]}\n\n{as_markdown(study())}\n")


if __name__ == "__main__":
    main()
