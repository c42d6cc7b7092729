"""The algorithms of a convolution library: who applies where, and that each time is that of its products and bytes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.convolution import Convolution
from perfmodel.cost.convolutions import ALGORITHMS, algorithm_times, library_estimates
from perfmodel.cost.convolutions.implicit import SCATTER, SIMT_WGRAD
from perfmodel.cost.convolutions.transformed import FUSED
from perfmodel.cost.estimate import Gemms
from perfmodel.cost.tiles import Tiles
from perfmodel.devices import find_device
from perfmodel.errors import Unsupported
from perfmodel.gemm import find_precision

T4, V100, GTX = (find_device(name) for name in ("t4", "v100", "gtx-1080-ti"))
FP32, FP16, INT8 = (find_precision(name) for name in ("fp32", "fp16", "int8"))


def times(one: Convolution, precision, device=T4) -> dict[str, float]:
    seconds, names = algorithm_times([one], precision, Tiles(device))
    assert names == ALGORITHMS
    return dict(zip(names, seconds[:, 0].tolist(), strict=True))


def offered(one: Convolution, precision, device=T4) -> set[str]:
    return {name for name, seconds in times(one, precision, device).items() if np.isfinite(seconds)}


def gemm_s(device, precision, m, n, k, batch=1, a=1.0, b=1.0, split_k=False) -> float:
    arrays = (np.array([float(x)]) for x in (m, n, k, batch, a, b))
    return float(Tiles(device, split_k=split_k).gemms(Gemms(precision, *arrays)).seconds[0])


SQUARE = Convolution("fprop", 32, 48, 20, 20, 80, (3, 3), padding=(1, 1))
WIDE = Convolution("dgrad", 7, 64, 9, 9, 40, (1, 1), (2, 2), (3, 3))  # output 8 x 8


def test_fprop_is_the_gemm_of_its_output_pixels_without_split_k():
    one = Convolution("fprop", 3, 64, 11, 13, 40, (3, 3), (2, 2), (1, 1))  # output 6 x 7
    read = 3 * 64 * 11 * 13 / (126 * 576)
    assert times(one, FP32)["implicit-gemm"] == pytest.approx(gemm_s(T4, FP32, 126, 40, 576, a=read))


def test_wgrad_on_cuda_cores_is_a_slower_gemm_over_pixels_with_split_k():
    one = Convolution("wgrad", 3, 64, 11, 13, 40, (3, 3), (2, 2), (1, 1))
    read = 3 * 64 * 11 * 13 / (126 * 576)
    split = gemm_s(T4, FP32, 40, 576, 126, b=read, split_k=True)
    assert times(one, FP32)["implicit-gemm"] == pytest.approx(SIMT_WGRAD * split)
    assert times(one, FP16)["implicit-gemm"] == pytest.approx(gemm_s(T4, FP16, 40, 576, 126, b=read, split_k=True))


@pytest.mark.parametrize(
    ("kernel", "stride", "taps"), [((1, 1), 1, 1), ((1, 1), 2, 0.5), ((3, 3), 2, 4), ((5, 5), 2, 9), ((5, 10), 2, 15)]
)
def test_dgrad_multiplies_the_taps_that_a_stride_leaves(kernel, stride, taps):
    one = Convolution("dgrad", 2, 64, 21, 21, 40, kernel, (stride, stride))
    p, q = one.out
    k = 40 * taps
    read = 2 * p * q * 40 / (882 * k)
    assert times(one, FP16)["implicit-gemm"] == pytest.approx(gemm_s(T4, FP16, 882, 64, k, a=read))


def test_a_strided_dgrad_on_cuda_cores_clears_its_result_first():
    one = Convolution("dgrad", 2, 64, 21, 21, 40, (5, 5), (2, 2))  # output 9 x 9
    clearing = 4e-6 + 2 * 64 * 441 * 4 / (0.82 * 320e9)
    gemm = gemm_s(T4, FP32, 882, 64, 360, a=162 * 40 / (882 * 360))
    assert times(one, FP32)["implicit-gemm"] == pytest.approx(gemm + clearing)


def test_padding_wider_than_the_filter_leaves_tensor_cores_and_skips_no_zeros():
    assert offered(WIDE, FP16) == {"cuda-cores"}
    clearing = 4e-6 + 7 * 64 * 81 * 4 / (0.82 * 320e9)
    whole = gemm_s(T4, FP32, 567, 64, 40, a=448 * 40 / (567 * 40)) + clearing
    assert times(WIDE, FP16)["cuda-cores"] == pytest.approx(whole)
    assert times(WIDE, FP32)["implicit-gemm"] == pytest.approx(whole)


def test_fused_winograd_is_sixteen_products_for_four_pixels():
    one = Convolution("fprop", 32, 48, 20, 18, 80, (3, 3), padding=(1, 1))
    products = gemm_s(T4, FP32, 32 * 10 * 9, 80, 48, 16, a=0.25)
    assert times(one, FP32)["winograd-fused"] == pytest.approx(FUSED * products)


def test_winograd_is_products_and_what_transforms_move():
    count = 32 * 5 * 5  # tiles of 4 x 4 pixels
    moved = 32 * 400 * (48 + 80) + 9 * 48 * 80 + 36 * 48 * 80 + 36 * count * (48 + 80)
    expected = gemm_s(T4, FP32, count, 80, 48, 36) + moved * 4 / (0.82 * 320e9) + 8e-6
    assert times(SQUARE, FP32)["winograd"] == pytest.approx(expected)


def test_winograd_of_few_images_costs_that_of_sixteen_but_in_wgrad():
    few, many = (replace(SQUARE, images=images, padding=(0, 0)) for images in (5, 16))
    gap = times(many, FP32)["winograd"] - times(few, FP32)["winograd"]
    bytes_ = 4 * 11 * (400 * 48 + 324 * 80)  # pixels of 11 images in and out: the transformed ones are as many
    assert gap == pytest.approx(bytes_ / (0.82 * 320e9))
    few, many = (replace(one, pass_="wgrad") for one in (few, many))
    assert times(many, FP32)["winograd"] > 1.5 * times(few, FP32)["winograd"]


def test_fft_is_complex_products_of_frequencies():
    one = Convolution("fprop", 3, 17, 40, 40, 19, (5, 5))  # output 36 x 36: two tiles of 28 each way
    count, frequencies = 12, 544
    spectra = frequencies * (count * (17 + 19) + 17 * 19)
    moved = 4 * 3 * (1600 * 17 + 1296 * 19) + 16 * spectra
    expected = gemm_s(T4, FP32, count, 19, 17, 3 * frequencies) + moved / (0.82 * 320e9) + 12e-6
    assert times(one, FP32)["fft"] == pytest.approx(expected)


def test_few_channels_may_scatter_in_dgrad():
    one = Convolution("dgrad", 3, 3, 21, 21, 40, (5, 5), (2, 2))  # output 9 x 9
    clock = Tiles(GTX).clock_hz(FP32)
    cleared, added = 3 * 3 * 441 * 4 / (0.82 * 484e9), 8 * 243 * 75 / (1408 * clock)
    product = gemm_s(GTX, FP32, 243, 75, 40)
    assert times(one, FP32, GTX)["scatter"] == pytest.approx(SCATTER * (product + cleared + added))
    assert "scatter" not in offered(replace(one, channels=8), FP32, GTX)


@pytest.mark.parametrize(
    ("pass_", "precision", "kernel", "expected"),
    [
        ("fprop", FP32, (3, 3), {"implicit-gemm", "winograd", "winograd-fused", "fft"}),
        ("wgrad", FP32, (3, 3), {"implicit-gemm", "winograd", "fft"}),
        ("fprop", FP32, (5, 5), {"implicit-gemm", "winograd", "fft"}),
        ("fprop", FP32, (3, 5), {"implicit-gemm", "fft"}),
        ("fprop", FP32, (1, 1), {"implicit-gemm"}),
        ("fprop", FP16, (3, 3), {"implicit-gemm"}),
        ("fprop", INT8, (3, 3), {"implicit-gemm"}),
        ("dgrad", INT8, (3, 3), set()),
        ("wgrad", INT8, (3, 3), set()),
    ],
)
def test_what_is_offered(pass_, precision, kernel, expected):
    one = Convolution(pass_, 4, 48, 20, 20, 80, kernel)
    assert offered(one, precision) == expected


@pytest.mark.parametrize("changed", [{"stride": (2, 2)}, {"dilation": (2, 2)}])
def test_no_transforms_with_stride_or_dilation(changed):
    assert offered(replace(SQUARE, **changed), FP32) == {"implicit-gemm"}


def test_channels_are_padded_for_tensor_cores_and_dp4a():
    one, three = (replace(SQUARE, channels=count) for count in (8, 3))
    assert times(three, FP16) == times(one, FP16)
    assert times(three, INT8, GTX) == times(replace(one, channels=4), INT8, GTX)
    assert times(three, FP32) != times(one, FP32)


def test_groups_are_batches_of_less_channels():
    one = Convolution("fprop", 3, 64, 9, 9, 40, (1, 1), groups=4)
    assert times(one, FP32)["implicit-gemm"] == pytest.approx(gemm_s(T4, FP32, 243, 10, 16, 4))


def test_mixed_passes_keep_their_order_and_name_the_fastest():
    mixed = [replace(SQUARE, pass_=pass_) for pass_ in ("wgrad", "fprop", "dgrad", "wgrad")]
    found = library_estimates(mixed, FP32, Tiles(V100))
    for one, seconds, name in zip(mixed, found.seconds, found.detail, strict=True):
        alone = times(one, FP32, V100)
        assert name == min(alone, key=alone.get)
        assert seconds == pytest.approx(alone[name])


def test_the_library_chooses_its_own_tile():
    seconds, _ = algorithm_times([SQUARE], FP32, Tiles(T4, "64x64"))
    assert seconds.min() == min(times(SQUARE, FP32).values())


def test_nothing_costs_nothing():
    seconds, names = algorithm_times([], FP32, Tiles(T4))
    assert seconds.shape == (len(names), 0)


def test_a_precision_without_a_unit_is_refused():
    with pytest.raises(Unsupported, match="E1103"):
        algorithm_times([SQUARE], find_precision("int4"), Tiles(V100))


sizes = st.integers(1, 40)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(("fprop", "dgrad", "wgrad")), sizes, sizes, st.integers(7, 40), sizes,
    st.sampled_from((1, 2, 3, 5, 7)), st.integers(1, 3), st.integers(0, 4), st.sampled_from((FP32, FP16)),
)  # fmt: skip
def test_every_convolution_has_a_time_above_a_launch_and_below_infinity(pass_, n, c, h, k, r, stride, pad, precision):
    one = Convolution(pass_, n, c, h, h + 2, k, (r, r), (stride, stride), (pad, pad))
    found = library_estimates([one], precision, Tiles(T4)).seconds[0]
    assert 4e-6 < found < 1.0
