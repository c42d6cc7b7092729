"""The text by which a profile names a kernel, and the words for precisions and chips."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.gemm import find_precision
from perfmodel.measure.cutlass.catalogue import catalogue, supported, target_of
from perfmodel.measure.cutlass.choice import ROWS, TARGETS, precision_of, precisions_of, rows_of, tile_text
from perfmodel.measure.cutlass.kernels import GemmKernel, precision_text, read_variant, variant_text

SGEMM = GemmKernel("cutlass_simt_sgemm_128x64_8x2_tn_align1", "75", 2, "simt", find_precision("fp32"), "tn",
                   (128, 64, 8), 2, (1, 1, 1), (1, 1, 1), ("serial", "parallel"), 8)  # fmt: skip
HOPPER = GemmKernel("cutlass3x_sm90_tensorop_gemm_f16_64x256x64_stream_k_cooperative", "90a", 3, "warpgroup",
                    find_precision("fp16"), "tn", (256, 64, 64), 0, (2, 1, 1), (8, 8, 8), ("stream",), 1)  # fmt: skip


def test_the_variant_is_the_name_and_how_k_is_cut():
    assert variant_text(SGEMM) == "cutlass_simt_sgemm_128x64_8x2_tn_align1"
    assert variant_text(SGEMM, 4, "serial") == "cutlass_simt_sgemm_128x64_8x2_tn_align1 split4"
    assert variant_text(SGEMM, 12, "parallel") == "cutlass_simt_sgemm_128x64_8x2_tn_align1 parallel12"


@given(st.integers(2, 10**6), st.sampled_from(["serial", "parallel"]))
def test_a_variant_reads_back(parts, mode):
    assert read_variant(variant_text(SGEMM, parts, mode)) == (SGEMM.name, parts, mode)


@pytest.mark.parametrize("mode", ["none", "serial", "parallel"])
def test_one_part_is_k_as_a_whole(mode):
    assert read_variant(variant_text(SGEMM, 1, mode)) == (SGEMM.name, 1, "none")


@pytest.mark.parametrize(
    "text", ["", "cublas", "a split", "a split0", "a split1", "a split04", "a stream2", "a b split2"]
)
def test_what_has_another_form_is_a_name(text):
    assert read_variant(text) == (text, 1, "none")


@pytest.mark.parametrize(("parts", "mode"), [(2, "none"), (2, "stream"), (0, "serial"), (-1, "serial")])
def test_a_variant_that_cannot_be_is_a_bug(parts, mode):
    with pytest.raises(ValueError, match="does not cut"):
        variant_text(SGEMM, parts, mode)


def test_tiles_as_rows_write_them():
    assert tile_text(SGEMM) == "128x64_8x2"
    assert tile_text(HOPPER) == "256x64_64 stream 2x1"


@pytest.mark.parametrize(
    ("capability", "target"),
    [((7, 5), "75"), ("8.0", "80"), ((8, 6), "86"), ("8.7", "87"), ((8, 9), "89"), ((9, 0), "90a"), ("9.0", "90a")],
)
def test_target_of_a_chip(capability, target):
    assert target_of(capability) == target


@pytest.mark.parametrize("capability", [(7, 0), "6.1", "8.8", "", "75", "x.y"])
def test_a_chip_without_kernels(capability):
    if capability == "75":  # a number without a point would be compute capability 75
        capability = "0.75"
    with pytest.raises(InputError, match=r"^E2302 compute capability '.*': has no kernels in the catalogue\. There"):
        target_of(capability)


@pytest.mark.parametrize("capability", [(10, 0), "9.1", (12, 0)])
def test_a_chip_that_is_too_new(capability):
    with pytest.raises(InputError, match=r"^E2302 .*: is newer than the kernels of the catalogue\. .* 8\.9, 9\.0\.$"):
        target_of(capability)


def test_a_target_that_is_none():
    with pytest.raises(InputError, match=r"^E2302 target '90': has no kernels .* 90a\.$"):
        catalogue("90")


def test_precisions_of_each_target():
    turing = ["fp32", "fp16", "fp16->fp32", "fp16+fp16", "int8", "int8->int8", "int4"]
    assert precisions_of("75") == turing
    assert set(precisions_of("80")) == {*turing, "bf16", "tf32"}
    assert set(precisions_of("89")) == {*turing, "bf16", "tf32", "fp8_e4m3", "fp8_e5m2"}
    assert set(precisions_of("90a")) == {*turing, "bf16", "tf32", "fp8_e4m3", "fp8_e5m2"} - {"int4"}


def test_no_int4_on_hopper_and_no_fp8_before_ada():
    assert supported("89", find_precision("int4"))
    assert not supported("90a", find_precision("int4"))
    assert supported("89", find_precision("fp8_e4m3"))
    assert not supported("86", find_precision("fp8_e4m3"))


@pytest.mark.parametrize("scheme", [("fp32",), ("fp16",), ("fp16", "fp32", "fp32"), ("int8",)])
@pytest.mark.parametrize("target", TARGETS.values())
def test_what_the_schemes_multiply_in_is_there(target, scheme):
    assert supported(target, find_precision(*scheme))


def test_precision_texts_read_back():
    texts = {text for row in ROWS for text in row.precisions}
    assert {precision_text(precision_of(text)) for text in texts} == texts


@pytest.mark.parametrize("target", TARGETS.values())
def test_no_two_rows_name_the_same_kernel(target):
    keys = [key for row in rows_of(target) for key in sorted(row.kernels())]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("target", TARGETS.values())
def test_each_pass_and_odd_sizes_are_served(target):
    keys = set().union(*(row.kernels() for row in rows_of(target)))
    for text in ("fp32", "fp16", "fp16->fp32", "fp16+fp16"):
        layouts = {layout for _, precision, layout, alignment, _ in keys if precision == text and alignment == 1}
        assert layouts == {"tn", "tt", "nt"}
    assert {layout for unit, _, layout, _, _ in keys if unit == "dp4a"} == {"tt", "nt"}
