"""Key/value cache: its bytes for a shape, a context, a batch and a number type, and what fits on a card.

The bytes are those of :mod:`finqa_lab.nn.cache.memory`. Counted are weights and cache; activations, workspace and
fragmentation come on top.
"""

from dataclasses import dataclass

import ipywidgets

from finqa_lab.course.drawings import Drawing, paragraph, table
from finqa_lab.course.exploring import explore
from finqa_lab.course.figures import PALETTE, axes
from finqa_lab.course.widgets.controls import choice, number, whole_number
from finqa_lab.errors import CourseError
from finqa_lab.nn.cache.memory import PRESETS, cache_bytes, int8_cache_bytes, weight_bytes
from finqa_lab.nn.config import DecoderConfig

GIB = 2**30
NUMBER_TYPES = {"float32": 4, "bfloat16": 2, "int8 with scales": 1}
"""Bytes of a cached number; the scales of int8 are counted apart."""
MODELS = [name for name, preset in PRESETS.items() if preset.config.latent is None and not preset.config.window]
"""Published shapes with plain key/value heads; windows and latents have laws of their own."""
CONTEXTS = [2**power for power in range(9, 18)]
SHAPE = ("layers", "kv_heads", "head_size")


@dataclass(frozen=True)
class CacheUse:
    """What stands in the memory of a card.

    Attributes:
        a_token: bytes of the cache for one position of one sequence.
        a_sequence: bytes for one sequence of the context.
        cache: bytes for the batch.
        weights: bytes of the weights.
        card: bytes of the card.
        most_sequences: sequences of this context for which the card has room beside the weights.
        most_tokens: context for which it has room with this batch.
    """

    a_token: int
    a_sequence: int
    cache: int
    weights: int
    card: int
    most_sequences: int
    most_tokens: int

    @property
    def total(self) -> int:
        """Weights and cache."""
        return self.weights + self.cache

    @property
    def fits(self) -> bool:
        """Whether the card holds both."""
        return self.total <= self.card


def cache_use(
    layers: int,
    kv_heads: int,
    head_size: int,
    context: int,
    batch: int,
    number_type: str,
    billions: float,
    weight_bits: float,
    card: float,
) -> CacheUse:
    """Bytes of cache and weights beside those of a card.

    Args:
        layers, kv_heads, head_size: of the decoder.
        context: positions of a sequence.
        batch: sequences.
        number_type: of the cache, one of :obj:`NUMBER_TYPES`.
        billions: parameters in units of 10**9.
        weight_bits: bits of a weight.
        card: memory in GiB.

    Raises:
        CourseError: when a number is none of a memory.

    >>> use = cache_use(32, 8, 128, 8192, 1, number_type="bfloat16", billions=8.03, weight_bits=16, card=24)
    >>> use.cache / GIB, use.most_sequences
    (1.0, 9)
    """
    if number_type not in NUMBER_TYPES:
        raise CourseError(f"a cache of '{number_type}' is not known; choose one of {', '.join(NUMBER_TYPES)}")
    if not (batch >= 1 and context >= 1 and billions > 0 and weight_bits > 0 and card > 0):
        raise CourseError("context, batch, parameters, bits and card must be above 0; give larger numbers")
    shape = DecoderConfig(1, kv_heads * head_size, layers, kv_heads, hidden=1, context=context, positions="none")

    def held(tokens: int, rows: int) -> int:
        if number_type == "int8 with scales":
            return int8_cache_bytes(shape, tokens, rows)
        return cache_bytes(shape, tokens, rows, NUMBER_TYPES[number_type])

    weights, room = int(billions * 1e9 * weight_bits / 8), int(card * GIB)
    free = max(0, room - weights)
    return CacheUse(
        held(1, 1),
        held(context, 1),
        held(context, batch),
        weights,
        room,
        free // held(context, 1),
        free // held(1, batch),
    )


def shape_of(model: str) -> dict:
    """Layers, key/value heads, head size and parameters of a published model, as :func:`cache_use` takes them."""
    preset = PRESETS[model]
    heads, width, _ = preset.config.cache_shape
    return {
        "layers": preset.config.layers,
        "kv_heads": heads,
        "head_size": width,
        "billions": round(weight_bytes(preset, 1) / 1e9, 3),
    }


def _plot(ax, settings: dict) -> CacheUse:
    """Weights and, on top, the cache over the context, with the card as a line; returns what the setting takes."""
    use = cache_use(**settings)
    contexts = [round(CONTEXTS[0] * 2 ** (step / 8)) for step in range(8 * (len(CONTEXTS) - 1) + 1)]
    totals = [cache_use(**settings | {"context": context}).total / GIB for context in contexts]
    ax.fill_between(contexts, 0, use.weights / GIB, color=PALETTE[5], linewidth=0, label="weights")
    ax.fill_between(contexts, use.weights / GIB, totals, color=PALETTE[4], linewidth=0, label="cache")
    ax.axhline(use.card / GIB, color=PALETTE[6], linestyle="--", marker="", label="card")
    mark = {"color": PALETTE[1], "linestyle": "", "markersize": 8, "label": "this setting"}
    ax.plot([settings["context"]], [use.total / GIB], **mark)
    ax.set(xscale="log", xlabel="context, tokens", xlim=(CONTEXTS[0], CONTEXTS[-1]))
    ax.set(ylim=(0, 1.6 * max(use.card, use.total) / GIB))
    ax.minorticks_off()
    return use


def _words(use: CacheUse, settings: dict) -> str:
    verdict = "fits" if use.fits else f"is {(use.total - use.card) / GIB:.1f} GiB too much"
    return (
        f"Weights of {use.weights / GIB:.1f} GiB and a cache of {use.cache / GIB:.2f} GiB, together "
        f"{use.total / GIB:.1f} GiB: that {verdict} on a card of {settings['card']:g} GiB. Beside the weights there is "
        f"room for {use.most_sequences:,} sequences of {settings['context']:,} tokens."
    )


def draw(**settings) -> Drawing:
    """One setting: memory over the context, and what fits; arguments as of :func:`cache_use`."""
    cache_use(**settings)  # a setting that makes no sense is refused before a figure is opened
    fig, ax = axes(height=3.2)
    use = _plot(ax, settings)
    ax.set(ylabel="GiB")
    ax.set_xticks(CONTEXTS, [f"{context:,}" for context in CONTEXTS], fontsize=9)
    fig.legend(loc="outside upper center", ncols=4)
    words = _words(use, settings)
    rows = [
        ("cache of one token", f"{use.a_token:,} bytes"),
        ("cache of one sequence", f"{use.a_sequence / GIB:.3f} GiB"),
        ("cache of the batch", f"{use.cache / GIB:.2f} GiB"),
        ("weights", f"{use.weights / GIB:.2f} GiB"),
        ("longest context with this batch", f"{use.most_tokens:,} tokens"),
        ("most sequences of this context", f"{use.most_sequences:,}"),
    ]
    return Drawing(
        fig,
        caption=f"Memory over the context for a batch of {settings['batch']}, cache in {settings['number_type']}.",
        alt=f"A flat area for the weights, on it the cache, which grows with the context; a dashed line for the card. "
        f"{words}",
        above=paragraph(words),
        below=table(("quantity", "value:"), rows),
    )


STILL = (("Llama-3.2-1B", 24, 8), ("Llama-3.1-8B", 24, 8), ("Llama-2-7B", 24, 8))
"""Model, card in GiB and batch of the small pictures."""


def still() -> Drawing:
    """Three published shapes on a card of 24 GiB, eight sequences at once, weights and cache in two bytes a number."""
    fig, places = axes(1, 3, width=8.4, height=3.0, sharey=True)
    said = []
    for ax, (model, card, batch) in zip(places, STILL):
        settings = {"context": 8192, "batch": batch, "number_type": "bfloat16", "weight_bits": 16, "card": card}
        use = _plot(ax, settings | shape_of(model))
        ax.set_title(model, fontsize=10)
        ax.set(ylim=(0, 60))
        ax.set_xticks(CONTEXTS[1::3], [f"{context:,}" for context in CONTEXTS[1::3]])
        said.append(
            f"{model}: {use.a_token / 1024:.0f} KiB a token, {use.total / GIB:.1f} GiB at 8,192 tokens, room for "
            f"{use.most_sequences} such sequences"
        )
    places[0].set(ylabel="GiB")
    fig.legend(*places[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return Drawing(
        fig,
        caption="Weights and key/value cache over the context: eight sequences, bfloat16, a card of 24 GiB. The mark "
        "is at 8,192 tokens. Activations and workspace are not counted.",
        alt=f"Three panels with a flat area for weights and a growing one for the cache. {'. '.join(said)}. The cache "
        "of Llama 2 7B, with a key head for each query head, leaves the card first.",
    )


def widget() -> ipywidgets.VBox:
    """The controls, and the drawing of their values; choosing a model fills in its shape."""
    first = shape_of("Llama-3.1-8B")
    model = choice("shape of", MODELS, "Llama-3.1-8B")
    fields = {
        "layers": whole_number("layers", first["layers"], 1, 200),
        "kv_heads": whole_number("key/value heads", first["kv_heads"], 1, 256),
        "head_size": whole_number("head size", first["head_size"], 1, 1024),
        "billions": number("parameters, 10^9", first["billions"], 0.001, 2000, 0.5),
        "weight_bits": choice("bits of a weight", [16, 32, 8, 4]),
        "context": choice("context, tokens", [(f"{context:,}", context) for context in CONTEXTS], 8192),
        "batch": whole_number("sequences at once", 8, 1, 4096),
        "number_type": choice("cached numbers", list(NUMBER_TYPES), "bfloat16"),
        "card": number("card, GiB", 24, 1, 10_000, 8),
    }
    box = explore(draw, **fields)

    def fill_in(change) -> None:
        for name, value in shape_of(change["new"]).items():
            fields[name].value = value

    model.observe(fill_in, names="value")
    box.children = (model, *box.children)
    return box
