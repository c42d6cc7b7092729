"""Outliers count less, and nothing else changes much."""

import numpy as np
import pytest

from perfmodel.calibration.robust import FREEDOM, MOST, widened
from perfmodel.cost.features import GEMM_FEATURES
from perfmodel.cost.residual import Prior, Residual

COUNT = len(GEMM_FEATURES)
PRIOR = Prior(0.3, 0.2, 0.05, 0.0, np.ones(COUNT), np.full(COUNT, 1e-6), np.ones(COUNT))


def points(count):
    return np.random.default_rng(3).normal(size=(count, COUNT)) / 10


def test_one_point_by_hand():
    # alone: prior variance 0.13 against 0.01; the miss is 1/14 of the error, what it leaves in doubt 0.13/14
    error, variance = 0.1, 0.01
    found = variance
    for _ in range(8):
        miss, doubt = found * error / (0.13 + found), found - found**2 / (0.13 + found)
        found = variance * (FREEDOM + (miss**2 + doubt) / variance) / (FREEDOM + 1)
    (ours,) = widened(PRIOR, points(1), np.array([error]), np.array([variance]))
    assert ours == pytest.approx(found, abs=1e-8)  # terms of 1e-6 besides


def test_an_outlier_counts_less_and_no_more_than_so_much_less():
    errors, variances = np.full(30, 0.1), np.full(30, 0.0025)
    errors[7] = 3.0
    found = widened(PRIOR, points(30), errors, variances)
    assert found[7] == pytest.approx(MOST * 0.0025)
    others = np.delete(found, 7)
    assert (others < 1.2 * 0.0025).all()
    assert (others > 0.7 * 0.0025).all()
    before, after = (Residual(PRIOR, points(30), errors, v).correct(points(30)[7:8])[0][0] for v in (variances, found))
    assert abs(after - 0.1) < abs(before - 0.1)
