"""What quantising costs: levels of kernels and bytes, counted for each element, or a given time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from perfmodel.errors import InputError, quote
from perfmodel.lowering import Delay, MemoryOp, Work

FP32_BYTES = 4.0
CODE_BYTES = 1.0  # 12 to 16 bits would write two: the levels are those of 8 bits for all
MILLISECONDS = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
LONGEST_MS = 1e10  # of one iteration: 116 days
WITHOUT_SHAPE = ("stream", "fused")


@dataclass(frozen=True, slots=True)
class Level:
    """Kernels that quantise a tensor: op, how many alike, and what they all together read, write and code.

    These are accesses of each element at the width of the tensor as it is stored (read, written), and codes written.
    """

    kernels: tuple[tuple[str, int, float, float, float], ...]
    title: str

    @property
    def launches(self) -> int:
        """How many kernels quantise one tensor; what another kernel does in passing is none."""
        return sum(count for op, count, *_ in self.kernels if op != "fused")

    @property
    def bytes_per_element(self) -> float:
        """Bytes read and written by all of them, of a tensor in FP32."""
        return sum((read + written) * FP32_BYTES + codes * CODE_BYTES for _, _, read, written, codes in self.kernels)


# `current` reads once more for the maximum. `naive` is a chain of eight CuPy kernels: |x|, max, x·s, random numbers,
# their sum, floor, clip, astype. `unfused` is the chain of about 14 PyTorch kernels and 18 accesses that MuPPET's
# reference runs on each tensor (ICIdsl/muppet @ a5cbb13, quantize.py:18-73; its call for each image is not counted).
CURRENT_KERNELS = (("absmax", 1, 1, 0, 0), ("quantise", 1, 1, 0, 1))
LEVELS = {
    "ideal": Level((), "no overhead: the paper's theoretical limit"),
    "epilogue": Level((("fused", 1, 0, 0, 1),), "codes written by the kernel that makes the tensor, 1 B/element"),
    "delayed": Level((("quantise_delayed", 1, 1, 0, 1),), "one pass with the scale of an earlier step, 5 B/element"),
    "current": Level(CURRENT_KERNELS, "maximum first, then quantise, 9 B/element"),
    "naive": Level((("stream", 8, 8, 6, 1),), "a chain of CuPy kernels, 57 B/element"),
    "unfused": Level((("stream", 14, 9, 9, 0),), "the reference's chain of PyTorch kernels, 72 B/element"),
    "measured": Level(CURRENT_KERNELS, "maximum first, then quantise, both as a profile has them"),
}


@dataclass(frozen=True, slots=True)
class Overhead:
    """What quantising costs: a level of `LEVELS`, or so many seconds an iteration, of the given basis."""

    level: str = "current"
    seconds: float | None = None
    basis: str = "given"

    @property
    def words(self) -> str:
        """What it means, for notes under tables."""
        if self.seconds is not None:
            return f"{self.seconds * 1e3:.4g} ms for each quantised iteration ({self.basis})"
        return f"{self.level}, {LEVELS[self.level].title}"

    def quantise(
        self, layer: str, pass_: str, elements: int, width: float = FP32_BYTES, one_pass: bool = False, times: float = 1
    ) -> Iterator[Work]:
        """The kernels that quantise one tensor; none when the overhead is a given time for the whole iteration.

        `width` [B] is that of an element before, `one_pass` says that no maximum of the whole tensor is needed first,
        `times` how often it is done in one step.
        """
        if self.seconds is not None:
            return
        level = "delayed" if one_pass and LEVELS[self.level].kernels == CURRENT_KERNELS else self.level
        for kernel, count in _kernels(level, elements, width):
            yield Work(layer, pass_, "quantise", kernel, count * times)

    @property
    def converts(self) -> bool:
        """Whether casts, checks and the like count: at every level but `ideal`, and beside a given time."""
        return self.seconds is not None or bool(LEVELS[self.level].kernels)

    @property
    def transposes(self) -> bool:
        """Whether the copies count that turn operands round: not without overhead, nor where a given time has all."""
        return self.seconds is None and bool(LEVELS[self.level].kernels)

    def whole_step(self) -> Iterator[Work]:
        """The given time of one iteration, where there is one."""
        if self.seconds:
            yield Work("(all tensors)", "fprop", "quantise", Delay(self.seconds, self.basis))


@lru_cache(2**14)  # tensors of one size in many layers
def _kernels(level: str, elements: int, width: float) -> tuple[tuple[MemoryOp, int], ...]:
    """The kernels of a level that quantise a tensor, and how many alike."""
    found = []
    for op, count, read, written, codes in LEVELS[level].kernels:
        each = elements / count
        shape = () if op in WITHOUT_SHAPE or width != FP32_BYTES else (elements,)
        moved = MemoryOp(read * width * each, (written * width + codes * CODE_BYTES) * each, _op(op, shape), shape)
        found.append((moved, count))
    return tuple(found)


def _op(op: str, shape: tuple[int, ...]) -> str:
    """The kernels with a name read FP32; of others only the bytes are known."""
    return op if shape or op in WITHOUT_SHAPE else "stream"


def find_overhead(text: str) -> Overhead:
    """The overhead that the command line names: a level, or milliseconds for each iteration.

    >>> find_overhead("current").level, find_overhead("36").seconds
    ('current', 0.036)
    """
    if text in LEVELS:
        return Overhead(text)
    milliseconds = float(text) if MILLISECONDS.fullmatch(text) else -1.0
    if not 0 <= milliseconds <= LONGEST_MS:
        raise InputError.at(
            "E1105", "--overhead", f"{quote(text)} is neither a level nor a number of milliseconds.",
            f"Choose {', '.join((*LEVELS, 'table3'))} or a number up to {LONGEST_MS:.0e}.",
        )  # fmt: skip
    return Overhead("given", milliseconds / 1e3)
