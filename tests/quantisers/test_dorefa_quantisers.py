"""DoReFa-Net's three quantisers against values worked by hand."""

from math import inf, nan, tanh

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.quantisers import dorefa

F = np.float32


def test_one_bit_weights_by_hand():
    assert dorefa.weights(np.array([3.0, -1.0, 0.0, 4.0]), 1).tolist() == [2, -2, 0, 2]
    assert dorefa.weights(np.array([3e38, -3e38], F), 1).tolist() == [F(3e38), -F(3e38)]  # no overflow of the sum
    assert dorefa.weights(np.zeros(3), 1).tolist() == [0, 0, 0]
    assert np.isnan(dorefa.weights(np.array([1.0, nan]), 1)).all()


def test_weights_by_hand():
    # tanh w / (2·tanh 2) + ½ = 1, 0, 0.895, 0.5, 0.552: of three steps 3, 0, 2.69, 1.5 (to even), 1.66
    w = np.array([2.0, -2.0, 1.0, 0.0, 0.1])
    assert tanh(1) / (2 * tanh(2)) + 0.5 == pytest.approx(0.895, abs=5e-4)
    assert dorefa.weights(w, 2) == pytest.approx([1, -1, 1, 1 / 3, 1 / 3], abs=1e-15)
    assert dorefa.weights(w, 3) == pytest.approx([1, -1, 5 / 7, 1 / 7, 1 / 7], abs=1e-15)
    assert dorefa.weights(np.array([inf, -inf, 0.3]), 2) == pytest.approx([1, -1, 1 / 3], abs=1e-15)
    assert dorefa.weights(np.zeros(2, F), 2).tolist() == pytest.approx([1 / 3] * 2, abs=1e-7)
    assert np.isnan(dorefa.weights(np.array([0.3, nan]), 2)).all()


def test_activations_by_hand():
    x = np.array([-1, 0, 0.16, 0.17, 0.5, 0.9, 1, 7, inf, -inf])
    assert dorefa.activations(x, 2) == pytest.approx([0, 0, 0, 1 / 3, 2 / 3, 1, 1, 1, 1, 0])
    assert dorefa.activations(x, 1).tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1, 0]
    assert np.isnan(dorefa.activations(np.array([nan]), 4)).all()


def test_gradients_by_hand_a_maximum_for_each_sample():
    g = np.array([[4.0, -1.0], [0.2, -0.2], [0.0, 0.0]])
    # 2 bits: the levels are ±M and ±M/3; -1 of 4 is at 0.375·3 = 1.125 steps
    assert dorefa.gradients(g, 2).ravel() == pytest.approx([4, -4 / 3, 0.2, -0.2, 1 / 3 * 0, 0])
    u = np.array([[0.999, 0.9], [0.0, 0.0], [0.3, 0.7]])
    # -1 of 4: 1.125 + 0.4 goes to 2; what noise pulls below M: 3 - ½ = 2.5 goes to 2
    assert dorefa.gradients(g, 2, u).ravel() == pytest.approx([4, 4 / 3, 0.2 / 3, -0.2, 0, 0])
    assert dorefa.gradients(np.array([1.0, -3.0]), 2).tolist() == [1, -3]  # of one axis each is a sample


def test_a_gradient_that_is_not_finite_spoils_its_sample_only():
    got = dorefa.gradients(np.array([[1, inf], [1, nan], [1, -1]], F), 4)
    assert not np.isfinite(got[:2]).any()
    assert got[2].tolist() == [1, -1]


def test_types_empty_and_32_bits():
    for quantiser in (dorefa.weights, dorefa.activations, dorefa.gradients):
        assert quantiser(np.ones((2, 2), F), 3).dtype == F
        assert quantiser(np.ones((2, 2)), 3).dtype == np.float64
        assert quantiser(np.zeros((0, 3)), 3).shape == (0, 3)
        assert quantiser(np.zeros((3, 0)), 3).shape == (3, 0)
        assert quantiser(np.array([[0.1234, -5.0]]), 32).tolist() == [[0.1234, -5.0]]


@given(
    st.lists(st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False), min_size=1, max_size=12),
    st.integers(2, 12),
)
def test_range_order_and_idempotence(values, bits):
    x = np.sort(np.array(values, F))
    once = dorefa.gradients(x[None], bits)
    assert (np.diff(once[0]) >= 0).all()
    assert abs(once).max() == abs(x).max()
    np.testing.assert_array_equal(dorefa.gradients(once, bits), once)
    acts = dorefa.activations(x, bits)
    assert (np.diff(acts) >= 0).all()
    assert ((acts >= 0) & (acts <= 1)).all()
    np.testing.assert_array_equal(dorefa.activations(acts, bits), acts)
    steps = (2**bits - 1) * acts.astype(float)
    assert steps == pytest.approx(np.rint(steps), abs=1e-3)
    near = dorefa.weights(x, bits)
    assert (np.diff(near) >= 0).all()
    assert (abs(near) <= 1).all()


@given(st.floats(-0.74, 0.74), st.integers(2, 8))
def test_gradients_are_unbiased_between_the_outer_levels(value, bits):
    n = 256
    edge = 1 - 1 / (2**bits - 1)  # the noise is half a step: beyond this some of it is clipped
    value *= edge
    g = np.stack([np.full(n, value), np.ones(n)], axis=1)
    got = dorefa.gradients(g, bits, (np.arange(n)[:, None] + 0.5) / n)[:, 0]
    assert abs(got.mean() - value) <= 2 / (2**bits - 1) / n + 1e-12
