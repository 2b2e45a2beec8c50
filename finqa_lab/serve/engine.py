"""The engine: requests come and go between steps, and every step gives each running sequence one token at most.

Four parts make it up, as in the engines that it is modelled on (vLLM: Kwon et al. 2023, arXiv 2309.06180; nano-vllm):
the sequence (what a request is while it runs), the block manager (who holds which memory), the scheduler (who takes
part in a step) and the runner (the step on the model).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.cache.blocks import BlockPool
from finqa_lab.nn.generate import Event, check_prompts
from finqa_lab.nn.transformer import Decoder
from finqa_lab.serve.block_manager import BlockManager
from finqa_lab.serve.request import Overloaded, Request
from finqa_lab.serve.runner import Runner
from finqa_lab.serve.sampler import choose
from finqa_lab.serve.scheduler import Scheduler, Work
from finqa_lab.serve.sequence import Sequence


@dataclass(frozen=True)
class EngineSettings:
    """Sizes of an engine.

    Attributes:
        blocks, block_size: of the pool; their product is the number of positions that all sequences share.
        batch: most sequences in a step.
        step_tokens: most tokens in a step.
        waiting: requests that may wait; the next one is refused.
        prefix_cache: whether prompts that begin alike share their blocks.

    Raises:
        CourseError: naming the value that does not fit.
    """

    blocks: int = 512
    block_size: int = 16
    batch: int = 16
    step_tokens: int = 128
    waiting: int = 64
    prefix_cache: bool = True

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is int and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise CourseError(f"the engine's {field.name} is {value!r}; it must be a whole number of at least 1")
        if self.step_tokens < self.batch:
            raise CourseError(
                f"a step of {self.step_tokens} tokens is too small for a batch of {self.batch} sequences, which take "
                "one each; raise step_tokens or lower batch"
            )


@dataclass(frozen=True)
class Emission(Event):
    """A token of a request, and what the engine knows about it.

    Attributes:
        waited: seconds from the arrival to the first admission.
        cached: tokens of the prompt that were found in the prefix cache.
    """

    waited: float = 0.0
    cached: int = 0


@dataclass(frozen=True)
class Statistics:
    """The engine at a moment (the first four) and since it was made.

    Attributes:
        running, waiting: sequences.
        blocks, blocks_free: of the pool; a block that only the prefix cache holds counts as free.
        steps, preemptions, finished, cancelled, refused: how many.
        prompt_tokens, cached_tokens: of the requests that were admitted, and found in the prefix cache.
        generated_tokens: chosen.
        computed_tokens: positions that were run through the model, those that a preemption made necessary again
            included.
    """

    running: int = 0
    waiting: int = 0
    blocks: int = 0
    blocks_free: int = 0
    steps: int = 0
    preemptions: int = 0
    finished: int = 0
    cancelled: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    computed_tokens: int = 0


class Engine:
    """Continuous batching over one model. Not safe for threads (see :mod:`finqa_lab.serve.worker`).

    Args:
        model: in evaluation mode; the names of its LoRA adapters are those that a request may ask for.
        settings: sizes.
        clock: seconds; a virtual one makes a simulation.

    >>> from finqa_lab.nn.config import DecoderConfig
    >>> from finqa_lab.nn.generate import Stop
    >>> model = Decoder(DecoderConfig.llama(17, width=8, layers=1, heads=2, hidden=16, context=32))
    >>> engine = Engine(model, EngineSettings(blocks=8, block_size=4))
    >>> engine.add(Request((5, 6, 7), Stop(limit=2)))
    0
    >>> [event.ended for event in engine.step() + engine.step()]
    [None, 'limit']
    """

    def __init__(
        self, model: Decoder, settings: EngineSettings | None = None, clock: Callable[[], float] = time.monotonic
    ):
        self.settings = settings = settings or EngineSettings()
        weight = model.token_embedding.weight
        self.model, self.clock = model, clock
        self.pool = BlockPool(model.config, settings.blocks, settings.block_size, weight.dtype, weight.device)
        self.manager = BlockManager(self.pool, settings.prefix_cache)
        self.scheduler = Scheduler(self.manager, settings.batch, settings.step_tokens)
        self.runner = Runner(model, self.pool)
        self._sequences: dict[int, Sequence] = {}
        self._next = 0
        self._counts = dict.fromkeys((field.name for field in fields(Statistics)), 0)

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits."""
        return bool(self._sequences)

    @property
    def statistics(self) -> Statistics:
        """Counters, as they are now."""
        now = {
            "running": len(self.scheduler.running),
            "waiting": len(self.scheduler.waiting),
            "blocks": self.settings.blocks,
            "blocks_free": self.manager.free,
            "preemptions": self.scheduler.preemptions,
        }
        return Statistics(**(self._counts | now))

    def add(self, request: Request) -> int:
        """Queue a request; the first token comes from a later :meth:`step`.

        Returns:
            Its number, the ``row`` of its events.

        Raises:
            Overloaded: when too many wait.
            CourseError: when the prompt is empty, too long for the context or the pool, has an unknown token, or the
                adapter is unknown.
        """
        check_prompts(self.model.config, [request.prompt], request.stop)
        if request.adapter is not None and request.adapter not in self.runner.adapters:
            known = ", ".join(sorted(self.runner.adapters)) or "none"
            raise CourseError(f"there is no adapter '{request.adapter}'; the model has {known}")
        longest = min(len(request.prompt) + request.stop.limit - 1, self.model.config.context)
        if not self.manager.fits_alone(longest):
            room = self.settings.blocks * self.settings.block_size
            raise CourseError(
                f"the request may grow to {longest} positions and the engine holds {room} in all; lower its limit of "
                "new tokens, or give the engine more blocks"
            )
        if len(self.scheduler.waiting) >= self.settings.waiting:
            self._counts["refused"] += 1
            raise Overloaded(len(self.scheduler.waiting))
        sequence = Sequence(self._next, request, self.clock())
        self._next += 1
        self._sequences[sequence.number] = sequence
        self.scheduler.add(sequence)
        return sequence.number

    def cancel(self, number: int) -> None:
        """Forget a request and free its blocks; one that has ended, or was never there, changes nothing."""
        sequence = self._sequences.pop(number, None)
        if sequence is not None:
            self.scheduler.remove(sequence)
            self._counts["cancelled"] += 1

    def step(self) -> list[Emission]:
        """Compute one batch, choose a token for every sequence that is complete, let those go that end.

        Returns:
            The new tokens by request; empty when nothing is to be done, or prompts are still being read.
        """
        work = self.scheduler.schedule()
        if not work:
            return []
        self._count_admitted(work)
        logits = self.runner.run(work)
        chosen = [part.sequence for part in work if part.completes]
        self._counts["steps"] += 1
        self._counts["computed_tokens"] += sum(part.new for part in work)
        self.scheduler.computed(work)
        return [self._emit(sequence, token) for sequence, token in zip(chosen, choose(logits, chosen), strict=True)]

    def _count_admitted(self, work: list[Work]) -> None:
        for sequence in (part.sequence for part in work):
            if sequence.started is None:
                sequence.started, sequence.cached = self.clock(), sequence.computed
                self._counts["prompt_tokens"] += len(sequence.request.prompt)
                self._counts["cached_tokens"] += sequence.computed

    def _emit(self, sequence: Sequence, token: int) -> Emission:
        sequence.tokens.append(token)
        self._counts["generated_tokens"] += 1
        full = len(sequence.tokens) > self.model.config.context
        ended = sequence.request.stop.reason(sequence.new) or ("context" if full else None)
        if ended is not None:
            del self._sequences[sequence.number]
            self.scheduler.finish(sequence)
            self._counts["finished"] += 1
        return Emission(sequence.number, token, ended, sequence.started - sequence.arrived, sequence.cached)


@torch.inference_mode()
def complete(engine: Engine, requests: list[Request]) -> list[list[int]]:
    """The replies to several requests, all sent at once: for tests and measurements.

    Raises:
        Overloaded: when there are more than may wait.
    """
    numbers = [engine.add(request) for request in requests]
    replies: dict[int, list[int]] = {number: [] for number in numbers}
    while engine.busy:
        for event in engine.step():
            replies[event.row].append(event.token)
    return [replies[number] for number in numbers]
