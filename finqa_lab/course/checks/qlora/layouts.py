"""Checks of lab 07: what the words of an MLX file mean."""

import random
from collections.abc import Iterator

import numpy as np

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def unpack_cases(rng: random.Random) -> Iterator[Case]:
    """Words of 32 bits (rows, n), and the bits of a code."""
    yield Case(np.array([[0x76543210]], dtype=np.uint32), 4, note="0x76543210: the lowest four bits come first")
    yield Case(np.array([[0xFEDCBA98, 1]], dtype=np.uint32), 4)
    yield Case(np.array([[0x04030201], [0xFF00FF00]], dtype=np.uint32), 8, note="codes of a byte, two rows")
    yield Case(np.array([[rng.randrange(2**32) for _ in range(6)] for _ in range(3)], dtype=np.uint32), 4)
    yield Case(np.array([[rng.randrange(2**32) for _ in range(2)]], dtype=np.uint32), 2)


def _unpack(words: np.ndarray, bits: int) -> np.ndarray:
    shifts = np.arange(0, 32, bits, dtype=np.uint32)
    return ((words[..., None] >> shifts) & np.uint32(2**bits - 1)).reshape(len(words), -1)


def _high_first(words: np.ndarray, bits: int) -> np.ndarray:
    return _unpack(words, bits).reshape(*words.shape, -1)[..., ::-1].reshape(len(words), -1)


def _bytes_swapped(words: np.ndarray, bits: int) -> np.ndarray:
    """Bytes in order, but the upper half of each first, as bitsandbytes packs."""
    codes = _unpack(words, bits)
    each = 8 // bits
    return codes.reshape(len(words), -1, each)[..., ::-1].reshape(len(words), -1)


def _signed(words: np.ndarray, bits: int) -> np.ndarray:
    codes = _unpack(words, bits).astype(np.int64)
    return np.where(codes >= 2 ** (bits - 1), codes - 2**bits, codes)


def _by_position(words: np.ndarray, bits: int) -> np.ndarray:
    return _unpack(words, bits).reshape(*words.shape, -1).swapaxes(1, 2).reshape(len(words), -1)


register(
    Check(
        name="qlora.unpack",
        task="the codes of each row, from the lowest bits of its first word on",
        cases=unpack_cases,
        oracle=_unpack,
        why="the file does not say in which order codes fill a word; a wrong order loads without an error.",
        hint="shift each word right by 0, bits, 2 * bits, ..., and keep the lowest bits.",
        wrong=[
            WrongAnswer(
                "highest bits first",
                _high_first,
                "the first code of a word is in its lowest bits; you began with the highest.",
            ),
            WrongAnswer(
                "upper half of a byte first",
                _bytes_swapped,
                "that is bitsandbytes' order, the first code in the upper half of a byte; MLX begins with the lower.",
            ),
            WrongAnswer(
                "one code a word",
                lambda words, bits: words & np.uint32(2**bits - 1),
                "a word of 32 bits holds 32 / bits codes; you read one.",
            ),
            WrongAnswer(
                "signed codes",
                _signed,
                "codes are counted from 0: the sign is in the bias of the group, not in the code.",
            ),
            WrongAnswer(
                "not masked",
                lambda words, bits: (words[..., None] >> np.arange(0, 32, bits, dtype=np.uint32)).reshape(
                    len(words), -1
                ),
                "behind the shift the higher codes are still there: keep the lowest bits with & (2**bits - 1).",
            ),
            WrongAnswer(
                "all first codes, then all second",
                _by_position,
                "the codes of one word are neighbours in the row; yours are grouped by their place in the word.",
            ),
        ],
    )
)


def affine_cases(rng: random.Random) -> Iterator[Case]:
    """Codes (rows, columns), scales and biases (rows, groups)."""
    one = np.float32
    yield Case(np.array([[0, 1, 2, 3]]), np.array([[0.5]], one), np.array([[-1.0]], one), note="one group")
    yield Case(np.array([[1, 1, 1, 1]]), np.array([[1.0, 10.0]], one), np.array([[0.0, 5.0]], one), note="two groups")
    yield Case(
        np.array([[0, 3], [1, 2]]), np.array([[2.0], [-1.0]], one), np.array([[0.25], [1.5]], one), note="two rows"
    )
    draw = np.random.default_rng(rng.randrange(2**31))
    yield Case(
        draw.integers(0, 16, (3, 128)), draw.normal(size=(3, 2)).astype(one), draw.normal(size=(3, 2)).astype(one)
    )


def _affine(codes: np.ndarray, scales: np.ndarray, biases: np.ndarray) -> np.ndarray:
    group = codes.shape[1] // scales.shape[1]
    return codes.astype(np.float32) * np.repeat(scales, group, axis=1) + np.repeat(biases, group, axis=1)


def _tiled(codes: np.ndarray, scales: np.ndarray, biases: np.ndarray) -> np.ndarray:
    group = codes.shape[1] // scales.shape[1]
    return codes * np.tile(scales, (1, group)) + np.tile(biases, (1, group))


register(
    Check(
        name="qlora.affine",
        task="code * scale + bias, with the scale and bias of each group of a row",
        cases=affine_cases,
        oracle=_affine,
        why="the same codes under another rule are other weights, and nothing in the file says which rule.",
        hint="how many columns share a scale? Repeat each scale and bias that often, side by side.",
        wrong=[
            WrongAnswer(
                "bias taken off first",
                lambda codes, scales, biases: (
                    codes - np.repeat(biases, codes.shape[1] // biases.shape[1], 1)
                ) * np.repeat(scales, codes.shape[1] // scales.shape[1], 1),
                "a zero point is taken off before scaling; MLX's bias is added behind it: code * scale + bias.",
            ),
            WrongAnswer(
                "bias subtracted",
                lambda codes, scales, biases: _affine(codes, scales, -biases),
                "the bias is added; it is the value of code 0, often negative itself.",
            ),
            WrongAnswer(
                "bias left out",
                lambda codes, scales, biases: _affine(codes, scales, 0 * biases),
                "code 0 stands for the bias of its group, not for zero.",
            ),
            WrongAnswer(
                "groups interleaved",
                _tiled,
                "a group is a run of neighbouring columns: repeat each scale, do not lay the row of scales end to end.",
            ),
            WrongAnswer(
                "first group for the whole row",
                lambda codes, scales, biases: _affine(codes, scales[:, :1], biases[:, :1]),
                "every group of a row has its own scale and bias; you used the first for all columns.",
            ),
            WrongAnswer(
                "scaled by the largest code",
                lambda codes, scales, biases: _affine(codes, scales / 15, biases),
                "the scale is one step, not the range: no division by the number of steps.",
            ),
        ],
    )
)  # fmt: skip
