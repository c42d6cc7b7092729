"""Layers into kernels: shapes by hand, by published tables, and by multiplying matrices of exactly those shapes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import UnknownName
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import (
    KIND_OF,
    KINDS,
    MAPPINGS,
    PASSES,
    STREAM_OPS,
    TRAFFIC,
    Delay,
    MemoryOp,
    Work,
    im2col_elements,
    layer_gemm,
    lower_gemms,
    lower_joins,
    lower_memory,
)
from perfmodel.networks import Conv2d, Linear, MemoryBound, Network, find_network
from perfmodel.networks.layers import MEMORY_BOUND

FP32, TF32, FP16, FP8, INT8, INT4 = map(find_precision, ("fp32", "tf32", "fp16", "fp8_e4m3", "int8", "int4"))

# 2 groups; rows: (9 + 2 - 2·2 - 1)//2 + 1 = 4; columns: (11 + 4 - 1·4 - 1)//3 + 1 = 4; column 3·3·5 = 45
ODD = Conv2d("odd", ("input",), (6, 9, 11), 10, (3, 5), (2, 3), (1, 2), (2, 1), groups=2)
FC = Linear("fc", ("input",), (3, 5, 7), 11)


def shape(layer, pass_, batch, mapping, precision=FP32):
    gemm = layer_gemm(layer, pass_, batch, mapping, precision)
    return gemm.m, gemm.n, gemm.k, gemm.batch


@pytest.mark.parametrize(
    ("mapping", "pass_", "expected"),
    [  # 7 images of 4 x 4 outputs are 112, of 9 x 11 inputs 693
        ("implicit", "fprop", (112, 5, 45, 2)),
        ("implicit", "dgrad", (693, 3, 13, 2)),  # 5·15 taps over a stride of 2·3: 12.5
        ("implicit", "wgrad", (5, 45, 112, 2)),
        ("im2col", "fprop", (112, 5, 45, 2)),
        ("im2col", "dgrad", (112, 45, 5, 2)),
        ("im2col", "wgrad", (5, 45, 112, 2)),
        ("im2col-per-image", "fprop", (5, 16, 45, 2)),
        ("im2col-per-image", "dgrad", (45, 16, 5, 2)),
        ("im2col-per-image", "wgrad", (5, 45, 16, 2)),
    ],
)
def test_conv_shapes_by_hand(mapping, pass_, expected):
    assert ODD.out_shape == (10, 4, 4)
    assert shape(ODD, pass_, 7, mapping) == expected


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize(
    ("pass_", "expected"),
    [("fprop", (13, 11, 105, 1)), ("dgrad", (13, 105, 11, 1)), ("wgrad", (11, 105, 13, 1))],
)
def test_linear_shapes_by_hand(mapping, pass_, expected):
    assert shape(FC, pass_, 13, mapping) == expected


@pytest.mark.parametrize(
    ("mapping", "layouts"),
    [("implicit", "tn tt nt"), ("im2col", "tn tt nt"), ("im2col-per-image", "tt nt tn")],
)
@pytest.mark.parametrize("precision", [FP32, TF32, FP16, find_precision("bf16"), find_precision("fp64")])
def test_layouts_are_those_of_the_stored_tensors(mapping, layouts, precision):
    """Activations [pixels, channels] and weights [filters, column]; [channels, pixels] image by image."""
    assert [layer_gemm(ODD, p, 7, mapping, precision).layout for p in PASSES] == layouts.split()
    assert [layer_gemm(FC, p, 7, mapping, precision).layout for p in PASSES] == ["tn", "tt", "nt"]
    gemms = [work.kernel for work in lower_gemms(ODD, 7, mapping, precision) if work.kind == "gemm"]
    assert [gemm.layout for gemm in gemms] == layouts.split()


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("precision", [FP8, INT8, INT4])
@pytest.mark.parametrize("layer", [ODD, FC])
def test_narrow_formats_are_read_along_k_in_every_pass(mapping, precision, layer):
    assert [layer_gemm(layer, p, 7, mapping, precision).layout for p in PASSES] == ["tn"] * 3


def test_unknown_mapping():
    with pytest.raises(UnknownName, match=r"E1005 mapping 'im2co' is not known. Did you mean im2col"):
        layer_gemm(ODD, "fprop", 7, "im2co", FP32)


@pytest.mark.parametrize(
    ("pass_", "a_distinct", "b_distinct"),
    [  # input 7·6·9·11 = 4158, output 7·10·16 = 1120
        ("fprop", 4158, None), ("wgrad", None, 4158), ("dgrad", 1120, None),
    ],
)  # fmt: skip
def test_implicit_form_stores_each_pixel_once(pass_, a_distinct, b_distinct):
    gemm = layer_gemm(ODD, pass_, 7, "implicit", FP16)
    assert (gemm.a_distinct, gemm.b_distinct) == (a_distinct, b_distinct)


def test_implicit_form_does_not_read_pixels_that_strides_skip():
    down = Conv2d("down", ("input",), (3, 10, 10), 5, (1, 1), (2, 2))
    assert layer_gemm(down, "fprop", 7, "implicit", FP16).a_distinct == 7 * 3 * 25
    assert layer_gemm(down, "wgrad", 7, "implicit", FP16).b_distinct == 7 * 3 * 25


@pytest.mark.parametrize("mapping", ["im2col", "im2col-per-image"])
@pytest.mark.parametrize("pass_", PASSES)
def test_explicit_forms_store_their_whole_matrices(mapping, pass_):
    gemm = layer_gemm(ODD, pass_, 7, mapping, FP16)
    assert (gemm.a_distinct, gemm.b_distinct) == (None, None)


@pytest.mark.parametrize(
    ("pass_", "k"),
    [
        ("fprop", 7 * 9),  # the forward pass multiplies every tap
        ("dgrad", 12),  # 5 filters · 9 taps = 45 over 2·2: 11.25
        ("wgrad", 3 * 25),
    ],
)
def test_strided_implicit_dgrad_skips_inserted_zeros(pass_, k):
    strided = Conv2d("c", ("input",), (7, 10, 10), 5, (3, 3), (2, 2), (1, 1))
    assert layer_gemm(strided, pass_, 3, "implicit", FP32).k == k
    dense = replace(strided, stride=(1, 1))
    assert layer_gemm(dense, "dgrad", 3, "implicit", FP32).k == 45


@st.composite
def convolutions(draw, most=3):
    """A small convolution whose window fits, with its batch."""
    one, size = st.integers(1, most), st.integers(1, 7)
    groups = draw(st.integers(1, 3))
    kernel, stride, dilation = ((draw(one), draw(one)) for _ in range(3))
    padding = tuple(draw(st.integers(0, 2)) for _ in range(2))
    least = [max(1, d * (r - 1) + 1 - 2 * p) for d, r, p in zip(dilation, kernel, padding, strict=True)]
    rows, columns = (low + draw(size) - 1 for low in least)
    inputs = (groups * draw(one), rows, columns)
    layer = Conv2d("c", ("input",), inputs, groups * draw(one), kernel, stride, padding, dilation, groups)
    return layer, draw(st.integers(1, 3))


@given(convolutions(most=5))
def test_passes_do_equal_work_in_column_form(case):
    layer, batch = case
    direct = batch * layer.macs  # counted output by output
    assert [layer_gemm(layer, p, batch, "im2col", FP32).macs for p in PASSES] == [direct] * 3
    assert [batch * layer_gemm(layer, p, batch, "im2col-per-image", FP32).macs for p in PASSES] == [direct] * 3
    assert [layer_gemm(layer, p, batch, "implicit", FP32).macs for p in ("fprop", "wgrad")] == [direct] * 2


@given(convolutions())
def test_implicit_view_never_holds_less_than_is_stored(case):
    layer, batch = case
    for pass_ in PASSES:
        gemm = layer_gemm(layer, pass_, batch, "implicit", FP32)
        whole = replace(gemm, a_distinct=None, b_distinct=None)
        assert 0 < gemm.bytes <= whole.bytes


# The adjoint identity: with Y = conv(X, W), <dY, conv(X, W)> = <dgrad(dY, W), X> = <wgrad(X, dY), W>. Each of the three
# is computed as one matrix product per group, of exactly the m, n and k that `layer_gemm` gives.


def positions(layer):
    """Row and column of the input under each tap of each window [P, Q, R, S], negative or too large in the padding."""
    _, p, q = layer.out_shape
    r, s = layer.kernel
    y = np.arange(p)[:, None] * layer.stride[0] - layer.padding[0] + np.arange(r) * layer.dilation[0]  # [P, R]
    x = np.arange(q)[:, None] * layer.stride[1] - layer.padding[1] + np.arange(s) * layer.dilation[1]  # [Q, S]
    return np.broadcast_arrays(y[:, None, :, None], x[None, :, None, :])


def im2col(layer, images):
    """[B, C, H, W] as columns [B, P, Q, C, R, S]."""
    y, x = positions(layer)
    _, _, h, w = images.shape
    inside = (y >= 0) & (y < h) & (x >= 0) & (x < w)
    taken = images[:, :, np.where(inside, y, 0), np.where(inside, x, 0)] * inside  # [B, C, P, Q, R, S]
    return taken.transpose(0, 2, 3, 1, 4, 5)


def col2im(layer, columns):
    """The adjoint: columns [B, P, Q, C, R, S] added up into [B, C, H, W]."""
    y, x = positions(layer)
    _, h, w = layer.in_shape
    images = np.zeros((columns.shape[0], columns.shape[3], h, w))
    for at in np.ndindex(y.shape):
        p, q, r, s = at
        if 0 <= y[at] < h and 0 <= x[at] < w:
            images[:, :, y[at], x[at]] += columns[:, p, q, :, r, s]
    return images


def conv(layer, images, weights):
    """The definition, a loop over outputs; weights [K, C/G, R, S]."""
    y, x = positions(layer)
    k, p, q = layer.out_shape
    _, h, w = layer.in_shape
    per_group, filters = layer.in_shape[0] // layer.groups, k // layer.groups
    out = np.zeros((len(images), k, p, q))
    for o, i, at in ((o, i, at) for o in range(k) for i in range(per_group) for at in np.ndindex(y.shape)):
        channel = o // filters * per_group + i
        if 0 <= y[at] < h and 0 <= x[at] < w:
            out[:, o, at[0], at[1]] += weights[o, i, at[2], at[3]] * images[:, channel, y[at], x[at]]
    return out


def product(gemm, a, b):
    """A · B, only if the GEMM is of that shape."""
    assert (gemm.m, gemm.k) == a.shape
    assert (gemm.k, gemm.n) == b.shape
    return a @ b


def in_groups(layer, images, weights, gradient):
    """For each group its part of X, its filters [K/G, C/G·R·S] and its part of dY."""
    assert weights.shape[0] % layer.groups == 0
    parts = zip(
        *(np.split(t, layer.groups, axis) for t, axis in ((images, 1), (weights, 0), (gradient, 1))), strict=True
    )
    for x, w, dy in parts:
        one = replace(layer, in_shape=(x.shape[1], *layer.in_shape[1:]), out_channels=len(w), groups=1)
        yield one, x, w.reshape(len(w), -1), dy


def by_im2col(layer, gemms, images, weights, gradient):
    """Y, dX and dW through the im2col GEMMs of the whole batch."""
    y, dx, dw = [], [], []
    for one, x, w, dy in in_groups(layer, images, weights, gradient):
        columns = im2col(one, x)  # [B, P, Q, C, R, S]
        matrix = columns.reshape(-1, w.shape[1])  # [B·P·Q, C·R·S]
        slope = dy.transpose(0, 2, 3, 1).reshape(-1, len(w))  # [B·P·Q, K]
        out = product(gemms["fprop"], matrix, w.T)
        y.append(out.reshape(*columns.shape[:3], -1).transpose(0, 3, 1, 2))
        dx.append(col2im(one, product(gemms["dgrad"], slope, w).reshape(columns.shape)))
        dw.append(product(gemms["wgrad"], slope.T, matrix))
    return np.concatenate(y, 1), np.concatenate(dx, 1), np.concatenate(dw).reshape(weights.shape)


def by_image(layer, gemms, images, weights, gradient):
    """The same, one image at a time and transposed."""
    y, dx, dw = [], [], np.zeros_like(weights)
    for image, slope in zip(images, gradient, strict=True):
        rows_y, rows_dx, rows_dw = [], [], []
        for one, x, w, dy in in_groups(layer, image[None], weights, slope[None]):
            columns = im2col(one, x)
            matrix = columns.reshape(-1, w.shape[1]).T  # [C·R·S, P·Q]
            flat = dy.reshape(len(w), -1)  # [K, P·Q]
            rows_y.append(product(gemms["fprop"], w, matrix).reshape(dy.shape))
            rows_dx.append(col2im(one, product(gemms["dgrad"], w.T, flat).T.reshape(columns.shape)))
            rows_dw.append(product(gemms["wgrad"], flat, matrix.T))
        y.append(np.concatenate(rows_y, 1))
        dx.append(np.concatenate(rows_dx, 1))
        dw += np.concatenate(rows_dw).reshape(weights.shape)
    return np.concatenate(y), np.concatenate(dx), dw


def implicit_dgrad(layer, gemm, weights, gradient):
    """dX at stride 1 as one GEMM: each input pixel gathers the outputs whose windows cover it."""
    parts = []
    _, h, w = layer.in_shape
    (r, s), (dh, dw) = layer.kernel, layer.dilation
    for one, _, flat, dy in in_groups(layer, np.zeros((len(gradient), *layer.in_shape)), weights, gradient):
        k, p, q = one.out_shape
        y = np.arange(h)[:, None] + layer.padding[0] - np.arange(r) * dh  # [H, R] of the output
        x = np.arange(w)[:, None] + layer.padding[1] - np.arange(s) * dw
        y, x = np.broadcast_arrays(y[:, None, :, None], x[None, :, None, :])  # [H, W, R, S]
        inside = (y >= 0) & (y < p) & (x >= 0) & (x < q)
        gathered = dy[:, :, np.where(inside, y, 0), np.where(inside, x, 0)] * inside  # [B, K, H, W, R, S]
        a = gathered.transpose(0, 2, 3, 1, 4, 5).reshape(-1, k * r * s)  # [B·H·W, K·R·S]
        b = flat.reshape(k, -1, r, s).transpose(0, 2, 3, 1).reshape(k * r * s, -1)  # [K·R·S, C]
        parts.append(product(gemm, a, b).reshape(-1, h, w, b.shape[1]).transpose(0, 3, 1, 2))
    return np.concatenate(parts, 1)


def tensors(layer, batch, seed):
    random = np.random.default_rng(seed)
    weights = (layer.out_channels, layer.in_shape[0] // layer.groups, *layer.kernel)
    shapes = ((batch, *layer.in_shape), weights, (batch, *layer.out_shape))
    return [random.integers(-9, 10, size).astype(float) for size in shapes]  # whole numbers: sums are exact


@settings(deadline=None)
@given(convolutions(), st.integers(0, 999), st.sampled_from(["im2col", "im2col-per-image"]))
def test_gemms_of_these_shapes_are_the_convolution_and_its_adjoints(case, seed, mapping):
    layer, batch = case
    x, w, dy = tensors(layer, batch, seed)
    gemms = {p: layer_gemm(layer, p, batch, mapping, FP32) for p in PASSES}
    assert {gemm.batch for gemm in gemms.values()} == {layer.groups}
    y, dx, dw = (by_im2col if mapping == "im2col" else by_image)(layer, gemms, x, w, dy)
    assert np.array_equal(y, conv(layer, x, w))
    assert np.vdot(dy, y) == np.vdot(dx, x) == np.vdot(dw, w)


@settings(deadline=None)
@given(convolutions(), st.integers(0, 999))
def test_implicit_gemms_of_these_shapes_are_too(case, seed):
    layer, batch = case
    layer = replace(layer, stride=(1, 1))  # with a stride, k is a mean over input pixels
    x, w, dy = tensors(layer, batch, seed)
    gemms = {p: layer_gemm(layer, p, batch, "implicit", FP32) for p in PASSES}
    explicit = {**gemms, "dgrad": layer_gemm(layer, "dgrad", batch, "im2col", FP32)}
    y, dx, dw = by_im2col(layer, explicit, x, w, dy)
    assert np.array_equal(implicit_dgrad(layer, gemms["dgrad"], w, dy), dx)
    assert np.vdot(dy, y) == np.vdot(dx, x) == np.vdot(dw, w)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(0, 999))
def test_linear_gemms_of_these_shapes_are_adjoint(i, o, batch, seed):
    layer = Linear("fc", ("x",), (i, 1, 1), o)
    random = np.random.default_rng(seed)
    x, w, dy = (random.integers(-9, 10, size).astype(float) for size in ((batch, i), (o, i), (batch, o)))
    gemms = {p: layer_gemm(layer, p, batch, "im2col", FP32) for p in PASSES}
    y, dx = product(gemms["fprop"], x, w.T), product(gemms["dgrad"], dy, w)
    dw = product(gemms["wgrad"], dy.T, x)
    assert np.vdot(dy, y) == np.vdot(dx, x) == np.vdot(dw, w)


# m, n, k of the three passes in column form at batch 256, from the published layer table of the specification
ALEXNET = {
    "conv1": ((774400, 64, 363), None, (64, 363, 774400)),
    "conv2": ((186624, 192, 1600), (186624, 1600, 192), (192, 1600, 186624)),
    "conv3": ((43264, 384, 1728), (43264, 1728, 384), (384, 1728, 43264)),
    "conv4": ((43264, 256, 3456), (43264, 3456, 256), (256, 3456, 43264)),
    "conv5": ((43264, 256, 2304), (43264, 2304, 256), (256, 2304, 43264)),
    "fc1": ((256, 4096, 9216), (256, 9216, 4096), (4096, 9216, 256)),
    "fc2": ((256, 4096, 4096), (256, 4096, 4096), (4096, 4096, 256)),
    "fc3": ((256, 1000, 4096), (256, 4096, 1000), (1000, 4096, 256)),
}
BLOCK = {  # of ResNet18: layer1 to layer4
    1: ((802816, 64, 576), (802816, 576, 64), (64, 576, 802816)),
    2: ((200704, 128, 1152), (200704, 1152, 128), (128, 1152, 200704)),
    3: ((50176, 256, 2304), (50176, 2304, 256), (256, 2304, 50176)),
    4: ((12544, 512, 4608), (12544, 4608, 512), (512, 4608, 12544)),
}
RESNET18 = {
    "conv1": ((3211264, 64, 147), None, (64, 147, 3211264)),
    **{f"layer{i}.{j}.conv{c}": gemms for i, gemms in BLOCK.items() for j in (0, 1) for c in (1, 2)},
    "layer2.0.conv1": ((200704, 128, 576), (200704, 576, 128), (128, 576, 200704)),
    "layer2.0.down": ((200704, 128, 64), (200704, 64, 128), (128, 64, 200704)),
    "layer3.0.conv1": ((50176, 256, 1152), (50176, 1152, 256), (256, 1152, 50176)),
    "layer3.0.down": ((50176, 256, 128), (50176, 128, 256), (256, 128, 50176)),
    "layer4.0.conv1": ((12544, 512, 2304), (12544, 2304, 512), (512, 2304, 12544)),
    "layer4.0.down": ((12544, 512, 256), (12544, 256, 512), (512, 256, 12544)),
    "fc": ((256, 1000, 512), (256, 512, 1000), (1000, 512, 256)),
}


@pytest.mark.parametrize(("network", "table"), [("alexnet", ALEXNET), ("resnet18", RESNET18)])
def test_published_shapes_at_batch_256(network, table):
    layers = {layer.name: layer for layer in find_network(network).gemm_layers}
    assert set(layers) == set(table)
    for name, rows in table.items():
        for pass_, expected in zip(PASSES, rows, strict=True):
            if expected:
                assert shape(layers[name], pass_, 256, "im2col") == (*expected, 1), (name, pass_)


@pytest.mark.parametrize(("precision", "k"), [(FP32, 147), (FP16, 152), (INT8, 160)])
@pytest.mark.parametrize("mapping", MAPPINGS)
def test_first_layer_of_resnet18_is_padded(mapping, precision, k):
    (conv1, *_) = find_network("resnet18").gemm_layers
    gemms = [w.kernel for w in lower_gemms(conv1, 256, mapping, precision, ("fprop",)) if w.kind == "gemm"]
    pixels = (64, 12544) if mapping == "im2col-per-image" else (3211264, 64)
    assert [(g.m, g.n, g.k) for g in gemms] == [(*pixels, k)]
    assert gemms[0].precision == precision


def test_im2col_elements_by_hand():
    assert im2col_elements(ODD, 7) == (7 * 6 * 9 * 11, 7 * 16 * 45 * 2)
    assert im2col_elements(FC, 7) == (0, 0)


@pytest.mark.parametrize(
    ("keys", "copies"),
    [({}, False), ({"stride": (2, 2)}, True), ({"padding": (0, 1)}, True), ({"kernel": (1, 2)}, True)],
)
def test_only_pointwise_convolutions_need_no_copy(keys, copies):
    layer = Conv2d("c", ("input",), (3, 5, 5), 7, **{"kernel": (1, 1), **keys})
    for mapping in ("im2col", "im2col-per-image"):
        kinds = [work.kind for work in lower_gemms(layer, 2, mapping, FP32)]
        assert kinds == (["im2col", "gemm"] if copies else ["gemm"]) * 3


# The matrix of ODD has 112 pixels and 2 groups of columns of 45, that of THIN 3·4·2 = 24 pixels and a column of 10.
# A line is a pixel's column, padded to 16 B as an operand (10 to 16 in FP16 and INT8, 32 in INT4, 12 in TF32); after
# dgrad to 16 B of what the GEMM wrote (INT32 where it multiplied INT8 or INT4: 12; FP16 after FP8: 16). Turned round it
# is all pixels, padded as an operand's k: 24 to 32, and 112 as they are. The columns of groups lie in wider lines, and
# are padded as k alone.
THIN = Conv2d("thin", ("input",), (5, 4, 3), 7, (1, 2))


@pytest.mark.parametrize(
    ("precision", "size", "out_size", "lines"),
    [  # of fprop, dgrad, wgrad
        (FP32, 4, 4, (45, 45, 45)), (TF32, 4, 4, (48, 45, 45)), (FP16, 2, 2, (48, 45, 45)),
    ],
)  # fmt: skip
def test_im2col_bytes_by_hand(precision, size, out_size, lines):
    images = 7 * 594
    fprop, dgrad, wgrad = (112 * 2 * line for line in lines)
    window = (7, 6, 9, 11, 3, 5, 2, 3, 1, 2, 2, 1, 2)  # B, CHW, kernel, stride, padding, dilation, groups
    expected = [
        ("fprop", MemoryOp(images * size, fprop * size, "im2col", (*window, lines[0]))),
        ("dgrad", MemoryOp(dgrad * out_size, images * out_size, "col2im", (*window, lines[1]))),
        ("wgrad", MemoryOp(images * size, wgrad * size, "im2col", (*window, lines[2]))),
    ]
    works = list(lower_gemms(ODD, 7, "im2col", precision))
    assert [w for w in works if w.kind != "gemm"] == [Work("odd", p, "im2col", copy, 1) for p, copy in expected]


@pytest.mark.parametrize(
    ("precision", "size", "out_size", "lines"),
    [  # of fprop, dgrad, wgrad
        (FP32, 4, 4, (10, 10, 10)), (TF32, 4, 4, (12, 12, 12)), (FP16, 2, 2, (16, 16, 16)), (FP8, 1, 2, (16, 16, 32)),
        (find_precision("fp16", output="fp32"), 2, 4, (16, 16, 16)), (INT8, 1, 4, (16, 12, 32)),
        (INT4, 0.5, 4, (32, 12, 32)),
    ],
)  # fmt: skip
def test_lines_of_the_im2col_matrix(precision, size, out_size, lines):
    images = 3 * 60
    turned = precision in (FP8, INT8, INT4)
    rows = 10 if turned else 24
    window = (3, 5, 4, 3, 1, 2, 1, 1, 0, 0, 1, 1, 1)
    copies = [w.kernel for w in lower_gemms(THIN, 3, "im2col", precision) if w.kind == "im2col"]
    assert copies == [
        MemoryOp(images * size, 24 * lines[0] * size, "im2col", (*window, lines[0])),
        MemoryOp(24 * lines[1] * out_size, images * out_size, "col2im", (*window, lines[1])),
        MemoryOp(images * size, rows * lines[2] * size, "im2col_transposed" if turned else "im2col",
                 (*window, lines[2])),
    ]  # fmt: skip
    assert len(copies[0].shape) == len(STREAM_OPS["im2col"])


def test_groups_have_their_columns_side_by_side_in_a_matrix_that_is_turned_round():
    works = list(lower_gemms(ODD, 7, "im2col", INT8, ("wgrad",)))
    assert [w.kind for w in works] == ["im2col", "transpose", "gemm"]
    copy = works[0].kernel
    assert (copy.op, copy.shape[-1]) == ("im2col_transposed", 112)
    assert (copy.bytes_read, copy.bytes_written) == (4158, 2 * 45 * 112)


@pytest.mark.parametrize("columns", [True, False])
def test_without_transposes_nothing_is_turned_round(columns):
    """What a unit would take that reads any layout: a line of the im2col matrix of wgrad is then a pixel's, too."""
    mapping = "im2col" if columns else "implicit"
    works = list(lower_gemms(THIN, 3, mapping, INT8, transposes=False))
    assert [w.kind for w in works] == (["im2col", "gemm"] if columns else ["gemm"]) * 3
    assert {w.kernel.op for w in works if w.kind == "im2col"} == ({"im2col", "col2im"} if columns else set())
    turned = lower_gemms(THIN, 3, mapping, INT8)
    assert [w for w in works if w.kind == "gemm"] == [w for w in turned if w.kind == "gemm"]  # the GEMMs stay `tn`


def transposes(layer, batch, mapping, precision):
    """Pass, rows and columns, bytes in and out of each, and how often."""
    return [
        (w.pass_, w.kernel.shape, w.kernel.bytes_read, w.kernel.bytes_written, w.count)
        for w in lower_gemms(layer, batch, mapping, precision)
        if w.kind == "transpose"
    ]


# The weights [filters, column] before dgrad; the output's gradient [pixels, filters] and, where no im2col matrix is
# made, the input [pixels, channels] before wgrad: 450 = 10·45, 1120 = 7·16·10, 4158 = 7·99·6.
SQUARE, POINT = (Conv2d("c", ("input",), (6, 5, 7), 10, (r, r), padding=(r // 2, r // 2)) for r in (3, 1))


@pytest.mark.parametrize(
    ("layer", "batch", "mapping", "expected"),
    [
        (ODD, 7, "implicit", [("dgrad", (10, 45), 450), ("wgrad", (112, 10), 1120), ("wgrad", (693, 6), 4158)]),
        (ODD, 7, "im2col", [("dgrad", (10, 45), 450), ("wgrad", (112, 10), 1120)]),
        # 3 images of 5·7 are 105 pixels; 3·3·6 = 54
        (SQUARE, 3, "implicit", [("dgrad", (10, 54), 540), ("wgrad", (105, 10), 1050), ("wgrad", (105, 6), 630)]),
        (SQUARE, 3, "im2col", [("dgrad", (10, 54), 540), ("wgrad", (105, 10), 1050)]),
        (POINT, 3, "implicit", [("dgrad", (10, 6), 60), ("wgrad", (105, 10), 1050), ("wgrad", (105, 6), 630)]),
        (POINT, 3, "im2col", [("dgrad", (10, 6), 60), ("wgrad", (105, 10), 1050), ("wgrad", (105, 6), 630)]),
        # an input of 3·5·7 = 105 is one line for each of 13 images
        *[(FC, 13, mapping, [("dgrad", (11, 105), 1155), ("wgrad", (13, 11), 143), ("wgrad", (13, 105), 1365)])
          for mapping in MAPPINGS],
    ],
)  # fmt: skip
@pytest.mark.parametrize(("precision", "size"), [(INT8, 1), (FP8, 1), (INT4, 0.5)])
def test_transposes_by_hand(layer, batch, mapping, expected, precision, size):
    sized = [(pass_, shape_, count * size, count * size, 1) for pass_, shape_, count in expected]
    assert transposes(layer, batch, mapping, precision) == sized


# Image by image the tensors are [channels, pixels]: in fprop the input's channels must come together (where no im2col
# matrix is made of it), in dgrad the weights, once for all images, and the output's gradient; wgrad reads along pixels.
@pytest.mark.parametrize(
    ("layer", "batch", "expected"),
    [
        (ODD, 7, [("dgrad", (10, 45), 450, 1), ("dgrad", (10, 16), 160, 7)]),
        (SQUARE, 3, [("dgrad", (10, 54), 540, 1), ("dgrad", (10, 35), 350, 3)]),
        (POINT, 3, [("fprop", (6, 35), 210, 3), ("dgrad", (10, 6), 60, 1), ("dgrad", (10, 35), 350, 3)]),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("precision", "size"), [(INT8, 1), (INT4, 0.5)])
def test_transposes_image_by_image(layer, batch, expected, precision, size):
    sized = [(pass_, shape_, count * size, count * size, times) for pass_, shape_, count, times in expected]
    assert transposes(layer, batch, "im2col-per-image", precision) == sized


@pytest.mark.parametrize(
    ("precision", "sizes"),
    [  # bytes of the stored image and of the matrix; 35 pixels, 10 filters, a column of 54
        (FP32, [(840, 7560), (840, 7560), (840, 7560)]),  # 54·35 = 1890
        (FP16, [(420, 4480), (420, 4480), (420, 4480)]),  # 56·40 = 2240 in lines of 8, whichever way round
        # 64·36 of 1 B; after dgrad 54·36 of 4 B; 56·48 of 1 B, 54 padded for C and 35 pixels as k
        (INT8, [(210, 2304), (840, 7776), (210, 2688)]),
    ],
)  # fmt: skip
def test_matrices_of_single_images(precision, sizes):
    copies = [w for w in lower_gemms(SQUARE, 3, "im2col-per-image", precision) if w.kind == "im2col"]
    (fprop, dgrad, wgrad) = sizes
    expected = [("fprop", MemoryOp(*fprop)), ("dgrad", MemoryOp(*dgrad[::-1])), ("wgrad", MemoryOp(*wgrad))]
    assert [(w.pass_, w.kernel, w.count) for w in copies] == [(*row, 3) for row in expected]


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("layer", [ODD, POINT, FC])
@pytest.mark.parametrize("precision", [FP32, TF32, FP16, find_precision("bf16")])
def test_wider_formats_are_read_as_they_lie(mapping, layer, precision):
    assert transposes(layer, 7, mapping, precision) == []


def test_transposes_come_before_their_gemm():
    works = [(w.pass_, w.kind) for w in lower_gemms(POINT, 3, "im2col", INT8)]
    assert works == [
        ("fprop", "gemm"), ("dgrad", "transpose"), ("dgrad", "gemm"), ("wgrad", "transpose"), ("wgrad", "transpose"),
        ("wgrad", "gemm"),
    ]  # fmt: skip
    assert [w.kind for w in lower_gemms(POINT, 3, "im2col", INT8, ("fprop",))] == ["gemm"]


def test_per_image_mapping_launches_once_for_each_image():
    work = list(lower_gemms(ODD, 7, "im2col-per-image", FP32, ("fprop", "wgrad")))
    assert [(w.pass_, w.kind, w.count) for w in work] == [
        ("fprop", "im2col", 7), ("fprop", "gemm", 7), ("wgrad", "im2col", 7), ("wgrad", "gemm", 7),
    ]  # fmt: skip
    assert work[0].kernel == MemoryOp(594 * 4, 1440 * 4)
    assert work[1].kernel == Gemm(5, 16, 45, 2, FP32, layout="tt")
    assert work[3].kernel == Gemm(5, 45, 16, 2, FP32)
    assert [(w.kind, w.count) for w in lower_gemms(FC, 7, "im2col-per-image", FP32)] == [("gemm", 1)] * 3


def test_implicit_mapping_copies_nothing():
    assert [w.kind for w in lower_gemms(ODD, 7, "implicit", FP32)] == ["gemm"] * 3
    assert [w.pass_ for w in lower_gemms(ODD, 7, "implicit", FP32, ("wgrad",))] == ["wgrad"]


def bound(op, ins, out):
    return MemoryBound(op, tuple(f"i{j}" for j in range(len(ins))), op, ins, out)


@pytest.mark.parametrize(
    ("op", "ins", "out", "forward", "backward"),
    [  # bytes read and written with 3 images and elements of 2 B, from the elements of one image
        ("batch_norm", [(5, 7, 1)], (5, 7, 1), (420, 210), (840, 210)),  # 35: two reads forward, four backward
        ("relu", [(5, 7, 1)], (5, 7, 1), (210, 210), (420, 210)),
        ("relu6", [(5, 7, 1)], (5, 7, 1), (210, 210), (420, 210)),
        ("dropout", [(5, 7, 1)], (5, 7, 1), (210, 210), (210, 210)),
        ("softmax", [(11, 1, 1)], (11, 1, 1), (66, 66), (66, 66)),
        ("max_pool", [(5, 6, 6)], (5, 3, 3), (1080, 270), (1620, 1080)),  # 180 in, 45 out; finds the maxima again
        ("avg_pool", [(5, 6, 6)], (5, 3, 3), (1080, 270), (270, 1080)),
        ("adaptive_avg_pool", [(5, 6, 6)], (5, 1, 1), (1080, 30), (30, 1080)),
        ("add", [(5, 7, 1)] * 2, (5, 7, 1), (420, 210), None),  # its gradient passes untouched
        ("add", [(5, 7, 1)] * 3, (5, 7, 1), (630, 210), None),
        ("concat", [(5, 7, 1), (6, 7, 1)], (11, 7, 1), (462, 462), (462, 462)),
    ],
)
def test_memory_traffic_by_hand(op, ins, out, forward, backward):
    layer = bound(op, tuple(ins), out)
    kind = KIND_OF[op]
    works = [Work(op, "fprop", kind, MemoryOp(*forward))]
    # Where the input needs no gradient, a batch norm still reads for that of its scale and shift.
    own = [Work(op, "wgrad", kind, MemoryOp(backward[0], 0))] if op == "batch_norm" else []
    assert list(lower_memory(layer, 3, 2, trains=False)) == works + own
    if backward:
        works.append(Work(op, "dgrad", kind, MemoryOp(*backward)))
    assert list(lower_memory(layer, 3, 2, trains=True)) == works


def test_every_memory_bound_layer_has_traffic_and_a_kind():
    assert set(TRAFFIC) == set(KIND_OF) == set(MEMORY_BOUND)
    assert set(KIND_OF.values()) | {"gemm", "im2col", "bias", "transpose"} <= set(KINDS)


@pytest.mark.parametrize(("layer", "size"), [(ODD, 7 * 160 * 4), (FC, 7 * 11 * 4)])
@pytest.mark.parametrize("trains", [False, True])
def test_bias_gradient_reads_the_output_gradient(layer, size, trains):
    assert list(lower_memory(layer, 7, 4, trains)) == [Work(layer.name, "wgrad", "bias", MemoryOp(size, 0))]
    assert list(lower_memory(replace(layer, bias=False), 7, 4, trains)) == []


def network(*layers):
    return Network("n", "n", "none", (2, 3, 3), layers)


def fan_out(first, readers):
    """`first`, then so many ReLUs that read it, joined."""
    size = first.out_shape
    relus = [MemoryBound(f"r{i}", (first.name,), "relu", (size,), size) for i in range(readers)]
    names = tuple(relu.name for relu in relus)
    return network(first, *relus, MemoryBound("sum", names, "add", (size,) * readers, size))


@pytest.mark.parametrize(("readers", "joins"), [(1, 0), (2, 1), (3, 2)])
def test_gradients_of_several_readers_are_added(readers, joins):
    first = Conv2d("first", ("input",), (2, 3, 3), 5, (1, 1))
    work = list(lower_joins(fan_out(first, readers), 7, 4))
    size = 7 * 45 * 4
    assert work == ([Work("first", "dgrad", "add/concat", MemoryOp(2 * size, size), joins)] if joins else [])


def test_outputs_without_trained_layers_before_them_have_no_gradients_to_add():
    size = (2, 3, 3)
    assert list(lower_joins(fan_out(MemoryBound("first", ("input",), "relu", (size,), size), 3), 7, 4)) == []


def test_a_layer_that_reads_an_output_twice_adds_two_gradients():
    first = Conv2d("first", ("input",), (2, 3, 3), 5, (1, 1))
    twice = MemoryBound("sum", ("first", "first"), "add", ((5, 3, 3),) * 2, (5, 3, 3))
    (work,) = lower_joins(network(first, twice), 1, 1)
    assert (work.kernel, work.count) == (MemoryOp(90, 45), 1)


def test_delay_is_a_kernel_of_given_time():
    assert Work("fc", "update", "update", Delay(0.5, "given")).kernel.seconds == 0.5
