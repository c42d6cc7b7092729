"""Convolutions as implicit GEMM kernels take them: padded channels, and which kernel computes which."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from perfmodel.convolution import Convolution
from perfmodel.formats import Format
from perfmodel.gemm import Gemm
from perfmodel.measure.cutlass.kernels import GemmKernel
from perfmodel.units import ceil_div, round_up

MOST_BYTES = 2**31 - 1  # of a tensor: CUTLASS 2.x steps through it with 32-bit offsets
MOST_TAPS = 32  # in a direction: the optimised iterators over taps have a mask bit for each


def padded(conv: Convolution, alignment: Sequence[int]) -> Convolution:
    """The convolution with its channels and filters padded to what a kernel of these alignments reads and writes.

    Channels and filters are the contiguous sizes of NHWC tensors and of KRSC filters.

    >>> conv1 = Convolution("fprop", 2, 3, 224, 224, 62, (7, 7), (2, 2), (3, 3))
    >>> (one := padded(conv1, (8, 8, 8))).channels, one.filters
    (8, 64)
    """
    a, b, c = alignment
    channels, filters = {"fprop": ((a, b), (c,)), "dgrad": ((b, c), (a,)), "wgrad": ((b, c), (a,))}[conv.pass_]
    return replace(
        conv, channels=round_up(conv.channels, math.lcm(*channels)), filters=round_up(conv.filters, math.lcm(*filters))
    )


def computes(kernel: GemmKernel, conv: Convolution) -> bool:
    """Whether the kernel computes this convolution once its channels are padded.

    Its pass, one group, tensors below 2 GiB, at most 32 taps each way but in wgrad; dgrad by the kernel for its stride,
    with strides undilated (the one for larger strides would do stride 1, slower); kernels for few channels no more than
    those.
    """
    if kernel.conv != conv.pass_ or conv.groups != 1 or min(conv.out) < 1 or not _strides(kernel, conv):
        return False
    whole = padded(conv, kernel.alignment)
    if kernel.few:
        walks = whole.channels == kernel.alignment[0]
    else:
        walks = conv.pass_ == "wgrad" or max(conv.kernel) <= MOST_TAPS
    return walks and max(tensor_bytes(whole, kernel.precision.operand, kernel.precision.output)) <= MOST_BYTES


def _strides(kernel: GemmKernel, conv: Convolution) -> bool:
    unity = max(conv.stride) == 1
    return {"any": True, "unity": unity, "strided": not unity and max(conv.dilation) == 1}[kernel.stride]


def tensor_shapes(conv: Convolution) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """A, B and C of the pass as rows of contiguous elements: pixels by channels, filters by (r, s, c).

    >>> tensor_shapes(Convolution("dgrad", 2, 3, 5, 7, 11, (3, 3)))
    ((30, 11), (11, 27), (70, 3))
    """
    p, q = conv.out
    r, s = conv.kernel
    x = (conv.images * conv.height * conv.width, conv.channels)
    y, w = (conv.images * p * q, conv.filters), (conv.filters, r * s * conv.channels // conv.groups)
    return {"fprop": (x, w, y), "dgrad": (y, w, x), "wgrad": (y, x, w)}[conv.pass_]


def tensor_bytes(conv: Convolution, operand: Format, output: Format) -> tuple[int, int, int]:
    """Bytes of A, B and C."""
    formats = (operand, operand, output)
    shapes = tensor_shapes(conv)
    return tuple(
        ceil_div(rows * columns * form.bits, 8) for (rows, columns), form in zip(shapes, formats, strict=True)
    )  # fmt: skip


def implicit_gemm(gemm: Gemm, conv: Convolution, tile_k: int = 1) -> Gemm:
    """The GEMM of a padded convolution, with the channels of each tap in whole tiles of k.

    Strides divide dgrad's k, as in `lowering`: no zero between pixels is multiplied.

    >>> conv1 = Convolution("fprop", 2, 8, 224, 224, 64, (7, 7), (2, 2), (3, 3))
    >>> (one := implicit_gemm(Gemm(25088, 64, 152, conv=conv1), conv1, 32)).m, one.n, one.k
    (25088, 64, 1568)
    """
    p, q = conv.out
    taps, pixels = math.prod(conv.kernel), conv.images * p * q
    if conv.pass_ == "fprop":
        m, n, k = pixels, conv.filters, taps * round_up(conv.channels, tile_k)
    elif conv.pass_ == "dgrad":
        depth = taps * round_up(conv.filters, tile_k)
        m, n, k = conv.images * conv.height * conv.width, conv.channels, ceil_div(depth, math.prod(conv.stride))
    else:
        m, n, k = conv.filters, taps * conv.channels, pixels
    return replace(gemm, m=m, n=n, k=k, conv=conv)
