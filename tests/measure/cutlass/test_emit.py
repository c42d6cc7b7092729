"""The source of a library, and how kernels are put into translation units."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.gemm import find_precision
from perfmodel.measure.cutlass import emit
from perfmodel.measure.cutlass.kernels import GemmKernel

FP32, FP16 = find_precision("fp32"), find_precision("fp16")


def kernel(name, generation=2, unit="simt", precision=FP32):
    return GemmKernel(name, "75", generation, unit, precision, "tn", (128, 128, 8), 2, (1, 1, 1), (1, 1, 1), (), 8)


def define(kernel):
    return f"\nstruct {kernel.name} {{}};\n\n"


def test_a_unit_of_two_kernels():
    assert emit.translation_unit([kernel("first"), kernel("second")], define) == (
        '#include "gemm2x.h"\n'
        '#include "library.h"\n'
        "struct first {};\n"
        "struct second {};\n"
        "PM_LIBRARY(\n"
        "  PM_ENTRY_2X(first),\n"
        "  PM_ENTRY_2X(second))\n"
    )


def test_kernels_of_the_third_generation_have_their_own_adapter():
    text = emit.translation_unit([kernel("wide", generation=3)], define)
    assert '#include "gemm3x.h"' in text
    assert "PM_ENTRY_3X(wide)" in text
    assert "gemm2x" not in text


@pytest.mark.parametrize("kernels", [[], [kernel("a"), kernel("b", generation=3)]])
def test_a_unit_has_one_generation(kernels):
    with pytest.raises(ValueError, match="one generation"):
        emit.translation_unit(kernels, define)


def test_a_type_name_is_one_in_cpp():
    assert emit.type_name(kernel("cutlass3x 64x64.é")) == "cutlass3x_64x64__"


def test_headers_are_those_that_the_unit_includes():
    assert "struct PmProblem" in emit.headers(2)
    assert "PM_LIBRARY" in emit.headers(2)
    assert "PM_ENTRY_2X" in emit.headers(2)
    assert "PM_ENTRY_3X" not in emit.headers(2)


def sizes(count, jobs, generation=2):
    return [len(unit) for unit in emit.units_of([kernel(f"k{i:03}", generation) for i in range(count)], jobs)]


@pytest.mark.parametrize(
    ("count", "jobs", "generation", "expected"),
    [
        (0, 4, 2, []),
        (1, 4, 2, [1]),
        (7, 1, 2, [7]),
        (7, 4, 2, [3, 4]),  # four units would read the headers four times for two kernels each
        (9, 1, 2, [4, 5]),
        (56, 1, 2, [8] * 7),
        (56, 16, 2, [4] * 14),
        (7, 1, 3, [2, 2, 3]),
        (3, 4, 3, [1, 1, 1]),
    ],
)
def test_units_are_of_equal_sizes_and_as_many_as_jobs_need(count, jobs, generation, expected):
    assert sorted(sizes(count, jobs, generation)) == expected


def test_alike_kernels_share_a_unit():
    mixed = [kernel(f"k{i}", unit=("simt", "tensor")[i % 2], precision=(FP32, FP16)[i % 2]) for i in range(16)]
    first, second = emit.units_of(mixed)
    assert {one.unit for one in first} == {"simt"}
    assert {one.unit for one in second} == {"tensor"}


@given(st.lists(st.tuples(st.integers(0, 999), st.sampled_from((2, 3))), unique=True), st.integers(1, 40))
def test_every_kernel_is_in_one_unit_whatever_their_order(numbers, jobs):
    kernels = [kernel(f"k{number}x{generation}", generation) for number, generation in numbers]
    units = emit.units_of(kernels, jobs)
    assert sorted(one.name for unit in units for one in unit) == sorted(one.name for one in kernels)
    assert all(a.generation == b.generation for unit in units for a, b in pairwise(unit))
    assert emit.units_of(kernels[::-1], jobs) == units


def test_cutlass_defines_the_kernels_under_our_names():
    pytest.importorskip("cutlass_library")
    from perfmodel.measure.cutlass.catalogue import catalogue

    chosen = catalogue("75", "default")[0]
    text = emit.translation_unit([chosen])
    assert text == emit.translation_unit([chosen])
    assert f"struct {chosen.name} :" in text
    assert f"PM_ENTRY_2X({chosen.name})" in text
    assert '#include "cutlass/epilogue/thread/linear_combination_clamp.h"' in text
    assert emit.definition(chosen) != emit.definition(replace(chosen, name=catalogue("75", "default")[1].name))
