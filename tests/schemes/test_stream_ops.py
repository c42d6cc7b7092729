"""Every memory-bound kernel of every bundled network names its op, and its shape holds what `STREAM_OPS` says."""

import math
from functools import cache

import pytest

from perfmodel.gemm import LAYOUTS, Gemm
from perfmodel.lowering import KINDS, MAPPINGS, STREAM_OPS, MemoryOp
from perfmodel.networks import find_network, network_names
from perfmodel.schemes import LEVELS, Overhead, find_breakdown_scheme, training_step

STEPS = ("fp32", "fp16", "int8", "dfx12", "fp8_e4m3", "int4")
# Bytes of an element of the operand, of what the GEMM writes.
WIDTHS = {"fp32": (4, 4), "fp16": (2, 2), "int8": (1, 4), "dfx12": (2, 4), "fp8_e4m3": (1, 2), "int4": (0.5, 4)}
# Bytes read and written for each element.
EACH = {
    "absmax": (4, 0), "quantise": (4, 1), "quantise_delayed": (4, 1), "cast": (4, 2), "check": (4, 4),
    "update": (12, 8),
}  # fmt: skip


@cache
def works(name, precision, mapping, level="current"):
    scheme, formats = find_breakdown_scheme(precision)
    return training_step(find_network(name), 3, scheme, formats, mapping, Overhead(level))


def streams(name, precision, mapping, level="current"):
    return {work.kernel for work in works(name, precision, mapping, level) if isinstance(work.kernel, MemoryOp)}


@pytest.mark.parametrize("name", network_names())
@pytest.mark.parametrize("precision", STEPS)
def test_every_stream_has_an_op_and_the_shape_of_it(name, precision):
    for mapping in MAPPINGS:
        for stream in streams(name, precision, mapping):
            assert len(stream.shape) == len(STREAM_OPS[stream.op]), stream
            assert all(type(size) is int and size >= 0 for size in stream.shape), stream
            check_bytes(stream, *WIDTHS[precision])
        assert {work.kind for work in works(name, precision, mapping)} <= set(KINDS)


def check_bytes(stream, width, out_width):
    """The bytes of a stream from its shape alone."""
    moved = (stream.bytes_read, stream.bytes_written)
    if stream.op in EACH:
        assert moved == tuple(size * stream.shape[0] for size in EACH[stream.op])
    elif stream.op == "transpose":
        assert moved == (math.prod(stream.shape) * width,) * 2
    elif "col" in stream.op:
        shape = dict(zip(STREAM_OPS[stream.op], stream.shape, strict=True))
        image, matrix = shape["images"] * shape["c"] * shape["h"] * shape["w"], matrix_elements(stream.op, shape)
        expected = (matrix * out_width, image * out_width) if stream.op == "col2im" else (image * width, matrix * width)
        assert moved == expected
    else:
        assert stream.op == "stream"


def matrix_elements(op, shape):
    """A line for each pixel and group, or, turned round, for each place of the column."""
    out = []
    for x, kernel in (("h", "r"), ("w", "s")):
        reach = shape[f"dilation_{x}"] * (shape[kernel] - 1) + 1
        out.append((shape[x] + 2 * shape[f"pad_{x}"] - reach) // shape[f"stride_{x}"] + 1)
    pixels, column = shape["images"] * math.prod(out), shape["c"] // shape["groups"] * shape["r"] * shape["s"]
    lines, least = (column, pixels) if op == "im2col_transposed" else (pixels, column)
    assert least <= shape["line"] < least + 32
    return shape["groups"] * lines * shape["line"]


@pytest.mark.parametrize("name", ["resnet20", "mobilenetv2"])
@pytest.mark.parametrize("level", LEVELS)
def test_levels_of_overhead_have_their_ops(name, level):
    expected = {
        "ideal": set(), "epilogue": {"fused"}, "delayed": {"quantise_delayed"}, "current": {"absmax", "quantise"},
        "naive": {"stream"}, "unfused": {"stream"}, "measured": {"absmax", "quantise"},
    }  # fmt: skip
    ops = {work.kernel.op for work in works(name, "int8", "im2col", level) if work.kind == "quantise"}
    assert ops == expected[level]
    turned = {stream.op for stream in streams(name, "int8", "im2col", level)} & {"transpose", "im2col_transposed"}
    assert turned == (set() if level == "ideal" else {"transpose", "im2col_transposed"})


@pytest.mark.parametrize("precision", STEPS)
def test_ops_of_each_step(precision):
    """What a step of ResNet20 in column form consists of; layers that no GEMM computes have no op of their own yet."""
    quantised = {"absmax", "quantise"} if precision in ("int8", "dfx12") else set()
    cast = {"cast", "check"} if precision == "fp16" else set()
    turned = {"transpose", "im2col_transposed"} if precision in ("int8", "fp8_e4m3", "int4") else set()
    ops = {stream.op for stream in streams("resnet20", precision, "im2col")}
    assert ops == {"stream", "update", "im2col", "col2im"} | quantised | cast | turned


@pytest.mark.parametrize("name", network_names())
@pytest.mark.parametrize("precision", STEPS)
def test_layouts(name, precision):
    narrow = precision in ("int8", "fp8_e4m3", "int4")
    of_pass = {"fprop": "tn", "dgrad": "tn" if narrow else "tt", "wgrad": "tn" if narrow else "nt"}
    for mapping in ("implicit", "im2col"):
        for work in works(name, precision, mapping):
            if isinstance(work.kernel, Gemm):
                assert work.kernel.layout == of_pass[work.pass_]
    assert set(of_pass.values()) <= set(LAYOUTS)
