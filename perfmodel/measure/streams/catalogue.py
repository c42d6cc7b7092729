"""The kernel for each memory-bound op: `stream_kernel(op)`.

`n` elements, all of them contiguous; a window's shape is (images, c, h, w, r, s, stride_h, stride_w, pad_h, pad_w,
dilation_h, dilation_w, groups, stored), see `Window`. E is the size of an element, read off the bytes.

    op                   shape         bytes read          bytes written
    stream               ()            any                 any
    absmax               (n,)          4n                  0
    quantise             (n,)          4n                  n or 2n; stochastic
    quantise_nearest     (n,)          4n                  n or 2n
    quantise_delayed     (n,)          4n                  n or 2n; with an earlier scale, and records max|x|
    quantise_transposed  (rows, cols)  4·rows·cols         2·rows·cols; likewise, [rows, cols] and [cols, rows]
    transpose            (rows, cols)  E·rows·cols         the same; E of 1, 2, 4
    im2col               window        E·images·c·h·w      E·groups·rows·stored; E of 1, 2, 4
    im2col_transposed    window        E·images·c·h·w      E·groups·columns·stored; E of 1, 2, 4
    col2im               window        E·groups·rows·stored  E·images·c·h·w; E of 2 (FP16), 4 (FP32)
    dequantise           (n,)          E·n; E of 1, 2, 4   4n
    update               (n,)          12n                 8n
    update_quantise      (n,)          12n                 9n or 10n; with an earlier scale, and records max|w|
    cast                 (n,)          4n                  2n
    check                (n,)          4n                  4n; in place

A scale, a maximum or a flag may be counted or not: up to 64 bytes of difference are the same op.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.errors import Unsupported, quote
from perfmodel.measure.streams import elements, matrices
from perfmodel.measure.streams.kernel import Builder, Constants, StreamKernel
from perfmodel.measure.streams.refusal import refuse

if TYPE_CHECKING:
    from perfmodel.lowering import MemoryOp

STOCHASTIC = ("philox10x16", "philox10x4")
ROUNDINGS = (*STOCHASTIC, "nearest")
# op: what builds its plan, its variants (the default first), how many numbers its shape has
OPS: dict[str, tuple[Builder, tuple[str, ...], int]] = {
    "stream": (elements.stream, ("",), 0),
    "absmax": (elements.absmax, ("",), 1),
    "quantise": (elements.quantise, STOCHASTIC, 1),
    "quantise_nearest": (elements.quantise, ("nearest",), 1),
    "quantise_delayed": (elements.quantise, ROUNDINGS, 1),
    "quantise_transposed": (matrices.quantise_transposed, ROUNDINGS, 2),
    "transpose": (matrices.transpose, ("",), 2),
    "im2col": (matrices.im2col, ("",), 14),
    "im2col_transposed": (matrices.im2col, ("",), 14),
    "col2im": (matrices.col2im, ("",), 14),
    "dequantise": (elements.dequantise, ("",), 1),
    "update": (elements.update, ("",), 1),
    "update_quantise": (elements.update_quantise, ROUNDINGS, 1),
    "cast": (elements.cast, ("fp16", "bf16"), 1),
    "check": (elements.check, ("",), 1),
}
USUAL = Constants()


def variants(op: MemoryOp) -> tuple[str, ...]:
    """The ways to compute an op, the usual one first; `("",)` where there is only one.

    Raises `Unsupported` (E2320) for an op that no kernel computes.
    """
    if op.op not in OPS:
        raise Unsupported.at("E2320", f"op {quote(op.op)}:", "no kernel computes it.", f"Known: {', '.join(OPS)}.")
    return OPS[op.op][1]


def stream_kernel(op: MemoryOp, variant: str = "", constants: Constants = USUAL) -> StreamKernel:
    """The kernel of an op, ready to be launched; the usual variant if none is named.

    Raises `Unsupported` (E2320) for an op, shape, size of elements, number of bits or variant without a kernel.
    """
    known = variants(op)
    build, _, numbers = OPS[op.op]
    if variant and variant not in known:
        raise refuse(
            op, f"there is no variant {quote(variant)}.", f"Known: {', '.join(filter(None, known)) or 'none'}."
        )
    if len(op.shape) != numbers or not all(type(size) is int and size >= 0 for size in op.shape):
        raise refuse(op, f"its shape is not {numbers} whole numbers.", "See perfmodel.measure.streams.catalogue.")
    if not all(0 <= size < 2**60 for size in (op.bytes_read, op.bytes_written)):
        raise refuse(op, "its bytes are not two amounts.", "Give those that it reads and writes.")
    chosen = variant or known[0]
    return StreamKernel(op, chosen, constants, build(op, chosen, constants))
