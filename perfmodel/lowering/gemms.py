"""From layers to kernels: the GEMMs of each pass and the memory-bound work around them.

With B images, C input channels of H x W, K filters of R x S, output P x Q and G groups, one convolution becomes

    mapping            pass    m       n       k           reads of the stored tensors
    implicit           fprop   B·P·Q   K/G     C/G·R·S     pixels once, though the GEMM's view repeats them
                       dgrad   B·H·W   C/G     K/G·R·S/stride²
                       wgrad   K/G     C/G·R·S B·P·Q
    im2col             fprop   B·P·Q   K/G     C/G·R·S     the im2col matrix, written before and read whole
                       dgrad   B·P·Q   C/G·R·S K/G         and scattered back afterwards (col2im)
                       wgrad   K/G     C/G·R·S B·P·Q
    im2col-per-image   the im2col GEMMs transposed, for one image at a time, B launches (Caffe's way)

with G as the GEMM's batch. Layouts (see `Gemm`) are those of the tensors as they are: activations [pixels, channels]
and weights [filters, column], or [channels, pixels] image by image. Units for 8 bits and fewer read both operands along
k alone: theirs are `tn` in every pass, and `copies.py` has what turns the tensors round. In column form (im2col) the
three passes do equal MACs. A strided dgrad in implicit form skips the products with inserted zeros, so its k is divided
by the stride. Sizes are padded to what fast kernels need (`Gemm.aligned`). Sources: Chetlur et al., arXiv 1410.0759;
CUTLASS documentation, implicit_gemm_convolution.md.
"""

from __future__ import annotations

from dataclasses import replace

from perfmodel.convolution import Convolution
from perfmodel.errors import unknown_name
from perfmodel.gemm import Gemm, Precision
from perfmodel.networks import Conv2d, Linear
from perfmodel.units import ceil_div

PASSES = ("fprop", "dgrad", "wgrad")
LAYOUT_OF = {"fprop": "tn", "dgrad": "tt", "wgrad": "nt"}
LAYOUT_PER_IMAGE = {"fprop": "tt", "dgrad": "nt", "wgrad": "tn"}
MAPPINGS = ("implicit", "im2col", "im2col-per-image")


def layer_gemm(layer: Conv2d | Linear, pass_: str, batch: int, mapping: str, precision: Precision) -> Gemm:
    """The GEMM of one layer and pass, not yet padded (`Gemm.aligned` does that).

    >>> from perfmodel.gemm import find_precision
    >>> fc = Linear("fc", ("x",), (7, 1, 1), 5)
    >>> g = layer_gemm(fc, "dgrad", 3, "implicit", find_precision("fp32"))
    >>> g.m, g.n, g.k, g.layout
    (3, 7, 5, 'tt')
    """
    if mapping not in MAPPINGS:
        raise unknown_name("E1005", "mapping", mapping, MAPPINGS)
    gemm, more = _gemm(layer, pass_, batch, mapping, precision), {}
    if mapping == "implicit" and isinstance(layer, Conv2d):
        more["conv"] = _convolution(layer, pass_, batch)
    if not precision.operand.reads_along_k:
        per_image = mapping == "im2col-per-image" and isinstance(layer, Conv2d)
        more["layout"] = (LAYOUT_PER_IMAGE if per_image else LAYOUT_OF)[pass_]
    return replace(gemm, **more) if more else gemm


def _convolution(layer: Conv2d, pass_: str, batch: int) -> Convolution:
    sizes = (layer.out_channels, layer.kernel, layer.stride, layer.padding, layer.dilation, layer.groups)
    return Convolution(pass_, batch, *layer.in_shape, *sizes)


def _gemm(layer: Conv2d | Linear, pass_: str, batch: int, mapping: str, precision: Precision) -> Gemm:
    if isinstance(layer, Linear):
        i, o = layer.in_features, layer.out_features
        m, n, k = {"fprop": (batch, o, i), "dgrad": (batch, i, o), "wgrad": (o, i, batch)}[pass_]
        return Gemm(m, n, k, 1, precision)
    if mapping == "im2col-per-image":
        return _column_gemm(layer, pass_, precision)
    if mapping == "im2col":
        return _im2col_gemm(layer, pass_, batch, precision)
    return _implicit_gemm(layer, pass_, batch, precision)


def column_sizes(layer: Conv2d) -> tuple[int, int, int, int]:
    """Output pixels P·Q, input channels and filters of one group, and the column height C/G·R·S."""
    k, p, q = layer.out_shape
    c = layer.in_shape[0] // layer.groups
    return p * q, c, k // layer.groups, c * layer.kernel[0] * layer.kernel[1]


def _im2col_gemm(layer: Conv2d, pass_: str, batch: int, precision: Precision) -> Gemm:
    pixels, _, filters, column = column_sizes(layer)
    m, n, k = {
        "fprop": (batch * pixels, filters, column),
        "dgrad": (batch * pixels, column, filters),
        "wgrad": (filters, column, batch * pixels),
    }[pass_]
    return Gemm(m, n, k, layer.groups, precision)


def _column_gemm(layer: Conv2d, pass_: str, precision: Precision) -> Gemm:
    pixels, _, filters, column = column_sizes(layer)
    m, n, k = {
        "fprop": (filters, pixels, column),
        "dgrad": (column, pixels, filters),
        "wgrad": (filters, column, pixels),
    }[pass_]
    return Gemm(m, n, k, layer.groups, precision)


def _implicit_gemm(layer: Conv2d, pass_: str, batch: int, precision: Precision) -> Gemm:
    pixels, channels, filters, column = column_sizes(layer)
    _, h, w = layer.in_shape
    read = batch * layer.in_shape[0] * min(h * w, pixels * layer.kernel[0] * layer.kernel[1])  # strides skip pixels
    if pass_ == "fprop":
        return Gemm(batch * pixels, filters, column, layer.groups, precision, a_distinct=read)
    if pass_ == "wgrad":
        return Gemm(filters, column, batch * pixels, layer.groups, precision, b_distinct=read)
    taps = filters * layer.kernel[0] * layer.kernel[1]
    k = ceil_div(taps, layer.stride[0] * layer.stride[1])
    stored = batch * pixels * layer.out_channels
    return Gemm(
        batch * h * w, channels, k, layer.groups, precision, a_distinct=min(stored, batch * h * w * k * layer.groups)
    )
