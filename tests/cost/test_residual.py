"""The correction: hand-computed on one feature and one point, and what must hold of any."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from perfmodel.cost.residual import BLOCK, FARTHEST, Prior, Residual

# Variances: constant 4, joint 9, each 36; lengths 1 and 2; noise 0.3, and 0.4 more at 1e-4 s.
ONE = Prior(2.0, 3.0, 0.3, 0.4, np.array([1.0]), np.array([6.0]), np.array([2.0]))


def at(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)[:, None]


def test_covariance_by_hand():
    # at distance 2: 4 + 9·(1 + 2)·e^-2 + 36·(1 + 1)·e^-1
    found = ONE.covariance(at(1), at(1, 3))
    assert found == pytest.approx(np.array([[49.0, 4 + 27 * np.exp(-2) + 72 * np.exp(-1)]]))
    assert ONE.variance == 49


def test_scatter_grows_below_a_tenth_of_a_millisecond():
    assert ONE.scatter(np.array([1e-4, 2e-4, 1.0])) == pytest.approx([0.09 + 0.16, 0.09 + 0.04, 0.09])


def test_one_point_pulls_by_its_share_of_the_variance():
    residual = Residual(ONE, at(5), np.array([0.7]), np.array([1.0]))
    mean, variance = residual.correct(at(5))
    assert mean == pytest.approx([0.7 * 49 / 50])
    assert variance == pytest.approx([49 - 49 * 49 / 50])


def test_far_away_only_the_constant_is_known():
    residual = Residual(ONE, at(5), np.array([0.7]), np.array([1.0]))
    mean, variance = residual.correct(at(500))
    assert mean == pytest.approx([0.7 * 4 / 50])
    assert variance == pytest.approx([49 - 4 * 4 / 50])


def test_two_points_that_differ_share_the_middle():
    residual = Residual(ONE, at(-1, 1), np.array([0.3, 0.5]), np.array([0.1, 0.1]))
    left, middle, right = residual.correct(at(-1, 0, 1))[0]
    assert left < middle < right
    assert residual.correct(at(-1))[1] < residual.correct(at(0))[1] < residual.correct(at(9))[1]


def test_no_file_can_correct_by_more_than_its_bound():
    residual = Residual(ONE, at(0), np.array([9.0]), np.array([1e-8]))
    assert residual.correct(at(0))[0] == [FARTHEST]


features = arrays(np.float64, st.tuples(st.integers(1, 7), st.just(1)), elements=st.floats(-9, 9))


@given(features, features)
def test_variance_is_never_above_the_priors_nor_below_nothing(points, asked):
    residual = Residual(ONE, points, np.linspace(-1, 1, len(points)), np.full(len(points), 0.01))
    mean, variance = residual.correct(asked)
    assert np.isfinite(mean).all()
    assert ((variance >= 0) & (variance <= 49 * (1 + 1e-9))).all()


@given(features)
def test_order_of_points_does_not_matter(points):
    errors = np.linspace(-0.5, 0.7, len(points))
    one = Residual(ONE, points, errors, np.full(len(points), 0.3)).correct(at(0, 1, 2))
    other = Residual(ONE, points[::-1], errors[::-1], np.full(len(points), 0.3)).correct(at(0, 1, 2))
    assert one[0] == pytest.approx(other[0], abs=1e-7)
    assert one[1] == pytest.approx(other[1], abs=1e-6)


def test_blocks_change_nothing():
    points = at(*np.linspace(-3, 3, 7))
    residual = Residual(ONE, points, np.sin(points[:, 0]), np.full(7, 0.2))
    many = at(*np.linspace(-5, 5, 2 * BLOCK + 3))
    whole, single = residual.correct(many), residual.correct(many[-1:])
    assert whole[0][-1] == pytest.approx(single[0][0])
    assert whole[1][-1] == pytest.approx(single[1][0])
