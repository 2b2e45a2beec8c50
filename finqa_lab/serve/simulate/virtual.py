"""The engine on a virtual clock: the same scheduler, the same blocks, the same admission, and no model.

:class:`finqa_lab.serve.engine.Engine` takes its clock as an argument and asks its runner for logits. Here the runner
computes nothing: it looks up what the step would have cost, moves the clock on, and answers with zeros. Everything
else is the engine itself, so a policy that is simulated is the policy that serves. Times are exact, and the same on
every machine.

Replies have the length that is asked for, because nobody knows what a model would say.
"""

import heapq
from collections.abc import Sequence as Sequences
from dataclasses import dataclass

import torch
from torch import Tensor

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.generate import Stop
from finqa_lab.nn.transformer import Decoder
from finqa_lab.serve.engine import Engine, EngineSettings, Statistics
from finqa_lab.serve.load.record import RequestRecord
from finqa_lab.serve.request import Overloaded, Request
from finqa_lab.serve.scheduler import Work
from finqa_lab.serve.simulate.machine import StepModel
from finqa_lab.serve.simulate.steps import Part, parts_of, step_cost


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a simulated client.

    Attributes:
        prompt: token ids; equal beginnings are found in the prefix cache.
        output: tokens of the reply, at least 1.
    """

    prompt: tuple[int, ...]
    output: int


@dataclass(frozen=True)
class Played:
    """What a simulation shows.

    Attributes:
        records: as a load generator would have written them; a refused request has status 429.
        statistics: of the engine at the end.
        seconds: from the beginning to the last token.
        steps: seconds and parts of every step.
    """

    records: list[RequestRecord]
    statistics: Statistics
    seconds: float
    steps: list[tuple[float, tuple[Part, ...]]]

    @property
    def tokens_a_second(self) -> float:
        """Output tokens by ``seconds``."""
        return sum(record.output_tokens for record in self.records) / self.seconds


class _Runner:
    """Stands for :class:`finqa_lab.serve.runner.Runner`: costs time and computes nothing."""

    adapters: frozenset[str] = frozenset()

    def __init__(self, config: DecoderConfig, element_bytes: float, machine: StepModel, vocabulary: int):
        self.config, self.element_bytes, self.machine = config, element_bytes, machine
        self.vocabulary, self.now = vocabulary, 0.0
        self.steps: list[tuple[float, tuple[Part, ...]]] = []

    def run(self, work: Sequences[Work]) -> Tensor:
        """Move the clock on; (S, V) zeros."""
        parts = parts_of(work)
        cost = step_cost(self.config, parts, self.element_bytes)
        seconds = self.machine.seconds(cost, len(parts), sum(part.new for part in parts))
        self.now += seconds
        self.steps.append((seconds, parts))
        return torch.zeros(sum(part.chooses for part in parts), self.vocabulary)


def play(
    machine: StepModel,
    config: DecoderConfig,
    requests: Sequences[Asked],
    times: Sequences[float] | None = None,
    concurrency: int | None = None,
    settings: EngineSettings | None = None,
    element_bytes: float = 4,
) -> Played:
    """Serve requests on a machine that may not exist.

    Args:
        machine: what a step costs.
        config: shape of the decoder that the steps are priced for.
        requests: in the order in which they are sent.
        times: when each is sent, in rising order: an open loop.
        concurrency: of a closed loop instead: the next is sent when one is done.
        settings: of the engine.
        element_bytes: of weights and cache.

    Raises:
        CourseError: without requests, with both or neither of ``times`` and ``concurrency``, or when the engine refuses
            a request for its size.
    """
    if not requests or (times is None) == (concurrency is None):
        raise CourseError("a simulation needs requests and either their times or a concurrency")
    if times is not None and (len(times) != len(requests) or any(b < a for a, b in zip(times, times[1:]))):
        raise CourseError(f"{len(requests)} requests with {len(times)} times; give one time each, in rising order")
    if concurrency is not None and concurrency < 1:
        raise CourseError(f"a closed loop of {concurrency} sends nothing; give at least 1")
    vocabulary = 1 + max(max(one.prompt, default=0) for one in requests)
    runner = _Runner(config, element_bytes, machine, vocabulary)
    shell = Decoder(DecoderConfig.llama(vocabulary, 2, 1, 1, 1, config.context, tied=True)).eval()
    engine = Engine(shell, settings, clock=lambda: runner.now)
    engine.runner = runner
    due = [(time, index) for index, time in enumerate(times)] if times is not None else []
    if concurrency is not None:
        due = [(0.0, index) for index in range(min(concurrency, len(requests)))]
    return _serve(engine, runner, requests, due, closed=concurrency is not None)


def _serve(engine: Engine, runner: _Runner, requests, due: list[tuple[float, int]], closed: bool) -> Played:
    heapq.heapify(due)
    following = len(due)  # of a closed loop: who is sent next
    sent: dict[int, tuple[int, float]] = {}
    tokens: dict[int, list[float]] = {}
    records = []
    while due or engine.busy:
        if not engine.busy:
            runner.now = max(runner.now, due[0][0])
        while due and due[0][0] <= runner.now:
            planned, index = heapq.heappop(due)
            asked = requests[index]
            try:
                number = engine.add(Request(asked.prompt, Stop(limit=asked.output)))
                sent[number], tokens[number] = (index, planned), []
            except Overloaded as error:
                wait = error.retry_after
                records.append(RequestRecord(index, 0, planned, planned, (), planned, 429, retry_after=wait))
                if closed and following < len(requests):
                    heapq.heappush(due, (planned + wait, following))
                    following += 1
        for event in engine.step():
            tokens[event.row].append(runner.now)
            if event.ended is not None:
                records.append(_record(requests, sent.pop(event.row), tokens.pop(event.row), event.ended))
                if closed and following < len(requests):
                    heapq.heappush(due, (runner.now, following))
                    following += 1
    return Played(records, engine.statistics, runner.now, runner.steps)


def _record(requests, asked: tuple[int, float], times: list[float], ended: str) -> RequestRecord:
    index, planned = asked
    return RequestRecord(
        index=index,
        run=0,
        planned=planned,
        sent=planned,
        token_times=tuple(times),
        finished=times[-1],
        status=200,
        prompt_tokens=len(requests[index].prompt),
        output_tokens=len(times),
        finish_reason="length" if ended == "limit" else ended,
    )
