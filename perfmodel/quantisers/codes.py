"""Bit patterns of small floating-point formats: sign, exponent and mantissa, from the top."""

from __future__ import annotations

import numpy as np

from perfmodel.errors import InputError
from perfmodel.quantisers.floats import FloatFormat, rounded


def encode(x: np.ndarray, format: FloatFormat, saturate: bool = False) -> np.ndarray:
    """The codes of x, rounded to nearest even where it is not of the format: uint8, uint16 or uint32 as they need.

    NaN keeps its sign and is the code of all ones where there are no infinities, else the one with the top mantissa
    bit alone. Stochastic codes: `encode(rounded(x, format, uniform), format)`. Raises as `rounded`.

    >>> from perfmodel.quantisers.floats import E4M3
    >>> [hex(code) for code in encode(np.array([448.0, -0.0, 2.0**-9, np.nan]), E4M3)]
    ['0x7e', '0x80', '0x1', '0x7f']
    """
    values = rounded(x, format, saturate=saturate)
    finite = np.where(np.isfinite(values), np.abs(values), 0).astype(np.float64)
    step = np.where(finite < format.smallest_normal, format.first_exponent, np.frexp(finite)[1] - 1)
    mantissa = np.ldexp(finite, format.mantissa_bits - step).astype(np.uint32)
    mantissa += (step - format.first_exponent).astype(np.uint32) << np.uint32(format.mantissa_bits)
    infinity, nan = _specials(format)
    mantissa = np.where(np.isinf(values), infinity, np.where(np.isnan(values), nan, mantissa))
    signed = mantissa | np.signbit(values).astype(np.uint32) << np.uint32(format.bits - 1)
    return signed.astype(_code_type(format))


def decode(codes: np.ndarray, format: FloatFormat) -> np.ndarray:
    """The numbers of codes, float32; E1529 where one is no whole number below 2^bits.

    >>> from perfmodel.quantisers.floats import E5M2
    >>> decode(np.array([0x7B, 0x7C, 0x81], np.uint8), E5M2).tolist()
    [57344.0, inf, -1.52587890625e-05]
    """
    array = np.asarray(codes)
    if array.dtype.kind not in "iu" or ((array < 0) | (array >= 2**format.bits)).any():
        raise InputError.at("E1529", "codes", f"are not all whole numbers of {format.bits} bits.", "Take `encode`'s.")
    array = array.astype(np.int64)
    field = array >> format.mantissa_bits & 2**format.exponent_bits - 1
    mantissa = (array & 2**format.mantissa_bits - 1) + ((field > 0) << format.mantissa_bits)
    power = np.maximum(field, 1) - format.bias - format.mantissa_bits
    size = np.ldexp(mantissa.astype(np.float64), power.astype(np.int32))
    unsigned = array & 2 ** (format.bits - 1) - 1
    infinity, nan = _specials(format)
    if format.infinities:
        size = np.where(unsigned > infinity, np.nan, np.where(unsigned == infinity, np.inf, size))
    else:
        size = np.where(unsigned == nan, np.nan, size)
    return np.copysign(size, np.where(array >> format.bits - 1, -1.0, 1.0)).astype(np.float32)


def _specials(format: FloatFormat) -> tuple[int, int]:
    """The codes of infinity (none there to compare with, where a format has none) and of NaN."""
    if not format.infinities:
        return 0, 2 ** (format.bits - 1) - 1
    infinity = 2**format.exponent_bits - 1 << format.mantissa_bits
    return infinity, infinity | 1 << format.mantissa_bits - 1


def _code_type(format: FloatFormat) -> type:
    return np.uint8 if format.bits <= 8 else np.uint16 if format.bits <= 16 else np.uint32
