"""Where the elements of a GEMM's operands lie: row-major C, and A and B as the letters of `Gemm.layout` say."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from perfmodel.formats import Format
from perfmodel.gemm import Gemm
from perfmodel.units import ceil_div

MOST_PROBED = 2_000_000_000  # elements of A, B and C that are checked in FP64, a few times each
ROWS_AT_ONCE = 512  # the rows that a smaller problem keeps are a multiple of any tile's


@dataclass(frozen=True, slots=True)
class Matrix:
    """A stored matrix, `count` of them one behind the other; steps are in elements."""

    rows: int
    columns: int
    row_major: bool
    count: int
    format: Format

    @property
    def line(self) -> int:
        """Elements from one line to the next: the leading dimension."""
        return self.columns if self.row_major else self.rows

    @property
    def steps(self) -> tuple[int, int]:
        """Elements from one row to the next, and from one column to the next."""
        return (self.columns, 1) if self.row_major else (1, self.rows)

    @property
    def stride(self) -> int:
        """Elements from one matrix of the batch to the next."""
        return self.rows * self.columns

    @property
    def elements(self) -> int:
        """Elements of all of them."""
        return self.count * self.stride

    @property
    def size_bytes(self) -> int:
        """Bytes of all of them, packed."""
        return ceil_div(self.elements * self.format.bits, 8)


def matrices_of(gemm: Gemm) -> tuple[Matrix, Matrix, Matrix]:
    """A [m, k], B [k, n] and C [m, n].

    >>> a, b, c = matrices_of(Gemm(3, 5, 7, layout="nt"))
    >>> (a.steps, a.line), (b.steps, b.line), c.line
    (((1, 3), 3), ((5, 1), 5), 5)
    """
    operand, output = gemm.precision.operand, gemm.precision.output
    across, down = gemm.layout
    return (
        Matrix(gemm.m, gemm.k, across == "t", gemm.batch, operand),
        Matrix(gemm.k, gemm.n, down == "t", gemm.batch, operand),
        Matrix(gemm.m, gemm.n, True, gemm.batch, output),
    )


def checkable(gemm: Gemm) -> Gemm:
    """The problem, or one of fewer rows (then of fewer products) where checking every element would take too long."""
    elements = sum(matrix.elements for matrix in matrices_of(gemm))
    if elements <= MOST_PROBED:
        return gemm
    if gemm.batch > 1:
        return checkable(replace(gemm, batch=max(1, math.floor(gemm.batch * MOST_PROBED / elements))))
    fixed = gemm.k * gemm.n
    rows = max(1, (MOST_PROBED - fixed) // (gemm.k + gemm.n))
    kept = max(ROWS_AT_ONCE, rows // ROWS_AT_ONCE * ROWS_AT_ONCE)
    return gemm if kept >= gemm.m else replace(gemm, m=kept)
