"""What a backend must know to run a memory-bound kernel: its buffers and its launches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from perfmodel.lowering import MemoryOp

THREADS = 256  # of every block; the sources say so too
BLOCKS_PER_SM = 32  # four to eight at a time: an SM that is far from its memory need not do an equal share
DTYPES = {
    "fp32": "float32", "fp16": "float16", "bf16": "uint16", "int8": "int8", "int16": "int16", "int32": "int32",
    "uint8": "uint8", "uint16": "uint16", "uint32": "uint32",
}  # fmt: skip
Argument = str | tuple[str, int] | tuple[str, float]


@dataclass(frozen=True, slots=True)
class Constants:
    """Numbers that a kernel is launched with besides its sizes.

    `bits` is the length of a code (None: all that its bytes hold); `seed` and `step` name the random numbers;
    `loss_scale` is what gradients are divided by.
    """

    bits: int | None = None
    seed: int = 0x5EED_0F_C0DE5
    step: int = 0
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    loss_scale: float = 1024.0


@dataclass(frozen=True, slots=True)
class Buffer:
    """Device memory of a kernel, 16-byte aligned.

    `role`: `in`, `out` (written whole), `inout` (data, changed in place), `scale` (read: FP32 scale and inverse) or
    `workspace` (zeros before the first launch, and after each).
    """

    name: str
    size_bytes: int
    format: str
    role: str

    @property
    def dtype(self) -> np.dtype:
        """NumPy's type of an element; BF16 is held as uint16."""
        return np.dtype(DTYPES[self.format])

    @property
    def elements(self) -> int:
        """How many elements it holds."""
        return self.size_bytes // self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel launch: arguments are names of buffers or typed numbers such as ("u64", 7)."""

    entry: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    arguments: tuple[Argument, ...]
    shared_bytes: int = 0  # besides what the entry itself declares


@dataclass(frozen=True, slots=True)
class Plan:
    """How a kernel is launched whatever the chip: `blocks` is how many would have work."""

    buffers: tuple[Buffer, ...]
    entry: str
    arguments: tuple[Argument, ...]
    blocks: int


@dataclass(frozen=True, slots=True)
class StreamKernel:
    """A memory op, the variant of its kernel, and the plan to launch it."""

    op: MemoryOp
    variant: str
    constants: Constants
    plan: Plan

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        """All device memory it needs."""
        return self.plan.buffers

    def buffer(self, name: str) -> Buffer:
        """The buffer of this name; `KeyError` if there is none."""
        return {buffer.name: buffer for buffer in self.buffers}[name]

    def launches(self, sms: int, blocks_per_sm: int = 0) -> tuple[Launch, ...]:
        """The launches for a chip with so many multiprocessors, in order; at most so many blocks each (0: usual)."""
        blocks = max(1, min(self.plan.blocks, sms * (blocks_per_sm or BLOCKS_PER_SM)))
        return (Launch(self.plan.entry, (blocks, 1, 1), (THREADS, 1, 1), self.plan.arguments),)


Builder = Callable[["MemoryOp", str, Constants], Plan]
