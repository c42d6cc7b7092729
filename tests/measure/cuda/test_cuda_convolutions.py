"""Convolutions in implicit form on a device in host memory: operands, geometry, and checks by definition."""

import ctypes
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.convolution import Convolution
from perfmodel.formats import find_format
from perfmodel.gemm import Gemm, find_precision
from perfmodel.measure.backend import BuildFailed
from perfmodel.measure.bench import Bench
from perfmodel.measure.cuda import implicit
from perfmodel.measure.cuda.implicit import (
    NOWHERE,
    alike_inputs,
    depths,
    fewer_images,
    gathered,
    input_pixels,
    output_pixels,
    scattered,
    tensors_of,
    transposed,
)
from perfmodel.measure.cuda.matrices import Matrix
from perfmodel.measure.cuda.operands import A, B, C
from perfmodel.measure.sampling import Visit
from perfmodel.measure.settings import Settings
from perfmodel.measure.streams.windows import Window, col2im, im2col
from perfmodel.measure.verify import verify
from perfmodel.profiles.kernel import Kernel

LAYOUTS = {"fprop": "tn", "dgrad": "tt", "wgrad": "nt"}
PLAIN = (2, 5, 7, 6, 4, (3, 2), (1, 1), (1, 0))  # images, channels, height, width, filters, kernel, stride, padding
STRIDED = (2, 5, 8, 7, 4, (3, 3), (2, 3), (1, 1))
POINTS = (2, 5, 7, 7, 4, (1, 1), (2, 2), (0, 0))  # three in four input pixels are read by nobody
CONV1 = (1, 3, 11, 12, 6, (5, 5), (2, 2), (2, 2))
DILATED = (2, 3, 9, 9, 4, (3, 3), (1, 1), (2, 2), (2, 2))


def problem(pass_, sizes, name="fp32"):
    conv = Convolution(pass_, *sizes)
    precision = find_precision(name)
    layout = "tn" if precision.operand.reads_along_k else LAYOUTS[pass_]
    return Gemm(1, 1, 1, precision=precision, layout=layout, a_distinct=1, conv=conv)


def verdict_of(backend, kernel, check="strict"):
    function = backend.build(kernel)
    return verify(kernel, lambda data, seed: backend.product(function, kernel, data, seed), check, 11)


RIGHT = [
    *((f"host_fp32_{pass_}", pass_, sizes) for pass_ in LAYOUTS for sizes in (PLAIN, STRIDED, POINTS, CONV1, DILATED)),
    *((f"host_fp16_{pass_}", pass_, sizes) for pass_ in LAYOUTS for sizes in (PLAIN, STRIDED, CONV1)),
    ("host_fp16_few", "fprop", CONV1), ("host_int8_fprop", "fprop", STRIDED),
]  # fmt: skip


@pytest.mark.parametrize(("variant", "pass_", "sizes"), RIGHT)
def test_right_convolutions_pass(backend, variant, pass_, sizes):
    verdict = verdict_of(backend, Kernel(problem(pass_, sizes, variant.split("_")[1]), variant))
    assert verdict.reason == ""
    assert verdict.figures["launches"] == 4
    assert verdict.figures.get("probe_ratio", 0) < 1


@pytest.mark.parametrize("pass_", LAYOUTS)
@pytest.mark.parametrize("sizes", [PLAIN, STRIDED])
def test_flipped_filters_are_seen(backend, pass_, sizes):
    assert verdict_of(backend, Kernel(problem(pass_, sizes), f"host_flipped_{pass_}")).reason


@pytest.mark.parametrize("pass_", LAYOUTS)
def test_a_pixel_that_is_left_out_is_seen(backend, pass_):
    assert verdict_of(backend, Kernel(problem(pass_, PLAIN), f"host_lost_{pass_}")).reason


REFUSED = [
    ("fprop", PLAIN, "fp32", "cublas", "cuBLAS has no convolutions"),
    ("wgrad", PLAIN, "int8", "", "CUTLASS has no int8 wgrad in implicit form"),
    ("dgrad", PLAIN, "int8", "", "CUTLASS has no int8 dgrad in implicit form"),
    ("fprop", (2, 4, 7, 6, 4, (3, 3), (1, 1), (1, 1), (1, 1), 2), "fp32", "", "2 groups"),
    ("fprop", PLAIN, "bf16", "", "fprop 2x5x7x6.* in bf16"),
    ("fprop", (256, 64, 224, 224, 64, (3, 3)), "fp32", "", "fprop 256x64x224x224.* has 2 GiB or more"),
    ("fprop", PLAIN, "fp32", "host_fp32_tn", "computes matrix products, not fprop"),
    ("dgrad", PLAIN, "fp32", "host_fp32_tt", "computes matrix products, not dgrad"),
]  # fmt: skip


@pytest.mark.parametrize(("pass_", "sizes", "name", "variant", "said"), REFUSED)
def test_what_has_no_kernel_says_why(backend, pass_, sizes, name, variant, said):
    with pytest.raises(BuildFailed, match=said):
        backend.build(Kernel(problem(pass_, sizes, name), variant))


def test_a_kernel_for_convolutions_multiplies_no_matrices(backend):
    with pytest.raises(BuildFailed, match="computes fprop, not matrix products"):
        backend.build(Kernel(Gemm(8, 8, 8), "host_fp32_fprop"))


def test_operands_are_the_tensors_with_padded_channels(backend):
    kernel = Kernel(problem("fprop", CONV1, "fp16"), "host_fp16_fprop")
    operands = backend.allocate(kernel, 1, "realistic", 3)
    sizes = [buffer.size_bytes for buffer in operands.slab.buffers]
    assert sizes == [2 * 11 * 12 * 8, 2 * 8 * 25 * 8, 2 * 6 * 6 * 8]  # 3 channels and 6 filters are 8
    x = np.array((ctypes.c_uint16 * (11 * 12 * 8)).from_address(operands.address(0, A)), np.uint16).view(np.float16)
    w = np.array((ctypes.c_uint16 * (8 * 25 * 8)).from_address(operands.address(0, B)), np.uint16).view(np.float16)
    assert x.min() == 0  # activations come from a ReLU
    assert w.min() < -1
    few = backend.allocate(Kernel(kernel.problem, "host_fp16_few"), 1, "zeros", 0)
    assert [buffer.size_bytes for buffer in few.slab.buffers] == [2 * 11 * 12 * 4, 2 * 8 * 25 * 4, 2 * 6 * 6 * 8]
    for one in (operands, few):
        backend.release(one)


def test_gradients_come_first_in_the_backward_passes(backend):
    for pass_ in ("dgrad", "wgrad"):
        operands = backend.allocate(Kernel(problem(pass_, PLAIN), f"host_fp32_{pass_}"), 1, "normal", 3)
        p, q = Convolution(pass_, *PLAIN).out
        y, w, x = 4 * 2 * p * q * 4, 4 * 4 * 6 * 5, 4 * 2 * 7 * 6 * 5
        expected = {"dgrad": [y, w, x], "wgrad": [y, x, w]}[pass_]
        assert [buffer.size_bytes for buffer in operands.slab.buffers] == expected
        backend.release(operands)


def test_a_launch_computes_the_convolution(backend):
    kernel = Kernel(problem("fprop", STRIDED), "host_fp32_fprop")
    operands = backend.allocate(kernel, 2, "normal", 3)
    backend.launch_each(backend.build(kernel), operands, 1, 1)
    window = Window(2, 5, 8, 7, 3, 3, 2, 3, 1, 1, 1, 1, 1, 45)
    x, w = floats(operands, A, (2, 8, 7, 5)), floats(operands, B, (4, 45))
    expected = im2col(x, window)[0] @ w.T
    np.testing.assert_allclose(floats(operands, C, expected.shape), expected, rtol=1e-5, atol=1e-5)
    backend.release(operands)


def floats(operands, buffer, shape):
    return np.array((ctypes.c_float * math.prod(shape)).from_address(operands.address(1, buffer)), np.float32).reshape(
        shape
    )


def test_the_engine_prepares_and_visits_one(backend):
    bench = Bench(lambda: backend, Settings())
    instrument = {"event_tick_s": 32e-9, "event_offset_s": 0.0, "graph_offset_s": 0.0}
    kernel = Kernel(problem("wgrad", PLAIN, "fp16"), "host_fp16_wgrad split2")
    record = bench.prepare(kernel, instrument, 1)
    assert (record["status"], record["mode"], record["resources"]) == ("ready", "graph", {"registers": 7})
    parts = {name: record[name] for name in ("launches", "sets", "mode", "expected_s")}
    row = bench.visit(Visit(kernel, spin_s=150e-6, seed=9, recheck=True, **parts))
    assert row["verification"]["ok"]
    assert record["sets"] > 1


def test_k_is_cut_by_kernels_that_can(backend):
    verdict = verdict_of(backend, Kernel(problem("wgrad", PLAIN), "host_fp32_wgrad split3"))
    assert verdict.reason == ""


@st.composite
def convolutions(draw):
    sizes = [draw(st.integers(1, 3)), 1, *(draw(st.integers(1, 9)) for _ in range(2)), 1]
    pairs = [
        tuple(draw(st.integers(least, most)) for _ in range(2)) for least, most in ((1, 4), (1, 3), (0, 3), (1, 2))
    ]
    conv = Convolution("fprop", *sizes, *pairs)
    return conv if min(conv.out) > 0 else Convolution("fprop", 2, 1, 5, 6, 1, (3, 2))


def window_of(conv):
    (r, s), (p, q), (h, w), (i, j) = conv.kernel, conv.stride, conv.padding, conv.dilation
    return Window(conv.images, 1, conv.height, conv.width, r, s, p, q, h, w, i, j, 1, r * s)


@settings(max_examples=60)
@given(convolutions())
def test_pixels_are_those_of_im2col(conv):
    pixels = np.arange(1, 1 + conv.images * conv.height * conv.width)
    image = pixels.reshape(conv.images, conv.height, conv.width, 1)
    outputs = np.arange(conv.images * math.prod(conv.out))
    expected = im2col(image, window_of(conv))[0]  # numbers of pixels from 1 on, 0 for padding
    np.testing.assert_array_equal(input_pixels(conv, outputs) + 1, expected)
    assert NOWHERE == -1


@settings(max_examples=60)
@given(convolutions())
def test_each_pixel_finds_the_outputs_that_read_it(conv):
    outputs, inputs = np.arange(conv.images * math.prod(conv.out)), np.arange(conv.images * conv.height * conv.width)
    there = {(o, t, i) for o, row in enumerate(input_pixels(conv, outputs)) for t, i in enumerate(row) if i >= 0}
    back = {(o, t, i) for i, row in enumerate(output_pixels(conv, inputs)) for t, o in enumerate(row) if o >= 0}
    assert there == back


@settings(max_examples=60)
@given(convolutions(), st.integers(0, 99))
def test_sums_over_taps_are_those_of_the_matrix(conv, seed):
    generator = np.random.default_rng(seed)
    window, taps = window_of(conv), math.prod(conv.kernel)
    x, v = generator.integers(-3, 4, (conv.images, conv.height, conv.width, 1)), generator.integers(-3, 4, taps)
    found = gathered(conv, lambda tap: x.ravel() * float(v[tap]))
    np.testing.assert_array_equal(found, im2col(x, window)[0] @ v)
    y = generator.integers(-3, 4, conv.images * math.prod(conv.out))
    spread = scattered(conv, lambda tap: y * float(v[tap]))
    np.testing.assert_array_equal(spread, col2im((y[:, None] * v)[None], window).ravel())


@settings(max_examples=60)
@given(convolutions(), st.integers(0, 99))
def test_sampled_pixels_of_dgrad_have_their_taps_in_common(conv, seed):
    inputs = np.arange(conv.images * conv.height * conv.width)
    every = (output_pixels(conv, inputs) != NOWHERE).sum(axis=1)
    pixels = alike_inputs(conv, np.random.default_rng(seed))
    met = output_pixels(conv, pixels) != NOWHERE
    assert met.sum(axis=1).max() == every.max()
    if max(conv.dilation) == 1:  # a stride of 2 leaves every second tap
        assert met.any(axis=0).sum() <= math.prod(-(-k // s) for k, s in zip(conv.kernel, conv.stride, strict=True))


def test_depths_count_the_taps_that_meet_the_tensor():
    conv = Convolution("fprop", 1, 1, 3, 3, 1, (3, 3), padding=(1, 1))
    np.testing.assert_array_equal(depths(conv) * 9, [4, 6, 4, 6, 9, 6, 4, 6, 4])
    strided = Convolution("dgrad", 1, 1, 3, 3, 1, (1, 1), (2, 2))
    np.testing.assert_array_equal(depths(strided), [1, 0, 1, 0, 0, 0, 1, 0, 1])


def test_large_problems_are_checked_on_fewer_images():
    conv = Convolution("fprop", 256, 64, 56, 56, 64, (3, 3), padding=(1, 1))
    gemm, kept = fewer_images(Gemm(1, 1, 1, conv=conv), conv)
    assert (kept.images, gemm.m, gemm.n, gemm.k, gemm.conv) == (148, 148 * 3136, 64, 576, kept)  # 2^22 / (9 · 3136)
    assert fewer_images(gemm, Convolution("fprop", 1, 3, 4000, 4000, 8, (3, 3)))[1].images == 1


def test_a_product_of_fewer_images_is_as_right(backend, monkeypatch):
    monkeypatch.setattr(implicit, "MOST_SUMMED", 2 * 6 * 7 * 6)  # pixels and taps of two images
    for pass_, rows in (("fprop", 2 * 7 * 5), ("dgrad", 2 * 7 * 6), ("wgrad", 4)):
        kernel = Kernel(problem(pass_, (9, *PLAIN[1:])), f"host_fp32_{pass_}")
        assert verdict_of(backend, kernel).reason == ""
        product = backend.product(backend.build(kernel), kernel, "normal", 1)
        assert product.probe(0)[0].shape == (rows,)


def test_tensors():
    a, b, c = tensors_of(Convolution("wgrad", 2, 3, 5, 7, 11, (3, 3)), find_precision("fp16", output="fp32"))
    assert [(one.rows, one.columns) for one in (a, b, c)] == [(30, 11), (70, 3), (11, 27)]
    assert (a.format.name, c.format.name, c.size_bytes) == ("fp16", "fp32", 4 * 11 * 27)
    turned = transposed(Matrix(3, 5, True, 1, find_format("fp32")))
    assert (turned.rows, turned.columns, turned.steps) == (5, 3, (1, 5))
