"""Timings merged into points."""

import numpy as np
import pytest

from perfmodel.calibration.clusters import cluster


def test_few_stay_as_they_are():
    features, errors, scatter = np.array([[1.0], [3.0]]), np.array([0.1, 0.2]), np.array([0.01, 0.02])
    found = cluster(features, errors, scatter, np.ones(1), 2)
    assert all((a == b).all() for a, b in zip(found, (features, errors, scatter), strict=True))


def test_two_heaps_become_two_points():
    features = np.array([[0.0], [0.2], [9.0], [9.2], [9.4]])
    errors = np.array([0.1, 0.3, 0.5, 0.5, 0.5])
    centres, means, variances = cluster(features, errors, np.full(5, 0.06), np.ones(1), 2)
    order = centres[:, 0].argsort()
    assert centres[order, 0] == pytest.approx([0.1, 9.2])
    assert means[order] == pytest.approx([0.2, 0.5])
    # 0.06/2 is more than the spread within over two, (0.1² + 0.1²)/2/2; 0.06/3
    assert variances[order] == pytest.approx([0.03, 0.02])


def test_what_scatters_less_weighs_more():
    found = cluster(np.zeros((2, 1)), np.array([0.0, 0.9]), np.array([1.0, 0.5]), np.ones(1), 1)
    assert found[1] == pytest.approx([0.6])


def test_errors_that_differ_within_a_heap_are_no_surer_than_their_spread():
    found = cluster(np.zeros((4, 1)), np.array([-1.0, 1.0, -1.0, 1.0]), np.full(4, 1e-6), np.ones(1), 1)
    assert found[2] == pytest.approx([0.25])


def test_lengths_decide_what_is_like():
    features = np.array([[0.0, 0.0], [0.0, 5.0], [5.0, 0.0], [5.0, 5.0]])
    first = cluster(features, np.arange(4.0), np.ones(4), np.array([1.0, 100.0]), 2)[0]
    assert sorted(first[:, 0]) == [0, 5]  # the second feature hardly counts
    assert first[:, 1] == pytest.approx([2.5, 2.5])


def test_equal_rows_still_give_the_points_asked_for():
    found = cluster(np.zeros((9, 3)), np.zeros(9), np.ones(9), np.ones(3), 4)
    assert len(found[1]) == 4
    assert np.isfinite(found[2]).all()
