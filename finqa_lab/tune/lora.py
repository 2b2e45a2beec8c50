"""Low-rank adapters: a frozen matrix plus a product of two thin ones.

A layer computes ``x W^T + scale * (x A^T) B^T`` with W (out, in) frozen, A (r, in) and B (out, r) trained
(E. J. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, arXiv:2106.09685). B starts at zero, so
that training begins at the base model. ``scale = alpha / r``, or ``alpha / sqrt(r)`` where the rank is to be raised
without shrinking the update (D. Kalajdzievski, "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA", 2023,
arXiv:2312.03732). Several adapters can sit on one base; one of them, or none, is active.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from finqa_lab.errors import CourseError
from finqa_lab.tune.linear4bit import is_quantized

ATTENTION = ("query", "key", "value", "output")
MLP = ("gate", "up", "down")


@dataclass(frozen=True)
class LoRAConfig:
    """The shape of an adapter.

    >>> LoRAConfig(rank=16, alpha=32).scale, LoRAConfig(rank=16, alpha=32, rank_stabilised=True).scale
    (2.0, 8.0)

    Attributes:
        rank: r.
        alpha: numerator of the scale.
        targets: last parts of the names of the linear layers that get one.
        dropout: share of the inputs of A that is set to zero in training.
        rank_stabilised: divide alpha by the square root of the rank.
    """

    rank: int = 8
    alpha: float = 16.0
    targets: tuple[str, ...] = ATTENTION + MLP
    dropout: float = 0.0
    rank_stabilised: bool = False

    @property
    def scale(self) -> float:
        """Factor on the low-rank product."""
        return self.alpha / (math.sqrt(self.rank) if self.rank_stabilised else self.rank)


class Adapter(nn.Module):
    """A and B of one layer.

    Args:
        config: rank, scale, dropout.
        base: the layer that is adapted.
        generator: draws A as ``torch.nn.Linear`` draws its weight, uniform up to 1 / sqrt(in); B is zero.
    """

    def __init__(self, config: LoRAConfig, base: nn.Linear, generator: torch.Generator | None = None):
        super().__init__()
        out_width, in_width = matrix_shape(base)
        bound = 1 / math.sqrt(in_width)
        start = torch.empty(config.rank, in_width).uniform_(-bound, bound, generator=generator)
        self.a = nn.Parameter(start.to(base.weight.device))
        self.b = nn.Parameter(torch.zeros(out_width, config.rank, device=base.weight.device))
        self.scale, self.dropout = config.scale, config.dropout

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out), what is added to the base layer's output."""
        x = F.dropout(x.to(self.a.dtype), self.dropout, self.training)
        return F.linear(F.linear(x, self.a), self.b) * self.scale

    def matrix(self) -> Tensor:
        """The update of the weight as one matrix (out, in)."""
        return self.b @ self.a * self.scale


class LoRALinear(nn.Module):
    """A linear layer with adapters by name.

    Args:
        base: its parameters are frozen.
    """

    def __init__(self, base: nn.Linear):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.adapters = nn.ModuleDict()
        self.active: str | None = None
        self.routes: Sequence[tuple[str, slice]] | None = None
        self._merged: tuple[str, Tensor] | None = None

    @property
    def weight(self) -> Tensor:
        """The base weight, the merged one after :meth:`merge`."""
        return self.base.weight

    @property
    def bias(self) -> Tensor | None:
        """The base bias."""
        return self.base.bias

    @property
    def in_features(self) -> int:
        """Width of the inputs."""
        return self.base.in_features

    @property
    def out_features(self) -> int:
        """Width of the outputs."""
        return self.base.out_features

    @property
    def merged(self) -> bool:
        """Whether the weight holds an adapter."""
        return self._merged is not None

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        y = self.base(x)
        if self.routes is not None:
            return self._routed(x, y)
        if self.active is None or self.merged:
            return y
        return y + self.adapters[self.active](x).to(y.dtype)

    def _routed(self, x: Tensor, y: Tensor) -> Tensor:
        """Each stretch of the positions gets its own adapter, the rest none."""
        for name, stretch in self.routes:
            if name in self.adapters:
                y[..., stretch, :] += self.adapters[name](x[..., stretch, :]).to(y.dtype)
        return y

    def merge(self) -> None:
        """Add the active adapter's matrix to the weight; the layer then costs what the base costs.

        Raises:
            CourseError: when nothing is active, something is merged already, or the weight is in four bits.
        """
        if self.active is None or self.merged:
            state = "none is active" if self.active is None else f"'{self._merged[0]}' is merged already"
            raise CourseError(f"no adapter can be merged: {state}; set one active, unmerge the other first")
        if is_quantized(self.base):
            raise CourseError(
                "an adapter cannot be merged into a quantized weight, which would round it again; take the plain model "
                "that finqa_lab.tune.merged.merged_copy makes"
            )
        with torch.no_grad():
            # The weight is kept: adding and subtracting again would not give the same bits.
            self._merged = (self.active, self.base.weight.detach().clone())
            self.base.weight += self.adapters[self.active].matrix().to(self.base.weight.dtype)

    def unmerge(self) -> None:
        """Put the base weight back, bit for bit."""
        if self._merged is not None:
            with torch.no_grad():
                self.base.weight.copy_(self._merged[1])
            self._merged = None


def add_adapter(model: nn.Module, config: LoRAConfig, name: str = "default", seed: int = 0) -> list[str]:
    """Freeze a model and give every target layer an adapter, which becomes active.

    Args:
        model: changed in place; may have other adapters.
        config: of the adapter.
        name: to find it by.
        seed: of the matrices A.

    Returns:
        The names of the adapted layers.

    Raises:
        CourseError: when no layer is a target, the name is taken, the rank does not fit, or an adapter is merged.
    """
    found = _targets(model, config.targets)
    if not found:
        raise CourseError(f"no linear layer is named {' or '.join(config.targets)}; see model.named_modules()")
    for path, layer in found.items():
        base = layer.base if isinstance(layer, LoRALinear) else layer
        rows, columns = matrix_shape(base)
        if not 1 <= config.rank <= min(rows, columns):
            raise CourseError(
                f"rank {config.rank} does not fit {path}, a matrix of {rows} x {columns}; "
                "choose a rank from 1 to its smaller side"
            )
        if isinstance(layer, LoRALinear) and (name in layer.adapters or layer.merged):
            problem = "has a merged adapter" if layer.merged else f"has an adapter '{name}'"
            raise CourseError(f"{path} {problem} already; unmerge it, or choose another name")
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for path, layer in found.items():
        if not isinstance(layer, LoRALinear):
            parent, _, child = path.rpartition(".")
            layer = LoRALinear(layer)
            setattr(model.get_submodule(parent), child, layer)
        layer.adapters[name] = Adapter(config, layer.base, generator).train(layer.base.training)
    set_adapter(model, name)
    return list(found)


def adapted_layers(model: nn.Module) -> dict[str, LoRALinear]:
    """The layers with adapters, by their path in the model."""
    return {path: layer for path, layer in model.named_modules() if isinstance(layer, LoRALinear)}


def set_adapter(model: nn.Module, name: str | None) -> None:
    """Make one adapter active and trainable, all others passive and frozen; None leaves the base alone.

    Raises:
        CourseError: when no layer has the adapter.
    """
    layers = adapted_layers(model).values()
    if name is not None and not any(name in layer.adapters for layer in layers):
        known = sorted({one for layer in layers for one in layer.adapters})
        raise CourseError(f"there is no adapter '{name}'; the model has {', '.join(known) or 'none'}")
    for layer in layers:
        layer.unmerge()
        layer.active = name if name in layer.adapters else None
        for other, adapter in layer.adapters.items():
            adapter.requires_grad_(other == name)


@contextmanager
def base_model(model: nn.Module) -> Iterator[nn.Module]:
    """The model without its adapters, for as long as the ``with`` block lasts; what was merged is merged again."""
    layers = adapted_layers(model).values()
    kept = [(layer.active, layer.merged) for layer in layers]
    try:
        set_adapter(model, None)
        yield model
    finally:
        for layer, (name, merged) in zip(layers, kept):
            layer.active = name
            if name is not None:
                layer.adapters[name].requires_grad_(True)
            if merged:
                layer.merge()


def merge(model: nn.Module) -> None:
    """Merge the active adapter into every adapted layer.

    Raises:
        CourseError: when a layer refuses; none is merged then.
    """
    layers = [layer for layer in adapted_layers(model).values() if layer.active is not None]
    for layer in sorted(layers, key=lambda layer: not (layer.merged or is_quantized(layer.base))):
        layer.merge()  # those that refuse come first


def unmerge(model: nn.Module) -> None:
    """Undo :func:`merge`, bit for bit."""
    for layer in adapted_layers(model).values():
        layer.unmerge()


def matrix_shape(layer: nn.Module) -> tuple[int, int]:
    """(out, in) of a layer's matrix, which a weight in four bits no longer has as its own shape.

    >>> matrix_shape(nn.Linear(2, 3)), matrix_shape(nn.Embedding(5, 4))
    ((3, 2), (5, 4))
    """
    if hasattr(layer, "out_features"):
        return layer.out_features, layer.in_features
    rows, columns = layer.weight.shape
    return rows, columns


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that an optimizer gets."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def parameter_count(shapes: Sequence[tuple[int, int]], rank: int) -> int:
    """Parameters of an adapter on matrices (out, in): r (out + in) for each.

    >>> parameter_count([(4096, 4096)], rank=16)
    131072
    """
    return sum(rank * (rows + columns) for rows, columns in shapes)


def _targets(model: nn.Module, names: Sequence[str]) -> dict[str, nn.Linear | LoRALinear]:
    return {
        path: layer
        for path, layer in model.named_modules()
        if isinstance(layer, nn.Linear | LoRALinear) and path.rpartition(".")[2] in names
    }
