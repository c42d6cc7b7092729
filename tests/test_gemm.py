"""GEMMs: work, bytes and alignment by hand; precisions by name."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.errors import InputError, UnknownName, Unsupported
from perfmodel.formats import FORMATS
from perfmodel.gemm import LAYOUTS, Gemm, align, find_precision

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
    gemm = Gemm(3, 8, k, 2, find_precision(precision), 11, 13)  # lines of 8 elements need no padding in any output
    assert gemm.aligned() == Gemm(3, 8, padded, 2, find_precision(precision), 11, 13)


HALF_TO_FP32, INT8_TO_INT8 = ("fp16", "fp32", "fp32"), ("int8", "int32", "int8")


# 16 bytes are 4 elements of 4 B, 8 of 2 B, 16 of 1 B (INT4: 32, and half a byte each). A and B are lines of k, m or n
# by the layout; C is lines of n, in its own format: FP16, of FP16 in FP32 and of INT8 FP32 and INT32.
@pytest.mark.parametrize(
    ("precision", "layout", "padded"),
    [  # of m, n, k = 3, 5, 7
        (("fp16",), "tn", (3, 8, 8)), (("fp16",), "tt", (3, 8, 8)), (("fp16",), "nt", (8, 8, 7)),
        (("fp16",), "nn", (8, 8, 8)),
        (HALF_TO_FP32, "tn", (3, 8, 8)), (HALF_TO_FP32, "tt", (3, 8, 8)), (HALF_TO_FP32, "nt", (8, 8, 7)),
        (("tf32",), "tn", (3, 8, 8)), (("tf32",), "tt", (3, 8, 8)), (("tf32",), "nt", (4, 8, 7)),
        (("tf32",), "nn", (4, 8, 8)),
        (("int8",), "tn", (3, 8, 16)), (("int4",), "tn", (3, 8, 32)), (INT8_TO_INT8, "tn", (3, 16, 16)),
        (("fp8_e4m3",), "tn", (3, 8, 16)), (("fp8_e4m3",), "nt", (16, 16, 7)),
        *[((name,), layout, (3, 5, 7)) for name in ("fp32", "fp64") for layout in LAYOUTS],
    ],
)  # fmt: skip
def test_alignment_by_layout(precision, layout, padded):
    gemm = Gemm(3, 5, 7, 1, find_precision(*precision), 11, 13, layout)
    assert gemm.aligned() == replace(gemm, m=padded[0], n=padded[1], k=padded[2])
    # m and n of a batch are slices of wider tensors: they are left as they are.
    assert replace(gemm, batch=2).aligned() == replace(gemm, batch=2, k=padded[2])
    sizes = align(gemm.precision, layout, *(np.array([size, 2 * size]) for size in (3, 5, 7)), np.array([1, 2]))
    assert [array[0] for array in sizes] == list(padded)
    assert (sizes[0][1], sizes[1][1]) == (6, 10)


def test_only_lines_of_c_need_less_where_it_is_wider():
    """n = 3: 4 elements of FP32 or INT32 are a line; where B is contiguous in n, its 8 elements of FP16 decide."""
    half = find_precision(*HALF_TO_FP32)
    assert Gemm(3, 3, 7, precision=half).aligned().n == 4
    assert Gemm(3, 3, 7, precision=half, layout="tt").aligned().n == 8
    assert Gemm(3, 3, 7, precision=find_precision("int8")).aligned().n == 4
    assert Gemm(3, 3, 7, precision=find_precision("fp16")).aligned().n == 8


OPERANDS = ("fp64", "fp32", "tf32", "bf16", "fp16", "fp8_e4m3", "int8", "int4")


@given(SIZE, SIZE, SIZE, st.integers(1, 3), st.sampled_from(OPERANDS), st.sampled_from(LAYOUTS))
def test_alignment_never_shrinks_and_is_done_once(m, n, k, batch, precision, layout):
    gemm = Gemm(m, n, k, batch, find_precision(precision), layout=layout)
    aligned = gemm.aligned()
    for size, padded in ((m, aligned.m), (n, aligned.n), (k, aligned.k)):
        assert size <= padded < size + 32
    assert replace(aligned, m=m, n=n, k=k) == gemm
    assert aligned.aligned() == aligned


@given(SIZE, SIZE, SIZE, st.sampled_from(OPERANDS[2:]), st.sampled_from(LAYOUTS))
def test_aligned_lines_are_whole_multiples_of_16_bytes(m, n, k, precision, layout):
    gemm = Gemm(m, n, k, 1, find_precision(precision), layout=layout).aligned()
    operand, output = gemm.precision.operand.bits, gemm.precision.output.bits
    lines = {"a": gemm.k if layout[0] == "t" else gemm.m, "b": gemm.k if layout[1] == "n" else gemm.n}
    assert {name: line * operand % 128 for name, line in lines.items()} == {"a": 0, "b": 0}
    assert gemm.n * output % 128 == 0


@pytest.mark.parametrize("layout", ["tx", "", "TN", None, 3, ["tn"]])
def test_unknown_layouts(layout):
    with pytest.raises(UnknownName, match=r"^E1102 GEMM layout .* is not known\."):
        Gemm(3, 5, 7, layout=layout)


def test_formats_that_tensor_cores_read_along_k_alone():
    narrow = {"fp8_e4m3", "fp8_e5m2", "int8", "int4"}
    assert {name for name in (*OPERANDS, "fp8_e5m2") if FORMATS[name].reads_along_k} == narrow


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
