"""Steps of a real engine, timed, in the form that :mod:`finqa_lab.serve.simulate.calibrate` takes."""

import time
from collections.abc import Callable
from collections.abc import Sequence as Sequences
from dataclasses import dataclass

from finqa_lab.errors import CourseError
from finqa_lab.nn.generate import Stop
from finqa_lab.serve.engine import Engine
from finqa_lab.serve.request import Request
from finqa_lab.serve.simulate.calibrate import MeasuredStep
from finqa_lab.serve.simulate.steps import Part, parts_of, step_cost
from finqa_lab.serve.simulate.virtual import Asked


@dataclass(frozen=True)
class Measured:
    """A closed loop that has run in the process.

    Attributes:
        concurrency: requests on the way.
        tokens: of all replies.
        steps: with the least time of each over the repetitions.
    """

    concurrency: int
    tokens: int
    steps: list[MeasuredStep]

    @property
    def tokens_a_second(self) -> float:
        """Output tokens by the sum of the steps' times."""
        return self.tokens / sum(step.seconds for step in self.steps)


def measure_closed(
    make_engine: Callable[[], Engine],
    requests: Sequences[Asked],
    concurrency: int,
    repeats: int = 3,
    element_bytes: int = 4,
    clock: Callable[[], float] = time.perf_counter,
) -> Measured:
    """Run a closed loop on fresh engines, and time every step.

    Args:
        make_engine: a new engine each time, all alike.
        requests: in the order in which they are sent.
        concurrency: requests on the way.
        repeats: how often; the steps are the same each time, because nothing in them depends on the clock.
        element_bytes: of weights and cache.
        clock: ``time.process_time`` counts what this process computes and not what it waits for others, on a machine
            that others use as well and with one thread.

    Raises:
        CourseError: when repetitions had different steps, so that their times cannot be compared.
    """
    runs = [_run(make_engine(), requests, concurrency, clock) for _ in range(repeats)]
    config = make_engine().model.config
    first = [parts for _, parts in runs[0]]
    if any([parts for _, parts in run] != first for run in runs):
        raise CourseError("the repetitions had different steps; use engines and requests without randomness")
    least = [min(run[place][0] for run in runs) for place in range(len(first))]
    steps = [
        MeasuredStep(step_cost(config, parts, element_bytes), len(parts), sum(part.new for part in parts), seconds)
        for parts, seconds in zip(first, least)
    ]
    return Measured(concurrency, sum(part.chooses for parts in first for part in parts), steps)


def _run(engine: Engine, requests: Sequences[Asked], concurrency: int, clock) -> list[tuple[float, tuple[Part, ...]]]:
    """Seconds and parts of every step; a step is what :meth:`Engine.step` does, scheduling and choosing included."""
    seen: list[tuple[Part, ...]] = []
    run = engine.runner.run

    def watched(work):
        seen.append(parts_of(work))
        return run(work)

    engine.runner.run = watched
    waiting, seconds = iter(requests), []
    on_the_way = 0
    while True:
        while on_the_way < concurrency and (asked := next(waiting, None)) is not None:
            engine.add(Request(asked.prompt, Stop(limit=asked.output)))
            on_the_way += 1
        if not engine.busy:
            return list(zip(seconds, seen, strict=True))
        began = clock()
        events = engine.step()
        seconds.append(clock() - began)
        on_the_way -= sum(event.ended is not None for event in events)
