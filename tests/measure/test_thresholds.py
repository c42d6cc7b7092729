"""The bounds: hand-computed values, formats against NumPy's, and that nothing without a rule is passed."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.formats import FORMATS
from perfmodel.gemm import ACCUMULATORS, Precision, find_precision
from perfmodel.measure.thresholds import (
    bounds_for,
    has_rule,
    largest,
    smallest_step,
    stored,
    whole_reach,
    writes_whole_sums,
)

MANY = settings(max_examples=500, deadline=None, derandomize=True)


def precision(text):
    operand, accumulator, output = text.split()
    return Precision(FORMATS[operand], FORMATS[accumulator], FORMATS[output])


@pytest.mark.parametrize(
    ("text", "k", "norm", "component", "exact", "least"),
    [
        ("fp32 fp32 fp32", 64, 2e-6, 1e-6, True, 0),
        ("fp32 fp32 fp32", 40_000, 6e-6, 1e-6, True, 0),
        ("fp32 fp32 fp32", 1_864_135, 3e-8 * 1_864_135**0.5, 1e-6, True, 0),  # 9 k = 2^24 - 1
        ("fp32 fp32 fp32", 1_864_136, 3e-8 * 1_864_136**0.5, 1e-6, False, 0),
        ("tf32 fp32 fp32", 1600, 1e-3 + 1.6e-5, 2e-4 + 4e-6, True, 5e-5),
        ("bf16 fp32 fp32", 4900, 4.9e-5, 7e-6, True, 0),
        ("fp16 fp32 fp16", 100, 2e-6 + 0.41 / 1024, 1e-6, True, 0),
        ("fp16 fp16 fp16", 5349, 2e-4 * 5349**0.5 + 0.41 / 1024, math.inf, True, 0),  # 28 √k = 2048
        ("fp16 fp16 fp16", 5350, 2e-4 * 5350**0.5 + 0.41 / 1024, math.inf, False, 0),
        ("fp8_e4m3 fp32 fp16", 2500, 0.01 + 0.41 / 1024, 0.002, True, 0),
        ("fp8_e5m2 fp32 fp32", 85_599, 4e-6 * 85_599, 4e-5 * 85_599**0.5, False, 0),  # 28 √k = 8192.05
        ("fp64 fp64 fp64", 9, 2e-6 / 2**29, 1e-6 / 2**29, True, 0),
        ("int8 int32 int32", 802_816, 0, 0, True, 0),
        ("int4 int32 int32", 7, 0, 0, True, 0),
        ("int8 int32 fp32", 7, 0.41 / 2**23, 0, True, 0),
    ],
)
def test_bounds(text, k, norm, component, exact, least):
    bounds = bounds_for(precision(text), k)
    assert bounds.norm == pytest.approx(norm)
    assert bounds.component == pytest.approx(component)
    assert (bounds.exact, bounds.least_norm) == (exact, least)


@pytest.mark.parametrize("name", ACCUMULATORS)
def test_every_precision_of_a_gemm_has_a_rule(name):
    assert has_rule(find_precision(name))


@pytest.mark.parametrize(
    "text", ["mxfp8 fp32 fp32", "dfx8 int32 int32", "fp16 fp32 nvfp4", "int8 fp32 fp32", "fp16 int32 int32"]
)
def test_what_has_no_rule_has_no_bounds(text):
    assert not has_rule(precision(text))
    with pytest.raises(ValueError, match="no rule"):
        bounds_for(precision(text), 3)


@given(st.sampled_from(list(ACCUMULATORS)), st.integers(1, 10**6))
@MANY
def test_deeper_sums_may_be_more_wrong(name, k):
    here, deeper = (bounds_for(find_precision(name), depth) for depth in (k, 2 * k))
    assert here.norm <= deeper.norm
    assert here.exact or not deeper.exact
    assert here.least_norm < here.norm or here.norm == 0


@given(st.floats(-60_000, 60_000) | st.floats(-1e-6, 1e-6))
@MANY
def test_stored_as_numpy_rounds(value):
    values = np.array([value])
    assert stored(values, find_precision("fp16"))[0] == float(np.float16(value))
    assert stored(values, find_precision("fp32"))[0] == float(np.float32(value))
    assert stored(values, find_precision("fp64"))[0] == value


def test_stored_in_formats_that_numpy_lacks():
    bf16, fp8 = find_precision("bf16"), find_precision("fp8_e4m3", output="fp8_e4m3")
    assert stored(np.array([257.0, 259.0, -1.0, 0.0]), bf16).tolist() == [256, 260, -1, 0]
    assert stored(np.array([17.0, 19.0, 1e9, -449.0, 0.003]), fp8).tolist() == [16, 20, 448, -448, 2**-8]
    int8 = find_precision("int8", output="int8")
    assert stored(np.array([127.0, 128.0, -200.0, 3.0]), int8).tolist() == [127, 127, -128, 3]
    assert (largest(int8), smallest_step(int8)) == (127, 0)
    assert smallest_step(find_precision("fp16")) == 2**-24


def test_reach_of_whole_sums():
    assert whole_reach(find_precision("fp32"), 3) == 27  # the sum of the largest: 9 k
    assert whole_reach(find_precision("fp32"), 10_000) == 2800  # 7 · 4 · √k
    assert whole_reach(find_precision("int8"), 1) == 128**2
    assert whole_reach(find_precision("int8"), 10_000) == 7 * 5461.25 * 100
    assert writes_whole_sums(find_precision("fp16"), 5349)
    assert not writes_whole_sums(find_precision("fp16"), 5350)
    assert writes_whole_sums(find_precision("bf16"), 28)  # 252 <= 256
    assert not writes_whole_sums(find_precision("bf16"), 84)


@given(st.sampled_from(["fp32", "int8", "int4"]), st.integers(1, 300), st.integers(0, 2**32 - 1))
@MANY
def test_random_sums_stay_within_reach(name, k, seed):
    low, high = {"fp32": (-3, 3), "int8": (-128, 127), "int4": (-8, 7)}[name]
    a, b = np.random.default_rng(seed).integers(low, high, (2, 50, k), endpoint=True)
    partial = np.abs(np.cumsum(a * b, axis=1)).max()
    assert partial <= whole_reach(find_precision(name), k)


def test_parts_that_are_added_in_the_output_round_each_time():
    half = precision("fp16 fp32 fp16")
    whole, cut = bounds_for(half, 400), bounds_for(half, 400, 7)
    assert cut.norm - 4e-6 == pytest.approx(0.41 / 1024 * 2)  # √((7 + 1) / 2); 400 products: 1e-8·400
    assert cut.component == pytest.approx(whole.component + 5.5 / 20 * 7 / 1024)
    assert bounds_for(half, 64, 2).component == pytest.approx(1e-6 + 0.5 * 2 / 1024)
    assert (bounds_for(half, 5349, 2).exact, bounds_for(half, 5350, 2).exact) == (True, False)  # 28 √k = 2048
    single = precision("fp32 fp32 fp32")
    assert bounds_for(single, 64, 7) == bounds_for(single, 64)
