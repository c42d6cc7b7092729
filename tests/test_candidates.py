"""Which kernels compete for a GEMM of a plan, and which rows are timed beside it; the kernels are made by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.candidates import MOST, kernels_of, with_candidates
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MemoryOp
from perfmodel.measure.cutlass.fits import ranked
from perfmodel.measure.cutlass.kernels import GemmKernel, read_variant, variant_text
from perfmodel.plan import Plan, PlannedKernel
from perfmodel.profiles.kernel import Kernel

FP32, FP16, INT8 = (find_precision(name) for name in ("fp32", "fp16", "int8"))
BASE = GemmKernel("base", "75", 2, "tensor", FP16, "tn", (128, 128, 32), 2, (1, 1, 1), (8, 8, 8), ("serial",), 8)
TILES = ((256, 128, 32), (128, 256, 32), (128, 128, 32), (128, 64, 32), (64, 128, 32), (64, 64, 32), (128, 32, 32),
         (32, 128, 32), (256, 64, 32), (64, 256, 32))  # fmt: skip
TENSOR = tuple(replace(BASE, name=f"h{m}x{n}", tile=(m, n, k)) for m, n, k in TILES)
SIMT = replace(BASE, name="sgemm", unit="simt", precision=FP32, tile=(128, 128, 8), alignment=(1, 1, 1))
IMMA = replace(BASE, name="imma", precision=INT8, tile=(128, 128, 64), alignment=(16, 16, 4))
DP4A = tuple(
    replace(BASE, name=f"dp4a_{layout}", unit="dp4a", precision=INT8, layout=layout, alignment=(4, 4, 4))
    for layout in ("tt", "nt")
)
SMS = 68


def planned(problem, weight=3.0, uses=("net conv1 fprop",), seconds=0.5):
    return PlannedKernel(Kernel(problem), weight, uses, seconds, 0.25, 1.0)


def gemm(precision=FP16, m=4096, n=512, k=1024, layout="tn"):
    return Gemm(m, n, k, 1, precision, layout=layout)


def plan_of(*rows, **request):
    return Plan(rows, {"networks": ["net"], "mapping": "im2col", **request})


def rows_of(plan, kernels, search="default", vendor=False):
    return with_candidates(plan, kernels, SMS, search, vendor).kernels


@pytest.mark.parametrize(("search", "most"), [("default", 4), ("wide", 16)])
def test_the_best_are_kept_in_their_order(search, most):
    deep = gemm(m=512, k=8192)
    expected = [variant_text(kernel, parts, mode) for kernel, mode, parts in ranked(TENSOR, deep, SMS, most)]
    (row,) = rows_of(plan_of(planned(deep)), TENSOR, search)
    assert len(expected) == most == MOST[search]
    assert list(row.variants) == expected
    assert row == replace(planned(deep), variants=row.variants)


def test_a_kernel_alone_and_cut():
    """A deep k and one tile: the kernel is tried with k in parts, and says so in its name."""
    (row,) = rows_of(plan_of(planned(gemm(m=128, n=128, k=65536))), [BASE])
    assert len(row.variants) == 2
    assert {read_variant(text)[0] for text in row.variants} == {"base"}
    assert row.variants[0].startswith("base split")


def test_only_kernels_that_can_do_it_compete():
    kernels = [SIMT, *TENSOR, IMMA, *DP4A]
    fp32, fp16, int8 = rows_of(plan_of(*(planned(gemm(one)) for one in (FP32, FP16, INT8))), kernels)
    names = [{read_variant(text)[0] for text in row.variants} for row in (fp32, fp16, int8)]
    assert (names[0], names[2]) == ({"sgemm"}, {"imma"})
    assert names[1] < {kernel.name for kernel in TENSOR}


def test_a_gemm_that_no_kernel_can_do_has_no_variants():
    odd = gemm(k=1023)
    assert [row.variants for row in rows_of(plan_of(planned(odd)), TENSOR)] == [()]


@pytest.mark.parametrize(
    ("name", "has"),
    [("fp32", True), ("fp16", True), ("fp16+fp16", True), ("bf16", True), ("tf32", True), ("int8", True),
     ("fp64", True), ("fp8_e4m3", False), ("fp8_e5m2", False), ("int4", False)],
)  # fmt: skip
def test_the_vendors_library_is_timed_beside_what_it_multiplies(name, has):
    row = planned(gemm(find_precision(name)))
    found = rows_of(plan_of(row), [BASE], vendor=True)
    assert [one.kernel.variant for one in found] == (["", "cublas"] if has else [""])
    if has:
        assert found[1] == replace(row, kernel=Kernel(row.kernel.problem, "cublas"), weight=0.0)
    assert rows_of(plan_of(row), [BASE], vendor=False) == found[:1]


def test_the_vendors_row_comes_right_after_its_kernel():
    first, second, stream = planned(gemm()), planned(gemm(FP32)), planned(MemoryOp(64.0, 32.0))
    found = rows_of(plan_of(first, stream, second), [BASE, SIMT], vendor=True)
    assert [(one.kernel.problem, one.kernel.variant, one.weight) for one in found] == [
        (gemm(), "", 3.0), (gemm(), "cublas", 0.0), (MemoryOp(64.0, 32.0), "", 3.0), (gemm(FP32), "", 3.0),
        (gemm(FP32), "cublas", 0.0),
    ]  # fmt: skip


def test_streams_stay_as_they_are():
    streams = [planned(MemoryOp(1e6, 3e6, "quantise", (250, 1000)), 2.0), planned(MemoryOp(8.0, 8.0), 1.0)]
    assert rows_of(plan_of(*streams), [BASE], vendor=True) == tuple(streams)


# INT8 on operands as they lie


def int8_rows(uses, kernels=(IMMA, *DP4A), mapping="im2col", problem=None):
    row = planned(problem or gemm(INT8), uses=uses)
    return rows_of(plan_of(row, mapping=mapping), kernels)[1:]


@pytest.mark.parametrize(("pass_", "layout"), [("dgrad", "tt"), ("wgrad", "nt")])
def test_the_other_passes_are_timed_as_they_lie(pass_, layout):
    (row,) = int8_rows((f"net conv1 {pass_}", f"net layer1.0.conv2 {pass_}"))
    assert row.kernel == Kernel(gemm(INT8, layout=layout))
    assert (row.weight, row.seconds, row.uses[0]) == (0.0, 0.5, f"net conv1 {pass_}")
    assert {read_variant(text)[0] for text in row.variants} == {f"dp4a_{layout}"}


@pytest.mark.parametrize(
    ("uses", "mapping"),
    [
        (("net conv1 fprop",), "im2col"), (("net conv1 fprop", "net conv2 dgrad"), "im2col"),
        (("net conv1 dgrad", "net fc wgrad"), "im2col"), (("net conv1 dgrad",), "im2col-per-image"), ((), "im2col"),
    ],
    ids=["fprop lies so", "two passes", "two others", "another mapping", "no use"],
)  # fmt: skip
def test_where_there_is_no_one_way_to_lie(uses, mapping):
    assert int8_rows(uses, mapping=mapping) == ()


def test_only_where_a_kernel_reads_them_so():
    uses = ("net conv1 dgrad",)
    assert int8_rows(uses, kernels=(IMMA,)) == ()
    assert int8_rows(uses, kernels=(IMMA, DP4A[1])) == ()
    assert int8_rows(uses, problem=gemm(INT8, n=510)) == ()


def test_only_of_operands_that_were_turned_round():
    """FP16 is read in any layout: its dgrad is `tt` to begin with."""
    row = planned(gemm(layout="tt"), uses=("net conv1 dgrad",))
    kernels = [replace(BASE, layout="tt"), *DP4A]
    assert len(rows_of(plan_of(row), kernels)) == 1


def test_the_vendors_row_comes_before_the_one_as_it_lies():
    row = planned(gemm(INT8), uses=("net conv1 wgrad",))
    found = rows_of(plan_of(row), [IMMA, *DP4A], vendor=True)
    assert [(one.kernel.problem.layout, one.kernel.variant, bool(one.variants)) for one in found] == [
        ("tn", "", True), ("tn", "cublas", False), ("nt", "", True),
    ]  # fmt: skip


# The plan as a whole


def test_only_named_kernels_are_compiled():
    plan = plan_of(planned(gemm(m=128, n=128, k=65536)), planned(gemm(INT8), uses=("net a wgrad",)))
    kernels = [SIMT, *TENSOR, IMMA, *DP4A]
    found = with_candidates(plan, kernels, SMS, "default", True)
    named = {variant.split()[0] for row in found.kernels for variant in row.variants}
    used = kernels_of(found, kernels)
    assert {kernel.name for kernel in used} == named >= {"imma", "dp4a_nt"}
    assert used == [kernel for kernel in kernels if kernel in used]  # in the order of the catalogue
    assert SIMT not in used
    assert DP4A[0] not in used
    assert kernels_of(plan, kernels) == []


@given(
    st.lists(
        st.tuples(st.sampled_from([FP32, FP16, INT8]), *[st.integers(1, 64)] * 3, st.integers(1, 9),
                  st.sampled_from(["fprop", "dgrad", "wgrad"])),
        max_size=6,
    ),
    st.sampled_from(["default", "wide"]),
    st.booleans(),
)  # fmt: skip
def test_what_the_steps_cost_is_the_same(rows, search, vendor):
    """Rows that are timed beside the plan have no weight in it, and take nothing away."""
    plan = plan_of(
        *(planned(gemm(p, 8 * m, 8 * n, 8 * k), float(w), (f"net x {use}",), 0.1 * w) for p, m, n, k, w, use in rows),
        planned(MemoryOp(64.0, 32.0)),
    )
    found = with_candidates(plan, [SIMT, *TENSOR, IMMA, *DP4A], SMS, search, vendor)
    assert [replace(row, variants=()) for row in found.kernels if row.weight] == list(plan.kernels)
    assert (found.step_s, found.step_flop, found.request) == (plan.step_s, plan.step_flop, plan.request)
