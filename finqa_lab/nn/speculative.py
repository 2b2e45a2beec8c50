"""Prompt-lookup decoding (Saxena 2023): greedy decoding in fewer passes, with drafts copied from what was read so far.

The last few tokens are looked up in the text before them. What followed there is proposed; one pass reads all proposed
tokens and so gives the model's own choice behind each of them. Proposals are kept up to the first that differs from the
choice, and the choice at that place is kept as well: every pass gives one token at least.

The output is that of greedy decoding. By induction, let the tokens so far be greedy's. The pass reads them and a draft
d_1..d_k. Attention is causal, so the logits behind the last token t do not depend on the draft, and their argmax g_0 is
greedy's next token. If d_1 = g_0, then the logits behind d_1 are those of greedy's own text, and their argmax g_1 is
greedy's token behind it; and so on. At the first d_{i+1} other than g_i, the tokens g_0..g_i have been shown to be
greedy's and are kept; the positions of d_{i+1}..d_k are cut from the cache, which then is the one greedy would have.

This is exact in real numbers. In floating point, a pass over k + 1 positions may sum in another order than a pass over
one: where the two largest logits differ by no more than that rounding, the choice can fall the other way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from finqa_lab.nn.generate import MakeCache, Stop, cache_like, check_prompts
from finqa_lab.nn.transformer import Decoder


class Lookup:
    """A text, and where each of its n-grams was last followed by something.

    Args:
        longest: largest n; longer matches are preferred.

    >>> lookup = Lookup(longest=2)
    >>> lookup.extend([1, 2, 3, 4, 1, 2])
    >>> lookup.propose(3)
    [3, 4, 1]
    >>> lookup.propose(6)  # the copy may run into itself
    [3, 4, 1, 2, 3, 4]
    """

    def __init__(self, longest: int):
        self.longest = longest
        self.tokens: list[int] = []
        self._followed: dict[tuple[int, ...], int] = {}

    def extend(self, tokens: Sequence[int]) -> None:
        """Append to the text; takes ``longest`` dictionary entries a token."""
        for token in tokens:
            for ngram in self._endings():
                self._followed[ngram] = len(self.tokens)
            self.tokens.append(token)

    def propose(self, count: int) -> list[int]:
        """``count`` tokens that followed the latest earlier match of the text's end; none when nothing matches."""
        for ngram in self._endings():
            begin = self._followed.get(ngram)
            if begin is not None:
                distance = len(self.tokens) - begin
                return [self.tokens[begin + step % distance] for step in range(count)]
        return []

    def _endings(self) -> list[tuple[int, ...]]:
        """The n-grams at the end of the text, the longest first."""
        longest = min(self.longest, len(self.tokens))
        return [tuple(self.tokens[-length:]) for length in range(longest, 0, -1)]


@dataclass
class Speculation:
    """What :func:`prompt_lookup` wrote, and what it took.

    Attributes:
        tokens: the new tokens; what ended them is included.
        reason: why they end, as in :class:`finqa_lab.nn.generate.Event`.
        proposed: draft tokens that the model read.
        accepted: those among them that became output.
        passes: calls of the decoder, the one over the prompt included; greedy decoding takes ``len(tokens)``.
    """

    tokens: list[int]
    reason: str | None = None
    proposed: int = 0
    accepted: int = 0
    passes: int = 0


@torch.inference_mode()
def prompt_lookup(
    model: Decoder,
    prompt: Sequence[int],
    stop: Stop,
    draft: int = 10,
    longest: int = 3,
    make_cache: MakeCache | None = None,
) -> Speculation:
    """Greedy decoding of one prompt with looked-up drafts.

    Args:
        model: the decoder, without digit places.
        prompt: token ids.
        stop: when to end.
        draft: most tokens to propose a pass; 0 is plain greedy decoding.
        longest: tokens that a match has at most (and at least one).
        make_cache: as in :func:`finqa_lab.nn.generate.stream`; the cache must be able to go back.

    Raises:
        CourseError: as :func:`finqa_lab.nn.generate.stream`.
        NotImplementedError: when the cache cannot go back.
    """
    config = model.config
    check_prompts(config, [prompt], stop)
    cache = (make_cache or cache_like(model))(config, 1, min(len(prompt) + stop.limit - 1, config.context))
    text, result = Lookup(longest), Speculation([])
    text.extend(prompt)
    fresh = list(prompt)
    while result.reason is None:
        room = min(stop.limit - len(result.tokens) - 1, config.context - len(text.tokens))
        proposal = text.propose(min(draft, room))
        read = torch.tensor([fresh + proposal], device=model.device)
        choices = model(read, cache=cache, start=len(fresh) - 1)[0].argmax(dim=-1).tolist()
        agreed = next((i for i, token in enumerate(proposal) if token != choices[i]), len(proposal))
        result.passes += 1
        result.proposed += len(proposal)
        before = len(result.tokens)
        for token in choices[: agreed + 1]:
            result.tokens.append(token)
            text.extend([token])
            full = len(text.tokens) > config.context
            result.reason = stop.reason(result.tokens) or ("context" if full else None)
            if result.reason is not None:
                break
        result.accepted += min(len(result.tokens) - before, agreed)
        if agreed < len(proposal):
            cache.truncate(len(text.tokens) - 1)
        fresh = [token]
    return result
