"""Number formats as the device kernels know them: codes, bytes, poison, and what operands are filled with."""

from __future__ import annotations

from dataclasses import dataclass

from perfmodel.formats import Format
from perfmodel.gemm import Precision
from perfmodel.measure.backend import BuildFailed

# As in sources/numbers.cuh. TF32 lies in memory as FP32.
CODES = {
    "fp64": 0, "fp32": 1, "tf32": 1, "bf16": 2, "fp16": 3, "fp8_e4m3": 4, "fp8_e5m2": 5, "int32": 6, "int8": 7,
    "int4": 8,
}  # fmt: skip
# As in sources/fill.cu.
ZEROS, NORMAL, UNIFORM, WHOLE, HALF_NORMAL, LAPLACE, CONSTANT = range(7)
DRAWS = {"zeros": ZEROS, "normal": NORMAL, "uniform": UNIFORM, "integers": WHOLE}
# Realistic operands: the tensors that a layer's pass multiplies, by the layout that gives it away. Activations come
# from a ReLU, weights are normal, gradients have long tails.
ROLES = {"tn": (HALF_NORMAL, NORMAL), "tt": (LAPLACE, NORMAL), "nt": (LAPLACE, HALF_NORMAL), "nn": (NORMAL, NORMAL)}
WIDE = ("int32", "fp32", "fp64")  # hold the sums of integers at full range
FLOAT_POISON, INT32_POISON = 0xFF, 0x7F  # all ones are a NaN in every floating-point format
INT8_POISONS = (0x80, 0x7F)  # both are numbers that a kernel may write: it takes two launches to tell


@dataclass(frozen=True, slots=True)
class Fill:
    """What a buffer is filled with: a code of a format, a draw, its scale, and the largest whole number."""

    code: int
    draw: int
    scale: float = 1.0
    whole_range: float = 0.0


def code_of(form: Format) -> int:
    """The code of a format; `BuildFailed` for one that no kernel here reads."""
    if form.name not in CODES:
        raise BuildFailed(f"no kernel here reads {form.name}", "Choose another precision.")
    return CODES[form.name]


def fills_of(precision: Precision, layout: str, data: str) -> tuple[Fill, Fill]:
    """What A and B are filled with.

    Integers are scaled so that a normal number of 4 standard deviations is the largest; whole numbers run from -3 to
    3, those of an integer format over its full range where the output holds the sums.
    """
    code, operand = code_of(precision.operand), precision.operand
    integer = operand.family == "int"
    largest = float(2 ** (operand.bits - 1) - 1)
    draws = ROLES[layout] if data == "realistic" else (DRAWS[data],) * 2
    if data == "integers":
        scale = largest if integer and precision.output.name in WIDE else 3.0
    elif integer:
        scale = largest if data == "uniform" else largest / 4
    else:
        scale = 1.0
    return tuple(Fill(code, draw, scale, largest if integer else 0.0) for draw in draws)


def poison_of(output: Format) -> tuple[int, ...]:
    """The bytes that an output is painted with before a launch; two where one launch cannot tell."""
    if output.family == "float":
        return (FLOAT_POISON,)
    return (INT32_POISON,) if output.name == "int32" else INT8_POISONS
