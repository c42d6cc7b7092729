"""CPT's affine quantiser: ranges of tensors and channels, in the paper's way and the released code's, by hand."""

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.quantisers import affine

F = np.float32
VALUES = st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=12)


def ends(x, rule="paper"):
    found = affine.tensor_range(np.array(x), rule)
    return found.zero_point.item(), found.width.item()


def test_ranges_by_hand():
    batch = [[0.0, 1.0, 0.5], [-2.0, 5.0, 0.0]]
    assert ends(batch) == (-2, 7)
    assert ends(batch, "reference") == (-2, 3)  # to 1, the lesser of the maxima 1 and 5
    assert ends([[[1.0], [4.0]], [[2.0], [3.0]]], "reference") == (1, 2)
    assert ends([[1.0, 1.0], [1.0, 9.0]], "reference") == (1, 0)
    assert ends([-3.0, 5.0]) == (-3, 8)
    assert ends(7.0) == (7, 0)


def test_a_range_for_each_channel():
    found = affine.channel_range(np.array([[[1.0, -1.0]], [[0.5, 0.25]]]))
    assert found.zero_point.tolist() == [[[-1]], [[0.25]]]
    assert found.width.tolist() == [[[2]], [[0.25]]]
    w = np.array([[-1.0, 0.4, 1.0], [0.25, 0.3, 0.5]])
    got = affine.rounded(w, 1, affine.channel_range(w))
    assert got.tolist() == [[-1, 1, 1], [0.25, 0.25, 0.5]]


def test_nearest_by_hand():
    x = np.array([-1.0, -0.5, 0.2, 0.26, 0.5, 2.0])  # 2 bits from -1 to 2: steps of 1
    within = affine.tensor_range(x)
    assert affine.rounded(x, 2, within).tolist() == [-1, -1, 0, 0, 1, 2]  # 0.5 and 1.5 steps go to even
    assert affine.rounded(x, 1, within).tolist() == [-1, -1, -1, -1, -1, 2]
    assert affine.rounded(np.array([-9.0, 9.0]), 2, within).tolist() == [-1, 2]


def test_the_reference_saturates_what_is_above_the_least_maximum():
    batch = np.array([[0.0, 3.0], [1.0, 300.0]])
    assert affine.rounded(batch, 2, affine.tensor_range(batch, "reference")).tolist() == [[0, 3], [1, 3]]
    assert affine.rounded(batch, 2, affine.tensor_range(batch)).tolist() == [[0, 0], [0, 300]]


def test_stochastic_by_hand():
    x = np.array([0.0, 1.3, 1.3, 1.3, 3.0, 3.0])
    u = np.array([0.0, 0.1, 0.19, 0.21, 0.0, 0.99])
    got = affine.rounded(x, 2, affine.tensor_range(x), u)
    assert got.tolist() == [0, 1, 1, 1, 2, 3]  # 3 - ½ = 2.5 goes to even
    assert affine.rounded(x, 2, affine.tensor_range(x), np.full(6, 0.71)).tolist() == [0, 2, 2, 2, 3, 3]


def test_constants_zeros_and_empty_tensors():
    for value in (0.0, -0.0, 4.2, -7.0):
        x = np.full((2, 3), value, F)
        assert (affine.rounded(x, 4, affine.tensor_range(x)) == x).all()
        assert (affine.rounded(x, 4, affine.tensor_range(x, "reference"), np.full(x.shape, 0.9, F)) == x).all()
    for shape in ((0,), (0, 3), (3, 0)):
        empty = np.zeros(shape, F)
        for within in (affine.tensor_range(empty), affine.channel_range(empty)):
            assert affine.rounded(empty, 4, within).shape == shape
    for shape in ((0, 3), (3, 0)):
        assert affine.tensor_range(np.zeros(shape), "reference").width.shape == (1, 1)


def test_what_is_not_finite_or_too_wide_makes_its_range_nan():
    for value in (inf, -inf, nan):
        x = np.array([[1, value], [1, 2]], F)
        assert np.isnan(affine.rounded(x, 4, affine.tensor_range(x))).all()
        by_channel = affine.rounded(x, 4, affine.channel_range(x))
        assert np.isnan(by_channel[0]).all()
        assert by_channel[1].tolist() == [1, 2]
    wide = np.array([-3e38, 3e38], F)
    assert np.isnan(affine.rounded(wide, 4, affine.tensor_range(wide))).all()
    assert affine.rounded(np.array([1e-45, 0], F), 8, affine.tensor_range(np.array([1e-45, 0], F))).tolist() == [0, 0]


def test_the_type_stays():
    x = np.array([0.1, 0.7], F)
    assert affine.rounded(x, 3, affine.tensor_range(x)).dtype == F
    assert affine.rounded(x, 3, affine.tensor_range(x), np.array([0.1, 0.2])).dtype == F
    assert affine.rounded(x.astype(float), 3, affine.tensor_range(x.astype(float))).dtype == np.float64


@given(VALUES, st.integers(1, 12))
def test_range_order_and_half_a_step(values, bits):
    x = np.sort(np.array(values))
    within = affine.tensor_range(x)
    got = affine.rounded(x, bits, within)
    step = within.width.item() / (2**bits - 1)
    slack = 1e-12 * abs(x).max()
    assert (np.diff(got) >= 0).all()
    assert (abs(got - x) <= step / 2 + slack).all()
    assert got[0] == x[0]
    again = affine.rounded(got, bits, within)
    assert again == pytest.approx(got, abs=slack)


@given(st.floats(0, 1), st.integers(2, 8))
def test_stochastic_is_unbiased_within_a_part_of_a_step(share, bits):
    n = 128
    x = np.stack([np.full(n, -2 + 3 * share), np.full(n, -2.0), np.full(n, 1.0)])
    got = affine.rounded(x, bits, affine.tensor_range(x), (np.arange(n) + 0.5) / n)
    step = 3 / (2**bits - 1)
    inner = step / 2 <= 3 * share <= 3 - step / 2  # half of the noise at an end is clipped
    assert abs(got[0].mean() - x[0, 0]) <= (step / n if inner else step / 4) + 1e-12
