"""Where the taps of a convolution meet its tensors: which pixels a sampled product gathers, and sums over taps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from perfmodel.convolution import Convolution
from perfmodel.gemm import Gemm, Precision
from perfmodel.measure.cuda.matrices import MOST_PROBED, Matrix
from perfmodel.measure.cutlass.implicit import implicit_gemm, tensor_shapes
from perfmodel.units import ceil_div

MOST_SUMMED = 2**22  # numbers that come to the host for one sum over taps
NOWHERE = -1  # a tap that meets padding, or falls between two strides


def tensors_of(conv: Convolution, precision: Precision) -> tuple[Matrix, Matrix, Matrix]:
    """A, B and C of the pass as they are stored: pixels by channels, filters by (r, s, c)."""
    formats = (precision.operand, precision.operand, precision.output)
    shapes = tensor_shapes(conv)
    return tuple(Matrix(*shape, True, 1, form) for shape, form in zip(shapes, formats, strict=True))


def transposed(matrix: Matrix) -> Matrix:
    """The same elements with rows and columns exchanged."""
    return Matrix(matrix.columns, matrix.rows, not matrix.row_major, matrix.count, matrix.format)


def fewer_images(gemm: Gemm, conv: Convolution) -> tuple[Gemm, Convolution]:
    """The problem with as many images as can be checked in little time, at least one."""
    p, q = conv.out
    taps = conv.kernel[0] * conv.kernel[1]
    image = max(conv.height * conv.width, p * q)
    elements = conv.height * conv.width * conv.channels + p * q * conv.filters
    most = min(MOST_SUMMED // (taps * image), MOST_PROBED // elements)
    kept = replace(conv, images=max(1, min(conv.images, most)))
    return implicit_gemm(gemm, kept), kept


def input_pixels(conv: Convolution, outputs: np.ndarray) -> np.ndarray:
    """The input pixels [outputs, taps] that output pixels are summed from, as rows of the tensor; `NOWHERE` beside."""
    p, q = conv.out
    image, row, column = outputs // (p * q), outputs // q % p, outputs % q
    h = (row * conv.stride[0] - conv.padding[0])[:, None] + np.arange(conv.kernel[0]) * conv.dilation[0]
    w = (column * conv.stride[1] - conv.padding[1])[:, None] + np.arange(conv.kernel[1]) * conv.dilation[1]
    h, w = np.where((h >= 0) & (h < conv.height), h, NOWHERE), np.where((w >= 0) & (w < conv.width), w, NOWHERE)
    return _joined(image, h, w, conv.height, conv.width)


def output_pixels(conv: Convolution, inputs: np.ndarray) -> np.ndarray:
    """The output pixels [inputs, taps] that input pixels add to, as rows of the tensor; `NOWHERE` beside."""
    image, row = inputs // (conv.height * conv.width), inputs // conv.width % conv.height
    column, out = inputs % conv.width, conv.out
    reached = []
    for axis, place in enumerate((row, column)):
        to = (place + conv.padding[axis])[:, None] - np.arange(conv.kernel[axis]) * conv.dilation[axis]
        step = conv.stride[axis]
        meets = (to >= 0) & (to % step == 0) & (to // step < out[axis])
        reached.append(np.where(meets, to // step, NOWHERE))
    return _joined(image, *reached, *out)


def alike_inputs(conv: Convolution, generator: np.random.Generator) -> np.ndarray:
    """All input pixels with the taps of one, which has the most: of strided ones, those of one remainder."""
    inputs = np.arange(conv.images * conv.height * conv.width)
    met = (output_pixels(conv, inputs[: conv.height * conv.width]) != NOWHERE).sum(axis=1)
    leader = generator.choice(np.flatnonzero(met == met.max()))
    rows, columns = inputs // conv.width % conv.height, inputs % conv.width
    like_h = rows % conv.stride[0] == leader // conv.width % conv.stride[0]
    return inputs[like_h & (columns % conv.stride[1] == leader % conv.width % conv.stride[1])]


def gathered(conv: Convolution, of_tap: Callable[[int], np.ndarray]) -> np.ndarray:
    """[outputs]: for each output pixel the sum of `of_tap(tap)` [inputs] over the input pixels that its taps meet."""
    summed = np.zeros((conv.images, *conv.out))
    for tap, there, here in _spans(conv):
        summed[there] += of_tap(tap).reshape(conv.images, conv.height, conv.width)[here]
    return summed.ravel()


def scattered(conv: Convolution, of_tap: Callable[[int], np.ndarray]) -> np.ndarray:
    """[inputs]: for each input pixel the sum of `of_tap(tap)` [outputs] over the output pixels that it adds to."""
    summed = np.zeros((conv.images, conv.height, conv.width))
    for tap, there, here in _spans(conv):
        summed[here] += of_tap(tap).reshape(conv.images, *conv.out)[there]
    return summed.ravel()


def depths(conv: Convolution) -> np.ndarray:
    """How many taps each row of the output is summed over (dgrad, fprop), as a share of the most."""
    if conv.pass_ == "dgrad":
        met = scattered(conv, lambda tap: np.ones(conv.images * conv.out[0] * conv.out[1]))
    else:
        met = gathered(conv, lambda tap: np.ones(conv.images * conv.height * conv.width))
    return met / max(met.max(), 1.0)


def _spans(conv: Convolution) -> Iterator[tuple[int, tuple[slice, ...], tuple[slice, ...]]]:
    """Of each tap that meets the image: its number, the output pixels that it adds to, the input pixels that it reads.

    Both are slices of [images, rows, columns].
    """
    everywhere = slice(None)
    for r in range(conv.kernel[0]):
        rows = _met(conv, 0, r)
        for s in range(conv.kernel[1]):
            columns = _met(conv, 1, s)
            if rows and columns:
                yield r * conv.kernel[1] + s, (everywhere, rows[0], columns[0]), (everywhere, rows[1], columns[1])


def _met(conv: Convolution, axis: int, tap: int) -> tuple[slice, slice] | None:
    offset, step = tap * conv.dilation[axis] - conv.padding[axis], conv.stride[axis]
    first = max(0, ceil_div(-offset, step))
    last = min(conv.out[axis] - 1, ((conv.height, conv.width)[axis] - 1 - offset) // step)
    if first > last:
        return None
    return slice(first, last + 1), slice(first * step + offset, last * step + offset + 1, step)


def _joined(image: np.ndarray, h: np.ndarray, w: np.ndarray, height: int, width: int) -> np.ndarray:
    meets = (h != NOWHERE)[:, :, None] & (w != NOWHERE)[:, None, :]
    rows = (image[:, None, None] * height + h[:, :, None]) * width + w[:, None, :]
    return np.where(meets, rows, NOWHERE).reshape(len(image), -1)
