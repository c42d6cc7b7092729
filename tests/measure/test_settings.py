"""Settings that are out of range are refused in one line; those at the limits are taken."""

import json
import math
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.errors import InputError, UnknownName
from perfmodel.measure.settings import CHECKS, DATA, LIMITS, STATES, WHOLE, Settings

NAMES = [name for name, _, _ in LIMITS]


def refused(name, value):
    with pytest.raises(InputError) as caught:
        Settings(**{name: value})
    (problem,) = caught.value.problems
    assert str(problem).isprintable()
    return problem


@pytest.mark.parametrize(("name", "low", "high"), LIMITS)
def test_limits(name, low, high):
    others = {"least_visits": {"most_visits": 10_000}, "most_visits": {"least_visits": 6}}.get(name, {})
    assert getattr(Settings(**{name: low}, **others), name) == low
    assert getattr(Settings(**{name: high}, **others), name) == high
    above = high + 1 if name in WHOLE else high * 1.01
    for value in (low - 1, above, math.nan, math.inf, -math.inf, True, None, "7", [7]):
        problem = refused(name, value)
        assert problem.code == "E2002"
        assert problem.place == f"--{name.removesuffix('_s').replace('_', '-')}"
        assert "between" in problem.found


@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers(name):
    assert "a whole number" in refused(name, 7.5).found
    assert "a whole number" in refused(name, 7.0).found


def test_whole_numbers_are_those_with_whole_defaults():
    assert set(WHOLE) == {field.name for field in fields(Settings) if type(field.default) is int}


def test_every_number_has_limits():
    numbers = {field.name for field in fields(Settings) if type(field.default) in (int, float)}
    assert numbers == set(NAMES)


@pytest.mark.parametrize(("name", "known"), [("data", DATA), ("state", STATES), ("verify", CHECKS)])
def test_names(name, known):
    for value in known:
        assert getattr(Settings(**{name: value}), name) == value
    with pytest.raises(UnknownName, match=f"^E2001 --{name} '{known[0]}x' is not known. Did you mean {known[0]}"):
        Settings(**{name: f"{known[0]}x"})


def test_least_above_most():
    assert refused("least_visits", 41).found == "41 is above --most-visits 40."


def test_settings_as_json():
    row = Settings(seed=7).to_json()
    assert row["seed"] == 7
    assert Settings(**json.loads(json.dumps(row))) == Settings(seed=7)
    assert set(row) == {field.name for field in fields(Settings)}


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.sampled_from(NAMES), st.floats() | st.integers() | st.text() | st.none() | st.lists(st.integers()))
def test_nothing_else_than_a_setting_or_a_refusal(name, value):
    low, high = next((low, high) for n, low, high in LIMITS if n == name)
    kinds = int if name in WHOLE else (int, float)
    others = {"most_visits": 10_000} if name == "least_visits" else {}
    if isinstance(value, kinds) and low <= value <= high:
        assert getattr(Settings(**{name: value}, **others), name) == value
    else:
        assert refused(name, value).code == "E2002"
