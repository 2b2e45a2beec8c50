"""How a weight matrix lies in memory, which changes no result and the speed of decoding.

``nn.Linear`` keeps its weight (out, in) by rows. With a single row to multiply, the product is then one short dot
product for every output; by columns it is one long scaled addition for every input, which streams memory better when a
matrix has many more outputs than inputs. Large batches are repacked by the library either way.
"""

from torch import nn


def column_major(model: nn.Module, wide: bool = True) -> nn.Module:
    """Lay every matrix of ``model`` out by columns, in place; shapes and values stay. Returns the model.

    Args:
        model: changed in place.
        wide: also the matrices with more inputs than outputs, for which a single row is then read more slowly.

    >>> layer = column_major(nn.Linear(2, 3, bias=False))
    >>> tuple(layer.weight.shape), layer.weight.stride()
    ((3, 2), (1, 3))
    """
    for parameter in model.parameters():
        if parameter.ndim == 2 and (wide or parameter.shape[0] >= parameter.shape[1]):
            parameter.data = parameter.data.t().contiguous().t()
    return model
