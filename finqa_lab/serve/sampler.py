"""From the logits of a step to one token for every sequence: grammar first, then the request's own sampling."""

import math
from collections.abc import Sequence as Sequences

import torch
from torch import Tensor

from finqa_lab.nn.sampling import draw
from finqa_lab.serve.sequence import Sequence


@torch.inference_mode()
def choose(logits: Tensor, sequences: Sequences[Sequence]) -> list[int]:
    """The next token of every sequence; states of grammars move on.

    Args:
        logits: (S, V), changed in place where a grammar forbids tokens.
        sequences: S of them. Each draws from a generator of its own: what it gets does not depend on the others.
    """
    for row, sequence in enumerate(sequences):
        grammar = sequence.request.grammar
        if grammar is not None:
            logits[row].masked_fill_(~grammar.allowed(sequence.state).to(logits.device), -math.inf)
    chosen = logits.argmax(dim=1).tolist()
    for row, sequence in enumerate(sequences):
        sampling, grammar = sequence.request.sampling, sequence.request.grammar
        if sampling.temperature:
            chosen[row] = int(draw(logits[row : row + 1], sampling, [sequence.generator(logits.device)]))
        if grammar is not None:
            sequence.state = grammar.step(sequence.state, chosen[row])
    return chosen
