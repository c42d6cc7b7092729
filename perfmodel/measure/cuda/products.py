"""The output of one launch, for checking: a `Product` whose data stay on the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from perfmodel.convolution import Convolution
from perfmodel.gemm import Gemm
from perfmodel.measure.backend import Backend
from perfmodel.measure.cuda.checks import Checks
from perfmodel.measure.cuda.convolution_products import ConvolutionProduct
from perfmodel.measure.cuda.elements import poison_of
from perfmodel.measure.cuda.implicit import fewer_images, tensors_of
from perfmodel.measure.cuda.matrices import Matrix, checkable, matrices_of
from perfmodel.measure.cuda.operands import A, B, C, Operands
from perfmodel.measure.cuda.pool import Pool
from perfmodel.measure.cuda.runtime import Runtime
from perfmodel.measure.cuda.sampled import chosen_of, most_sampled
from perfmodel.profiles.kernel import Kernel

LIMIT_S = 60.0


class GemmProduct:
    """One product of a launch. Its memory goes back when nobody holds it any more."""

    def __init__(self, checks: Checks, operands: Operands, gemm: Gemm, unwritten: int, release: Callable):
        self.unwritten = unwritten
        self.guards_intact = checks.guards_intact(operands)
        self._checks, self._operands, self._gemm, self._release = checks, operands, gemm, release

    def __del__(self):
        if hasattr(self, "_release"):
            self._release(self._operands)

    def sample(self, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Random rows of A, random columns of B and where they meet in C; the last row and column are among them."""
        generator = np.random.default_rng(seed)
        most = most_sampled(self._gemm.k)
        rows, columns = (chosen_of(generator, size, most) for size in (self._gemm.m, self._gemm.n))
        a, b, c = self._of_batch(generator)
        read = self._checks.elements
        return read(*a, rows=rows), read(*b, columns=columns), read(*c, rows=rows, columns=columns)

    def probe(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """|C·x - A·(B·x)| and (|A|·|B|)·1 for a random x of ±1, in FP64 on the device."""
        generator = np.random.default_rng(seed)
        a, b, c = self._of_batch(generator)
        x, times = generator.choice((-1.0, 1.0), self._gemm.n), self._checks.times
        residual = np.abs(times(*c, x) - times(*a, times(*b, x)))
        ones = np.ones(self._gemm.n)
        return residual, times(*a, times(*b, ones, absolute=True), absolute=True)

    def _of_batch(self, generator: np.random.Generator) -> list[tuple[int, Matrix]]:
        """Address and matrix of A, B and C of one product of the batch."""
        number = int(generator.integers(self._gemm.batch))
        return [
            (self._operands.address(0, buffer) + number * matrix.stride * matrix.format.bits // 8, matrix)
            for buffer, matrix in zip((A, B, C), matrices_of(self._gemm), strict=True)
        ]


def gemm_product(
    backend: Backend, runtime: Runtime, checks: Checks, pool: Pool, function, kernel: Kernel, data: str, seed: int
) -> GemmProduct:
    """Run the kernel on fresh operands and a poisoned output: the problem itself, or a smaller one of the kernel."""
    gemm = checkable(kernel.problem)
    if gemm != kernel.problem:
        kernel = replace(kernel, problem=gemm)
        function = backend.build(kernel)
    operands = backend.allocate(kernel, 1, data, seed)
    try:
        unwritten = run_poisoned(backend, runtime, checks, pool, function, operands, matrices_of(gemm)[C])
        return GemmProduct(checks, operands, gemm, unwritten, backend.release)
    except BaseException:
        backend.release(operands)
        raise


def convolution_product(
    backend: Backend, runtime: Runtime, checks: Checks, pool: Pool, conv: Convolution, kernel: Kernel, data: str,
    seed: int,
) -> ConvolutionProduct:  # fmt: skip
    """The same of a convolution, padded as the kernel wants it, on as many images as can be checked."""
    gemm, conv = fewer_images(kernel.problem, conv)
    kernel = replace(kernel, problem=gemm)
    function, operands = backend.build(kernel), backend.allocate(kernel, 1, data, seed)
    try:
        output = tensors_of(conv, gemm.precision)[C]
        unwritten = run_poisoned(backend, runtime, checks, pool, function, operands, output)
        return ConvolutionProduct(checks, operands, gemm.precision, conv, unwritten, backend.release)
    except BaseException:
        backend.release(operands)
        raise


def run_poisoned(
    backend: Backend, runtime: Runtime, checks: Checks, pool: Pool, function, operands: Operands, matrix: Matrix
) -> int:
    """How many elements of C a launch left unwritten; where no poison is safe, two launches must agree on them."""
    c = operands.address(0, C)
    *earlier, last = poison_of(matrix.format)
    other = pool.take(matrix.size_bytes)[0] if earlier else None
    try:
        for poison in (*earlier, last):
            runtime.fill(c, poison, matrix.size_bytes)
            backend.launch_each(function, operands, 1, 0)
            backend.synchronise(LIMIT_S)
            if other and poison != last:
                runtime.copy(other.pointer, c, matrix.size_bytes)
        return checks.unwritten(c, other.pointer if other else c, matrix)
    finally:
        if other:
            pool.give(other)
