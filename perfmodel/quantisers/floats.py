"""Small floating-point formats, and the rounding of FP32 and FP64 to them: every subnormal, tie and overflow exact.

A number of e exponent and m mantissa bits is ±2^(E-m)·k with k < 2^(m+1) and E from 2 - 2^(e-1) to the format's last.
E5M2 and E4M3: Micikevicius et al. 2022, FP8 formats for deep learning (OCP 8-bit floating point); (1,5,2) and (1,6,9):
Wang et al. 2018; BF16 is the upper half of FP32, TF32 keeps 10 of its mantissa bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perfmodel.quantisers.tensors import Uniform, as_tensor, check_bits, drawn


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """A sign, `exponent_bits` (2 to 8) and `mantissa_bits` (1 to 23): formats that FP32 holds; E1521 otherwise.

    With `infinities` the topmost exponent is for infinity and NaN (IEEE 754); without, it is for numbers too, but for
    the code of all ones, which is NaN (OCP's E4M3), and there are at most 7 exponent bits.
    """

    name: str
    exponent_bits: int
    mantissa_bits: int
    infinities: bool = True

    def __post_init__(self):
        check_bits(self.exponent_bits, 2, 8 if self.infinities else 7, "exponent_bits")
        check_bits(self.mantissa_bits, 1, 23, "mantissa_bits")

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return 1 + self.exponent_bits + self.mantissa_bits

    @property
    def bias(self) -> int:
        """What the exponent field has more than the exponent."""
        return 2 ** (self.exponent_bits - 1) - 1

    @property
    def first_exponent(self) -> int:
        """The exponent of the least normal number."""
        return 1 - self.bias

    @property
    def smallest(self) -> float:
        """The least number above zero, a subnormal one."""
        return 2.0 ** (self.first_exponent - self.mantissa_bits)

    @property
    def smallest_normal(self) -> float:
        """The least number with all mantissa bits."""
        return 2.0**self.first_exponent

    @property
    def largest(self) -> float:
        """The largest finite number."""
        top = 2**self.exponent_bits - (2 if self.infinities else 1) - self.bias
        kept = 1 if self.infinities else 2  # the last mantissa of the top exponent is NaN
        return 2.0**top * (2 - kept * 2.0**-self.mantissa_bits)


E4M3 = FloatFormat("fp8_e4m3", 4, 3, infinities=False)
E5M2 = FloatFormat("fp8_e5m2", 5, 2)
BF16 = FloatFormat("bf16", 8, 7)
FP16 = FloatFormat("fp16", 5, 10)
TF32 = FloatFormat("tf32", 8, 10)
WANG8 = FloatFormat("fp8_152", 5, 2)  # its paper says nothing of infinities: those of E5M2
WANG16 = FloatFormat("fp16_169", 6, 9)
FLOATS = {format.name: format for format in (E4M3, E5M2, BF16, FP16, TF32, WANG8, WANG16)}


def rounded(x: np.ndarray, format: FloatFormat, uniform: Uniform = None, saturate: bool = False) -> np.ndarray:
    """The numbers of a format next to x, in x's type: the nearest, ties to even, or stochastic with `uniform`.

    Stochastic: the magnitude is cut to the format after u steps of it are added, so that it goes up with the share
    that was cut off. What rounds beyond the largest number becomes infinite, NaN in formats without infinities, or
    with `saturate` the largest number; so does an infinity. NaN stays NaN, and -0 stays -0. Raises E1523, E1525.

    >>> rounded(np.array([1.0625, 464.0, 465.0, 2.0**-10]), E4M3).tolist()
    [1.0, 448.0, nan, 0.0]
    """
    tensor = as_tensor(x)
    magnitude = np.abs(tensor).astype(np.float64)
    _, exponent = np.frexp(magnitude)
    step = np.maximum(exponent - 1, format.first_exponent) - format.mantissa_bits
    with np.errstate(over="ignore", invalid="ignore"):
        near = np.ldexp(_cut(np.ldexp(magnitude, -step), uniform, tensor.dtype), step)
    beyond = format.largest if saturate else np.inf if format.infinities else np.nan
    return np.copysign(np.where(near > format.largest, beyond, near), tensor).astype(tensor.dtype)


def _cut(steps: np.ndarray, uniform: Uniform, dtype: np.dtype) -> np.ndarray:
    if uniform is None:
        return np.rint(steps)
    low = np.floor(steps)
    # ⌊steps + u⌋ without rounding that sum: both differences are exact
    return low + (steps - low >= 1 - drawn(uniform, steps.shape, dtype).astype(np.float64))
