"""Low-precision codes by definition, in NumPy: what the GPU kernels must compute bit for bit.

A tensor x is stored as integers q of b bits and one power-of-two scale s, x ≈ q / s, with
s = 2^⌊log₂((2^(b-1) - ½) / max|x|)⌋ and q = ⌊x·s + u⌋ held within [-2^(b-1), 2^(b-1) - 1]; u is uniform (stochastic
rounding), or q is rounded to nearest, ties to even. MuPPET, section 3.2.1. Its program (quantize.py) differs: the scale
is that of the tighter of (2^(b-1) - ½)/max x and (2^(b-1) + ½)/-min x, U(-½, ½) is added before rounding half to even
(which only matters for ties), nothing is clamped, so that the codes 2^(b-1) and -2^(b-1) - 1 occur, an infinity is an
error and a NaN passes. Scale 1 of an all-zero tensor is the same.
All arithmetic is FP32; numbers of the generator are uint32.
"""

from __future__ import annotations

import numpy as np

SMALLEST_BITS, LARGEST_BITS = 2, 16
LARGEST_EXPONENT = 126  # of a scale: so that its inverse is a normal number too
DITHERS = ("philox10x16", "philox10x4")
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)  # Philox4x32: Salmon et al., SC 2011
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)
_HALF_WORD = np.uint64(32)


def philox4x32(counter: np.ndarray, key: tuple[int, int], rounds: int = 10) -> np.ndarray:
    """Four random 32-bit words for each counter [n, 4]: Philox4x32 (Salmon et al. 2011), as Random123 defines it.

    >>> [hex(word) for word in philox4x32(np.zeros((1, 4), np.uint32), (0, 0))[0]]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = (np.asarray(counter)[:, i].astype(np.uint64) for i in range(4))
    k0, k1 = key
    for _ in range(rounds):
        product0, product1 = _M0 * c0, _M1 * c2
        c0 = (product1 >> _HALF_WORD) ^ c1 ^ np.uint64(k0)
        c2 = (product0 >> _HALF_WORD) ^ c3 ^ np.uint64(k1)
        c1, c3 = product1 & _LOW, product0 & _LOW
        k0, k1 = (k0 + _W0) & 0xFFFFFFFF, (k1 + _W1) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


def dither(n: int, seed: int, step: int, kind: str = "philox10x16") -> np.ndarray:
    """What stochastic rounding adds to element i of n, FP32 in [0, 1): the same whatever computes it, in any order.

    `philox10x16`: one call for 16 elements, 8 bits each, (byte + ½)/256. `philox10x4`: one call for 4, 24 bits each.
    The counter is (group, step), the key the 64-bit seed.
    """
    each = 16 if kind == "philox10x16" else 4
    group = np.arange(-(-n // each), dtype=np.uint64)
    steps = np.full(group.shape, step, np.uint64)
    counter = np.stack([group & _LOW, group >> _HALF_WORD, steps, np.zeros_like(group)], axis=1)
    words = philox4x32(counter, (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF))
    if kind == "philox10x4":
        return ((words.ravel() >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24))[:n]
    shifts = np.arange(0, 32, 8, dtype=np.uint32)
    octets = (words[:, :, None] >> shifts & np.uint32(255)).ravel()
    return (octets.astype(np.float32) * np.float32(1 / 256) + np.float32(1 / 512))[:n]


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


def sgd(
    weights: np.ndarray, momentum: np.ndarray, gradient: np.ndarray, rate: float, decay_of_momentum: float, decay: float
) -> tuple[np.ndarray, np.ndarray]:
    """New weights and momentum v = μ·v + (g + λ·w), w = w - η·v in FP32, every product and sum rounded by itself."""
    rate, mu, decay = np.float32(rate), np.float32(decay_of_momentum), np.float32(decay)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        velocity = mu * momentum + (gradient + decay * weights)
        return weights + -rate * velocity, velocity


def bf16_of(x: np.ndarray) -> np.ndarray:
    """BF16 bit patterns (uint16) of FP32 values, rounded to nearest even; NaN as 0x7FFF."""
    bits = np.asarray(x, np.float32).view(np.uint32).astype(np.uint64)
    rounded = (bits + np.uint64(0x7FFF) + (bits >> np.uint64(16) & np.uint64(1))) >> np.uint64(16)
    return np.where(np.isnan(x), np.uint64(0x7FFF), rounded).astype(np.uint16)


def fp16_of(x: np.ndarray) -> np.ndarray:
    """FP16 of FP32 values, rounded to nearest even, beyond the range to infinity; NaN as 0x7FFF."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        halves = np.asarray(x, np.float32).astype(np.float16)
    return np.where(np.isnan(x), np.uint16(0x7FFF).view(np.float16), halves)


def _codes(whole: np.ndarray, bits: int) -> np.ndarray:
    limit = 2.0 ** (bits - 1)
    held = np.clip(np.nan_to_num(whole, nan=0.0, posinf=limit, neginf=-limit), -limit, limit - 1)
    return held.astype(np.int8 if bits <= 8 else np.int16)
