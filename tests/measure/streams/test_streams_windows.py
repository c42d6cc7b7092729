"""im2col and col2im against loops, a convolution and their adjoint; their kernels, and transposes, bit for bit."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.lowering import MemoryOp
from perfmodel.measure.streams.catalogue import stream_kernel, variants
from perfmodel.measure.streams.reference import expected, matches, sample_inputs
from perfmodel.measure.streams.windows import Window, col2im, im2col, im2col_transposed, magic

SHAPES = [  # images, c, h, w, r, s, stride, pad, dilation, groups, stored
    (2, 3, 9, 8, 3, 3, 2, 2, 1, 1, 1, 1, 1, 32),  # few channels, padded columns
    (2, 32, 5, 6, 3, 3, 1, 1, 1, 1, 1, 1, 2, 144),  # 16 channels a group: vectors of every width
    (1, 16, 7, 7, 3, 2, 1, 2, 0, 1, 2, 1, 1, 97),  # rows that do not start at 16 bytes
    (2, 6, 8, 8, 5, 5, 3, 3, 2, 2, 1, 1, 3, 51),
    (3, 4, 6, 6, 1, 1, 3, 2, 0, 0, 1, 1, 4, 1),  # depthwise, skips pixels
    (1, 80, 4, 4, 2, 2, 1, 1, 1, 0, 1, 1, 1, 320),  # several tiles
]
WINDOWS = st.builds(
    Window, st.integers(1, 2), st.sampled_from([2, 4, 6, 16]), st.integers(5, 8), st.integers(5, 8), st.integers(1, 3),
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(0, 2), st.integers(1, 2),
    st.integers(1, 2), st.sampled_from([1, 2]), st.sampled_from([144, 160, 147]),
)  # fmt: skip


def agree(launched, op, variant="", **how):
    kernel = stream_kernel(op, variant)
    inputs = sample_inputs(kernel)
    computed = launched(kernel, inputs, **how)
    for name, values in expected(kernel, inputs).items():
        wrong = np.flatnonzero(~matches(computed[name], values))
        assert not wrong.size, f"{name}[{wrong[0]}] is {computed[name][wrong[0]]}, not {values[wrong[0]]}"


def im2col_op(window, each, transposed=False):
    w = window
    size = w.groups * w.stored * (w.columns if transposed else w.rows)
    shape = tuple(getattr(w, name) for name in w.__slots__)
    return MemoryOp(each * w.elements, each * size, "im2col_transposed" if transposed else "im2col", shape)


def padded(window, stored):
    return Window(*(getattr(window, name) for name in window.__slots__[:-1]), stored)


def by_loops(images, w):
    matrix = np.zeros((w.groups, w.rows, w.stored), images.dtype)
    pixels = list(product(range(w.images), range(w.p), range(w.q)))
    columns = list(product(range(w.r), range(w.s), range(w.of_group)))
    for g, (row, (n, p, q)), (column, (r, s, c)) in product(range(w.groups), enumerate(pixels), enumerate(columns)):
        h, x = p * w.stride_h + r * w.dilation_h - w.pad_h, q * w.stride_w + s * w.dilation_w - w.pad_w
        if 0 <= h < w.height and 0 <= x < w.width:
            matrix[g, row, column] = images[n, h, x, g * w.of_group + c]
    return matrix


def pictures(w, seed=1):
    return np.random.default_rng(seed).integers(-9, 10, (w.images, w.height, w.width, w.channels)).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES[:5])
def test_im2col_is_the_naive_loop(shape):
    w = Window(*shape)
    images = pictures(w)
    matrix = by_loops(images, w)
    assert (im2col(images, w) == matrix).all()
    wide = padded(w, w.rows + 5)
    turned = im2col_transposed(images, wide)
    assert (turned[:, :, : w.rows] == matrix[:, :, : w.columns].transpose(0, 2, 1)).all()
    assert not turned[:, :, w.rows :].any()


def test_im2col_times_filters_is_the_convolution():
    w = Window(1, 1, 3, 3, 2, 2, 1, 1, 0, 0, 1, 1, 1, 4)
    images = np.arange(1, 10, dtype=np.float32).reshape(1, 3, 3, 1)
    assert im2col(images, w)[0].tolist() == [[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]]
    assert (im2col(images, w)[0] @ [1, 10, 100, 1000]).tolist() == [5421, 6532, 8754, 9865]


@pytest.mark.parametrize("shape", SHAPES)
def test_im2col_times_filters_is_a_direct_convolution(shape):
    w = Window(*shape)
    images, filters = pictures(w), np.random.default_rng(2).integers(-3, 4, (w.groups, w.stored, 5))
    product_ = im2col(images, w) @ filters.astype(np.float32)
    edged = np.pad(images, ((0, 0), (w.pad_h, w.pad_h), (w.pad_w, w.pad_w), (0, 0)))
    n, p, q = w.images - 1, w.p - 1, w.q // 2
    for g in range(w.groups):
        seen = edged[n, p * w.stride_h :, q * w.stride_w :, g * w.of_group : (g + 1) * w.of_group]
        seen = seen[:: w.dilation_h, :: w.dilation_w][: w.r, : w.s].reshape(-1)
        assert (product_[g, (n * w.p + p) * w.q + q] == seen @ filters[g, : w.columns]).all()


@given(WINDOWS, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_col2im_is_the_adjoint(window, seed):
    images = pictures(window, seed)
    wide = padded(window, max(window.stored, window.columns))
    matrix = np.random.default_rng(seed).integers(-9, 10, (wide.groups, wide.rows, wide.stored)).astype(np.float32)
    matrix[:, :, wide.columns :] = 0
    assert (im2col(images, wide) * matrix).sum() == (images * col2im(matrix, wide)).sum()  # whole numbers: exact


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("each", [1, 2, 4])
def test_window_kernels(launched, shape, each):
    w = Window(*shape)
    agree(launched, im2col_op(w, each))
    for stored in (w.rows, w.rows + 1, -(-w.rows // 16) * 16):
        agree(launched, im2col_op(padded(w, stored), each, transposed=True))
    if each > 1:
        there = im2col_op(w, each)
        agree(launched, MemoryOp(there.bytes_written, there.bytes_read, "col2im", shape))


@given(WINDOWS, st.sampled_from([1, 2, 4]))
@settings(max_examples=40, deadline=None)
def test_window_kernels_of_any_geometry(launched, window, each):
    agree(launched, im2col_op(window, each), sms=3, blocks_per_sm=2)
    agree(launched, im2col_op(padded(window, window.rows + 3), each, transposed=True), sms=1, blocks_per_sm=3)
    there = im2col_op(window, max(each, 2))
    agree(launched, MemoryOp(there.bytes_written, there.bytes_read, "col2im", there.shape))


@pytest.mark.parametrize(
    "shape", [(1, 1), (0, 7), (5, 0), (16, 64), (64, 64), (65, 63), (130, 66), (48, 147), (200, 16), (20, 24)]
)
def test_transposes(launched, shape):
    n = shape[0] * shape[1]
    for each in (1, 2, 4):
        agree(launched, MemoryOp(each * n, each * n, "transpose", shape), sms=1, blocks_per_sm=2)
    op = MemoryOp(4 * n, 2 * n, "quantise_transposed", shape)
    for variant in variants(op):
        agree(launched, op, variant, sms=1, blocks_per_sm=2)


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 2, 4]))
@settings(max_examples=25, deadline=None)
def test_two_transposes_change_nothing(launched, rows, cols, each):
    n = rows * cols
    there, back = (stream_kernel(MemoryOp(each * n, each * n, "transpose", s)) for s in ((rows, cols), (cols, rows)))
    data = sample_inputs(there)["in"]
    turned = launched(there, {"in": data})["out"]
    assert (launched(back, {"in": turned})["out"] == data).all()


@pytest.mark.parametrize("shape", [(64, 48), (33, 147)])
def test_codes_do_not_depend_on_the_kernel(launched, shape):
    n = shape[0] * shape[1]
    kernel = stream_kernel(MemoryOp(4 * n, 2 * n, "quantise_transposed", shape))
    inputs = sample_inputs(kernel)
    flat = launched(stream_kernel(MemoryOp(4 * n, n, "quantise", (n,))), inputs)["codes"]
    both = launched(kernel, inputs)
    assert (both["codes"] == flat).all()
    assert (both["codes_transposed"].reshape(shape[::-1]).T.ravel() == flat).all()


@given(st.integers(1, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_division_by_multiplication(divisor, x):
    _, multiplier, shift = magic(divisor)
    assert 0 <= multiplier < 2**32
    for value in (x, 2**31 - 1, x - x % divisor, max(x - x % divisor - 1, 0)):
        assert (value if divisor == 1 else value * multiplier >> 32 + shift) == value // divisor
