"""Attention map: the weights of one head of the shipped model ``finqa-tiny`` over a text, as a heat map.

The weights are those that the decoder computes (:func:`finqa_lab.nn.attention.attention_weights`), layer by layer.
"""

from functools import lru_cache

import ipywidgets
import torch

from finqa_lab.course.drawings import Drawing, paragraph, table
from finqa_lab.course.exploring import explore
from finqa_lab.course.figures import axes
from finqa_lab.course.widgets.controls import text_field, whole_number
from finqa_lab.course.widgets.tokenizers import visible
from finqa_lab.errors import CourseError
from finqa_lab.files import data_path
from finqa_lab.nn.hub import load_pretrained
from finqa_lab.text.huggingface import piece_to_bytes

MOST_TOKENS = 40
"""Tokens that a picture can label."""
LAYERS, HEADS = 6, 4
"""Of the shipped model; a test compares them with its configuration."""


@lru_cache
def _loaded():
    for file in ("config.json", "tokenizer.json", "model.safetensors"):
        folder = data_path(f"models/finqa-tiny/{file}").parent
    return load_pretrained(folder)


@lru_cache(maxsize=8)
def weights_of(text: str) -> tuple[tuple[str, ...], torch.Tensor]:
    """Attention weights of all heads over a text.

    Args:
        text: of at most :obj:`MOST_TOKENS` tokens.

    Returns:
        The tokens as they are drawn, and weights (layers, heads, T, T) in float32, in which a row belongs to a query,
        sums to 1, and is 0 behind its own position.

    Raises:
        CourseError: when the text is blank or too long.
    """
    if not text.strip():
        raise CourseError("the text is empty; type a few words")
    found = _loaded()
    encoded = found.tokenizer.encode(text, add_special_tokens=False)
    if len(encoded.ids) > MOST_TOKENS:
        raise CourseError(f"the text has {len(encoded.ids):,} tokens; shorten it to {MOST_TOKENS}")
    maps: list[torch.Tensor] = []
    with torch.inference_mode():
        found.model(torch.tensor([encoded.ids]), maps=maps)
    pieces = tuple(visible(_bytes(token)) for token in encoded.tokens)
    return pieces, torch.stack(maps)[:, 0].float()


def _bytes(token: str) -> bytes:
    try:
        return piece_to_bytes(token)
    except KeyError:  # a special token is written as it is
        return token.encode("utf-8")


def head_weights(text: str, layer: int, head: int) -> tuple[tuple[str, ...], torch.Tensor]:
    """Tokens, and the weights (T, T) of one head; layers and heads are counted from 1.

    Raises:
        CourseError: as :func:`weights_of`, or when there is no such layer or head.
    """
    tokens, every = weights_of(text)
    if not (1 <= layer <= len(every) and 1 <= head <= every.shape[1]):
        raise CourseError(
            f"there is no head {head} in layer {layer}; the model has {len(every)} layers of {every.shape[1]} heads"
        )
    return tokens, every[layer - 1, head - 1]


def shares(weights: torch.Tensor) -> dict[str, float]:
    """Mean weight that queries give to some places; the first query, which has no choice, is left out.

    >>> shares(torch.tensor([[1.0, 0.0], [0.25, 0.75]]))
    {'the token before': 0.25, 'the first token': 0.25, 'itself': 0.75}

    Raises:
        CourseError: when there is a single token.
    """
    if len(weights) < 2:
        raise CourseError("a single token can only look at itself; type a longer text")
    return {
        "the token before": float(weights.diagonal(-1).mean()),
        "the first token": float(weights[1:, 0].mean()),
        "itself": float(weights.diagonal()[1:].mean()),
    }


def _strongest(tokens: tuple[str, ...], weights: torch.Tensor, count: int = 5) -> list[tuple[str, str, str]]:
    """The largest weights on another token than the query's own: query, key, weight."""
    others = weights.tril(-1).flatten()
    best = others.topk(min(count, len(others))).indices.tolist()
    pairs = [(place // len(tokens), place % len(tokens)) for place in best if others[place] > 0]
    return [(f"{q + 1}: {tokens[q]}", f"{k + 1}: {tokens[k]}", f"{weights[q, k]:.2f}") for q, k in pairs]


def _plot(ax, tokens: tuple[str, ...], weights: torch.Tensor, size: int):
    hidden = weights.masked_fill(~torch.ones_like(weights, dtype=torch.bool).tril(), float("nan"))
    image = ax.imshow(hidden.numpy(), vmin=0, vmax=1)
    labels = [token.replace("$", r"\$") for token in tokens]
    ax.set_xticks(range(len(tokens)), labels, rotation=90, fontsize=size, family="monospace")
    ax.set_yticks(range(len(tokens)), labels, fontsize=size, family="monospace")
    ax.grid(visible=False)
    return image


def draw(text: str, layer: int, head: int) -> Drawing:
    """The heat map of one head.

    Args:
        text: what the model reads.
        layer, head: counted from 1.
    """
    tokens, weights = head_weights(text, layer, head)
    places = shares(weights)
    fig, ax = axes(width=6.4, height=5.4)
    image = _plot(ax, tokens, weights, size=9 if len(tokens) <= 24 else 6)
    ax.set(xlabel="key: what is looked at", ylabel="query: what looks")
    fig.colorbar(image, ax=ax, label="weight", shrink=0.8)
    words = (
        f"Layer {layer}, head {head}: on average a token gives "
        f"{', '.join(f'{share:.0%} of its weight to {place}' for place, share in places.items())}."
    )
    strongest = _strongest(tokens, weights)
    largest = ", ".join(f"{query} looks at {key} with {weight}" for query, key, weight in strongest[:3])
    return Drawing(
        fig,
        caption=f"Attention weights of finqa-tiny, layer {layer}, head {head}. Each row sums to 1; nothing right of "
        "the diagonal is seen.",
        alt=f"A lower triangle of {len(tokens)} by {len(tokens)} cells, brighter for larger weights. {words} Largest "
        f"weights on another token: {largest}.",
        above=paragraph(words),
        below=table(("query", "key", "weight:"), strongest),
    )


EXAMPLE = "net income of Alder was 12 ; net income of Alder"


def still() -> Drawing:
    """Four heads over a text that repeats itself, among them the two that began as an induction circuit."""
    fig, places = axes(2, 2, width=8.4, height=7.4, sharex=True, sharey=True)
    said = []
    for ax, (layer, head) in zip(places.flat, ((1, 1), (2, 1), (2, 4), (6, 2))):
        tokens, weights = head_weights(EXAMPLE, layer, head)
        image = _plot(ax, tokens, weights, size=9)
        ax.set_title(f"layer {layer}, head {head}", fontsize=10)
        found = shares(weights)
        said.append(
            f"layer {layer}, head {head}: {', '.join(f'{share:.0%} to {place}' for place, share in found.items())}"
        )
    for ax in places[:, 0]:
        ax.set(ylabel="query")
    for ax in places[1]:
        ax.set(xlabel="key")
    fig.colorbar(image, ax=places, label="weight", shrink=0.5)
    return Drawing(
        fig,
        caption=f'Weights of four heads of finqa-tiny over "{EXAMPLE}". The first heads of layers 1 and 2 were planted '
        "before training, as a previous-token head and an induction head.",
        alt=f"Four lower triangles of {len(tokens)} by {len(tokens)} cells. Mean weights: {'; '.join(said)}.",
    )


def widget() -> ipywidgets.VBox:
    """The controls, and the drawing of their values."""
    return explore(
        draw,
        text=text_field("text, then return", EXAMPLE),
        layer=whole_number("layer", 2, 1, LAYERS),
        head=whole_number("head", 1, 1, HEADS),
    )
