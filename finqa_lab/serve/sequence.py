"""A request while the engine works on it: its tokens, how many of them are in the cache, and where."""

from dataclasses import dataclass, field

import torch

from finqa_lab.nn.sampling import row_generators
from finqa_lab.serve.request import Request


@dataclass(eq=False)
class Sequence:
    """One request in the engine.

    Prompt and reply are one list. A step computes keys and values of the next positions, one of them or many; when
    all tokens are computed, the last one's logits give the next token. Prefill, decoding, a prompt read in chunks and
    a text read again after a preemption are therefore the same operation with different numbers.

    Attributes:
        number: of the request; smaller numbers came earlier.
        request: as the client sent it.
        arrived: on the engine's clock, in seconds.
        tokens: prompt and reply so far.
        blocks: block table, in the order of the positions.
        computed: positions whose keys and values stand in the blocks.
        cached: those of the prompt that were found computed at the first admission; None before it.
        started: when it was first admitted, on the engine's clock; None before.
        preempted: how often its blocks were taken away.
        state: of the request's grammar.

    >>> from finqa_lab.nn.generate import Stop
    >>> sequence = Sequence(0, Request((5, 6, 7), Stop(limit=4)))
    >>> sequence.computed = 3
    >>> sequence.tokens.append(8)
    >>> sequence.uncomputed, sequence.new
    (1, [8])
    """

    number: int
    request: Request
    arrived: float = 0.0
    tokens: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    computed: int = 0
    cached: int | None = None
    started: float | None = None
    preempted: int = 0
    state: int = 0
    _generator: torch.Generator | None = None

    def __post_init__(self):
        self.tokens = list(self.request.prompt)
        if self.request.grammar is not None:
            self.state = self.request.grammar.start

    @property
    def uncomputed(self) -> int:
        """Positions that a step still has to compute before the next token can be chosen; at least 1."""
        return len(self.tokens) - self.computed

    @property
    def new(self) -> list[int]:
        """The reply so far."""
        return self.tokens[len(self.request.prompt) :]

    def generator(self, device: torch.device) -> torch.Generator:
        """The source of its draws: that of row 0 in :func:`finqa_lab.nn.generate.generate`, whatever the batch."""
        if self._generator is None:
            self._generator = row_generators(self.request.sampling.seed, 1, device)[0]
        return self._generator
