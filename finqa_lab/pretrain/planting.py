"""Starting weights with a circuit in them: an induction head, built by hand from two attention heads.

To copy a name, a model must find where its last token stood before and write what came next. Two heads do that
together (N. Elhage et al., "A Mathematical Framework for Transformer Circuits", 2021; C. Olsson et al., "In-context
Learning and Induction Heads", 2022, arXiv:2209.11895): one looks at the previous position and notes its token, the
other, a layer later, looks for a position whose note is the present token, and copies the token that stands there.

Large models find the circuit in their text. One of five million parameters hardly begins to within the tokens of a
laptop: after 200 steps the second of two equal runs of random tokens is easier by 0.1 nats a token, with the planted
circuit by 2.1 (``benchmarks/planting.py``, seed 0). So the circuit is put into the starting weights, as structure is in
"Mimetic Initialization of Self-Attention Layers" (A. Trockman and Z. Kolter, 2023, arXiv:2305.09828). Everything stays
trainable; a circuit that were of no use would be unlearnt.

What is planted must survive the first steps, in which everything else is learnt in a hurry. Two measures see to that.
Embeddings start sixteen times as large as usual, and the last norm makes up for it, so that a token's identity is not
drowned by what the blocks write to the stream; and at first no block writes anything else.

How it is built, with rows of a head in pairs (i, i + w/2) that turn by the angle p * theta_i at position p:

* All embeddings get the same first component, so that a query or key can be a constant. The *previous-token head* has
  constant query and key in the pairs that turn fast, the query turned back by one position: their product is largest
  at distance 1. Its value is a projection P of the token; its output writes that into a subspace Q of the stream.
* The *induction head* has P as query and Q as key, in the pairs that turn slowly, so that distance hardly matters:
  their product is largest where the note equals the present token. Its value and output copy a projection R of the
  token that stands there to the stream, whence the tied output matrix reads it.
"""

import torch
from torch import Tensor

from finqa_lab.errors import CourseError
from finqa_lab.nn.rope import turn
from finqa_lab.nn.transformer import Decoder

FAST, SLOW = 6, 0.6
"""Pairs of the previous-token head, the fastest ones; share of all pairs, the fastest, that matching leaves out."""
SCALE = 16.0
"""Factor on the embeddings, whose components then have a standard deviation of about 1 at a width of 256."""
CONSTANT = 0.5
"""First component of every embedding, before the factor; the others together have norm 1."""
PREVIOUS, NOTE, MATCH, COPY = 1.0, 1.0, 3.0, 4.0
"""Sizes of the weights of position, note, match and copy, found by the loss on repeated random tokens untrained."""


@torch.no_grad()
def plant_induction(model: Decoder, seed: int = 0) -> None:
    """Write the circuit into the first heads of the first two layers, in place.

    Args:
        model: with rotary positions and tied embeddings, freshly initialised.
        seed: of the projections.

    Raises:
        CourseError: for a model without two layers, rotary positions or tied embeddings.
    """
    config = model.config
    if config.layers < 2 or config.positions != "rotary" or not config.tied or config.latent is not None:
        raise CourseError("an induction head needs two layers of plain attention, rotary positions and tied embeddings")
    width, head = config.width, config.head_width
    draws = torch.Generator().manual_seed(seed)
    project, note, copy = (_orthonormal(head, width, draws) for _ in range(3))
    model.token_embedding.weight[:, 0] = CONSTANT
    model.token_embedding.weight *= SCALE
    model.norm.gain /= SCALE
    for block in model.blocks:  # nothing else writes at first, or its noise would drown the note
        block.attention.output.weight.zero_()
        block.mlp.down.weight.zero_()
    first, second = model.blocks[0].attention, model.blocks[1].attention

    constant = torch.zeros(head)
    constant[:FAST] = PREVIOUS
    for matrix in (first.query, first.key):
        matrix.weight[:head] = 0.0
    first.key.weight[:head, 0] = constant
    first.query.weight[:head, 0] = turn(constant[None], torch.tensor([-1]), config.rope_theta)[0]
    first.value.weight[:head] = project
    first.output.weight[:, :head] = NOTE * note.T

    slow = torch.arange(round(SLOW * head / 2), head // 2)
    rows = torch.cat([slow, slow + head // 2])
    for matrix, read in ((second.query, project), (second.key, note)):
        matrix.weight[:head] = 0.0
        matrix.weight[rows] = MATCH * read[: len(rows)]
    second.value.weight[:head] = copy
    second.output.weight[:, :head] = COPY * copy.T


def _orthonormal(rows: int, columns: int, draws: torch.Generator) -> Tensor:
    """(rows, columns) with orthonormal rows that leave the first component, the constant one, alone."""
    square = torch.linalg.qr(torch.randn(columns - 1, rows, generator=draws)).Q.T
    return torch.cat([torch.zeros(rows, 1), square], dim=1)


@torch.inference_mode()
def repetition_gain(model: Decoder, length: int = 30, rows: int = 16, seed: int = 0) -> float:
    """How much easier the second of two equal runs of random tokens is, in nats a token; about 0 without the circuit.

    Args:
        model: in evaluation mode.
        length: of a run.
        rows: sequences of two runs.
        seed: of the tokens.
    """
    draws = torch.Generator().manual_seed(seed)
    once = torch.randint(model.config.vocabulary, (rows, length), generator=draws)
    tokens = torch.cat([once, once], dim=1).to(model.device)
    scores = model(tokens[:, :-1]).float().log_softmax(dim=-1)
    loss = -scores.gather(2, tokens[:, 1:, None])[..., 0]
    return float(loss[:, : length - 1].mean() - loss[:, length:].mean())
