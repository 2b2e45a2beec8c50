"""Memory of fine-tuning: weights, adapter, gradients, optimizer and activations, for four ways to train one model.

The bytes before the first token are those of :mod:`finqa_lab.tune.memory`. What a pass keeps is counted on shells of
one and of two layers, which differ by what a layer keeps; so a model of eighty layers takes no longer than a small
one.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import ipywidgets
import torch

from finqa_lab.course.drawings import Drawing, paragraph, table
from finqa_lab.course.exploring import explore
from finqa_lab.course.figures import PALETTE, axes
from finqa_lab.course.widgets.controls import box, choice, number, whole_number
from finqa_lab.errors import CourseError
from finqa_lab.nn.cache.memory import PRESETS, parameter_count
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.tune import memory
from finqa_lab.tune.lora import ATTENTION, MLP, LoRAConfig, add_adapter, trainable
from finqa_lab.tune.recompute import recomputed_blocks

GB = memory.GB
MODELS = [name for name, preset in PRESETS.items() if preset.config.latent is None]
TARGETS = {"all seven matrices": ATTENTION + MLP, "attention": ATTENTION, "query and value": ("query", "value")}
"""Matrices of a layer that get an adapter."""
OPTIMIZERS = {"AdamW, float32 moments": 4, "AdamW, 8-bit moments": 1}
"""Bytes of each of the two moments; the scales of 8-bit moments are left out."""
METHODS = ("all parameters", "LoRA, bfloat16", "QLoRA, NF4", "QLoRA, NF4 double")
"""Ways to train; "double" means that the scales are quantized as well."""
PARTS = ("weights", "adapter", "gradients", "optimizer", "activations")


@dataclass(frozen=True)
class TuningUse:
    """Bytes by what they hold.

    Attributes:
        floor: what stands in memory before the first token.
        activations: what a pass keeps for the backward pass.
        trained: number of trained parameters.
    """

    floor: memory.Floor
    activations: float
    trained: int

    @property
    def total(self) -> float:
        """Floor and activations."""
        return self.floor.total + self.activations

    def part(self, name: str) -> float:
        """Bytes of one of ``PARTS``."""
        return self.activations if name == "activations" else getattr(self.floor, name)


def _shell(config: DecoderConfig, layers: int, rank: int, targets: tuple[str, ...]):
    model = memory.shell(replace(config, layers=layers))
    if rank:
        add_adapter(model, LoRAConfig(rank=rank, alpha=2 * rank, targets=targets))
    return model


@lru_cache
def adapter_count(config: DecoderConfig, rank: int, targets: tuple[str, ...]) -> int:
    """Numbers of an adapter, counted on a shell of one layer.

    >>> adapter_count(memory.LLAMA_7B, 16, ATTENTION + MLP) == memory.adapter_parameters(memory.LLAMA_7B, 16)
    True
    """
    return config.layers * sum(one.numel() for one in trainable(_shell(config, 1, rank, targets)))


def kept_a_token(config: DecoderConfig, rank: int, targets: tuple[str, ...], recompute: bool) -> float:
    """Bytes that a pass keeps for each token, with an attention kernel that keeps no (length, length) matrix.

    Args:
        config: Llama layout.
        rank: of the adapter; 0 trains all parameters.
        targets: of the adapter.
        recompute: keep the input of each block only, and one block in full while its turn lasts.
    """
    one, two = _kept_by_layers(config, rank, targets, False)
    if not recompute:
        return one + (config.layers - 1) * (two - one)
    first, second = _kept_by_layers(config, rank, targets, True)
    return first + (config.layers - 1) * (second - first) + two - one


@lru_cache
def _kept_by_layers(config: DecoderConfig, rank: int, targets: tuple[str, ...], recompute: bool) -> tuple[float, float]:
    """Bytes a token that shells of one and of two layers keep."""
    found = []
    for layers in (1, 2):
        model = _shell(config, layers, rank, targets)
        with recomputed_blocks(model, recompute):
            rows = [torch.zeros(1, length, dtype=torch.int64, device="meta") for length in (64, 128)]
            short, long = (memory.kept_bytes(model, row) for row in rows)
        square = (long - 2 * short) / (128**2 - 2 * 64**2)  # of the weights of attention, which a fused kernel drops
        found.append(short / 64 - square * 64)
    return found[0], found[1]


def tuning_use(
    model: str, method: str, rank: int, targets: str, optimizer: str, tokens: int, recompute: bool = False
) -> TuningUse:
    """Bytes of training a published shape.

    Args:
        model: one of ``MODELS``.
        method: one of :obj:`METHODS`. All parameters are trained in bfloat16 with a float32 master copy.
        rank: of the adapter, which is float32.
        targets: one of :obj:`TARGETS`.
        optimizer: one of :obj:`OPTIMIZERS`.
        tokens: processed at once, over all sequences of a step.
        recompute: activations block by block.

    Raises:
        CourseError: for a name that is not in a list, or a number below 1.

    >>> use = tuning_use("Llama-2-7B", "QLoRA, NF4 double", 16, "all seven matrices", "AdamW, float32 moments", 1024)
    >>> round(use.floor.total / GB, 1), round(use.total / GB, 1)
    (4.5, 14.0)
    """
    known = (("model", model, MODELS), ("method", method, METHODS), ("targets", targets, TARGETS))
    for what, value, options in (*known, ("optimizer", optimizer, OPTIMIZERS)):
        if value not in options:
            raise CourseError(f"the {what} '{value}' is unknown; choose one of {', '.join(options)}")
    if rank < 1 or tokens < 1:
        raise CourseError(f"rank {rank} and {tokens} tokens cannot be trained; give at least 1 of each")
    config, moment = PRESETS[model].config, OPTIMIZERS[optimizer]
    if method == "all parameters":
        trained = parameter_count(config)
        floor = memory.full(trained, state_bytes=moment)
        return TuningUse(floor, tokens * kept_a_token(config, 0, (), recompute), trained)
    trained = adapter_count(config, rank, TARGETS[targets])
    if method == "LoRA, bfloat16":
        frozen = memory.lora(parameter_count(config), 0).weights
    else:
        frozen = memory.qlora(config, rank, double=method.endswith("double")).weights
    own = memory.full(trained, weight_bytes=4, state_bytes=moment)  # the adapter's own share: all of it is trained
    floor = memory.Floor(frozen, own.weights, own.gradients, own.optimizer)
    return TuningUse(floor, tokens * kept_a_token(config, rank, TARGETS[targets], recompute), trained)


def compare(**settings) -> dict[str, TuningUse]:
    """Every method of :obj:`METHODS` with the same settings, as of :func:`tuning_use`."""
    return {method: tuning_use(method=method, **settings) for method in METHODS}


def _plot(ax, uses: dict[str, TuningUse]) -> None:
    """A bar for each method, made of its parts."""
    left = dict.fromkeys(METHODS, 0.0)
    for part, color, hatch in zip(PARTS, (*PALETTE[5:6], *PALETTE[:4]), ("", "//", "..", "xx", "\\\\")):
        sizes = [uses[method].part(part) / GB for method in METHODS]
        options = {"color": color, "hatch": hatch, "edgecolor": "white", "linewidth": 0.3, "label": part}
        ax.barh(METHODS, sizes, left=list(left.values()), **options)
        left = {method: left[method] + size for method, size in zip(METHODS, sizes)}
    for method, end in left.items():
        ax.text(end, method, f" {end:.1f}", va="center", fontsize=9)
    ax.grid(axis="y", visible=False)
    ax.set(xlabel="GB", xlim=(0, 1.17 * max(left.values())), ylim=(len(METHODS) - 0.5, -0.5))


def draw(card: float = 24, **settings) -> Drawing:
    """One setting: the four methods side by side.

    Args:
        card: memory in GB, drawn as a line.
        settings: as of :func:`tuning_use`, without ``method``.

    Raises:
        CourseError: as :func:`tuning_use`, or for a card without memory.
    """
    if not card > 0:
        raise CourseError(f"a card of {card} GB holds nothing; give its memory in GB")
    uses = compare(**settings)
    fig, ax = axes(height=3.0)
    _plot(ax, uses)
    ax.axvline(card, color=PALETTE[6], linestyle="--", marker="", label="card")
    ax.set(xlim=(0, 1.17 * max(card, *(use.total / GB for use in uses.values()))))
    fig.legend(loc="outside upper center", ncols=6, fontsize=9)
    fitting = [method for method, use in uses.items() if use.total / GB <= card]
    words = (
        f"{settings['model']}, {settings['tokens']:,} tokens at once: on a card of {card:g} GB "
        f"{' and '.join(fitting) if fitting else 'none of the four methods'} would fit, by this count."
    )
    totals = "; ".join(f"{method} {use.total / GB:.1f} GB" for method, use in uses.items())
    rows = [
        (method, f"{use.trained:,}", *(f"{use.part(part) / GB:.2f}" for part in PARTS), f"{use.total / GB:.1f}")
        for method, use in uses.items()
    ]
    return Drawing(
        fig,
        caption=f"Memory of training {settings['model']}, rank {settings['rank']}, {settings['optimizer']}. Workspace, "
        "logits and fragmentation are not counted.",
        alt="Four stacked bars of weights, adapter, gradients, optimizer and activations, and a dashed line at "
        f"{card:g} GB. {totals}.",
        above=paragraph(words),
        below=table(("method", "trained:", *(f"{part}, GB:" for part in PARTS), "sum, GB:"), rows),
    )


def still() -> Drawing:
    """Two models, with activations kept and recomputed: rank 16 on all matrices, 2,048 tokens at once."""
    fig, places = axes(2, 2, width=8.4, height=4.6, sharey=True)
    said = []
    for row, model in zip(places, ("Llama-3.2-1B", "Llama-3.1-8B")):
        for ax, recompute in zip(row, (False, True)):
            settings = {"model": model, "rank": 16, "targets": "all seven matrices", "tokens": 2048}
            uses = compare(**settings, optimizer="AdamW, float32 moments", recompute=recompute)
            _plot(ax, uses)
            how = "recomputed" if recompute else "kept"
            ax.set_title(f"{model}, activations {how}", fontsize=10)
            sums = ", ".join(f"{method} {use.total / GB:.1f}" for method, use in uses.items())
            said.append(f"{model}, activations {how}: {sums}")
        row[0].set(xlim=(0, max(row[0].get_xlim()[1], row[1].get_xlim()[1])))
        row[1].set(xlim=row[0].get_xlim())
    handles, labels = places[0][0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=5, fontsize=9)
    return Drawing(
        fig,
        caption="Memory of training in GB: rank 16 on all seven matrices, AdamW with float32 moments, 2,048 tokens at "
        "once. Activations are counted for an attention kernel that keeps no matrix of weights; logits and workspace "
        "are left out.",
        alt=f"Four panels of four stacked bars. Sums in GB: {'; '.join(said)}.",
    )


def widget() -> ipywidgets.VBox:
    """The controls, and the drawing of their values."""
    return explore(
        draw,
        model=choice("model", MODELS, "Llama-3.1-8B"),
        rank=whole_number("rank", 16, 1, 1024),
        targets=choice("adapter on", list(TARGETS)),
        optimizer=choice("optimizer", list(OPTIMIZERS)),
        tokens=whole_number("tokens at once", 2048, 1, 10_000_000, 512),
        recompute=box("recompute activations", False),
        card=number("card, GB", 24, 1, 10_000, 8),
    )
