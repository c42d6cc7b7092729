"""Convolution kernels: what they compute, how their operands are padded, which are tried, how they are emitted."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.convolution import Convolution
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import layer_gemm
from perfmodel.measure.cutlass import emit
from perfmodel.measure.cutlass.cabi import Problem
from perfmodel.measure.cutlass.fits import expected_cycles, fits, ranked, splits
from perfmodel.measure.cutlass.geometry import geometry
from perfmodel.measure.cutlass.implicit import computes, implicit_gemm, padded, tensor_bytes, tensor_shapes
from perfmodel.measure.cutlass.kernels import GemmKernel
from perfmodel.networks import Conv2d

FP16 = find_precision("fp16")
FPROP = GemmKernel("fprop", "75", 2, "tensor", FP16, "tn", (128, 64, 32), 2, (1, 1, 1), (8, 8, 8), (), 4, "fprop")
FEW = replace(FPROP, name="few", alignment=(4, 4, 4), few=True)
UNITY = replace(FPROP, name="unity", layout="tt", conv="dgrad", stride="unity")
STRIDED = replace(UNITY, name="strided", stride="strided", swizzle=1)
WGRAD = replace(FPROP, name="wgrad", layout="nt", conv="wgrad", split_modes=("serial",))
MATRIX = replace(FPROP, name="matrix", conv="")
KERNELS = (FPROP, FEW, UNITY, STRIDED, WGRAD, MATRIX)

CONV1 = Conv2d("conv1", ("x",), (3, 224, 224), 64, (7, 7), (2, 2), (3, 3))
CONV2 = Conv2d("conv2", ("x",), (64, 56, 56), 64, (3, 3), (1, 1), (1, 1))
DOWN = Conv2d("down", ("x",), (64, 56, 56), 128, (3, 3), (2, 2), (1, 1))


def gemm(layer, pass_, batch=32, precision=FP16):
    return layer_gemm(layer, pass_, batch, "implicit", precision).aligned()


@pytest.mark.parametrize(
    ("layer", "pass_", "names"),
    [
        (CONV1, "fprop", ["fprop", "few"]), (CONV2, "fprop", ["fprop"]), (DOWN, "fprop", ["fprop"]),
        (CONV2, "dgrad", ["unity"]), (DOWN, "dgrad", ["strided"]), (CONV1, "wgrad", ["wgrad"]),
    ],
)  # fmt: skip
def test_each_pass_has_its_kernels(layer, pass_, names):
    assert [kernel.name for kernel in KERNELS if fits(kernel, gemm(layer, pass_))] == names


def test_matrix_products_have_theirs():
    plain = Gemm(128, 64, 64, precision=FP16)
    assert [kernel.name for kernel in KERNELS if fits(kernel, plain)] == ["matrix"]


@pytest.mark.parametrize(
    ("kernel", "changes"),
    [
        (FPROP, {"groups": 2}), (FPROP, {"pass_": "wgrad"}), (FPROP, {"kernel": (33, 1)}), (FPROP, {"height": 1}),
        (FPROP, {"images": 10**5}), (UNITY, {"stride": (1, 2)}), (STRIDED, {"stride": (1, 1)}),
        (STRIDED, {"dilation": (1, 2)}), (FEW, {"channels": 5}),
    ],
)  # fmt: skip
def test_what_a_kernel_does_not_compute(kernel, changes):
    stride = (2, 2) if kernel.stride == "strided" else (1, 1)
    base = Convolution(kernel.conv, 32, 4, 28, 28, 64, (3, 3), stride)
    assert computes(kernel, base)
    assert not computes(kernel, replace(base, **changes))


def test_filters_of_any_size_have_their_gradient_and_few_channels_theirs():
    assert computes(WGRAD, Convolution("wgrad", 2, 8, 64, 64, 8, (33, 1)))
    assert computes(FEW, Convolution("fprop", 2, 3, 64, 64, 8, (33, 1)))
    assert computes(UNITY, Convolution("dgrad", 2, 3, 64, 64, 8, (3, 1), dilation=(2, 2)))


def test_tensors_reach_up_to_2_gib():
    # 223 images of 224 x 224 x 96 values in 2 bytes: 2.148e9; one image less is 2.138e9, and 2^31 is 2.147e9
    assert not computes(FPROP, Convolution("fprop", 223, 96, 224, 224, 8, (1, 1)))
    assert computes(FPROP, Convolution("fprop", 222, 96, 224, 224, 8, (1, 1)))


@pytest.mark.parametrize(
    ("pass_", "alignment", "channels", "filters"),
    [
        ("fprop", (8, 8, 8), 8, 64), ("fprop", (4, 4, 8), 4, 64), ("fprop", (1, 1, 1), 3, 62),
        ("fprop", (16, 16, 4), 16, 64), ("dgrad", (8, 8, 4), 8, 64), ("wgrad", (8, 8, 4), 8, 64),
        ("dgrad", (2, 1, 4), 4, 62),
    ],
)  # fmt: skip
def test_channels_and_filters_are_padded_to_what_is_read_and_written(pass_, alignment, channels, filters):
    whole = padded(Convolution(pass_, 2, 3, 9, 9, 62, (3, 3)), alignment)
    assert (whole.channels, whole.filters) == (channels, filters)


def test_operands_of_each_pass():
    conv = Convolution("fprop", 2, 3, 5, 7, 11, (3, 3))
    x, w, y = (70, 3), (11, 27), (30, 11)
    shapes = [tensor_shapes(replace(conv, pass_=pass_)) for pass_ in ("fprop", "dgrad", "wgrad")]
    assert shapes == [(x, w, y), (y, w, x), (y, x, w)]
    assert tensor_bytes(conv, FP16.operand, FP16.accumulator) == (2 * 210, 2 * 297, 4 * 330)


@pytest.mark.parametrize("pass_", ["fprop", "dgrad", "wgrad"])
@pytest.mark.parametrize("layer", [CONV2, DOWN])
def test_without_padding_the_product_is_that_of_the_lowering(pass_, layer):
    plain = layer_gemm(layer, pass_, 4, "implicit", FP16)
    assert implicit_gemm(plain, plain.conv) == plain


def test_channels_cost_whole_tiles_of_k_unless_they_are_packed():
    whole = gemm(CONV1, "fprop")
    packed, apart = (expected_cycles(kernel, whole, 68, "none", 1)[1] for kernel in (FEW, FPROP))
    assert packed < apart / 2  # k is 49 · 4 instead of 49 · 32, loaded 8 bytes at a time instead of 16
    assert ranked([FPROP, FEW], whole, 68, 1) == [(FEW, "none", 1)]


def test_only_the_deep_k_of_wgrad_is_cut():
    assert splits(FPROP, gemm(CONV2, "fprop"), 68) == (("none", 1),)
    # 1 by 9 tiles of 128 x 64, 7 parts make one wave of 68
    assert splits(WGRAD, gemm(CONV2, "wgrad"), 68)[:5] == (
        ("none", 1), ("serial", 2), ("serial", 4), ("serial", 7), ("serial", 8),
    )  # fmt: skip


def test_a_problem_has_its_geometry():
    conv = Convolution("dgrad", 2, 3, 15, 17, 5, (7, 6), (2, 1), (3, 0), (1, 2), 1)
    problem = Problem(m=1, **geometry(conv))
    assert problem.conv == 2
    assert (problem.images, problem.height, problem.width, problem.channels, problem.filters) == (2, 15, 17, 3, 5)
    assert (problem.r, problem.s, problem.pad_h, problem.pad_w, problem.stride_h, problem.stride_w) == (
        7,
        6,
        3,
        0,
        2,
        1,
    )
    assert (problem.dilation_h, problem.dilation_w, problem.groups) == (1, 2, 1)
    assert Problem(m=1).conv == 0


def define(kernel):
    return f"struct {kernel.name} {{}};"


def test_convolutions_have_their_own_adapter_and_units():
    text = emit.translation_unit([FPROP, WGRAD], define)
    assert '#include "conv2x.h"' in text
    assert "PM_ENTRY_CONV(fprop),\n  PM_ENTRY_CONV(wgrad))" in text
    assert "PM_ENTRY_2X" not in text
    with pytest.raises(ValueError, match="convolutions apart"):
        emit.translation_unit([FPROP, MATRIX], define)
    assert "PM_ENTRY_CONV" in emit.headers(2)
    assert "PM_ENTRY_CONV" not in emit.headers(3)


@given(st.lists(st.sampled_from(KERNELS), unique=True), st.integers(1, 8))
def test_no_unit_mixes_them(kernels, jobs):
    units = emit.units_of(kernels, jobs)
    assert all(len({bool(one.conv) for one in unit}) == 1 for unit in units)
    assert sorted(one.name for unit in units for one in unit) == sorted(one.name for one in kernels)


TARGETS = ("75", "80", "86", "87", "89", "90a")


@pytest.fixture(scope="module")
def convolutions():
    pytest.importorskip("cutlass_library")
    from perfmodel.measure.cutlass import convolutions

    return convolutions


@pytest.mark.parametrize("target", TARGETS)
def test_every_row_names_kernels_that_exist(convolutions, target):
    found = {convolutions.key_of(kernel) for kernel in convolutions.convolution_catalogue(target)}
    assert found == set().union(*(convolutions.keys_of(row) for row in convolutions.ROWS if target in row[0]))
    assert len(found) == 28


@pytest.mark.parametrize("target", TARGETS)
def test_each_pass_of_each_precision_is_served(convolutions, target):
    kernels = convolutions.convolution_catalogue(target)
    for name, output in (("fp32", None), ("fp16", None), ("fp16", "fp32")):
        precision = find_precision(name, output=output)
        for layer, pass_ in ((CONV2, "fprop"), (CONV2, "dgrad"), (DOWN, "dgrad"), (CONV2, "wgrad"), (CONV1, "fprop")):
            assert sum(fits(kernel, gemm(layer, pass_, precision=precision)) for kernel in kernels) >= 2
    int8 = find_precision("int8")
    served = {pass_: sum(fits(k, gemm(CONV2, pass_, precision=int8)) for k in kernels) for pass_ in ("fprop", "wgrad")}
    assert served == {"fprop": 2, "wgrad": 0}  # CUTLASS has no other in INT8


def test_the_catalogue_is_filtered_by_precision(convolutions):
    fp32 = find_precision("fp32")
    kernels = convolutions.convolution_catalogue("75", "wide", [fp32])
    assert {kernel.precision for kernel in kernels} == {fp32}
    assert convolutions.convolution_catalogue("75", precisions=[find_precision("int4")]) == ()
    with pytest.raises(ValueError, match="search is one of"):
        convolutions.convolution_catalogue("75", "all")


def test_a_kernel_of_turing_read_in_our_words(convolutions):
    names = {kernel.name: kernel for kernel in convolutions.convolution_catalogue("75")}
    one = names["cutlass_tensorop_s1688wgrad_optimized_f16_64x64_32x2_nhwc_align8"]
    assert (one.unit, one.layout, one.tile, one.stages, one.alignment) == ("tensor", "nt", (64, 64, 32), 2, (8, 8, 4))
    assert (one.conv, one.stride, one.few, one.split_modes) == ("wgrad", "any", False, ("serial", "parallel"))
    few = names["cutlass_tensorop_f16_s1688fprop_fixed_channels_f16_128x64_32x2_nhwc_align4"]
    assert (few.conv, few.few, few.alignment, few.split_modes) == ("fprop", True, (4, 4, 4), ())
    unity = names["cutlass_simt_sdgrad_optimized_128x64_8x2_nhwc_unity_stride_align1"]
    assert (unity.conv, unity.stride, unity.swizzle, unity.alignment) == ("dgrad", "unity", 4, (1, 1, 1))
    assert names["cutlass_simt_sdgrad_optimized_128x64_8x2_nhwc_align1"].stride == "strided"


def test_cutlass_defines_a_convolution_under_its_name(convolutions):
    chosen = convolutions.convolution_catalogue("75")[0]
    text = emit.translation_unit([chosen])
    assert f"using {chosen.name}_base" in text
    assert f"struct {chosen.name} : public {chosen.name}_base {{}};" in text
    assert f"PM_ENTRY_CONV({chosen.name})" in text
    assert '#include "cutlass/conv/kernel/default_conv2d_wgrad.h"' in text
