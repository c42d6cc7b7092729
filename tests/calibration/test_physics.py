"""Two constants from timings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.calibration.physics import EXPECTED, Physics, fit_physics

BODY = np.geomspace(1e-5, 1e-1, 60)


def test_seconds_by_hand():
    assert Physics(1.5, 3e-5).seconds(np.array([2e-5, 1e-3])) == pytest.approx([6e-5, 1.53e-3])


@given(st.floats(0.5, 2.5), st.floats(1e-5, 1e-4))
def test_exact_timings_give_their_constants_back(body, added_s):
    found = fit_physics(BODY, body * BODY + added_s)
    assert found.body == pytest.approx(body, rel=0.01)
    assert found.added_s == pytest.approx(added_s, rel=0.1)


def test_one_wild_timing_moves_little():
    seconds = 1.3 * BODY + 2e-5
    seconds[7] *= 30
    assert fit_physics(BODY, seconds).body == pytest.approx(1.3, rel=0.03)


def test_two_timings_are_enough_and_lean_on_what_was_expected():
    body = np.array([1e-2, 3e-2])
    found = fit_physics(body, 1.7 * body)
    assert 1.5 < found.body < 1.7  # towards exp(0.2)
    assert found.added_s == pytest.approx(np.exp(EXPECTED[1]), rel=0.2)  # nothing was said of it


@given(st.floats(0.2, 5))
def test_units_of_time_do_not_matter_to_long_kernels(scale):
    body = np.geomspace(1e-1, 10, 30)
    assert fit_physics(body, scale * body).body == pytest.approx(scale, rel=0.05)
