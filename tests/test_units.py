"""Rounding and the numbers that people read."""

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel import units
from perfmodel.units import ceil_div, grouped, hours_minutes, round_up


def test_prefixes():
    assert (units.KILO, units.MEGA, units.GIGA, units.TERA) == (1000, 1_000_000, 1_000_000_000, 1_000_000_000_000)
    assert (units.KIB, units.MIB, units.GIB) == (1024, 1_048_576, 1_073_741_824)


@pytest.mark.parametrize(
    ("a", "b", "quotient"), [(0, 3, 0), (1, 3, 1), (3, 3, 1), (4, 3, 2), (10**18 + 1, 10, 10**17 + 1)]
)
def test_ceil_div_by_hand(a, b, quotient):
    assert ceil_div(a, b) == quotient


@given(st.integers(0, 10**20), st.integers(1, 10**6))
def test_ceil_div_and_round_up_are_the_least_that_suffice(a, b):
    assert (ceil_div(a, b) - 1) * b < a <= ceil_div(a, b) * b
    up = round_up(a, b)
    assert up % b == 0
    assert a <= up < a + b


def test_arrays():
    assert ceil_div(np.array([5, 6, 7]), 3).tolist() == [2, 2, 3]
    assert round_up(np.array([147, 152, 153]), 8).tolist() == [152, 152, 160]
    assert ceil_div(7.5, 2.5) == ceil(3.0)


@pytest.mark.parametrize(
    ("minutes", "text"), [(0, "0:00"), (0.4, "0:00"), (0.6, "0:01"), (59.6, "1:00"), (61, "1:01"), (1813, "30:13")]
)
def test_hours_minutes(minutes, text):
    assert hours_minutes(60 * minutes) == text


@pytest.mark.parametrize(("number", "text"), [(7, "7"), (1234, "1,234"), (1234567.4, "1,234,567")])
def test_grouped(number, text):
    assert grouped(number) == text
