"""Why an op has no kernel, and the checks of bytes against shapes that find out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.errors import Unsupported

if TYPE_CHECKING:
    from perfmodel.lowering import MemoryOp

SMALL_BYTES = 64  # of scales, maxima and flags, which a cost model may leave out


def refuse(op: MemoryOp, found: str, fix: str) -> Unsupported:
    """The error (E2320) for an op without a kernel."""
    shape = "x".join(map(str, op.shape)) or "of any size"
    return Unsupported.at(
        "E2320", f"op {op.op} {shape}, {op.bytes_read:.17g} B in, {op.bytes_written:.17g} B out:", found, fix
    )


def check_bytes(op: MemoryOp, read: int, written: int) -> None:
    """Raises `Unsupported` (E2320) unless the op moves these bytes."""
    if abs(op.bytes_read - read) > SMALL_BYTES or abs(op.bytes_written - written) > SMALL_BYTES:
        raise refuse(op, f"its shape reads {read} B and writes {written} B.", "Give bytes that belong to the shape.")


def width(op: MemoryOp, size_bytes: float, elements: int, known: tuple[int, ...]) -> int:
    """Bytes of one of so many elements; the smallest known width where there are none.

    Raises `Unsupported` (E2320) for a width without a kernel.
    """
    near = [each for each in known if abs(size_bytes - each * elements) <= SMALL_BYTES]
    if not near:
        widths = ", ".join(map(str, known))
        found = f"{size_bytes / elements if elements else size_bytes:.4g} B per element have no kernel."
        raise refuse(op, found, f"Widths of {widths} B have.")
    return min(near, key=lambda each: abs(size_bytes - each * elements))
