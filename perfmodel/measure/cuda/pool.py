"""Device memory that is given back and taken again without asking the driver, which would wait for the device."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from perfmodel.measure.backend import OutOfDeviceMemory
from perfmodel.measure.cuda.runtime import Runtime
from perfmodel.units import round_up

GRAIN_BYTES = 2**21  # the driver hands out memory in such pieces anyway
SPARE = 1.25  # a free block may be so much larger than what is asked for
RESERVE_BYTES = 2**29  # left to the driver, for code that it loads and graphs that it keeps


@dataclass(slots=True, eq=False)
class Block:
    """A piece of device memory. `content` names what it was filled with, empty where that does not matter."""

    pointer: int
    size_bytes: int
    content: tuple = ()


class Pool:
    """Blocks of one device. All work is on one stream, so a block that is given back may be taken again at once."""

    def __init__(self, runtime: Runtime):
        self._runtime = runtime
        self._free: list[Block] = []

    def take(self, size_bytes: int, content: tuple = ()) -> tuple[Block, bool]:
        """A block of at least so many bytes, and whether it still holds `content`; `OutOfDeviceMemory` otherwise."""
        held = next((block for block in self._free if content and block.content == content), None)
        block = held or self._fitting(size_bytes, SPARE, bare=True) or self._new(size_bytes)
        if block in self._free:
            self._free.remove(block)
        block.content = content
        return block, held is not None

    def give(self, block: Block) -> None:
        """The block is free."""
        self._free.append(block)

    def free_bytes(self) -> int:
        """What the driver has, and what is kept here."""
        return self._runtime.memory()[0] + sum(block.size_bytes for block in self._free)

    def trim(self) -> None:
        """Give all free blocks back to the driver."""
        while self._free:
            self._runtime.free(self._free.pop().pointer)

    def _fitting(self, size_bytes: int, spare: float, bare: bool) -> Block | None:
        most = spare * _whole(size_bytes)
        fits = [b for b in self._free if size_bytes <= b.size_bytes <= most and not (bare and b.content)]
        return min(fits, key=lambda block: block.size_bytes, default=None)

    def _new(self, size_bytes: int) -> Block:
        whole_bytes = _whole(size_bytes)
        if self._runtime.memory()[0] >= whole_bytes + RESERVE_BYTES:
            with suppress(OutOfDeviceMemory):
                return Block(self._runtime.allocate(whole_bytes), whole_bytes)
        if block := self._fitting(size_bytes, 2 * SPARE, bare=False):
            return block
        while self._free and self._runtime.memory()[0] < whole_bytes + RESERVE_BYTES:
            self._runtime.free(self._free.pop(0).pointer)  # the one that has been idle for longest
        with suppress(OutOfDeviceMemory):
            return Block(self._runtime.allocate(whole_bytes), whole_bytes)
        self.trim()  # what is free may lie in pieces
        try:
            return Block(self._runtime.allocate(whole_bytes), whole_bytes)
        except OutOfDeviceMemory:
            raise OutOfDeviceMemory(size_bytes, self.free_bytes()) from None


def _whole(size_bytes: int) -> int:
    return round_up(max(size_bytes, 1), GRAIN_BYTES)
