"""What a kernel of a simulated card computes, on a smaller problem, with its own rounding and with planted errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perfmodel.formats import Format, find_format
from perfmodel.gemm import Gemm, Precision
from perfmodel.measure.backend import BuildFailed
from perfmodel.measure.simulated.rounding import can_round, rounded
from perfmodel.profiles.kernel import Kernel

LARGEST_SIDE = 64
LARGEST_K = 448
SAMPLED = 24  # 24 x 24 x 448 is as much as NumPy's BLAS multiplies on one thread: starting more takes far longer
TILE = 32
WRONG = (
    "tf32", "bf16", "fp16_accumulate", "dropped_k", "four_percent", "zero_element", "nan_element", "stale_tile",
    "second_launch", "unwritten", "guard",
)  # fmt: skip
FP16 = find_format("fp16")


@dataclass(frozen=True, slots=True)
class SimulatedProduct:
    """Operands and output as float64 of the values in memory; without rows for a kernel that only moves bytes."""

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    unwritten: int = 0
    guards_intact: bool = True

    def sample(self, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Up to 24 rows of A, up to 24 columns of B, and where they meet in C."""
        generator = np.random.default_rng(seed)
        rows, columns = (
            generator.choice(size, min(size, SAMPLED), replace=False) if size else np.zeros(0, int)
            for size in self.c.shape
        )
        return self.a[rows], self.b[:, columns], self.c[np.ix_(rows, columns)]

    def probe(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """|C·x - A·(B·x)| and (|A|·|B|)·1 for a random x of ±1."""
        x = np.random.default_rng(seed).choice((-1.0, 1.0), self.c.shape[1])
        residual = np.abs(self.c @ x - self.a @ (self.b @ x))
        return residual, np.abs(self.a) @ np.abs(self.b).sum(axis=1)


def simulate_product(kernel: Kernel, data: str, seed: int, how: str = "", again: bool = False) -> SimulatedProduct:
    """The kernel's output on a problem of at most 64 x 64 x 448, wrong in the way that `how` names (one of `WRONG`).

    `again`: the kernel has been launched before. Raises `BuildFailed` for formats that have no arithmetic here.
    """
    guards = how != "guard"
    if not isinstance(kernel.problem, Gemm):
        empty, lost = np.zeros((0, 0)), {"unwritten": 64, "nan_element": 1}
        return SimulatedProduct(empty, empty, empty, lost.get(how, 0), guards)
    problem, precision = kernel.problem, kernel.problem.precision
    for used in (precision.operand, precision.accumulator, precision.output):
        if not can_round(used):
            raise BuildFailed(f"error: no arithmetic in {used.name} is simulated", f"Build {kernel.text}.")
    m, n, k = min(problem.m, LARGEST_SIDE), min(problem.n, LARGEST_SIDE), min(problem.k, LARGEST_K)
    generator = np.random.default_rng([seed, m, n, k])
    a, b = (_operand(generator, shape, precision, data) for shape in ((m, k), (k, n)))
    c = multiply(a, b, precision, how)
    unwritten = np.zeros(c.shape, bool)
    if how in _ELEMENTS:
        c[_largest(c)] = rounded(np.array(c[_largest(c)] * _ELEMENTS[how]), precision.output)
    elif how == "stale_tile":
        earlier = _operand(generator, (m, k), precision, data)
        c[:TILE, :TILE] = multiply(earlier, b, precision)[:TILE, :TILE]
    elif how == "second_launch" and again:  # it adds to what it should overwrite
        c = rounded(2 * c, precision.output)
    elif how in ("unwritten", "nan_element"):
        unwritten[_largest(c) if how == "nan_element" else -1] = True
        c[unwritten] = np.nan if precision.output.family == "float" else 0x7F7F7F7F
    return SimulatedProduct(a, b, c, int(np.count_nonzero(unwritten | ~np.isfinite(c))), guards)


def multiply(a: np.ndarray, b: np.ndarray, precision: Precision, how: str = "") -> np.ndarray:
    """A · B as the unit of this precision computes it: operands rounded, sums of 16 (8 for FP16) added up in turn."""
    accumulator = FP16 if how == "fp16_accumulate" else precision.accumulator
    a, b = (rounded(values, precision.operand) for values in (a, b))  # TF32 lies in memory as FP32
    if how in ("tf32", "bf16"):
        a, b = (rounded(values, find_format(how)) for values in (a, b))
    if how == "dropped_k":
        a, b = a[:, :-1], b[:-1]
    if accumulator.name == "fp64" or accumulator.family == "int":  # the sums of whole numbers are exact in float64
        return rounded(rounded(a @ b, accumulator), precision.output)
    width = 8 if accumulator is FP16 or accumulator.name == "fp16" else 16
    c = np.zeros((a.shape[0], b.shape[1]))
    with np.errstate(over="ignore", invalid="ignore"):  # FP16 sums may overflow, as on a card
        for k in range(0, a.shape[1], width):
            c = rounded(c + rounded(a[:, k : k + width] @ b[k : k + width], accumulator), accumulator)
    return rounded(c, precision.output)


_ELEMENTS = {"four_percent": 1.04, "zero_element": 0.0}


def _largest(c: np.ndarray) -> tuple[int, int]:
    """The element that an error of some percent changes for certain."""
    return np.unravel_index(np.argmax(np.abs(c)), c.shape)


def _operand(generator: np.random.Generator, shape: tuple[int, int], precision: Precision, data: str) -> np.ndarray:
    """Values as they lie in memory: whole numbers, or normal ones rounded to the operand's format."""
    stored = find_format("fp32") if precision.operand.name == "tf32" else precision.operand
    if data == "integers":
        largest = _whole_range(precision)
        return generator.integers(-largest, largest, shape, endpoint=True).astype(np.float64)
    scale = _whole_range(precision) / 4 if stored.family == "int" else 1.0
    return rounded(generator.standard_normal(shape) * scale, stored)


def _whole_range(precision: Precision) -> int:
    """Full range where the output can hold the sums exactly; else sums that stay exact in every format."""
    wide: tuple[Format, ...] = tuple(map(find_format, ("int32", "fp32", "fp64")))
    if precision.operand.family == "int" and precision.output in wide:
        return 2 ** (precision.operand.bits - 1) - 1
    return 3
