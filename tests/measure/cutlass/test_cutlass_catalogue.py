"""The catalogue against CUTLASS's generator: what is in it, and that our words for it are right."""

import re
import sys
from collections import Counter

import numpy as np
import pytest

from perfmodel.errors import InputError
from perfmodel.gemm import find_precision
from perfmodel.measure.cutlass.catalogue import _wide, catalogue, catalogue_version, operation_of, sums_of_a_thread
from perfmodel.measure.cutlass.catalogue_operations import operations
from perfmodel.measure.cutlass.catalogue_reading import our_layout
from perfmodel.measure.cutlass.choice import TARGETS, key_of, rows_of
from perfmodel.measure.cutlass.kernels import precision_text
from perfmodel.measure.requirements import installed

generator = pytest.mark.skipif(not installed("cutlass_library"), reason="cutlass_library is not installed")
every_target = pytest.mark.parametrize("target", TARGETS.values())
every_search = pytest.mark.parametrize("search", ["default", "wide"])

AMPERE = {
    "fp32 simt": (9, 33), "tf32 tensor": (12, 69), "fp16 tensor": (12, 81), "fp16->fp32 tensor": (9, 81),
    "fp16+fp16 tensor": (6, 81), "bf16 tensor": (12, 81), "bf16->fp32 tensor": (0, 81), "int8 tensor": (4, 24),
    "int8->int8 tensor": (1, 24), "int4 tensor": (2, 17), "int8 dp4a": (4, 18), "int8->int8 dp4a": (0, 18),
}  # fmt: skip
LESS_MEMORY = AMPERE | {  # 99 KiB of shared memory instead of 163
    "tf32 tensor": (12, 54), "fp16 tensor": (12, 60), "fp16->fp32 tensor": (9, 60), "fp16+fp16 tensor": (6, 60),
    "bf16 tensor": (12, 60), "bf16->fp32 tensor": (0, 60), "int8 tensor": (4, 17), "int8->int8 tensor": (1, 17),
    "int4 tensor": (2, 12),
}  # fmt: skip
COUNTS = {  # of the default choice, of the wide one
    "75": {
        "fp32 simt": (9, 18), "fp16 tensor": (12, 36), "fp16->fp32 tensor": (9, 36), "fp16+fp16 tensor": (6, 36),
        "int8 tensor": (4, 22), "int8->int8 tensor": (1, 22), "int4 tensor": (2, 8), "int8 dp4a": (4, 18),
        "int8->int8 dp4a": (0, 18),
    },
    "80": AMPERE, "86": LESS_MEMORY, "87": AMPERE,
    "89": LESS_MEMORY | {
        "fp8_e4m3 tensor": (3, 66), "fp8_e5m2 tensor": (3, 66), "fp8_e4m3->fp32 tensor": (0, 66),
        "fp8_e5m2->fp32 tensor": (0, 66),
    },
    "90a": {
        "fp32 simt": (6, 33), "tf32 warpgroup": (4, 108), "fp16 warpgroup": (9, 60), "fp16->fp32 warpgroup": (3, 60),
        "fp16+fp16 warpgroup": (3, 60), "bf16 warpgroup": (6, 60), "bf16->fp32 warpgroup": (0, 60),
        "int8 warpgroup": (4, 20), "int8->int8 warpgroup": (1, 20), "fp8_e4m3 warpgroup": (2, 26),
        "fp8_e5m2 warpgroup": (2, 26), "fp8_e4m3->fp32 warpgroup": (0, 26), "fp8_e5m2->fp32 warpgroup": (0, 26),
        "tf32 tensor": (6, 69), "fp16 tensor": (3, 81), "fp16->fp32 tensor": (3, 81), "fp16+fp16 tensor": (3, 81),
        "bf16 tensor": (3, 81), "bf16->fp32 tensor": (0, 81), "int8 tensor": (0, 24), "int8->int8 tensor": (0, 24),
        "int8 dp4a": (2, 18), "int8->int8 dp4a": (0, 18),
    },
}  # fmt: skip
SIZES = {"75": 47, "80": 71, "86": 71, "87": 71, "89": 77, "90a": 60}
SHARED_KIB = {"75": 64, "80": 163, "86": 99, "87": 163, "89": 99, "90a": 227}


@generator
@every_target
def test_how_many_kernels_there_are(target):
    counts = [
        Counter(f"{precision_text(one.precision)} {one.unit}" for one in catalogue(target, search))
        for search in ("default", "wide")
    ]
    families = {family: (counts[0][family], counts[1][family]) for family in counts[1]}
    assert families == COUNTS[target]
    assert counts[0].total() == SIZES[target]


@generator
@every_target
def test_the_default_is_what_the_rows_name_once_each(target):
    named = sorted(key for row in rows_of(target) for key in row.kernels())
    assert sorted(map(key_of, catalogue(target))) == named
    assert set(catalogue(target)) <= set(catalogue(target, "wide"))


@generator
@every_target
def test_the_default_serves_every_pass(target):
    """fprop, dgrad and wgrad as they lie; where the unit reads along k, all three with transposed operands."""
    layouts, odd = {}, {}
    for one in catalogue(target):
        if one.unit != "dp4a":
            layouts.setdefault(one.precision, set()).add(one.layout)
        if one.alignment == (1, 1, 1):
            odd.setdefault(one.precision, set()).add(one.layout)
    for precision, has in layouts.items():
        bits = precision.operand.bits
        assert has == ({"tn", "tt", "nt"} if bits > 8 else {"tn"}), precision
        assert odd.get(precision, set()) == ({"tn", "tt", "nt"} if bits > 8 else set()), precision


@generator
@every_search
@every_target
def test_each_kernel_is_an_operation_of_its_name_within_the_limits(target, search):
    kernels = catalogue(target, search)
    assert len({one.name for one in kernels}) == len(kernels)
    chip = int(target.rstrip("a"))
    for one in kernels:
        operation = operation_of(one)
        tile = operation.tile_description
        assert operation.procedural_name() == one.name
        assert tile.minimum_compute_capability <= chip <= tile.maximum_compute_capability
        assert (one.generation == 3) == one.name.startswith("cutlass3x_sm90_") == (one.unit == "warpgroup")
        m, n, k = one.tile
        assert (m + n) * k * max(one.stages, 1) * one.precision.operand.bits / 8 <= SHARED_KIB[target] * 1024


@generator
@every_search
@every_target
def test_layouts_are_those_of_the_transposed_product(target, search):
    """CUTLASS's operands [n, k] and [k, m] are the transposes of our B and A: NumPy says how they lie."""
    for one in catalogue(target, search):
        a = np.empty((5, 7), order="C" if one.layout[0] == "t" else "F")  # [m, k]: contiguous in k or in m
        b = np.empty((7, 3), order="C" if one.layout[1] == "t" else "F")  # [k, n]: contiguous in n or in k
        c = np.empty((5, 3))
        operation = operation_of(one)
        assert operation.A.layout.name == lies(b.T)
        assert operation.B.layout.name == lies(a.T)
        assert operation.C.layout.name == lies(c.T)


def lies(matrix):
    return "RowMajor" if matrix.flags.c_contiguous else "ColumnMajor"


def test_the_four_names_by_strides():
    for named in ("tn", "tt", "nt", "nn"):
        first = np.empty((3, 7), order="C" if named[0] == "t" else "F")  # CUTLASS's A, [n, k]: `t` is row-major
        second = np.empty((7, 5), order="C" if named[1] == "t" else "F")
        b, a = first.T, second.T  # [k, n], [m, k]
        letters = ("t" if a.strides[1] == a.itemsize else "n") + ("n" if b.strides[0] == b.itemsize else "t")
        assert our_layout(named) == letters


@generator
@pytest.mark.parametrize("target", ["75", "89"])
def test_a_2x_kernel_counts_its_tile_along_our_rows_and_columns(target):
    """What the emitter writes computes rows by columns into a row-major C: with our A first, the rows are our m."""
    from cutlass_library.gemm_operation import EmitGemmUniversalInstance

    for one in catalogue(target):
        text = EmitGemmUniversalInstance().emit(operation_of(one))
        layouts = re.findall(r"layout::(RowMajor|ColumnMajor)", text)
        assert layouts == [LIES[one.layout[0]], LIES[one.layout[1]], "RowMajor"]
        shape = re.search(r"GemmShape<(\d+), (\d+), (\d+)>", text).groups()
        assert tuple(map(int, shape)) == one.tile


LIES = {"t": "RowMajor", "n": "ColumnMajor"}  # of our A [m, k] and B [k, n] both


@generator
def test_a_3x_kernel_counts_its_tile_along_our_columns_and_rows():
    """What the emitter writes has a column-major C, ours transposed: its rows are our n."""
    from cutlass_library.gemm_operation import EmitGemmUniversal3xInstance

    swapped = {"RowMajor": "n", "ColumnMajor": "t"}  # a row-major [n, k] is our B contiguous in k
    for one in (kernel for kernel in catalogue("90a") if kernel.generation == 3):
        text = EmitGemmUniversal3xInstance().emit(operation_of(one))
        c, _, b, a = re.findall(r"layout::(RowMajor|ColumnMajor)", text)
        assert (c, swapped[a], swapped[b]) == ("ColumnMajor", one.layout[0], one.layout[1])
        (n, m, k), (cluster_n, cluster_m, _) = shapes(text)[:2]
        assert (m, n, k) == one.tile
        assert (cluster_m, cluster_n, 1) == one.cluster


def shapes(text):
    found = re.findall(r"Shape<cute::_(\d+), *cute::_(\d+), *cute::_(\d+)>", text)
    return [tuple(map(int, shape)) for shape in found]


@generator
@every_target
def test_operands_are_read_16_bytes_at_a_time_or_one_element_by_the_small_tile(target):
    for one in catalogue(target):
        a, b, c = one.alignment
        assert a == b
        if one.unit == "simt":
            assert one.alignment == (1, 1, 1)
        elif one.unit == "dp4a":
            assert one.alignment == (4, 4, 1)
        else:
            assert a * one.precision.operand.bits == 128 or (a == 1 and one.tile[:2] == (64, 64))
            assert 128 % (c * one.precision.output.bits) == 0


@generator
def test_alignments_by_hand():
    def alignment(target, name):
        return next(one.alignment for one in catalogue(target, "wide") if one.name == name)

    assert alignment("75", "cutlass_tensorop_s1688gemm_f16_128x128_32x2_nt_align8") == (8, 8, 4)
    assert alignment("75", "cutlass_tensorop_f16_s1688gemm_f16_64x64_32x2_nt_align1") == (1, 1, 1)
    assert alignment("75", "cutlass_tensorop_i8816gemm_s8_128x128_64x2_tn_align16") == (16, 16, 4)
    assert alignment("75", "cutlass_tensorop_s8_i8816gemm_s8_128x64_64x2_tn_align16") == (16, 16, 8)
    assert alignment("75", "cutlass_tensorop_s8_i8816gemm_s8_128x128_64x2_tn_align16") == (16, 16, 16)
    assert alignment("75", "cutlass_tensorop_i8832gemm_s4_128x128_128x2_tn_align32") == (32, 32, 4)
    kinds = "cutlass3x_sm90_tensorop_{}_1x2x1_0_tnn_{}_warpspecialized_{}"
    tma = kinds.format("gemm_f16_f16_f32_void_f16_128x256x64", "align8", "cooperative_epi_tma")
    direct = kinds.format("tf32gemm_f32_f32_f32_void_f32_64x128x32", "align4", "epi_nosmem")
    assert alignment("90a", tma) == (8, 8, 8)
    assert alignment("90a", direct) == (4, 4, 1)  # its threads write single elements


@generator
def test_warp_groups_store_by_tma_and_read_no_c_where_cutlass_can():
    kernels = [one for one in catalogue("90a") if one.generation == 3]
    assert all(one.name.endswith("_epi_tma") for one in kernels)
    reading = {precision_text(one.precision) for one in kernels if "_void_" not in one.name}
    assert reading == {"int8->int8", "fp8_e4m3", "fp8_e5m2"}
    twins = Counter(key_of(one) for one in catalogue("90a", "wide") if one.generation == 3)
    assert set(twins.values()) == {1}


@generator
def test_the_sums_of_a_thread():
    """By hand: rows of a tile times columns over the threads that share it."""
    kernels = {key_of(one): one for one in catalogue("90a")}

    def sums(precision, layout, alignment, tile):
        return sums_of_a_thread(kernels["warpgroup", precision, layout, alignment, tile])

    assert sums("fp16", "tn", 8, "256x128_64 coop 2x1") == 256 * 128 / 256
    assert sums("fp16", "nt", 8, "128x128_64 stream 1x2") == 128 * 128 / 256
    assert sums("fp16", "tn", 8, "128x128_64 ping 2x1") == 128 * 128 / 128
    assert sums("fp8_e4m3", "tn", 16, "128x128_128 coop 2x1") == 2 * 128 * 128 / 256
    assert max(sums_of_a_thread(one) for one in catalogue("90a", "wide")) == 128
    assert sums_of_a_thread(catalogue("80")[0]) == 0


@generator
@every_search
@every_target
def test_which_kernels_cut_k(target, search):
    for one in catalogue(target, search):
        if one.generation == 3:
            assert one.split_modes == (("stream",) if "stream_k" in one.name else ())
        elif one.precision.output.name == "int8":
            assert one.split_modes == ()
        else:
            same = one.precision.output == one.precision.accumulator
            assert one.split_modes == (("serial", "parallel") if same else ("serial",))


@generator
@every_target
def test_8_and_4_bit_tensor_units_take_tn_alone_and_no_pass_takes_nn(target):
    for one in catalogue(target, "wide"):
        assert one.layout != "nn"
        if one.unit in ("tensor", "warpgroup") and one.precision.operand.bits <= 8:
            assert one.layout == "tn"


@generator
def test_tf32_kernels_read_fp32():
    for target in ("80", "90a"):
        for one in catalogue(target, "wide", [find_precision("tf32")]):
            assert operation_of(one).A.element.name == operation_of(one).B.element.name == "f32"
            assert operation_of(one).tile_description.math_instruction.element_a.name == "tf32"


@generator
def test_fp8_sums_are_the_exact_ones_unless_asked_for():
    for target in ("89", "90a"):
        fast = ["fastaccum" in one.name for one in catalogue(target, "wide", [find_precision("fp8_e4m3")])]
        assert any(fast)
        assert not any("fastaccum" in one.name for one in catalogue(target))


@generator
def test_only_the_precisions_that_are_asked_for():
    asked = [find_precision("int8"), find_precision("fp32")]
    assert Counter(one.precision.name for one in catalogue("75", "default", asked)) == {"int8": 8, "fp32": 9}
    assert catalogue("75", precisions=[]) == ()


@generator
def test_a_precision_without_kernels_names_those_with():
    found = r"^E2301 precision 'int4': CUTLASS has no kernel of it for this chip \(target 90a\)\. It has bf16, .*\.$"
    for search in ("default", "wide"):
        with pytest.raises(InputError, match=found) as error:
            catalogue("90a", search, [find_precision("fp32"), find_precision("int4")])
        assert "int4" not in str(error.value).partition("It has")[2]
    with pytest.raises(InputError) as error:
        catalogue("75", precisions=[find_precision("tf32"), find_precision("bf16")])
    assert [problem.place for problem in error.value.problems] == ["precision 'bf16':", "precision 'tf32':"]


def test_a_search_that_is_none_is_a_bug():
    with pytest.raises(ValueError, match="search is one of"):
        catalogue("75", "widest")


@generator
def test_the_order_is_always_the_same():
    first = catalogue("75", "wide")
    operations.cache_clear()
    _wide.cache_clear()
    again = catalogue("75", "wide")
    assert first == again
    assert first is not again


def test_without_cutlass_it_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "cutlass_library"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cutlass_library", None)
    operations.cache_clear()
    with pytest.raises(InputError, match=r"^E2316 CUTLASS: the Python module cutlass_library is not installed\. In"):
        operations("80")


@generator
def test_the_generator_does_not_read_our_arguments(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "cutlass_library"]:
        monkeypatch.delitem(sys.modules, name)
    arguments = ["perfmodel", "profile", "--help"]  # which its parser would answer, and exit
    monkeypatch.setattr(sys, "argv", arguments)
    operations.cache_clear()
    assert len(operations("75")) > 500
    assert sys.argv == arguments
    operations.cache_clear()


@generator
def test_the_version_is_known():
    assert re.fullmatch(r"\d+(\.\d+)+", catalogue_version())
