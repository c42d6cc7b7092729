"""Products of the simulated device: right ones agree with exact arithmetic, and every planted error can be seen."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.formats import FORMATS, find_format
from perfmodel.gemm import Gemm, find_precision
from perfmodel.lowering import MemoryOp
from perfmodel.measure.backend import BuildFailed
from perfmodel.measure.simulated import Simulated, find_scenario
from perfmodel.measure.simulated.faults import Fault
from perfmodel.measure.simulated.products import WRONG, multiply, simulate_product
from perfmodel.measure.simulated.rounding import rounded
from perfmodel.profiles.kernel import Kernel

STREAM = Kernel(MemoryOp(3e6, 1e6))
FLOATS = ["fp64", "fp32", "tf32", "bf16", "fp16", "fp16+fp16", "fp8_e4m3", "fp8_e5m2"]


def gemm(precision="fp32", m=100, n=90, k=4608, output=None):
    return Kernel(Gemm(m, n, k, 1, find_precision(precision, output=output)))


def product(kernel, data="normal", how="", seed=0):
    return simulate_product(kernel, data, seed, how)


def error(kernel, how="", data="normal", seed=0):
    """Normwise error against float64 of the stored operands."""
    found = product(kernel, data, how, seed)
    exact = found.a @ found.b
    return np.linalg.norm(found.c - exact) / np.linalg.norm(exact)


def excess(kernel, how="", data="normal", seed=0):
    """The largest residual of the probe as a share of its bound."""
    residual, bound = product(kernel, data, how, seed).probe(3)
    return (residual / bound).max()


@pytest.mark.parametrize("precision", [*FLOATS, "int8", "int4"])
def test_whole_numbers_are_exact(precision):
    found = product(gemm(precision), "integers")
    exact = found.a @ found.b
    output = find_precision(precision).output
    assert np.array_equal(found.c, rounded(exact, output))
    if output.bits > 16 or output.name == "fp16":
        assert np.array_equal(found.c, exact)
    assert (found.unwritten, found.guards_intact) == (0, True)
    largest = {"int8": 127, "int4": 7}.get(precision, 3)
    assert (found.a.min(), found.a.max()) == (-largest, largest)


@pytest.mark.parametrize(
    ("precision", "output", "least", "most"),
    [
        ("fp64", None, 0.0, 1e-14),
        ("fp32", None, 5e-8, 1e-6),
        ("tf32", None, 5e-5, 6e-4),  # against the FP32 values in memory: it must look like TF32
        ("bf16", "fp32", 5e-8, 1e-6),
        ("bf16", None, 1e-3, 3e-3),
        ("fp16", "fp32", 5e-8, 1e-6),
        ("fp16", None, 1e-4, 4e-4),
        ("fp16+fp16", None, 5e-4, 1e-4 * 448**0.5),
        ("fp8_e4m3", "fp32", 0.0, 1e-6),
        ("int8", None, 0.0, 0.0),
    ],
)
def test_normal_numbers_have_the_error_of_their_format(precision, output, least, most):
    assert least <= error(gemm(precision, output=output)) <= most


def test_problems_are_cut_down_but_keep_their_shape():
    found = product(gemm(m=3, n=500, k=5000))
    assert (found.a.shape, found.b.shape, found.c.shape) == ((3, 448), (448, 64), (3, 64))
    small = product(gemm(m=3, n=5, k=7))
    assert (small.a.shape, small.b.shape, small.c.shape) == ((3, 7), (7, 5), (3, 5))


def test_samples_belong_together():
    found = product(gemm("fp64"))
    a, b, c = found.sample(5)
    assert (a.shape, b.shape, c.shape) == ((24, 448), (448, 24), (24, 24))
    assert np.allclose(a @ b, c, rtol=1e-12, atol=1e-9)
    assert not np.array_equal(found.sample(7)[2], c)
    assert product(gemm(m=3, n=5, k=7)).sample(0)[2].shape == (3, 5)


def test_the_probe_is_small_for_a_right_product():
    residual, bound = product(gemm()).probe(3)
    assert residual.shape == bound.shape == (64,)
    assert (residual <= 8 * 2.0**-24 * bound).all()
    assert np.allclose(bound, (np.abs(product(gemm()).a) @ np.abs(product(gemm()).b)).sum(axis=1))


def test_seeds_give_other_operands():
    assert not np.array_equal(product(gemm(), seed=1).a, product(gemm(), seed=2).a)
    assert np.array_equal(product(gemm(), seed=1).c, product(gemm(), seed=1).c)


@pytest.mark.parametrize(
    ("how", "least", "most"),
    [
        ("tf32", 1e-4, 6e-4), ("bf16", 1e-3, 4e-3), ("fp16_accumulate", 5e-4, 1e-2), ("dropped_k", 3e-2, 7e-2),
        ("stale_tile", 0.5, 1.0),
    ],
)  # fmt: skip
def test_errors_of_everything(how, least, most):
    assert least < error(gemm(), how) < most
    assert excess(gemm(), how) > 8 * 2.0**-24


@pytest.mark.parametrize(("how", "factor"), [("four_percent", 1.04), ("zero_element", 0.0)])
@pytest.mark.parametrize("data", ["normal", "integers"])
def test_errors_of_one_element(how, factor, data):
    right, wrong = product(gemm(), data).c, product(gemm(), data, how).c
    assert np.count_nonzero(right != wrong) == 1
    at = np.argmax(right != wrong)
    assert wrong.flat[at] == pytest.approx(right.flat[at] * factor, rel=1e-6)
    assert excess(gemm(), how, data) > 8 * 2.0**-24


def test_silent_roundings_do_not_show_in_whole_numbers():
    for how in ("tf32", "bf16"):
        assert np.array_equal(product(gemm(), "integers", how).c, product(gemm(), "integers").c)


@pytest.mark.parametrize("how", ["dropped_k", "four_percent", "zero_element", "stale_tile"])
def test_errors_show_in_whole_numbers_of_int8(how):
    kernel = gemm("int8")
    wrong = product(kernel, "integers", how)
    assert not np.array_equal(wrong.c, wrong.a @ wrong.b)
    assert np.array_equal(wrong.c, np.rint(wrong.c))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_what_was_not_written(precision):
    row, element = product(gemm(precision), how="unwritten"), product(gemm(precision), how="nan_element")
    assert (row.unwritten, element.unwritten) == (64, 1)
    if precision == "fp32":
        assert np.isnan(row.c[-1]).all()
    else:
        assert (row.c[-1] == 0x7F7F7F7F).all()


def test_guards():
    assert not product(gemm(), how="guard").guards_intact
    assert error(gemm(), "guard") == error(gemm())


def test_streams_have_no_product_but_can_fail():
    for how, unwritten, guards in (
        ("", 0, True),
        ("unwritten", 64, True),
        ("guard", 0, False),
        ("nan_element", 1, True),
    ):
        found = product(STREAM, how=how)
        assert (found.unwritten, found.guards_intact) == (unwritten, guards)
        assert [part.size for part in (*found.sample(0), *found.probe(0))] == [0] * 5


@pytest.mark.parametrize("output", ["fp16", "bf16", "fp32", "int32"])
@pytest.mark.parametrize("data", ["normal", "integers"])
def test_whole_number_kernels_stay_in_the_range_of_their_output(output, data):
    found = product(gemm("int8", output=output), data)
    assert found.unwritten == 0
    assert np.array_equal(found.c, rounded(found.a @ found.b, find_format(output)))


@pytest.mark.parametrize(("precision", "large", "width"), [("fp16+fp16", 2.0**11, 8), ("fp32", 2.0**24, 16)])
def test_sums_are_rounded_after_so_many_products(precision, large, width):
    def summed(piece):  # a number whose neighbour is 2 away, then two pieces that sum up to 1 each
        a = np.zeros((1, 16 + 2 * piece))
        a[0, 0], a[0, 16:] = large, 1 / piece
        return multiply(a, np.ones_like(a.T), find_precision(precision)).item()

    assert summed(width) == large
    assert summed(width // 2) == large + 2


def test_half_precision_sums_may_overflow():
    a = np.full((3, 64), 200.0)
    assert np.isinf(multiply(a, a.T, find_precision("fp16+fp16"))).all()
    assert (multiply(a, a.T, find_precision("fp16", output="fp32")) == 64 * 40000.0).all()


def test_formats_without_arithmetic_do_not_build():
    dfx = replace(find_precision("int8"), operand=find_format("dfx8"))
    with pytest.raises(BuildFailed, match="no arithmetic in dfx8"):
        product(Kernel(Gemm(3, 5, 7, 1, dfx)))


def test_the_device_plants_what_its_scenario_says():
    calm = find_scenario("calm")
    for how in WRONG:
        device = Simulated(replace(calm, faults=(Fault("wrong", kernel="fp32", how=how, times=0),)))
        for kernel in (gemm(), gemm("fp16")):
            function = device.build(kernel)
            expected = simulate_product(kernel, "normal", 5, how if kernel == gemm() else "")
            assert np.array_equal(device.product(function, kernel, "normal", 5).c, expected.c, equal_nan=True)


def test_wrong_on_the_second_launch_alone():
    device = Simulated(replace(find_scenario("calm"), faults=(Fault("wrong", how="second_launch", times=0),)))
    function, right = device.build(gemm()), product(gemm()).c
    assert np.array_equal(device.product(function, gemm(), "normal", 0).c, right)
    assert np.array_equal(device.product(function, gemm(), "normal", 0).c, 2 * right)
    assert np.array_equal(device.product(function, gemm(n=7), "normal", 0).c, product(gemm(n=7)).c)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    st.sampled_from(FLOATS),
    st.sampled_from(WRONG),
    st.sampled_from(["normal", "integers"]),
    st.tuples(*[st.integers(1, 40)] * 3),
)
def test_every_shape_format_and_error_gives_a_product(precision, how, data, sizes):
    m, n, k = sizes
    found = simulate_product(gemm(precision, m, n, k), data, 0, how, again=True)
    assert found.c.shape == (m, n)
    assert found.unwritten == (n if how == "unwritten" else how == "nan_element")
    assert all(part.dtype == np.float64 for part in found.sample(0))


VALUES = st.floats(-1e6, 1e6)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(VALUES, min_size=1, max_size=20), st.sampled_from([f for f in FORMATS.values() if f.family == "float"]))
def test_rounding_is_idempotent_odd_and_monotone(values, number_format):
    array = np.sort(np.array(values))
    once = rounded(array, number_format)
    assert np.array_equal(rounded(once, number_format), once)
    assert np.array_equal(rounded(-array, number_format), -once)
    assert (np.sort(once) == once).all()


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_bf16_is_the_upper_half_of_fp32_rounded_to_even(value):
    bits = int(np.float32(value).view(np.uint32))
    upper = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    expected = float(np.uint32(upper).view(np.float32))
    if np.isfinite(expected):
        assert rounded(np.array([value]), find_format("bf16"))[0] == expected


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("tf32", [(1 + 2**-10, 1 + 2**-10), (1 + 2**-11, 1.0), (1 + 3 * 2**-11, 1 + 2**-9)]),
        ("fp8_e4m3", [(1.06, 1.0), (1.07, 1.125), (500, 448), (2**-9, 2**-9), (2**-11, 0), (-17, -16), (19, 20)]),
        ("fp8_e5m2", [(1.2, 1.25), (1e9, 57344), (2**-16, 2**-16), (11, 12)]),
        ("int8", [(2.5, 2), (3.5, 4), (-200, -128), (200, 127)]),
        ("int4", [(9, 7), (-9, -8)]),
    ],
)
def test_rounding_by_hand(name, pairs):
    values, expected = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    assert rounded(values, find_format(name)).tolist() == expected.tolist()
