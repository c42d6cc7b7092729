"""Plans of the kernels that reorder: transposes, im2col, col2im."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.measure.streams.elements import RECORDED, SCALE, bits_of, plan, random_numbers
from perfmodel.measure.streams.kernel import THREADS, Buffer, Constants, Plan
from perfmodel.measure.streams.refusal import check_bytes, refuse, width
from perfmodel.measure.streams.windows import LIMIT, Window
from perfmodel.units import ceil_div

if TYPE_CHECKING:
    from perfmodel.lowering import MemoryOp

TILE = 64
RAW = {1: "uint8", 2: "uint16", 4: "uint32"}
FLOATS = {2: "fp16", 4: "fp32"}


def _tiles(rows: int, cols: int) -> int:
    """Elements' worth of work such that each block gets a tile."""
    return ceil_div(rows, TILE) * ceil_div(cols, TILE) * THREADS


def transpose(op: MemoryOp, _: str, __: Constants) -> Plan:
    """[rows, cols] to [cols, rows]."""
    rows, cols = op.shape
    each = width(op, op.bytes_read, rows * cols, (1, 2, 4))
    size = each * rows * cols
    check_bytes(op, size, size)
    buffers = (Buffer("in", size, RAW[each], "in"), Buffer("out", size, RAW[each], "out"))
    return plan(f"transpose_{each}", buffers, (("u64", rows), ("u64", cols)), _tiles(rows, cols))


def quantise_transposed(op: MemoryOp, variant: str, constants: Constants) -> Plan:
    """FP32 to one-byte codes in both orders, by an earlier scale, with the maximum recorded."""
    rows, cols = op.shape
    n = rows * cols
    check_bytes(op, 4 * n, 2 * n)
    codes, turned = (Buffer(name, n, "int8", "out") for name in ("codes", "codes_transposed"))
    buffers = (Buffer("x", 4 * n, "fp32", "in"), codes, turned, SCALE, *RECORDED)
    numbers = (("u64", rows), ("u64", cols), *random_numbers(constants, bits_of(op, 1, constants)))
    return plan(f"quantise_transposed_{variant}", buffers, numbers, _tiles(rows, cols))


def im2col(op: MemoryOp, _: str, __: Constants) -> Plan:
    """The matrix of a convolution's windows, plain or transposed."""
    transposed = op.op == "im2col_transposed"
    window = _window(op, transposed)
    stored = window.groups * window.stored * (window.columns if transposed else window.rows)
    each = width(op, op.bytes_read, window.elements, (1, 2, 4))
    check_bytes(op, each * window.elements, each * stored)
    images = Buffer("images", each * window.elements, RAW[each], "in")
    matrix = Buffer("matrix", each * stored, RAW[each], "out")
    parts = ceil_div(window.stored, 16 // each)
    count = window.groups * window.rows * parts
    numbers = _numbers(op, window, 0 if transposed else count, parts)
    items = window.groups * _tiles(window.stored, window.columns) if transposed else count
    return plan(f"{op.op}_{each}", (images, matrix), numbers, items)


def col2im(op: MemoryOp, _: str, __: Constants) -> Plan:
    """Gradients of windows summed into those of the images."""
    window = _window(op, False)
    stored = window.groups * window.stored * window.rows
    each = width(op, op.bytes_written, window.elements, (4, 2))
    check_bytes(op, each * stored, each * window.elements)
    matrix = Buffer("matrix", each * stored, FLOATS[each], "in")
    images = Buffer("images", each * window.elements, FLOATS[each], "out")
    together = 16 // each if window.of_group % (16 // each) == window.stored % (16 // each) == 0 else 1
    count = window.elements // together
    numbers = _numbers(op, window, count, window.channels // together)
    return plan(f"col2im_{each}{'' if together > 1 else '_single'}", (matrix, images), numbers, count)


def _window(op: MemoryOp, transposed: bool) -> Window:
    window = Window(*op.shape)
    if fault := window.fault(transposed):
        raise refuse(op, f"{fault}.", "Give images, c, h, w, r, s, strides, pads, dilations, groups, padded length.")
    return window


def _numbers(op: MemoryOp, window: Window, count: int, parts: int) -> tuple[tuple[str, int], ...]:
    numbers = window.divided(count, parts)
    largest = max(*numbers[:19], window.groups * window.rows, window.elements // window.channels)
    if largest >= LIMIT:
        raise refuse(op, f"it has {largest} parts to index.", "At most 2147483647: use smaller batches.")
    return tuple(("u32", number) for number in numbers)
