"""Binary and fixed-point numbers by hand."""

from fractions import Fraction
from math import inf, nan

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.quantisers import fixed

F = np.float32


def test_signs():
    assert fixed.signs(np.array([-2, -0.0, 0.0, 1e-45, inf, -inf], F)).tolist() == [-1, 1, 1, 1, 1, -1]
    assert np.isnan(fixed.signs(np.array([nan])))
    assert fixed.signs(np.array([3.0], F)).dtype == F


def test_fixed_by_hand():
    x = np.array([0.3, 0.125, 0.375, -0.9, 1.9, -2.2, inf, -inf], F)
    assert fixed.rounded(x, 4, 2).tolist() == [0.25, 0, 0.5, -1, 1.75, -2, 1.75, -2]
    assert fixed.rounded(x * 8, 4, -1).tolist() == [2, 0, 4, -8, 14, -16, 14, -16]
    assert np.isnan(fixed.rounded(np.array([nan]), 12, 3))
    assert fixed.rounded(np.array([0.3, 0.3]), 4, 2, np.array([0.2, 0.31])).tolist() == [0.25, 0.25]
    assert fixed.rounded(np.array([0.3, 0.3]), 4, 2, np.array([0.29, 0.31 + 0.5])).tolist() == [0.25, 0.5]
    assert fixed.rounded(np.zeros((0, 2), F), 12, 3).shape == (0, 2)
    assert fixed.rounded(np.array([1e300]), 12, 1000).tolist() == [2047 * 2.0**-1000]


def test_the_point_that_fits():
    assert [fixed.fitting_point(np.array([v, 0.1]), 4) for v in (7, 7.001, -3.5, 0.875)] == [0, -1, 1, 3]
    assert fixed.fitting_point(np.zeros(3), 12) == 0
    assert fixed.fitting_point(np.array([]), 12) == 0


@given(st.lists(st.floats(-(2.0**60), 2.0**60, width=32), min_size=1, max_size=9), st.integers(2, 16))
def test_nothing_saturates_at_the_fitting_point_and_something_would_above_it(values, bits):
    x = np.array(values)
    point = fixed.fitting_point(x, bits)
    largest = abs(Fraction(float(abs(x).max())))
    if largest:
        assert largest * Fraction(2) ** point <= 2 ** (bits - 1) - 1 < largest * Fraction(2) ** (point + 1)
    got = fixed.rounded(np.sort(x), bits, point)
    assert (abs(got - np.sort(x)) <= 2.0 ** -(point + 1)).all()
    assert (np.diff(got) >= 0).all()
    np.testing.assert_array_equal(fixed.rounded(got, bits, point), got)


@given(st.floats(-3.9, 3.9), st.integers(0, 6))
def test_stochastic_is_unbiased_within_a_part_of_a_step(value, point):
    n = 128
    got = fixed.rounded(np.full(n, value), 12, point, (np.arange(n) + 0.5) / n)
    assert abs(got.mean() - value) <= 2.0**-point / n + 1e-12
