"""The error of a quantiser, by hand."""

from math import inf, isnan, log10, nan

import numpy as np
import pytest

from perfmodel.errors import InputError
from perfmodel.quantisers.distortion import distortion
from perfmodel.quantisers.floats import E4M3, rounded


def test_by_hand():
    x, q = np.array([3.0, -1.0, 0.5, 9.0, 0.0]), np.array([3.0, -2.0, 0.0, 8.0, 0.0])
    d = distortion(x, q, ends=(-8, 8))
    assert (d.mean_square, d.bias) == (2.25 / 5, -2.5 / 5)
    assert d.sqnr_db == pytest.approx(10 * log10(91.25 / 2.25))
    assert (d.underflowed, d.saturated, d.lost) == (1 / 4, 1 / 5, 0)  # of four that are not zero; of five
    assert distortion(x, q).saturated is None


def test_what_is_not_finite_is_lost_and_counts_no_further():
    x, q = np.array([1.0, 500.0, inf, nan, 2.0]), np.array([1.5, nan, 448.0, nan, inf])
    d = distortion(x, q, ends=(-448, 448))
    assert (d.mean_square, d.bias, d.lost, d.saturated) == (0.25, 0.5, 4 / 5, 1 / 3)


def test_without_error_without_signal_and_without_anything():
    d = distortion(np.ones(3), np.ones(3))
    assert (d.mean_square, d.sqnr_db, d.bias, d.underflowed, d.lost) == (0, inf, 0, 0, 0)
    d = distortion(np.zeros(3), np.zeros(3), (-1, 1))
    assert isnan(d.sqnr_db)
    assert isnan(d.underflowed)
    assert (d.mean_square, d.saturated) == (0, 0)
    d = distortion([], [], (-1, 1))
    assert all(isnan(v) for v in (d.mean_square, d.sqnr_db, d.bias, d.underflowed, d.saturated, d.lost))


def test_beyond_float64():
    d = distortion(np.array([1e200]), np.array([2e200]))
    assert d.mean_square == inf
    assert isnan(d.sqnr_db)


def test_six_decibels_a_bit():
    # an error spread evenly over a step Δ has the mean square Δ²/12
    x = (np.arange(4096) + 0.5) / 4096 * 8 + 8  # one binade of E4M3: steps of 1
    d = distortion(x, rounded(x, E4M3))
    assert d.mean_square == pytest.approx(1 / 12, rel=1e-3)
    assert abs(d.bias) < 1e-3


def test_shapes_must_agree():
    with pytest.raises(InputError, match=r"E1525 tensor has the shape \(3,\), its quantised values \(1,\)"):
        distortion(np.ones(3), np.ones(1))
