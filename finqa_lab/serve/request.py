"""What a client asks of the engine, and the automaton that a structured reply follows."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from finqa_lab.errors import CourseError
from finqa_lab.nn.generate import Stop
from finqa_lab.nn.sampling import GREEDY, Sampling


class TokenAutomaton(Protocol):
    """A finite automaton over token ids: which tokens may come next, and where each leads.

    Immutable, and shared by every request that uses it; a sequence keeps the number of its state.

    Attributes:
        start: the first state.
    """

    start: int

    def allowed(self, state: int) -> Tensor:
        """(V,) bool, True for the tokens that may come in a state; at least one is True."""

    def step(self, state: int, token: int) -> int:
        """The state behind an allowed token."""


@dataclass(frozen=True)
class Request:
    """One reply that is wanted.

    Attributes:
        prompt: token ids, at least one.
        stop: when the reply ends, apart from the end of the context.
        sampling: how tokens are chosen; the reply is that of :func:`finqa_lab.nn.generate.generate` on this prompt
            alone with the same sampling.
        adapter: name of the LoRA adapter that is used; None for the base.
        grammar: the automaton that the reply follows, or None.
    """

    prompt: tuple[int, ...]
    stop: Stop
    sampling: Sampling = GREEDY
    adapter: str | None = None
    grammar: TokenAutomaton | None = None


class Overloaded(CourseError):
    """The queue is full; the client should come back after ``retry_after`` seconds."""

    def __init__(self, waiting: int, retry_after: float = 1.0):
        super().__init__(f"the queue is full ({waiting} requests wait); try again in {retry_after:.0f} s")
        self.retry_after = retry_after
