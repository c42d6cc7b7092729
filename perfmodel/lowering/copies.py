"""What a GEMM's operands are copied into first: im2col and col2im, and transposes for units that read along k alone.

Tensor cores read operands of 8 bits and fewer along the GEMM's k only (PTX ISA, ldmatrix: it transposes 16-bit data).
With tensors stored as they are, that is so in fprop. The other passes need copies that are turned round:

    dgrad   the weights [filters, column]
    wgrad   the output's gradient [pixels, filters]; the input too, as the im2col matrix or the pixels themselves

No convolution in implicit form reads INT8 that way in wgrad (CUTLASS has none): there, too, the copies are what it
would need at least.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from perfmodel.gemm import Gemm, Precision
from perfmodel.lowering.gemms import PASSES, column_sizes, layer_gemm
from perfmodel.lowering.work import MemoryOp, Work
from perfmodel.networks import Conv2d, Layer, Linear
from perfmodel.networks.layers import elements


def im2col_elements(layer: Layer, batch: int) -> tuple[int, int]:
    """Elements of the images and of the im2col matrix made from them: (0, 0) where the layer needs no copy.

    >>> im2col_elements(Conv2d("c", ("x",), (3, 5, 5), 7, (3, 3), padding=(1, 1)), batch=2)
    (150, 1350)
    """
    if not isinstance(layer, Conv2d) or _is_pointwise(layer):
        return 0, 0
    pixels, _, _, column = column_sizes(layer)
    return batch * elements(layer.in_shape), batch * pixels * column * layer.groups


def _is_pointwise(layer: Conv2d) -> bool:
    return layer.kernel == (1, 1) and layer.stride == (1, 1) and layer.padding == (0, 0)


def lower_gemms(
    layer: Conv2d | Linear, batch: int, mapping: str, precision: Precision, passes=PASSES, transposes: bool = True
) -> Iterator[Work]:
    """The GEMMs of one layer, padded, each with the copies that its mapping and its unit need.

    `transposes` False leaves those of the unit out: what a format would take if its unit read any layout.
    """
    per_image = mapping == "im2col-per-image" and isinstance(layer, Conv2d)
    launches = batch if per_image else 1
    images = batch // launches
    has_matrix = mapping != "implicit" and im2col_elements(layer, images)[0] > 0
    for pass_ in passes:
        gemm = layer_gemm(layer, pass_, batch, mapping, precision).aligned()
        turned = transposes and precision.operand.reads_along_k
        if has_matrix:
            copy = _im2col_of_one if per_image else _im2col
            yield Work(layer.name, pass_, "im2col", copy(layer, images, pass_, gemm, turned), launches)
        for tensor in TURNED[per_image][pass_] if turned else ():
            if tensor != "input" or not has_matrix:  # else the matrix is made the right way round
                yield _transpose(layer, pass_, tensor, batch, per_image, precision.operand.bytes)
        yield Work(layer.name, pass_, "gemm", gemm, launches)


# The tensors that lie the wrong way round for units that read along k: where they are stored pixel by pixel, and, image
# by image, channel by channel.
TURNED = {
    False: {"fprop": (), "dgrad": ("weights",), "wgrad": ("output", "input")},
    True: {"fprop": ("input",), "dgrad": ("weights", "output"), "wgrad": ()},
}


def _im2col(layer: Conv2d, images: int, pass_: str, gemm: Gemm, turned: bool) -> MemoryOp:
    """im2col before a GEMM, in the operand's format; col2im after the data gradient's, in the format that it writes.

    The matrix has a line of `line` elements for each pixel, or, turned round, for each place of the column.
    """
    stored, matrix = im2col_elements(layer, images)
    pixels, _, _, column = column_sizes(layer)
    if turned and pass_ == "wgrad":
        name, line, matrix = "im2col_transposed", gemm.k, matrix // (images * pixels) * gemm.k
    else:
        line = gemm.k if pass_ == "fprop" else gemm.n
        name, matrix = "col2im" if pass_ == "dgrad" else "im2col", matrix // column * line
    shape = (images, *layer.in_shape, *layer.kernel, *layer.stride, *layer.padding, *layer.dilation, layer.groups, line)
    return _copy(pass_, gemm, stored, matrix, name, shape)


def _im2col_of_one(layer: Conv2d, images: int, pass_: str, gemm: Gemm, turned: bool) -> MemoryOp:
    """The same for one image, whose matrix is the GEMM's own: any kernel that moves these bytes stands for the copy."""
    lines = gemm.m if pass_ == "dgrad" else gemm.k
    return _copy(pass_, gemm, im2col_elements(layer, images)[0], gemm.batch * lines * gemm.n)


def _copy(pass_: str, gemm: Gemm, stored: int, matrix: int, op: str = "stream", shape: tuple = ()) -> MemoryOp:
    if pass_ == "dgrad":
        width = gemm.precision.output.bytes
        return MemoryOp(matrix * width, stored * width, op, shape)
    width = gemm.precision.operand.bytes
    return MemoryOp(stored * width, matrix * width, op, shape)


def _transpose(layer: Layer, pass_: str, tensor: str, batch: int, per_image: bool, width: float) -> Work:
    """One tensor turned round: the weights once, the others image by image where they are lowered so.

    The few elements that pad the lines of the copy do not count.
    """
    if tensor == "weights":
        shape, launches = _weights(layer), 1
    elif per_image:
        shape, launches = _matrix(layer, tensor, 1)[::-1], batch  # [channels, pixels]
    else:
        shape, launches = _matrix(layer, tensor, batch), 1
    size = prod(shape) * width
    operation = MemoryOp(size, size, "transpose", shape)
    return Work(layer.name, pass_, "transpose", operation, launches)


def _weights(layer: Conv2d | Linear) -> tuple[int, int]:
    if isinstance(layer, Linear):
        return layer.out_features, layer.in_features
    return layer.out_channels, column_sizes(layer)[3]


def _matrix(layer: Layer, tensor: str, images: int) -> tuple[int, int]:
    """Pixels of all images and channels of a layer's input or output; a fully connected one has one pixel an image."""
    if isinstance(layer, Linear):
        return images, layer.in_features if tensor == "input" else layer.out_features
    channels, height, width = layer.in_shape if tensor == "input" else layer.out_shape
    return images * height * width, channels
