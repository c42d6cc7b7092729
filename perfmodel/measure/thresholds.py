"""How wrong a right kernel may be: bounds on its rounding errors, by precision and depth k.

Two numbers judge a product with full mantissas, both against FP64: the norm error ‖C - R‖ / ‖R‖, and the component
error max |C - R| / (|A|·|B|). The rules were emulated bit by bit and hold for k from 1 to a million;
`docs/verification.md` gives the reasons. What no rule covers is never passed: see `has_rule`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from perfmodel.gemm import Precision

# Fraction bits, smallest exponent, largest value. FP8 saturates (OCP FP8 formats, conversion with satfinite).
FLOATS = {
    "fp64": (52, -1022, float(np.finfo(np.float64).max)), "fp32": (23, -126, float(np.finfo(np.float32).max)),
    "tf32": (10, -126, 2.0**128 - 2.0**117), "bf16": (7, -126, 2.0**128 - 2.0**120), "fp16": (10, -14, 65504.0),
    "fp8_e4m3": (3, -6, 448.0), "fp8_e5m2": (2, -14, 57344.0),
}  # fmt: skip
INTS = {"int4": 4, "int8": 8, "int32": 32}
SIMT = ("fp64", "fp32")  # operands of the CUDA cores, and of FP64 tensor cores, which round as IEEE 754 asks
ACCUMULATE = ("fp64", "fp32", "fp16")
HOPPER_FP8_BITS = 13  # fraction bits that FP8 sums keep on Hopper: DeepSeek-V3 report (arXiv 2412.19437), 3.5.2
INT32_SAFE_K = (2**31 - 1) // 127**2  # 133144: deeper INT8 sums can leave INT32, though only with extreme operands


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a right kernel's errors stay below; `exact`: whole-number operands must give the very bits.

    `component` is infinite where elements are not judged one by one. A norm error below `least_norm` is that of a
    more precise kernel than the one that was asked for.
    """

    norm: float
    component: float
    exact: bool
    least_norm: float = 0.0


def has_rule(precision: Precision) -> bool:
    """Whether there are bounds for this precision: not for block formats and scaled integers."""
    operand, accumulator, output = (f.name for f in (precision.operand, precision.accumulator, precision.output))
    if operand in INTS:
        return accumulator == "int32" and output in (*INTS, *FLOATS)
    return operand in FLOATS and accumulator in ACCUMULATE and output in FLOATS


def bounds_for(precision: Precision, k: int, parts: int = 1) -> Bounds:
    """The bounds for sums of k products, cut into `parts` that are added up in the output (serial split-K).

    Raises `ValueError` where there is no rule.

    Inputs count as they are stored, so their rounding drops out; TF32 alone rounds what is stored as FP32.

    >>> from perfmodel.gemm import find_precision
    >>> bounds_for(find_precision("fp32"), 64)
    Bounds(norm=2e-06, component=1e-06, exact=True, least_norm=0.0)
    >>> bounds_for(find_precision("int8"), 64).norm
    0.0
    """
    if not has_rule(precision):
        raise ValueError(f"no rule for {precision.name}->{precision.output.name}")
    norm, component = _accumulation(precision, k)
    written = writing_error(precision)
    parts = parts if written else 1
    # Twice the rms of rounding to nearest, 0.72·2/√12 of half a step; each part rounds what is there, i parts of n in
    # turn, and i/n of the final sum's variance. Sums on the way may be larger than the last one: 7 standard deviations.
    norm += 0.41 * written * math.sqrt((parts + 1) / 2)
    component += min(0.5, 5.5 / math.sqrt(k)) * parts * written if parts > 1 else 0.0
    exact = _exact(precision, k) and (parts == 1 or writes_whole_sums(precision, k))
    if precision.operand.name != "tf32":
        return Bounds(norm, component, exact)
    # Rounding both operands to nearest costs 2.9e-4, cutting them off 8e-4: Hopper's wgmma does that to FP32 data
    # that nobody rounded before (PTX ISA). BF16 would cost 2.3e-3, FP32 less than 5e-5. An element's error falls as
    # 1/√k, and two cut operands are never wrong by more than 2·2^-10.
    return Bounds(norm + 1e-3, component + min(2e-3, 8e-3 / math.sqrt(k)), exact, least_norm=5e-5)


def _accumulation(precision: Precision, k: int) -> tuple[float, float]:
    """Norm and component bound for what accumulating rounds off."""
    operand, accumulator, root = precision.operand.name, precision.accumulator.name, math.sqrt(k)
    if accumulator == "int32":
        return 0.0, 0.0
    if accumulator == "fp16":  # FMAs in sequence give 1.5e-4·√k, tensor cores half of it; elements are not bounded
        return 2e-4 * root, math.inf
    if accumulator == "fp64":
        return 2.0**-29 * max(2e-6, 3e-8 * root), 2.0**-29 * 1e-6
    if operand in SIMT:  # FMAs in sequence, rounded to nearest, give 1.8e-8·√k; split sums less
        return max(2e-6, 3e-8 * root), 1e-6
    if operand.startswith("fp8"):  # 13 bits, cut off after every 32 products: 8e-7·k
        norm = max(1e-3, 4e-6 * k)
        return norm, 10 * norm / root
    # Tensor cores cut FP32 sums off instead of rounding them: the errors all point to zero and grow with k, not √k.
    # 2.5e-8·k/c with c products added between two cuts: c is 4 on Volta, 8 on Ampere, 16 on Hopper.
    return max(2e-6, 1e-8 * k), max(1e-6, 1e-7 * root)


def writing_error(precision: Precision) -> float:
    """The largest relative error of writing a sum in the output format, with a factor of 2; 0 where it fits.

    >>> from perfmodel.gemm import find_precision
    >>> writing_error(find_precision("fp16")), writing_error(find_precision("fp32"))
    (0.0009765625, 0.0)
    """
    output, accumulator = precision.output.name, precision.accumulator.name
    fits = output in INTS or (output == accumulator and output in SIMT)
    return 0.0 if fits else 2.0 ** -FLOATS[output][0]


def smallest_step(precision: Precision) -> float:
    """The spacing of the output's numbers around zero: what underflow may cost an element."""
    if precision.output.name in INTS:
        return 0.0
    bits, least_exponent, _ = FLOATS[precision.output.name]
    return 2.0 ** (least_exponent - bits)


def largest(precision: Precision) -> float:
    """The largest number of the output format."""
    name = precision.output.name
    return 2.0 ** (INTS[name] - 1) - 1 if name in INTS else FLOATS[name][2]


def whole_reach(precision: Precision, k: int) -> float:
    """What no sum of the whole-number operands reaches, in any order: 7 standard deviations, or the sum of the largest.

    Operands are uniform, -3 to 3 or an integer format's full range. Chance of a miss: 3e-12 for each partial sum.
    """
    levels = 2 ** INTS[precision.operand.name] if precision.operand.name in INTS else 7
    return min((levels // 2) ** 2 * k, 7 * (levels**2 - 1) / 12 * math.sqrt(k))


def _exact(precision: Precision, k: int) -> bool:
    """Whether every partial sum of whole numbers is a number that the accumulator holds."""
    accumulator = precision.accumulator.name
    if accumulator == "int32":
        return True  # random operands stay far inside INT32, see `whole_reach`
    if accumulator == "fp16":
        return whole_reach(precision, k) <= 2048
    if precision.operand.name.startswith("fp8"):
        return whole_reach(precision, k) <= 2**HOPPER_FP8_BITS
    return 9 * k < 2 ** (FLOATS[accumulator][0] + 1)


def writes_whole_sums(precision: Precision, k: int) -> bool:
    """Whether the output format holds every whole sum as it is, so that a whole row adds up exactly."""
    name = precision.output.name
    most = 2 ** (FLOATS[name][0] + 1) if name in FLOATS else largest(precision)
    return whole_reach(precision, k) <= most


def stored(values: np.ndarray, precision: Precision) -> np.ndarray:
    """Exact sums as the output format stores them: rounded to nearest even, integers and FP8 saturated.

    >>> from perfmodel.gemm import find_precision
    >>> stored(np.array([2049.0, 2051.0]), find_precision("fp16")).tolist()
    [2048.0, 2052.0]
    """
    name, most = precision.output.name, largest(precision)
    if name in INTS:  # as LinearCombinationClamp of CUTLASS with a scale of 1
        return np.clip(np.rint(values), -most - 1, most)
    bits, least_exponent, _ = FLOATS[name]
    exponents = np.maximum(np.frexp(values)[1] - 1, least_exponent) - bits
    return np.clip(np.ldexp(np.rint(np.ldexp(values, -exponents)), exponents), -most, most)
