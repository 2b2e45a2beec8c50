"""Several adapters in one batch: the base is multiplied once, each stretch of the positions adds its own thin products.

This is what makes a server with many adapters cheap: a thousand of them need one copy of the base and one pass over its
matrices (L. Chen et al., "Punica: Multi-Tenant LoRA Serving", 2023, arXiv:2310.18547; Y. Sheng et al., "S-LoRA: Serving
Thousands of Concurrent LoRA Adapters", 2023, arXiv:2311.03285).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from finqa_lab.tune.lora import adapted_layers


@contextmanager
def routed(model: nn.Module, routes: Sequence[tuple[str, slice]]) -> Iterator[nn.Module]:
    """Route stretches of the positions to adapters, for as long as the ``with`` block lasts; inference only.

    Args:
        model: with adapters, none of them merged.
        routes: names, and the positions (of the last axis but one) that each serves; positions without a name get the
            base alone. Which adapter is active does not matter.

    >>> import torch
    >>> from finqa_lab.tune.lora import LoRAConfig, add_adapter
    >>> model = nn.Sequential()
    >>> model.add_module("query", nn.Linear(4, 4))
    >>> _ = add_adapter(model, LoRAConfig(rank=2, targets=("query",)), "one")
    >>> _ = nn.init.ones_(model.query.adapters["one"].b)
    >>> x = torch.ones(1, 3, 4)
    >>> with torch.inference_mode(), routed(model, [("one", slice(0, 2))]):
    ...     y = model(x)[0]
    >>> bool((y[0] == y[1]).all()), bool((y[0] == y[2]).any())   # the third position gets the base alone
    (True, False)
    """
    layers = adapted_layers(model).values()
    try:
        for layer in layers:
            layer.routes = routes
        yield model
    finally:
        for layer in layers:
            layer.routes = None
