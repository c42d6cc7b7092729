"""HBFP's tiles: exponents, steps and the clamp worked by hand, tiles at the ends, and the program's own layout."""

from fractions import Fraction
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.quantisers import blocks

F = np.float32


def test_one_tile_by_hand():
    # the maximum 0.8 gives 2^0, steps of 1/8; 0.0625 is half a step and goes to even
    x = np.array([[0.8, 0.0625, 0.1875], [-0.3, -0.99, 0.0]], F)
    assert blocks.rounded(x, 3, tile=0).tolist() == [[0.75, 0, 0.25], [-0.25, -0.875, 0]]
    assert blocks.rounded(x, 3, tile=0).dtype == F


def test_a_power_of_two_is_clamped_in_float32_where_the_epsilon_is_lost():
    assert blocks.rounded(np.array([4.0, 1.0], F), 3).tolist() == [3.5, 1]  # 4 + 1e-8 = 4 in FP32: steps of 1/2
    assert blocks.rounded(np.array([4.0, 1.0]), 3).tolist() == [4, 1]  # not in FP64: steps of 1
    assert blocks.rounded(np.array([-4.0], F), 7).tolist() == [-(4 - 2**-5)]


def test_the_epsilon_holds_small_tiles_up():
    assert blocks.rounded(np.array([2.0**-40], F), 7).tolist() == [0]  # ⌈log₂ 1e-8⌉ = -26: steps of 2^-33
    assert blocks.rounded(np.array([2.0**-32], F), 7).tolist() == [2.0**-32]
    assert blocks.rounded(np.array([0.0, -0.0], F), 7).tobytes() == np.array([0.0, -0.0], F).tobytes()


def test_each_tile_has_its_exponent_and_the_last_are_smaller():
    x = np.array([[100, 1.3, 0.013], [1.4, 1.3, 0.4], [0.01, 0.3, 0.7]], F)
    # tiles of 2: [100 …] step 16 (2^7/8), [0.013, 0.4] step 1/16, [0.01, 0.3] step 1/16, [0.7] step 1/8
    assert blocks.rounded(x, 3, tile=2).tolist() == [[96, 0, 0], [0, 0, 0.375], [0, 0.3125, 0.75]]
    for tile in (3, 4, 10**9):
        assert (blocks.rounded(x, 3, tile) == blocks.rounded(x, 3, 0)).all()


def test_the_matrix_is_the_first_axis_by_all_others():
    x = np.random.default_rng(1).standard_normal((5, 3, 2, 2), F)
    assert (blocks.rounded(x, 7, tile=4) == blocks.rounded(x.reshape(5, 12), 7, tile=4).reshape(x.shape)).all()
    lines = np.array([blocks.rounded(line, 7, tile=0) for line in x])
    assert (blocks.rounded_by_sample(x, 7) == lines).all()
    assert not (lines == blocks.rounded(x, 7, tile=0)).all()


def test_every_tile_alone_gives_the_same():
    x = np.random.default_rng(2).standard_normal((50, 31), F) * 3
    got = blocks.rounded(x, blocks.HBFP8)
    for i in range(0, 50, 24):
        for j in range(0, 31, 24):
            part = np.s_[i : i + 24, j : j + 24]
            assert (got[part] == blocks.rounded(x[part], 7, tile=0)).all()


def test_stochastic_by_hand():
    x = np.array([0.8, 0.3, 0.3, -0.3, -0.3], F)  # steps of 1/8: 2.4 of them
    u = np.array([0.5, 0.0, 0.2, 0.8, 0.95], F)
    assert blocks.rounded(x, 3, 0, u).tolist() == [0.75, 0.25, 0.25, -0.25, -0.25]
    u = np.array([0.5, 0.7, 0.05, 0.0, 0.5], F)
    assert blocks.rounded(x, 3, 0, u).tolist() == [0.75, 0.375, 0.25, -0.375, -0.25]
    assert blocks.rounded(np.array([0.99], F), 3, 0, F(0.99)).tolist() == [0.875]  # held


def test_infinities_and_nan_stay_in_their_tile():
    x = np.array([[1, inf, 3, 3], [1, 1, 3, nan], [1, 1, 5, 5]], F)
    got = blocks.rounded(x, 7, tile=2)
    assert np.isnan(got[:2]).all()
    assert got[2].tolist() == [1 - 2**-7, 1 - 2**-7, 5, 5]


def test_extremes_empty_and_scalars():
    assert blocks.rounded(np.array([3.4028235e38], F), 7).tolist() == [2.0**128 - 2.0**121]
    assert blocks.rounded(np.array([1.7e308]), 7).tolist() == [121 * 2.0**1017]
    assert blocks.rounded(np.array([1e-45], F), 7).tolist() == [0]
    for shape in ((0,), (0, 3), (3, 0), (2, 0, 4)):
        assert blocks.rounded(np.zeros(shape), 7).shape == shape
        assert blocks.rounded_by_sample(np.zeros(shape), 7).shape == shape
    assert blocks.rounded(F(0.3), 3) == 0.3125


@given(st.floats(2.0**-20, 2.0**100, width=32), st.integers(1, 15))
def test_the_exponent_is_the_least_power_of_two_not_below_the_maximum(value, bits):
    x = np.array([value], F)
    got = Fraction(float(blocks.rounded(x, bits)[0]))
    top = Fraction(1, 2**20)
    while top < Fraction(float(x[0] + F(1e-8))):
        top *= 2
    step = top / 2**bits
    assert got % step == 0
    assert abs(got) <= top - step
    assert abs(got - Fraction(value)) <= (step / 2 if Fraction(value) <= top - step else step)


@given(st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=1, max_size=30), st.integers(1, 15))
@settings(max_examples=500)
def test_nearest_again_changes_nothing_unless_the_maximum_is_a_power_of_two(values, bits):
    once = blocks.rounded(np.array(values, F), bits, 0)
    if np.frexp(abs(once).max())[0] != 0.5:
        assert (blocks.rounded(once, bits, 0) == once).all()


def test_a_maximum_rounded_down_to_a_power_of_two_loses_its_exponent_the_next_time():
    once = blocks.rounded(np.array([0.503], F), 7)
    assert once == 0.5
    assert blocks.rounded(once, 7) == 0.5 - 2**-8


@pytest.mark.parametrize("value", [0.1, -0.7, 0.55])
def test_stochastic_is_unbiased_within_a_part_of_a_step(value):
    n = 128
    x = np.stack([np.full(n, value), np.full(n, 0.9)], axis=1)  # 0.9 sets the exponent
    got = blocks.rounded(x, 5, 0, (np.arange(n)[:, None] + 0.5) / n)
    assert abs(got[:, 0].mean() - value) <= 2**-5 / n + 1e-12
