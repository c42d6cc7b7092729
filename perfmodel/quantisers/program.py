"""Dynamic fixed point as MuPPET's program computes it, which differs from the paper (`dynamic`) in five ways.

The scale is that of the tighter of (2^(b-1) - ½)/|max x| and (2^(b-1) + ½)/|min x|, not of max|x|; U(-½, ½) is added
before rounding half to even; nothing is clamped, so that the codes 2^(b-1) and -2^(b-1) - 1 occur; an infinity is an
error; the exponent is not limited. The network's input has one scale for each image, any other tensor one for all.
ICIdsl/muppet @ a5cbb13, quantize.py:18-73 and training.py:78-80.
"""

from __future__ import annotations

import numpy as np

from perfmodel.errors import InputError
from perfmodel.quantisers.dynamic import LARGEST_BITS, SMALLEST_BITS
from perfmodel.quantisers.tensors import (
    Uniform,
    as_matrix,
    as_tensor,
    check_axes,
    check_bits,
    floor_log2_ratio,
    whole,
)

UNLIMITED = 2**31 - 1  # the exponent that zero allows


def exponents(x: np.ndarray, bits: int, per_image: bool = False) -> np.ndarray | np.int32:
    """The exponents s of the scales 2^s, int32: one number, or [images] where each of the first axis has its own.

    s = ⌊log₂ min((2^(b-1) - ½)/|max x|, (2^(b-1) + ½)/|min x|)⌋, exactly; 0 where all are zero or there are none.
    A NaN is passed over: the program does not look for it (where its max returns it, ⌊NaN⌋ stops the program).
    Raises `InputError`: E1521 (bits), E1524 (an infinity), E1525, E1526.

    >>> exponents(np.array([1.0, -2.0]), 8).item(), exponents(np.array([2.0, -1.0]), 8).item()
    (6, 5)
    """
    tensor, half = as_tensor(x), 2.0 ** (check_bits(bits, SMALLEST_BITS, LARGEST_BITS) - 1)
    if np.isinf(tensor).any():
        raise InputError.at("E1524", "tensor", "has an infinity.", "MuPPET's program stops there.")
    if per_image:
        check_axes(tensor, 1, "One scale for each image")
    images = as_matrix(tensor, len(tensor) if per_image else 1)
    top = np.abs(np.fmax.reduce(images, axis=1, initial=-np.inf))
    bottom = np.abs(np.fmin.reduce(images, axis=1, initial=np.inf))
    found = np.minimum(_exponent(half - 0.5, top), _exponent(half + 0.5, bottom))
    found = np.where(found == UNLIMITED, 0, found).astype(np.int32)
    return found if per_image else found[0]


def rounded(
    x: np.ndarray, bits: int, uniform: Uniform = None, per_image: bool = False
) -> tuple[np.ndarray, np.ndarray | np.int32]:
    """The values q·2^-s that the program goes on with, and s: to nearest (its `Simple`), or with U(-½, ½) = u - ½.

    NaN stays NaN. Within a step of the largest FP32 number q·2^-s may be infinite, as there. Raises as `exponents`.

    >>> values, s = rounded(np.array([127.4, -128.4]), 8, np.array([0.99, 0.0]))
    >>> values.tolist(), s.item()
    ([128.0, -129.0], 0)
    """
    tensor, powers = as_tensor(x), exponents(x, bits, per_image)
    spread = powers.reshape(powers.shape + (1,) * (tensor.ndim - 1)) if per_image else powers
    with np.errstate(over="ignore"):
        return np.ldexp(whole(np.ldexp(tensor, spread), uniform), -spread), powers


def _exponent(limit: float, magnitudes: np.ndarray) -> np.ndarray:
    usable = np.isfinite(magnitudes) & (magnitudes > 0)
    found = floor_log2_ratio(limit, np.where(usable, magnitudes, 1.0))
    return np.where(usable, found, UNLIMITED)
