"""MuPPET's program: its two-sided scale, its rounding without a clamp, and zeros, infinities and NaN."""

from fractions import Fraction
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.quantisers import program, scale_of

F = np.float32
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("x", "bits", "s"),
    [
        ([127.5], 8, 0), ([127.6], 8, -1), ([-128.5, 0], 8, 0), ([-128.6, 0], 8, -1),
        ([-128.5], 8, -1), ([-127.5], 8, 0),  # of one number the maximum is negative too, and counts
        ([127.6, -1], 8, -1), ([-1.0], 8, 6), ([-1.0, 0.5], 8, 7), ([1.0], 8, 6),  # 128.5/1 -> 2^7, 127.5/1 -> 2^6
        ([-3.0, -1.0], 8, 5),  # both sides count, by magnitude: 128.5/3 -> 2^5, 127.5/1 -> 2^6
        ([-1.0, -0.001], 8, 7), ([0.0, -1.0], 8, 7), ([0.0, 1.0], 8, 6), ([0.0, -0.0], 8, 0), ([], 8, 0),
        ([1.5], 2, 0), ([-2.5, 1], 2, 0), ([32767.5, -32768.5], 16, 0), ([1e-45], 8, 155), ([3e38], 8, -121),
    ],
)  # fmt: skip
def test_exponents_by_hand(x, bits, s):
    assert program.exponents(np.array(x, F), bits) == s
    assert program.exponents(np.array([x, x], F), bits) == s


@given(st.lists(FINITE, min_size=1, max_size=9), st.integers(2, 16))
def test_the_exponent_is_the_largest_that_fits_both_sides(values, bits):
    s = int(program.exponents(np.array(values, F), bits))
    top, bottom = abs(Fraction(max(values))), abs(Fraction(min(values)))
    if not (top or bottom):
        assert s == 0
        return
    fits = [top * Fraction(2) ** p <= 2 ** (bits - 1) - Fraction(1, 2)
            and bottom * Fraction(2) ** p <= 2 ** (bits - 1) + Fraction(1, 2) for p in (s, s + 1)]  # fmt: skip
    assert fits == [True, False]


def test_it_differs_from_the_paper_only_below_zero():
    assert program.exponents(np.array([1.0, -0.9]), 8) == np.log2(scale_of(1.0, 8)) == 6
    assert (program.exponents(np.array([0.9, -1.0]), 8), np.log2(scale_of(1.0, 8))) == (7, 6)


def test_nearest_by_hand():
    values, s = program.rounded(np.array([1.0, -0.3, 0.0078125], F), 8)
    assert (values.tolist(), s) == ([1.0, -19 / 64, 0.0], 6)  # 0.5 of a step goes to even
    assert values.dtype == F


def test_nothing_is_clamped():
    u = np.array([0.99, 0.0], F)
    values, s = program.rounded(np.array([127.4, -128.4], F), 8, u)
    assert (values.tolist(), s) == ([128, -129], 0)  # two codes more than 8 bits have
    values, s = program.rounded(np.array([1.49, -2.49], F), 2, u)
    assert (values.tolist(), s) == ([2, -3], 0)


def test_stochastic_by_hand():
    x = np.array([0.25, 0.25, -0.25, -0.25, 100.0], F)
    u = np.array([0.7, 0.8, 0.2, 0.3, 0.5], F)
    values, s = program.rounded(x, 8, u)
    assert s == 0
    assert values.tolist() == [0, 1, -1, 0, 100]


def test_each_image_has_its_scale():
    x = np.array([[[1.0, 0.1]], [[-300.0, 200.0]], [[0.0, 0.0]]], F)
    values, s = program.rounded(x, 8, per_image=True)
    assert s.tolist() == [6, -2, 0]
    for image, one, power in zip(x, values, s, strict=True):
        alone, exponent = program.rounded(image, 8)
        assert exponent == power
        assert (alone == one).all()
    assert program.exponents(x, 8) == -2
    assert program.exponents(np.ones(3), 8, per_image=True).tolist() == [6, 6, 6]
    assert program.exponents(np.ones((2, 0)), 8, per_image=True).tolist() == [0, 0]
    assert program.exponents(np.ones((0, 2)), 8, per_image=True).tolist() == []


def test_zeros_come_back_as_they_are():
    values, s = program.rounded(np.array([0.0, -0.0], F), 8)
    assert values.tobytes() == np.array([0.0, -0.0], F).tobytes()
    assert s == 0
    values, s = program.rounded(np.zeros((0, 3)), 8)
    assert (values.shape, s) == ((0, 3), 0)
    assert program.rounded(F(1.0), 8)[0] == 1


def test_an_infinity_is_an_error_and_a_nan_passes():
    for value in (inf, -inf):
        with pytest.raises(InputError, match="E1524"):
            program.rounded(np.array([1, value], F), 8)
    values, s = program.rounded(np.array([1.0, nan], F), 8)
    assert (values[0], s) == (1, 6)
    assert np.isnan(values[1])
    values, s = program.rounded(np.array([nan]), 8)
    assert np.isnan(values[0])
    assert s == 0


def test_the_largest_numbers_and_float64():
    values, s = program.rounded(np.array([3.4028235e38, -1.0], F), 8)
    assert (values.tolist(), s) == ([inf, 0], -122)  # 64 · 2^122 is beyond FP32
    values, s = program.rounded(np.array([1e300, 1e-300]), 8)
    assert values.dtype == np.float64
    assert abs(values[0] / 1e300 - 1) < 1 / 64
    assert program.exponents(np.array([5e-324]), 8) == 1080


@given(st.lists(FINITE.filter(lambda v: abs(v) < 1e38), max_size=9), st.integers(2, 16))
def test_nearest_stays_within_half_a_step_and_codes_within_the_widened_range(values, bits):
    x = np.array(values, F)
    rounded, s = program.rounded(x, bits)
    codes = [Fraction(float(v)) * Fraction(2) ** int(s) for v in rounded]
    assert all(code.denominator == 1 and -(2 ** (bits - 1)) - 1 < code <= 2 ** (bits - 1) for code in codes)
    for value, code in zip(values, codes, strict=True):
        assert abs(Fraction(value) * Fraction(2) ** int(s) - code) <= Fraction(1, 2)


@given(st.lists(FINITE.filter(lambda v: abs(v) < 1e38), min_size=1, max_size=5), st.integers(2, 16))
def test_stochastic_is_unbiased_at_the_ends_too(values, bits):
    n = 64
    u = (np.arange(n) + 0.5) / n
    x = np.array(values, np.float64)
    rounded, s = program.rounded(np.repeat(x[:, None], n, 1), bits, u)
    error = np.ldexp(rounded, s).mean(axis=1) - np.ldexp(x, s)
    assert (abs(error) <= 1 / n + 1e-9).all()
