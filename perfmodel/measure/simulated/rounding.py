"""Values as a number format stores them, in float64."""

from __future__ import annotations

import numpy as np

from perfmodel.formats import Format

# Stored mantissa bits, smallest normal exponent, largest value of the formats that numpy has no type for. OCP OFP8 v1.0
# for the eight-bit ones; a conversion saturates there, as the hardware's does.
FLOATS = {
    "tf32": (10, -126, 3.4028234663852886e38),
    "bf16": (7, -126, 3.3895313892515355e38),
    "fp8_e4m3": (3, -6, 448.0),
    "fp8_e5m2": (2, -14, 57344.0),
}
TYPES = {"fp64": np.float64, "fp32": np.float32, "fp16": np.float16}


def can_round(number_format: Format) -> bool:
    """Whether `rounded` knows the format: scaled blocks and dynamic fixed point it does not."""
    return number_format.family in ("float", "int")


def rounded(values: np.ndarray, number_format: Format) -> np.ndarray:
    """The nearest values of the format, ties to even; whole numbers saturate, FP16 becomes infinite.

    >>> from perfmodel.formats import find_format
    >>> rounded(np.array([1 + 2**-8, 3.7]), find_format("bf16")).tolist()
    [1.0, 3.703125]
    """
    if number_format.family == "int":
        largest = 2 ** (number_format.bits - 1) - 1
        return np.clip(np.rint(values), -largest - 1, largest)
    if number_format.name in TYPES:
        with np.errstate(over="ignore"):
            return values.astype(TYPES[number_format.name]).astype(np.float64)
    bits, least, largest = FLOATS[number_format.name]
    _, exponent = np.frexp(values)  # of a mantissa in [0.5, 1)
    step = np.ldexp(1.0, np.maximum(exponent, least + 1) - 1 - bits)
    return np.clip(np.rint(values / step) * step, -largest, largest)
