"""GEMMs: work, bytes and alignment by hand; precisions by name."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.errors import InputError, UnknownName, Unsupported
from perfmodel.gemm import Gemm, find_precision

SIZE = st.integers(1, 10**6)


def test_work_by_hand():
    gemm = Gemm(3, 5, 7, batch=2)
    assert (gemm.macs, gemm.flop) == (210, 420)


@pytest.mark.parametrize(
    ("precision", "size"),
    [  # 2 · (3·7 + 7·5) = 112 elements in, 2 · 3·5 = 30 out
        ("fp64", 112 * 8 + 30 * 8), ("fp32", 112 * 4 + 30 * 4), ("tf32", 112 * 4 + 30 * 4), ("fp16", 112 * 2 + 30 * 2),
        ("fp16+fp16", 112 * 2 + 30 * 2), ("fp8_e4m3", 112 + 30 * 2), ("int8", 112 + 30 * 4), ("int4", 56 + 30 * 4),
    ],
)  # fmt: skip
def test_bytes_by_hand(precision, size):
    assert Gemm(3, 5, 7, 2, find_precision(precision)).bytes == size


def test_only_what_is_stored_is_read():
    gemm = Gemm(3, 5, 7, 2, find_precision("fp16"), a_distinct=11, b_distinct=13)
    assert gemm.bytes == 2 * (11 + 13 + 30)
    assert replace(gemm, b_distinct=None).bytes == 2 * (11 + 70 + 30)
    assert gemm.macs == 210  # the view is multiplied in full


@pytest.mark.parametrize(
    ("precision", "k", "padded"),
    [
        ("fp32", 147, 147), ("tf32", 147, 148), ("fp16", 147, 152), ("bf16", 147, 152), ("int8", 147, 160),
        ("fp8_e5m2", 147, 160), ("int4", 147, 160), ("int4", 161, 192), ("fp16", 152, 152), ("fp16", 1, 8),
    ],
)  # fmt: skip
def test_alignment_pads_k(precision, k, padded):
    gemm = Gemm(3, 5, k, 2, find_precision(precision), 11, 13)
    assert gemm.aligned() == Gemm(3, 5, padded, 2, find_precision(precision), 11, 13)


@given(SIZE, SIZE, SIZE, st.sampled_from(["fp32", "fp16", "int8", "int4"]))
def test_alignment_never_shrinks_and_is_done_once(m, n, k, precision):
    gemm = Gemm(m, n, k, 1, find_precision(precision))
    aligned = gemm.aligned()
    assert k <= aligned.k < k + 32
    assert (aligned.m, aligned.n) == (m, n)
    assert aligned.aligned() == aligned


@pytest.mark.parametrize("name", ["m", "n", "k", "batch"])
@pytest.mark.parametrize("size", [0, -3, 2.0, True, "7", None, float("nan"), pytest.param(-(1 << 20_000), id="huge")])
def test_sizes_are_positive_whole_numbers(name, size):
    with pytest.raises(InputError) as caught:
        Gemm(**{"m": 3, "n": 5, "k": 7, "batch": 1, name: size})
    (line,) = caught.value.lines()
    assert line.startswith(f"E1102 GEMM {name}: ")
    assert "is not a positive whole number." in line


@pytest.mark.parametrize(
    ("name", "accumulator", "output"),
    [
        ("fp64", "fp64", "fp64"), ("fp32", "fp32", "fp32"), ("tf32", "fp32", "fp32"), ("bf16", "fp32", "bf16"),
        ("fp16", "fp32", "fp16"), ("fp16+fp16", "fp16", "fp16"), ("fp8_e4m3", "fp32", "fp16"),
        ("fp8_e5m2+fp16", "fp16", "fp16"), ("int8", "int32", "int32"), ("int4", "int32", "int32"),
    ],
)  # fmt: skip
def test_precisions(name, accumulator, output):
    precision = find_precision(name)
    assert (precision.accumulator.name, precision.output.name) == (accumulator, output)
    assert precision.name == name
    assert find_precision(precision.name) == precision


def test_the_usual_accumulator_needs_no_name():
    assert find_precision("fp16+fp32") == find_precision("fp16")
    assert find_precision("fp16", "fp16") == find_precision("fp16+fp16")
    assert find_precision("fp16", "fp16") != find_precision("fp16")


def test_the_output_may_be_named():
    wide = find_precision("fp16", "fp16", "fp32")
    assert (wide.operand.name, wide.accumulator.name, wide.output.name) == ("fp16", "fp16", "fp32")
    assert wide.name == "fp16+fp16"
    assert wide != find_precision("fp16", "fp16")
    assert find_precision("fp16", output="fp16") == find_precision("fp16")
    assert Gemm(3, 5, 7, 2, wide).bytes == 112 * 2 + 30 * 4
    with pytest.raises(UnknownName, match="E1004 format 'fp33'"):
        find_precision("fp16", output="fp33")


@pytest.mark.parametrize("name", ["dfx8", "int32", "mxfp8", "nvfp4"])
def test_formats_that_no_unit_multiplies(name):
    with pytest.raises(Unsupported) as caught:
        find_precision(name)
    (line,) = caught.value.lines()
    assert line.startswith(f"E1101 precision '{name}': no GEMM unit computes in it. Choose one of fp64, fp32,")


@pytest.mark.parametrize("name", ["fp17", "fp16+fp17", "", "+fp16", None])
def test_unknown_precisions(name):
    with pytest.raises(UnknownName, match="E1004 format"):
        find_precision(name)


@pytest.mark.parametrize(("name", "accumulate"), [("fp16+", None), ("fp16+fp16", "fp32"), ("int8+", "int32")])
def test_an_accumulator_is_named_once(name, accumulate):
    with pytest.raises(InputError, match=r"^E1110 precision '"):
        find_precision(name, accumulate)


def test_an_accumulator_may_be_repeated():
    assert find_precision("fp16+fp16", "fp16") == find_precision("fp16", "fp16")
