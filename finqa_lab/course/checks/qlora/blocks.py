"""Checks of lab 07: one scale for each block, scales quantized again, and the bits that all of it takes."""

import random
from collections.abc import Iterator

import torch
from torch import Tensor

from finqa_lab.course.checking import Case, Check, WrongAnswer, register
from finqa_lab.tune.blockwise import SCALE_BLOCK, Scales, on_grid, quantize_scales
from finqa_lab.tune.codebooks import codebook


def _normal(rng: random.Random, count: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(count, generator=torch.Generator().manual_seed(rng.randrange(2**31)))


def block_cases(rng: random.Random) -> Iterator[Case]:
    """Weights and the block."""
    yield Case(torch.tensor([2.0, -1.0, 4.0, 1.0]), 2, note="two blocks, scales 2 and 4")
    yield Case(torch.tensor([1.0, -4.0]), 2, note="the largest magnitude is that of a negative weight")
    yield Case(torch.tensor([1.0, 2.0, 0.5]), 2, note="a last block that is shorter")
    yield Case(torch.tensor([0.0, 0.0, 3.0, 1.0]), 2, note="a block of zeros")
    yield Case(torch.tensor([[2.0, 1.0], [8.0, 4.0]]), 4, note="a block runs over the end of a row")
    yield Case(_normal(rng, 150, 0.02), 64)


def _scale(flat: Tensor, block: int) -> tuple[Tensor, Tensor]:
    scaled, scales = [], []
    for start in range(0, len(flat), block):
        part = flat[start : start + block]
        largest = part.abs().max()
        scales.append(largest)
        scaled.append(part / largest.clamp(min=1e-38))
    return torch.cat(scaled), torch.stack(scales)


def _blocks(weights: Tensor, block: int) -> tuple[Tensor, Tensor]:
    return _scale(weights.reshape(-1), block)


def _with(measure, weights: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Scales by another measure of a block."""
    parts = weights.reshape(-1).split(block)
    scales = torch.stack([measure(part) for part in parts])
    return torch.cat([part / scale for part, scale in zip(parts, scales)]), scales


def _whole_blocks(weights: Tensor, block: int) -> tuple[Tensor, Tensor]:
    flat = weights.reshape(-1)
    return _scale(flat[: max(block, len(flat) // block * block)], block)


def _rows(weights: Tensor, block: int) -> tuple[Tensor, Tensor]:
    parts = [_scale(row, block) for row in (weights if weights.ndim > 1 else weights[None])]
    return torch.cat([scaled for scaled, _ in parts]), torch.cat([scales for _, scales in parts])


register(
    Check(
        name="qlora.scale_blocks",
        task="weights divided by the largest magnitude of their block, and these magnitudes",
        cases=block_cases,
        oracle=_blocks,
        why="one large weight makes the steps of its whole block coarse; small blocks confine the harm.",
        hint="flatten, cut into blocks in the order of memory, and take the largest absolute value of each.",
        wrong=[
            WrongAnswer(
                "largest value",
                lambda weights, block: _with(torch.max, weights, block),
                "the largest magnitude is asked for: a block may be negative where it is largest.",
            ),
            WrongAnswer(
                "one scale for all",
                lambda weights, block: _scale(weights.reshape(-1), weights.numel()),
                "every block has a scale of its own; you took one for the whole tensor.",
            ),
            WrongAnswer(
                "mean magnitude",
                lambda weights, block: _with(lambda part: part.abs().mean(), weights, block),
                "with the mean magnitude some scaled weights lie beyond 1, where the table has no entry.",
            ),
            WrongAnswer(
                "rest dropped",
                _whole_blocks,
                "the weights behind the last whole block are missing; they make a shorter block.",
            ),
            WrongAnswer(
                "zeros divided by zero",
                lambda weights, block: _with(lambda part: part.abs().max(), weights, block),
                "a block of zeros gives 0 / 0; let the divisor be at least 1e-38 there.",
            ),
            WrongAnswer(
                "rows apart",
                _rows,
                "blocks follow the memory of the whole tensor and do not begin anew with a row.",
            ),
            WrongAnswer(
                "scales alone",
                lambda weights, block: _blocks(weights, block)[1],
                "return both: the scaled weights, flat, and the scales.",
            ),
        ],
    )
)


def double_cases(rng: random.Random) -> Iterator[Case]:
    """Scales, positive as scales are."""
    yield Case(torch.tensor([1.0, 2.0, 3.0]), note="the mean is 2")
    yield Case(torch.linspace(0.5, 1.5, 65), note="one block, not full")
    yield Case(2.4 + 0.3 * _normal(rng, 300), note="two blocks of scales")
    yield Case((2.4 + 0.3 * _normal(rng, 8192)).abs(), note="enough to meet values near the middle of two entries")


def _answer(scales: Scales) -> tuple[Tensor, Tensor, Tensor]:
    return scales.codes, scales.scales, scales.mean


def _double(absmax: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return _answer(quantize_scales(absmax))


def _variant(absmax: Tensor, block: int = SCALE_BLOCK, centred: bool = True, grid: bool = True, table="dynamic8"):
    mean = absmax.mean()
    scaled, outer = _scale(absmax - mean if centred else absmax, block)
    entries = codebook(table)
    scaled = on_grid(scaled) if grid else scaled
    return torch.bucketize(scaled, (entries[:-1] + entries[1:]) / 2).to(torch.uint8), outer, mean


def _same_codes(expected, got) -> bool:
    """Codes equal but for those of ties that a division or a reciprocal decides; the rest within rounding."""
    codes, outer, mean = got
    wanted, wanted_outer, wanted_mean = expected
    return (
        codes.shape == wanted.shape
        and not codes.is_floating_point()
        and int((codes.long() != wanted.long()).sum()) <= len(wanted) // 4000
        and outer.shape == wanted_outer.shape
        and torch.allclose(outer, wanted_outer, rtol=1e-5, atol=1e-6)
        and torch.allclose(torch.as_tensor(mean), wanted_mean, rtol=1e-5, atol=1e-6)
    )


register(
    Check(
        name="qlora.double_quantize",
        task="scales without their mean, 256 to a block, on the grid, as codes of the 8-bit table",
        cases=double_cases,
        oracle=_double,
        same=_same_codes,
        why="scales are positive and much alike: what is left without their mean fits in 8 bits.",
        hint="take the mean off, then do with the scales what you did with the weights: blocks, nearest entry.",
        wrong=[
            WrongAnswer(
                "mean left in",
                lambda absmax: _variant(absmax, centred=False),
                "take the mean off first: all scales are positive, and half of the signed table would be idle.",
            ),
            WrongAnswer(
                "one block for all",
                lambda absmax: _variant(absmax, block=len(absmax)),
                "256 scales share an outer scale; you took one for all of them.",
            ),
            WrongAnswer(
                "blocks of 64",
                lambda absmax: _variant(absmax, block=64),
                "64 is the block of the weights; the scales go in blocks of 256.",
            ),
            WrongAnswer(
                "without the grid",
                lambda absmax: _variant(absmax, grid=False),
                "a few codes differ from bitsandbytes': put the scaled values through on_grid before you look them up.",
            ),
            WrongAnswer(
                "the table of the weights",
                lambda absmax: _variant(absmax, table="nf4"),
                "the scales' table is dynamic8, with 256 entries; you took the one of the weights.",
            ),
            WrongAnswer(
                "the mean of every block",
                lambda absmax: tuple(
                    torch.stack(part) if index == 2 else torch.cat(part)
                    for index, part in enumerate(zip(*map(_double, absmax.split(SCALE_BLOCK))))
                ),
                "one mean is taken off for the whole tensor, not one for each block of 256.",
            ),
        ],
    )
)


def bits_cases(rng: random.Random) -> Iterator[Case]:
    """Bits of a code, weights in a block, bits of a scale, scales that share an outer scale (0 for none)."""
    yield Case(4, 64, 32, 0, note="NF4 with float32 scales")
    yield Case(4, 64, 8, 256, note="double quantization")
    yield Case(8, 128, 16, 0)
    yield Case(4, rng.choice([32, 128]), 8, rng.choice([64, 512]))


def _bits(code: int, block: int, scale: int, outer: int) -> float:
    return code + scale / block + (32 / (block * outer) if outer else 0)


register(
    Check(
        name="qlora.bits_a_weight",
        task="bits that a weight takes with its share of its scale and of the outer scale",
        cases=bits_cases,
        oracle=_bits,
        why="'four bits' is the code alone; what a file or a GPU holds is this number.",
        hint="a scale is shared by the weights of its block; an outer scale, float32, by the blocks of its scales.",
        wrong=[
            WrongAnswer(
                "codes alone",
                lambda code, block, scale, outer: float(code),
                "the scales are stored too: add their share for each weight.",
            ),
            WrongAnswer(
                "scale counted whole",
                lambda code, block, scale, outer: code + scale + (32 / outer if outer else 0),
                "a scale is shared by all weights of its block: divide by the block.",
            ),
            WrongAnswer(
                "outer scale a block",
                lambda code, block, scale, outer: code + scale / block + (32 / outer if outer else 0),
                "an outer scale serves `outer` blocks of `block` weights each: divide by both.",
            ),
            WrongAnswer(
                "outer scale forgotten",
                lambda code, block, scale, outer: code + scale / block,
                "the outer scales are stored as well: 32 bits for block * outer weights.",
            ),
            WrongAnswer(
                "in bytes",
                lambda *case: _bits(*case) / 8,
                "bits are asked for; you divided by 8.",
            ),
            WrongAnswer(
                "outer scale in 8 bits",
                lambda code, block, scale, outer: code + scale / block + (scale / (block * outer) if outer else 0),
                "an outer scale is float32, 32 bits; only the inner ones have `scale` bits.",
            ),
        ],
    )
)
