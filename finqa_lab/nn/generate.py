"""Writing on from prompts, one token a pass: a stream of tokens, whole batches, and the plain greedy loop.

Prompts of different lengths are padded on the left, so that the last position of every row is the one whose next token
is wanted; the decoder keeps the padding out of sight and counts each row's positions from its own first token. A row's
tokens are therefore those it would get alone, up to rounding: another batch can sum in another order, and a choice
between two almost equally likely tokens can then fall the other way. (Dynamic rope scaling is the exception: past the
original context its angles depend on the longest row.)
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from finqa_lab.errors import CourseError
from finqa_lab.nn.cache.contiguous import ContiguousCache
from finqa_lab.nn.cache.interface import Cache
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.sampling import GREEDY, Sampling, draw, row_generators
from finqa_lab.nn.transformer import Decoder

MakeCache = Callable[[DecoderConfig, int, int], Cache]  # config, batch, capacity


@dataclass(frozen=True)
class Stop:
    """When a row ends, apart from the end of the context.

    Args:
        limit: most tokens to generate, at least 1.
        tokens: ids that end a row.
        sequences: runs of ids that end a row once it has generated one of them; the prompt does not count.

    Raises:
        CourseError: when the limit is below 1, or a sequence is empty.
    """

    limit: int
    tokens: frozenset[int] = frozenset()
    sequences: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self):
        if isinstance(self.limit, bool) or not isinstance(self.limit, int) or self.limit < 1:
            raise CourseError(f"the limit of new tokens is {self.limit!r}; it must be a whole number of at least 1")
        if () in self.sequences:
            raise CourseError("a stop sequence is empty and would stop everywhere; leave it out")

    def reason(self, new: Sequence[int]) -> str | None:
        """Why a row ends behind ``new``, its generated tokens so far, or None when it goes on.

        >>> stop = Stop(limit=9, tokens=frozenset({0}), sequences=((7, 8),))
        >>> [stop.reason(new) for new in ([7], [7, 8], [8, 0], [1] * 9)]
        [None, 'stop sequence', 'stop token', 'limit']
        """
        if new[-1] in self.tokens:
            return "stop token"
        if any(tuple(new[-len(sequence) :]) == sequence for sequence in self.sequences):
            return "stop sequence"
        return "limit" if len(new) == self.limit else None


@dataclass(frozen=True)
class Event:
    """One token that one row got.

    Attributes:
        row: index of the prompt.
        token: its id.
        ended: None, or why this was the row's last token: "stop token", "stop sequence", "limit" or "context".
    """

    row: int
    token: int
    ended: str | None


@dataclass(frozen=True)
class Generation:
    """What :func:`generate` wrote.

    Attributes:
        tokens: the new tokens of every row, without prompt and padding; what ended the row is included.
        reasons: why each row ended, as in :class:`Event`.
    """

    tokens: list[list[int]]
    reasons: list[str]


def generate(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    stop: Stop,
    sampling: Sampling = GREEDY,
    make_cache: MakeCache | None = None,
    use_cache: bool = True,
) -> Generation:
    """Write on from every prompt until all have ended; arguments and errors are those of :func:`stream`."""
    result = Generation([[] for _ in prompts], [""] * len(prompts))
    for event in itertools.chain.from_iterable(stream(model, prompts, stop, sampling, make_cache, use_cache)):
        result.tokens[event.row].append(event.token)
        result.reasons[event.row] = event.ended
    return result


def stream(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    stop: Stop,
    sampling: Sampling = GREEDY,
    make_cache: MakeCache | None = None,
    use_cache: bool = True,
) -> Iterator[list[Event]]:
    """Write on from every prompt, and hand over the new tokens after each pass.

    Args:
        model: the decoder, without digit places.
        prompts: token ids; the lengths may differ.
        stop: when a row ends.
        sampling: how the next token is chosen; the default takes the most likely one.
        make_cache: called with the config, the number of rows and the positions to make room for (padding included);
            the default makes a contiguous cache in the model's dtype, on its device. It is called again when the
            longest row has reached the end of the context and others have not: those are read anew, with less padding.
        use_cache: False recomputes the whole prefix at every step (for comparison only).

    Returns:
        An iterator over the passes. A pass gives one :class:`Event` for every row that had not ended, in the order of
        the rows; the next pass runs only when asked for.

    Raises:
        CourseError: when there is no prompt, one is empty or longer than the context, or a token id is not in the
            vocabulary; at the call, not at the first pass.
    """
    check_prompts(model.config, prompts, stop)
    if not use_cache:
        return _stream(model, prompts, stop, sampling, lambda *_: None)
    return _stream(model, prompts, stop, sampling, make_cache or cache_like(model))


def check_prompts(config: DecoderConfig, prompts: Sequence[Sequence[int]], stop: Stop) -> None:
    """Refuse what a decoder of this shape cannot read, and stop ids that it can never write.

    Raises:
        CourseError: naming the prompt, the position and the id, all counted from 0.
    """
    if not prompts:
        raise CourseError("there is no prompt; give at least one")
    sources = [(f"prompt {row}", prompt) for row, prompt in enumerate(prompts)]
    for name, prompt in sources:
        if not prompt:
            raise CourseError(f"{name} is empty; give it at least one token")
        if len(prompt) > config.context:
            raise CourseError(f"{name} has {len(prompt)} tokens; the context holds {config.context}: shorten it")
    sources += [("the stop tokens", sorted(stop.tokens))]
    sources += [(f"stop sequence {index}", sequence) for index, sequence in enumerate(stop.sequences)]
    for name, ids in sources:
        for position, token in enumerate(ids):
            if not 0 <= token < config.vocabulary:
                raise CourseError(
                    f"{name}: id {token} at position {position} is not in the vocabulary; ids go from 0 to "
                    f"{config.vocabulary - 1}"
                )


def cache_like(model: Decoder) -> MakeCache:
    """Makes contiguous caches in the model's dtype, on its device."""
    return functools.partial(ContiguousCache, dtype=model.token_embedding.weight.dtype, device=model.device)


def pad_left(rows: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> tuple[Tensor, Tensor | None]:
    """Rows of different lengths as one tensor.

    Returns:
        (B, T) int64 ids, 0 where padded, and (B,) int64 widths of the padding, or None when there is none.

    >>> pad_left([[5, 6, 7], [8]])
    (tensor([[5, 6, 7],
            [0, 0, 8]]), tensor([0, 2]))
    """
    longest = max(map(len, rows))
    tokens = torch.tensor([[0] * (longest - len(row)) + list(row) for row in rows], device=device)
    if all(len(row) == longest for row in rows):
        return tokens, None
    return tokens, torch.tensor([longest - len(row) for row in rows], device=device)


@torch.inference_mode()
def _stream(model: Decoder, prompts, stop: Stop, sampling: Sampling, make_cache) -> Iterator[list[Event]]:
    """:func:`stream` behind its checks; ``make_cache`` may return None."""
    context, device = model.config.context, model.device
    generators = row_generators(sampling.seed, len(prompts), device)
    new: list[list[int]] = [[] for _ in prompts]
    ended: list[str | None] = [None for _ in prompts]
    live = list(range(len(prompts)))
    while live:  # again only when the padded rows fill the context and some row still has room of its own
        read = live
        tokens, padding = pad_left([[*prompts[row], *new[row]] for row in read], device)
        passes = min(context - tokens.shape[1] + 1, stop.limit - len(new[read[0]]))  # all have as many new tokens
        cache = make_cache(model.config, len(read), tokens.shape[1] + passes - 1)
        choose = functools.partial(draw, sampling=sampling, generators=[generators[row] for row in read])
        for chosen in itertools.islice(_steps(model, tokens, choose, cache, padding=padding), passes):
            events = []
            for row, token in zip(read, chosen.tolist(), strict=True):
                if ended[row] is None:
                    new[row].append(token)
                    full = len(prompts[row]) + len(new[row]) > context
                    ended[row] = stop.reason(new[row]) or ("context" if full else None)
                    events.append(Event(row, token, ended[row]))
            live = [event.row for event in events if event.ended is None]
            yield events
            if not live:
                break


def _steps(
    model: Decoder,
    tokens: Tensor,
    choose: Callable[[Tensor], Tensor],
    cache: Cache | None,
    places: Tensor | None = None,
    padding: Tensor | None = None,
) -> Iterator[Tensor]:
    """The decode loop itself: one pass for each (B,) of next tokens that is asked for, without end.

    A row goes on behind its stop token too: rows do not see each other, and what to keep is the caller's business.
    """
    fresh, seen = tokens, 0
    while True:
        here = None if places is None else places[:, seen : seen + fresh.shape[1]]
        token = choose(model(fresh, here, cache, start=fresh.shape[1] - 1, padding=padding)[:, -1])
        yield token
        if cache is None:
            fresh = torch.cat([fresh, token[:, None]], dim=1)
        else:
            seen += fresh.shape[1]
            fresh = token[:, None]


@torch.inference_mode()
def greedy(
    model: Decoder,
    prompts: Tensor,
    steps: int,
    places: Tensor | None = None,
    stop: int | None = None,
    use_cache: bool = True,
) -> Tensor:
    """Append the most likely token ``steps`` times; tensors in and out, and nothing waits for the device.

    Args:
        model: the decoder.
        prompts: (B, T) int64, on any device, all of one length (left-padded where they differ).
        steps: number of tokens to generate, at least 1; T + steps - 1 must fit the context.
        places: (B, T + steps) or (T + steps,) int64 digit places, for a model with a place table.
        stop: a token that ends a sequence; what follows it is filled with it, and decoding ends once all
            have stopped.
        use_cache: False recomputes the whole prefix at every step (for comparison only).

    Returns:
        (B, steps) int64, on the model's device. A sequence without ``stop`` in its row did not end by itself within
        ``steps``.
    """
    batch, length = prompts.shape
    prompts = prompts.to(model.device)
    if places is not None:
        places = places.expand(batch, places.shape[-1]).to(model.device)
    cache = cache_like(model)(model.config, batch, length + steps - 1) if use_cache else None
    answer = prompts.new_full((batch, steps), stop or 0)
    ended = torch.zeros(batch, dtype=torch.bool, device=prompts.device)
    choose = functools.partial(torch.argmax, dim=-1)
    for step, token in enumerate(itertools.islice(_steps(model, prompts, choose, cache, places), steps)):
        if stop is None:
            answer[:, step] = token
            continue
        answer[:, step] = token.masked_fill(ended, stop)
        ended |= token == stop
        if bool(ended.all()):
            break
    return answer
