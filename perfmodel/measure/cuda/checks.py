"""What is looked into on the device itself: guard bands, poison, chosen elements, products with vectors in FP64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from perfmodel.measure.cuda.elements import CODES, code_of
from perfmodel.measure.cuda.matrices import Matrix
from perfmodel.measure.cuda.operands import Operands
from perfmodel.measure.cuda.pool import Pool
from perfmodel.measure.cuda.runtime import Runtime
from perfmodel.measure.cuda.slab import GUARD_BYTE
from perfmodel.measure.cuda.tools import Tools

WORD = 8  # bytes of a counter, an index and an FP64 number


class Checks:
    """The checks on one device. Each waits for its result."""

    def __init__(self, runtime: Runtime, tools: Tools, pool: Pool):
        self._runtime, self._tools, self._pool = runtime, tools, pool

    def guards_intact(self, operands: Operands) -> bool:
        """Whether all guard bands of all sets are as they were painted."""
        slab, base = operands.slab, operands.block.pointer

        def look(count: int) -> None:
            for offset, size_bytes in slab.guards():
                self._tools.unlike(base + offset, slab.set_bytes, size_bytes, slab.sets, GUARD_BYTE, count)

        return self._count(look) == 0

    def unwritten(self, c: int, other: int, matrix: Matrix) -> int:
        """Elements of C that are poison or not finite; `other` is the output of a launch over the other poison."""
        code = code_of(matrix.format)
        elements = matrix.size_bytes if code == CODES["int4"] else matrix.elements
        return self._count(lambda count: self._tools.unwritten(c, other, elements, code, count))

    def elements(self, base: int, matrix: Matrix, rows=None, columns=None) -> np.ndarray:
        """Rows and columns of one matrix (None: all) as FP64, [rows, columns]."""
        shape = tuple(
            size if chosen is None else len(chosen) for size, chosen in ((matrix.rows, rows), (matrix.columns, columns))
        )
        with self._space(WORD * shape[0] * shape[1]) as to, self._list(rows) as first, self._list(columns) as second:
            self._tools.gather(base, code_of(matrix.format), matrix.steps, (first, second), shape, to)
            return self._numbers(to, shape[0] * shape[1]).reshape(shape)

    def times(self, base: int, matrix: Matrix, x: np.ndarray, absolute: bool = False) -> np.ndarray:
        """M·x, or |M|·x, in FP64."""
        shape = matrix.rows, matrix.columns
        with self._space(WORD * shape[1]) as vector, self._space(WORD * shape[0]) as to:
            self._runtime.upload(vector, np.ascontiguousarray(x, np.float64).tobytes())
            self._runtime.fill(to, 0, WORD * shape[0])
            self._tools.matvec(base, code_of(matrix.format), matrix.steps, shape, absolute, vector, to)
            return self._numbers(to, shape[0])

    def _numbers(self, pointer: int, count: int) -> np.ndarray:
        return np.frombuffer(self._runtime.download(pointer, WORD * count), np.float64)

    def _count(self, look: Callable[[int], None]) -> int:
        with self._space(WORD) as count:
            self._runtime.fill(count, 0, WORD)
            look(count)
            return int.from_bytes(self._runtime.download(count, WORD), "little")

    @contextmanager
    def _space(self, size_bytes: int) -> Iterator[int]:
        block, _ = self._pool.take(size_bytes)
        try:
            yield block.pointer
        finally:
            self._pool.give(block)

    @contextmanager
    def _list(self, chosen: np.ndarray | None) -> Iterator[int]:
        if chosen is None:
            yield 0
            return
        with self._space(WORD * len(chosen)) as pointer:
            self._runtime.upload(pointer, np.ascontiguousarray(chosen, np.uint64).tobytes())
            yield pointer
