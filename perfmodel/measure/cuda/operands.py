"""The operand sets of one kernel in device memory, and what was made for them: handles, graphs, a workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perfmodel.lowering.gemms import LAYOUT_OF
from perfmodel.measure.backend import BuildFailed
from perfmodel.measure.cuda.elements import CODES, CONSTANT, DRAWS, NORMAL, Fill, fills_of
from perfmodel.measure.cuda.matrices import Matrix
from perfmodel.measure.cuda.pool import Block
from perfmodel.measure.cuda.slab import GUARD_BYTE, Buffer, Slab
from perfmodel.measure.cuda.tools import Tools
from perfmodel.profiles.kernel import Kernel

if TYPE_CHECKING:
    from perfmodel.gemm import Gemm
    from perfmodel.measure.streams.kernel import Buffer as StreamBuffer

A, B, C = range(3)  # the buffers of a GEMM
WRITTEN = ("out", "inout", "workspace")  # roles of a stream kernel's buffers that it writes
LARGEST_CODE = 127.0
SCALE = LARGEST_CODE / 4  # of normal numbers to codes


@dataclass(slots=True, eq=False)
class Operands:
    """Sets of operands. `bound` holds, for each function that used them, what it made; `graphs` those to give back."""

    kernel: Kernel
    slab: Slab
    block: Block
    bound: dict = field(default_factory=dict)
    graphs: list = field(default_factory=list)
    live: bool = True

    def address(self, number: int, buffer: int) -> int:
        """Where a buffer of a set lies."""
        return self.block.pointer + number * self.slab.set_bytes + self.slab.offsets[buffer]

    def in_turn(self, start: int, launches: int) -> list[int]:
        """The sets that so many launches from set `start` on use, each once."""
        return [(start + i) % self.slab.sets for i in range(min(launches, self.slab.sets))]


def gemm_buffers(gemm: Gemm, matrices: Sequence[Matrix], data: str) -> tuple[Buffer, ...]:
    """A, B and C of a GEMM, stored as these matrices; `BuildFailed` for a precision that is not stored here."""
    a, b, c = matrices
    for form in (gemm.precision.operand, gemm.precision.output):
        if form.name not in CODES:
            raise BuildFailed(f"no kernel here reads {form.name}", "Choose another precision.")
    roles = LAYOUT_OF[gemm.conv.pass_] if gemm.conv else gemm.layout  # a convolution's pass says what it multiplies
    fill_a, fill_b = fills_of(gemm.precision, roles, data)
    return (
        Buffer(a.size_bytes, _drawn(a.elements, fill_a), fill_a),
        Buffer(b.size_bytes, _drawn(b.elements, fill_b), fill_b),
        Buffer(c.size_bytes, c.elements, written=True),
    )


def stream_buffers(buffers: Sequence[StreamBuffer], data: str) -> tuple[Buffer, ...]:
    """The buffers of a memory-bound kernel. Of a scale and its inverse, the first is filled here."""
    return tuple(
        Buffer(one.size_bytes, one.elements, _stream_fill(one.role, one.format, data), one.role in WRITTEN)
        for one in buffers
    )


def _stream_fill(role: str, form: str, data: str) -> Fill | None:
    if role == "scale":
        return Fill(CODES["fp32"], CONSTANT, SCALE)
    if role == "out":  # written by the kernel, or poisoned by who checks it
        return None
    if role not in ("in", "inout"):
        return Fill(CODES["int8"], DRAWS["zeros"])
    draw = NORMAL if data == "realistic" else DRAWS[data]
    if form in ("fp32", "fp16", "bf16"):
        return Fill(CODES[form], draw, 3.0 if data == "integers" else 1.0)
    # Wider codes are drawn byte by byte: it is the same to the memory.
    return Fill(CODES["int8"], draw, SCALE if draw == NORMAL else LARGEST_CODE, LARGEST_CODE)


def prepare(tools: Tools, operands: Operands, seed: int) -> None:
    """Enqueue what fills all sets, and paints the guard bands. A GEMM's output stays as it is."""
    slab, base = operands.slab, operands.block.pointer
    for number, (buffer, offset) in enumerate(zip(slab.buffers, slab.offsets, strict=True)):
        if (fill := buffer.fill) is None:
            continue
        to, draw = base + offset, _seed(seed, number)
        if fill.draw == CONSTANT:
            tools.fill(to, slab.set_bytes, 1, slab.sets, fill, draw)
            inverse = Fill(fill.code, CONSTANT, 1 / fill.scale)
            tools.fill(to + 4, slab.set_bytes, 1, slab.sets, inverse, draw)
        else:
            count = buffer.size_bytes if fill.code == CODES["int8"] else buffer.elements
            tools.fill(to, slab.set_bytes, count, slab.sets, fill, draw)
    for offset, size_bytes in slab.guards():
        tools.paint(base + offset, slab.set_bytes, size_bytes, slab.sets, GUARD_BYTE)


def _drawn(elements: int, fill: Fill) -> int:
    return -(-elements // 2) if fill.code == CODES["int4"] else elements


def _seed(seed: int, number: int) -> int:
    return (seed << 8 | number) * 0x9E3779B97F4A7C15
