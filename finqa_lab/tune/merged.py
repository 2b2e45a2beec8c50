"""From a base with an adapter to a plain model that can be saved, converted and served.

The sum of a matrix and its update is kept in float32: a base in four bits is read back first, because rounding the sum
to four bits again would lose much of a small update.
"""

from torch import nn

from finqa_lab.errors import CourseError
from finqa_lab.tune.linear4bit import dequantized
from finqa_lab.tune.lora import adapted_layers


def merged_copy(model: nn.Module) -> nn.Module:
    """A copy with the active adapter in its weights and ordinary layers, as to be saved; four bits become float32.

    >>> from finqa_lab.tune.lora import LoRAConfig, add_adapter
    >>> model = nn.ModuleDict({"query": nn.Linear(4, 4)})
    >>> add_adapter(model, LoRAConfig(rank=1, alpha=1))
    ['query']
    >>> merged_copy(model)
    ModuleDict(
      (query): Linear(in_features=4, out_features=4, bias=True)
    )

    Raises:
        CourseError: when no adapter is active.
    """
    new = dequantized(model)
    layers = adapted_layers(new)
    if not any(layer.active for layer in layers.values()):
        raise CourseError("no adapter is active, so there is nothing to merge; add one, or set one active")
    for path, layer in layers.items():
        if layer.active is not None and not layer.merged:
            layer.merge()
        parent, _, child = path.rpartition(".")
        setattr(new.get_submodule(parent), child, layer.base)
    return new
