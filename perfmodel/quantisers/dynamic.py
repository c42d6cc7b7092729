"""Dynamic fixed point as MuPPET's paper defines it, in FP32: what the GPU kernels must compute bit for bit.

A tensor x is stored as integers q of b bits and one power-of-two scale s, x ≈ q / s, with
s = 2^⌊log₂((2^(b-1) - ½) / max|x|)⌋ and q = ⌊x·s + u⌋ held within [-2^(b-1), 2^(b-1) - 1]; u is uniform (stochastic
rounding), or q is rounded to nearest, ties to even. MuPPET, section 3.2.1; its program differs (`program.py`).
"""

from __future__ import annotations

import numpy as np

SMALLEST_BITS, LARGEST_BITS = 2, 16
LARGEST_EXPONENT = 126  # of a scale: so that its inverse is a normal number too


def absmax(x: np.ndarray) -> np.float32:
    """max|x| of FP32 values: 0 of none, infinite if one is, and NaN (the largest of their bit patterns) if one is."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32) & np.uint32(0x7FFFFFFF)
    return (bits.max() if bits.size else np.uint32(0)).view(np.float32)


def scale_of(largest: float, bits: int) -> np.float32:
    """The scale 2^⌊log₂((2^(b-1) - ½)/max|x|)⌋ of a tensor whose largest magnitude is `largest`, found without a log.

    1 for an all-zero tensor; its exponent is held within ±126; that of an infinite maximum is -126, that of a NaN NaN.

    >>> float(scale_of(1.0, 8)), float(scale_of(128.0, 8))
    (64.0, 0.5)
    """
    largest = np.float32(largest)
    if np.isnan(largest) or largest == 0:
        return np.float32(np.nan if largest else 1)
    if np.isinf(largest):
        return np.float32(2.0**-LARGEST_EXPONENT)
    mantissa, exponent = np.frexp(np.float64(largest))  # mantissa in [½, 1)
    head, power = np.frexp(2.0 ** (bits - 1) - 0.5)
    whole = int(power) - int(exponent) - (0 if head >= mantissa else 1)
    return np.float32(2.0 ** max(-LARGEST_EXPONENT, min(LARGEST_EXPONENT, whole)))


def scale_pair(largest: float, bits: int) -> np.ndarray:
    """(scale, 1/scale), FP32 [2]: what kernels keep in device memory."""
    scale = scale_of(largest, bits)
    return np.array([scale, np.float32(1) / scale], np.float32)


def quantise_stochastic(x: np.ndarray, scale: float, bits: int, uniform: np.ndarray) -> np.ndarray:
    """The codes ⌊x·s + u⌋ of FP32 values, clamped, NaN as 0: int8 up to 8 bits, int16 above.

    Unbiased up to the steps of u (at most 1/512 of a code with 8 random bits) and the rounding of the FP32 sum.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        return _codes(np.floor(np.asarray(x, np.float32) * np.float32(scale) + uniform), bits)


def quantise_nearest(x: np.ndarray, scale: float, bits: int) -> np.ndarray:
    """The codes of x·s rounded to nearest, ties to even, clamped, NaN as 0: int8 up to 8 bits, int16 above.

    >>> quantise_nearest(np.array([0.5, 1.5, -200.0], np.float32), 1.0, 8).tolist()
    [0, 2, -128]
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        return _codes(np.rint(np.asarray(x, np.float32) * np.float32(scale)), bits)


def dequantise(codes: np.ndarray, inverse: float) -> np.ndarray:
    """FP32(q) · inverse, where inverse is 1/s, or the product of both operands' for a GEMM's INT32 sums."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        return np.asarray(codes).astype(np.float32) * np.float32(inverse)


def _codes(whole: np.ndarray, bits: int) -> np.ndarray:
    limit = 2.0 ** (bits - 1)
    held = np.clip(np.nan_to_num(whole, nan=0.0, posinf=limit, neginf=-limit), -limit, limit - 1)
    return held.astype(np.int8 if bits <= 8 else np.int16)
