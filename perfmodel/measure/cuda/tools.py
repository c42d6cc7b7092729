"""The kernels of ours that every measurement needs: empty, spin, stamp, fill, check. Launched with typed arguments."""

from __future__ import annotations

import ctypes

from perfmodel.measure.cuda.elements import Fill
from perfmodel.measure.cuda.runtime import Runtime
from perfmodel.measure.cuda.sources import source_text
from perfmodel.units import ceil_div

THREADS = 256
BLOCKS_PER_SM = 8  # enough to fill the memory system; longer work goes round
ENTRIES = (
    "pm_empty", "pm_spin", "pm_stamp", "pm_sgemm", "pm_fill", "pm_paint", "pm_unlike", "pm_unwritten", "pm_gather",
    "pm_matvec",
)  # fmt: skip
SIZE, WHOLE, REAL, POINTER = ctypes.c_uint64, ctypes.c_int, ctypes.c_float, ctypes.c_void_p
SGEMM_TILE, SGEMM_THREADS = 64, 16
STAMPED_PER_SM = 4  # blocks of one thread: some multiprocessors get more than others, none should get nothing
MOST_CYCLES_PER_S = 4e9  # above any SM clock
TIMER_SLACK_CYCLES = 100_000


class Tools:
    """The compiled kernels on one device; each method enqueues one launch. Sizes are in bytes and elements."""

    def __init__(self, runtime: Runtime, sms: int):
        self._runtime, self._sms = runtime, sms
        module = runtime.compile(source_text(), "perfmodel_tools.cu")
        self._entries = {entry: runtime.function(module, entry) for entry in ENTRIES}

    @property
    def stamp_rows(self) -> int:
        """Blocks of a stamp, each of which writes three numbers of 8 bytes."""
        return STAMPED_PER_SM * self._sms

    def function(self, entry: str):
        """A kernel by its entry."""
        return self._entries[entry]

    def empty(self) -> None:
        """Nothing at all."""
        self._runtime.launch(self._entries["pm_empty"], (1, 1, 1), (1, 1, 1), ())

    def spin(self, seconds: float) -> None:
        """Keep one multiprocessor busy for so long."""
        arguments = SIZE(round(seconds * 1e9)), SIZE(round(seconds * MOST_CYCLES_PER_S) + TIMER_SLACK_CYCLES)
        self._runtime.launch(self._entries["pm_spin"], (1, 1, 1), (1, 1, 1), arguments)

    def stamp(self, to: int) -> None:
        """`stamp_rows` rows of multiprocessor, cycles, nanoseconds."""
        self._runtime.launch(self._entries["pm_stamp"], (self.stamp_rows, 1, 1), (1, 1, 1), (POINTER(to),))

    def sgemm(self, a: int, b: int, c: int, m: int, n: int, k: int) -> None:
        """The canary's product."""
        grid = ceil_div(n, SGEMM_TILE), ceil_div(m, SGEMM_TILE), 1
        arguments = POINTER(a), POINTER(b), POINTER(c), WHOLE(m), WHOLE(n), WHOLE(k)
        self._runtime.launch(self._entries["pm_sgemm"], grid, (SGEMM_THREADS, SGEMM_THREADS, 1), arguments)

    def fill(self, base: int, set_bytes: int, elements: int, sets: int, fill: Fill, seed: int) -> None:
        """Draw the elements of a buffer in every set."""
        numbers = (
            SIZE(elements), SIZE(sets), WHOLE(fill.code), WHOLE(fill.draw), REAL(fill.scale), REAL(fill.whole_range),
            SIZE(seed % 2**64),
        )  # fmt: skip
        self._spread("pm_fill", elements * sets, POINTER(base), SIZE(set_bytes), *numbers)

    def paint(self, base: int, set_bytes: int, size_bytes: int, sets: int, value: int) -> None:
        """The same byte throughout a buffer in every set."""
        parts = SIZE(set_bytes), SIZE(size_bytes), SIZE(sets), WHOLE(value)
        self._spread("pm_paint", size_bytes * sets, POINTER(base), *parts)

    def unlike(self, base: int, set_bytes: int, size_bytes: int, sets: int, value: int, count: int) -> None:
        """Add to `count` how many bytes differ."""
        parts = SIZE(set_bytes), SIZE(size_bytes), SIZE(sets), WHOLE(value), POINTER(count)
        self._spread("pm_unlike", size_bytes * sets, POINTER(base), *parts)

    def unwritten(self, c: int, other: int, elements: int, code: int, count: int) -> None:
        """Add to `count` how many elements are poison or not finite."""
        self._spread("pm_unwritten", elements, POINTER(c), POINTER(other), SIZE(elements), WHOLE(code), POINTER(count))

    def gather(
        self, base: int, code: int, steps: tuple[int, int], lists: tuple[int, int], shape: tuple[int, int], to: int
    ) -> None:
        """Rows and columns of a matrix as FP64, by lists of 64-bit indices or (0) all of them."""
        numbers = (*map(SIZE, steps), *map(POINTER, lists), *map(SIZE, shape))
        self._spread("pm_gather", shape[0] * shape[1], POINTER(base), WHOLE(code), *numbers, POINTER(to))

    def matvec(
        self, base: int, code: int, steps: tuple[int, int], shape: tuple[int, int], absolute: bool, x: int, y: int
    ) -> None:
        """Add M·x, or |M|·x, to y; vectors are FP64."""
        numbers = (*map(SIZE, steps), *map(SIZE, shape), WHOLE(absolute), POINTER(x), POINTER(y))
        self._spread("pm_matvec", shape[0] * shape[1], POINTER(base), WHOLE(code), *numbers)

    def _spread(self, entry: str, work: int, *arguments) -> None:
        if work:
            blocks = max(1, min(ceil_div(work, THREADS), BLOCKS_PER_SM * self._sms))
            self._runtime.launch(self._entries[entry], (blocks, 1, 1), (THREADS, 1, 1), arguments)
