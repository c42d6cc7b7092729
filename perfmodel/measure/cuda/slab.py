"""How the operand sets of a kernel lie in one piece of memory, outputs between guard bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfmodel.measure.cuda.elements import Fill
from perfmodel.units import round_up

ALIGN_BYTES = 256  # what CUDA aligns allocations to: kernels may rely on it
GUARD_BYTES = 256  # on either side of an output, and what alignment leaves behind it
GUARD_BYTE = 0xA5


@dataclass(frozen=True, slots=True)
class Buffer:
    """One operand: its bytes, the elements that `fill` is for (pairs for INT4), whether kernels write it."""

    size_bytes: int
    elements: int
    fill: Fill | None = None
    written: bool = False


@dataclass(frozen=True, slots=True)
class Slab:
    """`sets` sets of the buffers, `set_bytes` apart; `offsets` are those of the buffers within a set."""

    buffers: tuple[Buffer, ...]
    offsets: tuple[int, ...]
    set_bytes: int
    sets: int

    @property
    def size_bytes(self) -> int:
        """Bytes of all sets."""
        return self.sets * self.set_bytes

    def guards(self) -> list[tuple[int, int]]:
        """Offset and length of each guard band of a set."""
        found = []
        for buffer, offset in zip(self.buffers, self.offsets, strict=True):
            if buffer.written:
                end = offset + buffer.size_bytes
                found.append((offset - GUARD_BYTES, GUARD_BYTES))
                found.append((end, round_up(end + GUARD_BYTES, ALIGN_BYTES) - end))
        return found


def slab_of(buffers: Sequence[Buffer], sets: int) -> Slab:
    """The slab of so many sets.

    >>> slab = slab_of((Buffer(100, 25), Buffer(40, 10, written=True)), 2)
    >>> slab.offsets, slab.set_bytes, slab.guards()
    ((0, 512), 1024, [(256, 256), (552, 472)])
    """
    offsets, end = [], 0
    for buffer in buffers:
        start = end + (GUARD_BYTES if buffer.written else 0)
        offsets.append(start)
        end = round_up(start + buffer.size_bytes + (GUARD_BYTES if buffer.written else 0), ALIGN_BYTES)
    return Slab(tuple(buffers), tuple(offsets), max(end, ALIGN_BYTES), sets)
