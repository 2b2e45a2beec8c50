"""An int8 key/value cache: a quarter of the bytes of float32 and a half of bfloat16, for a bounded error.

Every vector of a token and head is stored as whole numbers -127..127 and one scale, the largest absolute value / 127
(absmax quantisation). Rounding to the nearest multiple of the scale moves no number by more than scale / 2.
"""

import torch
from torch import Tensor

from finqa_lab.nn.cache.contiguous import ContiguousCache
from finqa_lab.nn.config import DecoderConfig

LARGEST_CODE = 127


def quantise(x: Tensor) -> tuple[Tensor, Tensor]:
    """Codes and scales of the vectors along the last axis.

    Args:
        x: (..., w) of any float dtype, finite.

    Returns:
        (..., w) int8 codes and (..., 1) float32 scales, with ``|x - codes * scales| <= scales / 2``.

    >>> codes, scales = quantise(torch.tensor([0.5, -2.0, 0.0]))
    >>> codes.tolist(), round(scales.item(), 5)
    ([32, -127, 0], 0.01575)
    """
    wide = x.float()
    scales = wide.abs().amax(dim=-1, keepdim=True) / LARGEST_CODE
    scales = scales.clamp(min=torch.finfo(torch.float32).tiny)  # a vector of zeros
    return (wide / scales).round().to(torch.int8), scales


def dequantise(codes: Tensor, scales: Tensor, dtype: torch.dtype) -> Tensor:
    """``codes * scales``, multiplied in float32 and then cast; (..., w) and (..., 1) give (..., w)."""
    return (codes * scales).to(dtype)


class Int8Cache(ContiguousCache):
    """A contiguous cache of int8 codes with one float32 scale for each key and each value of a head.

    Attention needs the numbers back in the model's dtype, so :meth:`append` makes a dequantised copy of the layer's
    whole cache anew at every step. It saves memory, not traffic; a fused kernel would multiply the codes while it reads
    them and save both.

    Args:
        config: shape of the decoder.
        batch: number of sequences B, all of the same length.
        capacity: positions to make room for; the default is ``config.context``.
        device: of the tensors; the model's. The dtype that :meth:`append` returns is that of what it is given.

    >>> config = DecoderConfig(17, width=128, layers=2, heads=2, hidden=16, context=10)
    >>> Int8Cache(config, batch=1).nbytes / ContiguousCache(config, batch=1).nbytes   # (64 + 4) / (4 * 64)
    0.265625
    """

    stored = ("keys", "values", "key_scales", "value_scales")

    def __init__(self, config: DecoderConfig, batch: int, capacity: int | None = None, device=None):
        super().__init__(config, batch, capacity, torch.int8, device)
        shape = (*self.keys.shape[:-1], 1)
        self.key_scales = torch.empty(shape, dtype=torch.float32, device=device)
        self.value_scales = torch.empty(shape, dtype=torch.float32, device=device)

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store codes and scales; return everything so far, dequantised (:meth:`.Cache.append`)."""
        key_codes, key_scales = quantise(key)
        value_codes, value_scales = quantise(value)
        keys, values = super().append(layer, key_codes, value_codes)
        end = self.length + key.shape[2]
        self.key_scales[layer, :, :, self.length : end] = key_scales
        self.value_scales[layer, :, :, self.length : end] = value_scales
        return (
            dequantise(keys, self.key_scales[layer, :, :, :end], key.dtype),
            dequantise(values, self.value_scales[layer, :, :, :end], value.dtype),
        )
