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

with G as the GEMM's batch. In column form (im2col) the three passes do equal MACs. A strided dgrad in implicit form
skips the products with inserted zeros, so its k is divided by the stride. Sources: Chetlur et al., arXiv 1410.0759;
CUTLASS documentation, implicit_gemm_convolution.md. k is padded to the operand's alignment (147 → 152 in FP16, 160 in
INT8).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perfmodel.errors import unknown_name
from perfmodel.gemm import Gemm, Precision
from perfmodel.networks import Conv2d, Layer, Linear, MemoryBound, Network
from perfmodel.networks.layers import elements
from perfmodel.units import ceil_div

PASSES = ("fprop", "dgrad", "wgrad")
MAPPINGS = ("implicit", "im2col", "im2col-per-image")

# Kinds of work, in the order tables and figures show them.
KINDS = (
    "gemm",
    "im2col",
    "batch norm",
    "activation",
    "pooling",
    "add/concat",
    "loss",
    "bias",
    "update",
    "cast",
    "quantise",
)
KIND_OF = {
    "batch_norm": "batch norm", "relu": "activation", "relu6": "activation", "dropout": "activation",
    "max_pool": "pooling", "avg_pool": "pooling", "adaptive_avg_pool": "pooling",
    "add": "add/concat", "concat": "add/concat", "softmax": "loss",
}  # fmt: skip

# Elements that a layer moves, in units of its input i (all inputs together) and output o:
# forward read, forward write, backward read, backward write. Batch norm reads its input twice each way (statistics,
# then values); a max pool's backward pass finds the maxima again; an add passes its gradient on untouched.
TRAFFIC = {
    "batch_norm": ("2i", "o", "4i", "i"),
    "relu": ("i", "o", "2o", "i"),
    "relu6": ("i", "o", "2o", "i"),
    "dropout": ("i", "o", "o", "i"),
    "softmax": ("i", "o", "o", "i"),
    "max_pool": ("i", "o", "i+2o", "i"),
    "avg_pool": ("i", "o", "o", "i"),
    "adaptive_avg_pool": ("i", "o", "o", "i"),
    "add": ("i", "o", "", ""),
    "concat": ("i", "o", "o", "i"),
}


@dataclass(frozen=True, slots=True)
class MemoryOp:
    """Work that is all traffic: it reads and writes so many bytes of device memory in one kernel."""

    bytes_read: float
    bytes_written: float

    @property
    def bytes(self) -> float:
        """Bytes read and written."""
        return self.bytes_read + self.bytes_written


@dataclass(frozen=True, slots=True)
class Delay:
    """Work whose time is given, not modelled: by the user, or by a publication."""

    seconds: float
    basis: str


@dataclass(frozen=True, slots=True)
class Work:
    """One kernel of a training step: for which layer and pass, of what kind, launched `count` times.

    `proxy` says why the kernel stands for another that the chip does not have, empty where it does not.
    """

    layer: str
    pass_: str
    kind: str
    kernel: Gemm | MemoryOp | Delay
    count: int = 1
    proxy: str = ""


def layer_gemm(layer: Conv2d | Linear, pass_: str, batch: int, mapping: str, precision: Precision) -> Gemm:
    """The GEMM of one layer and pass, k not yet padded (`Gemm.aligned` does that).

    >>> from perfmodel.gemm import find_precision
    >>> fc = Linear("fc", ("x",), (7, 1, 1), 5)
    >>> g = layer_gemm(fc, "dgrad", 3, "implicit", find_precision("fp32"))
    >>> g.m, g.n, g.k
    (3, 7, 5)
    """
    if mapping not in MAPPINGS:
        raise unknown_name("E1005", "mapping", mapping, MAPPINGS)
    if isinstance(layer, Linear):
        i, o = layer.in_features, layer.out_features
        m, n, k = {"fprop": (batch, o, i), "dgrad": (batch, i, o), "wgrad": (o, i, batch)}[pass_]
        return Gemm(m, n, k, 1, precision)
    if mapping == "im2col-per-image":
        return _column_gemm(layer, pass_, precision)
    if mapping == "im2col":
        return _im2col_gemm(layer, pass_, batch, precision)
    return _implicit_gemm(layer, pass_, batch, precision)


def _sizes(layer: Conv2d) -> tuple[int, int, int, int]:
    """Output pixels P·Q, input channels and filters of one group, and the column height C/G·R·S."""
    k, p, q = layer.out_shape
    c = layer.in_shape[0] // layer.groups
    return p * q, c, k // layer.groups, c * layer.kernel[0] * layer.kernel[1]


def _im2col_gemm(layer: Conv2d, pass_: str, batch: int, precision: Precision) -> Gemm:
    pixels, _, filters, column = _sizes(layer)
    m, n, k = {
        "fprop": (batch * pixels, filters, column),
        "dgrad": (batch * pixels, column, filters),
        "wgrad": (filters, column, batch * pixels),
    }[pass_]
    return Gemm(m, n, k, layer.groups, precision)


def _column_gemm(layer: Conv2d, pass_: str, precision: Precision) -> Gemm:
    pixels, _, filters, column = _sizes(layer)
    m, n, k = {
        "fprop": (filters, pixels, column),
        "dgrad": (column, pixels, filters),
        "wgrad": (filters, column, pixels),
    }[pass_]
    return Gemm(m, n, k, layer.groups, precision)


def _implicit_gemm(layer: Conv2d, pass_: str, batch: int, precision: Precision) -> Gemm:
    pixels, channels, filters, column = _sizes(layer)
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


def im2col_elements(layer: Layer, batch: int) -> tuple[int, int]:
    """Elements of the images and of the im2col matrix made from them: (0, 0) where the layer needs no copy.

    >>> im2col_elements(Conv2d("c", ("x",), (3, 5, 5), 7, (3, 3), padding=(1, 1)), batch=2)
    (150, 1350)
    """
    if not isinstance(layer, Conv2d):
        return 0, 0
    pointwise = layer.kernel == (1, 1) and layer.stride == (1, 1) and layer.padding == (0, 0)
    if pointwise:
        return 0, 0
    pixels, _, _, column = _sizes(layer)
    return batch * elements(layer.in_shape), batch * pixels * column * layer.groups


def lower_gemms(
    layer: Conv2d | Linear, batch: int, mapping: str, precision: Precision, passes=PASSES
) -> Iterator[Work]:
    """The GEMMs of one layer, k padded, each with the im2col or col2im copy that its mapping needs."""
    launches = batch if mapping == "im2col-per-image" and isinstance(layer, Conv2d) else 1
    images, matrix = im2col_elements(layer, batch // launches) if mapping != "implicit" else (0, 0)
    for pass_ in passes:
        plain = layer_gemm(layer, pass_, batch, mapping, precision)
        gemm = plain.aligned()
        if images:
            stored = matrix if pass_ == "dgrad" else matrix // plain.k * gemm.k  # only an operand's k is padded
            yield Work(layer.name, pass_, "im2col", _copy(pass_, images, stored, precision), launches)
        yield Work(layer.name, pass_, "gemm", gemm, launches)


def _copy(pass_: str, images: int, matrix: int, precision: Precision) -> MemoryOp:
    """im2col before a GEMM, in the operand's format; col2im after the data gradient's, in the format that it writes."""
    if pass_ == "dgrad":
        return MemoryOp(matrix * precision.output.bytes, images * precision.output.bytes)
    return MemoryOp(images * precision.operand.bytes, matrix * precision.operand.bytes)


def lower_memory(layer: Layer, batch: int, element_bytes: float, trains: bool) -> Iterator[Work]:
    """What a layer moves besides its GEMMs: all of a `MemoryBound` layer, the bias gradient of the others.

    `element_bytes` is the size of an activation or gradient element; `trains` whether its input needs a gradient.
    """
    out = batch * elements(layer.out_shape)
    if not isinstance(layer, MemoryBound):
        if layer.bias:
            yield Work(layer.name, "wgrad", "bias", MemoryOp(out * element_bytes, 0.0))
        return
    counts = {"i": batch * sum(elements(shape) for shape in layer.in_shapes), "o": out}
    read, write, back_read, back_write = (_amount(text, counts) * element_bytes for text in TRAFFIC[layer.op])
    yield Work(layer.name, "fprop", KIND_OF[layer.op], MemoryOp(read, write))
    if trains and back_read:
        yield Work(layer.name, "dgrad", KIND_OF[layer.op], MemoryOp(back_read, back_write))
    elif layer.parameters:  # a batch norm whose input needs no gradient: its scale and shift do
        yield Work(layer.name, "wgrad", KIND_OF[layer.op], MemoryOp(back_read, 0.0))


def _amount(text: str, counts: dict[str, int]) -> int:
    """`i+2o` as a number of elements."""
    terms = (term for term in text.split("+") if term)
    return sum(int(term[:-1] or 1) * counts[term[-1]] for term in terms)


def lower_joins(network: Network, batch: int, element_bytes: float) -> Iterator[Work]:
    """Sums of gradients where a trained output feeds several layers: read two, write one, for each but the first."""
    consumers = network.consumers()
    for layer in network.layers:
        readers = consumers[layer.name]
        trained = layer.parameters or layer.shares or network.trains_before(layer)
        if readers > 1 and trained:
            size = batch * elements(layer.out_shape) * element_bytes
            yield Work(layer.name, "dgrad", "add/concat", MemoryOp(2 * size, size), readers - 1)
