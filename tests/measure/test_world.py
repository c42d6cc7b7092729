"""The virtual card: every step of clock and heat against values worked by hand, and the long run against its model."""

from itertools import pairwise
from math import exp, inf, isclose, sqrt
from statistics import fmean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.measure.simulated.draws import Draws
from perfmodel.measure.simulated.world import ClockModel, Environment, Span, World

DRIFT = ClockModel(sd=0.012, tau_s=2.0, slow_sd=0.010, slow_tau_s=60.0, droop=0.12, heat_tau_s=3.0)
SECONDS = st.floats(1e-6, 100)


class Constant:
    """Draws that always give the same number."""

    def __init__(self, value):
        self.value = value

    def normal(self):
        return self.value


def world(clock=DRIFT, draws=0.0, boost_hz=1000.0, **environment):
    return World(clock, Environment(**environment), boost_hz, Constant(draws) if draws is not None else Draws(7))


def close(value, expected):
    return isclose(value, expected, rel_tol=1e-12)


def test_heat_follows_the_load():
    card = world()
    card.advance(3.0, 1.0)
    assert close(card.heat, 1 - exp(-1))
    card.advance(1.5, 0.25)
    assert close(card.heat, 0.25 + (0.75 - exp(-1)) * exp(-0.5))
    assert (card.time_s, card.load) == (4.5, 0.25)


def test_drift_without_noise_dies_away():
    card = world()
    card.fast, card.slow = 0.02, -0.01
    card.advance(1.0, 0.0)
    assert close(card.fast, 0.02 * exp(-0.5))
    assert close(card.slow, -0.01 * exp(-1 / 60))


def test_drift_moves_by_its_conditional_deviation():
    card = world(draws=2.0)
    card.advance(1.0, 0.0)
    assert close(card.fast, 2 * 0.012 * sqrt(1 - exp(-1)))
    assert close(card.slow, 2 * 0.010 * sqrt(1 - exp(-1 / 30)))


@pytest.mark.parametrize(("heat", "clock"), [(0.0, 1.0), (0.35, 1.0), (0.675, 0.94), (1.0, 0.88)])
def test_droop_by_heat(heat, clock):
    card = world()
    card.heat = heat
    assert close(card.relative_clock(), clock)


def test_the_clock_has_a_floor_and_throttles_go_below_it():
    card = world(throttles=(Span(0, 5, 0.6), Span(3, inf, 0.5)))
    card.fast = -0.7
    assert close(card.relative_clock(), 0.3)
    card.time_s = 4.0
    assert close(card.relative_clock(), 0.15)
    card.time_s = 5.0
    assert close(card.relative_clock(), 0.25)


def test_cycles_run_at_the_clock_of_the_beginning():
    card = world()
    card.heat = 0.675
    card.advance(3.0, 0.0)
    assert close(card.cycles, 0.94 * 1000 * 3)


def test_no_time_changes_nothing():
    card = world(draws=3.0)
    card.advance(0.0, 1.0)
    card.advance(-1.0, 1.0)
    assert card.to_json() == world().to_json()


@pytest.mark.parametrize(
    ("time_s", "factor"), [(0, 1.0), (6.9, 1.0), (7, 0.7), (8, 0.7), (9, 0.9), (1e9, 0.9), (inf, 0.9)]
)
def test_the_last_clock_step_counts(time_s, factor):
    environment = Environment(clock_steps=((7.0, 0.7), (9.0, 0.9)))
    assert environment.clock_factor(time_s) == factor
    assert environment.changes_clock
    assert not environment.throttled(time_s)


def test_two_modes_alternate():
    environment = Environment(bimodal=(0.8, 3.0))
    assert [environment.clock_factor(t) for t in (0, 2.9, 3, 5.9, 6, 9)] == [1.0, 1.0, 0.8, 0.8, 1.0, 0.8]
    assert close(environment.clock_factor(inf), 0.9)


def test_tenants_and_throttles_hold_from_and_until():
    environment = Environment((Span(3, 5, 0.5),), (Span(7, 9, 0.25), Span(8, inf, 0.5)))
    assert [environment.throttled(t) for t in (2.9, 3, 4.9, 5, inf)] == [False, True, True, False, False]
    assert [environment.slowdown(t) for t in (6.9, 7, 8, 9, inf)] == [1.0, 1.25, 1.875, 1.5, 1.5]
    assert not Environment(tenants=environment.tenants).changes_clock


def test_work_follows_clock_elasticity_and_tenants():
    card = world(ClockModel(), throttles=(Span(0, inf, 0.25),), tenants=(Span(0, inf, 0.5),))
    card.work(3e-3, 0.5, 1.0)
    assert close(card.time_s, 3e-3 * 2 * 1.5)
    card.work(3e-3, 0.0, 1.0, fixed_s=1e-3)
    assert close(card.time_s, 9e-3 + 4.5e-3 + 1e-3)


def test_long_work_meets_a_throttle_that_begins_meanwhile():
    card = world(ClockModel(), throttles=(Span(0.03, inf, 0.5),))
    card.work(0.1, 1.0, 1.0)  # two pieces of 20 ms at full clock, the other 60 ms at half of it
    assert close(card.time_s, 0.04 + 2 * 0.06)


def test_a_year_of_work_is_simulated_at_once():
    card = world(ClockModel())
    card.work(3e7, 1.0, 1.0)
    assert isclose(card.time_s, 3e7, rel_tol=1e-9)
    assert card.heat == 1.0


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(-0.05, 0.05), SECONDS, SECONDS)
def test_steps_of_any_length_add_up(heat, load, drift, first, second):
    whole, parts = world(), world()
    for card in (whole, parts):
        card.heat, card.fast, card.slow = heat, drift, drift
    whole.advance(first + second, load)
    parts.advance(first, load)
    parts.advance(second, load)
    for name in ("heat", "fast", "slow", "time_s"):
        assert getattr(whole, name) == pytest.approx(getattr(parts, name), rel=1e-9, abs=1e-15)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(SECONDS, SECONDS)
def test_the_variance_of_two_steps_is_that_of_one(first, second):
    def variance(seconds):
        card = world(draws=1.0)
        card.advance(seconds, 0.0)
        return card.fast**2

    both = variance(first) * exp(-second) + variance(second)  # tau of 2 s: the variance decays with 1 s
    assert both == pytest.approx(variance(first + second), rel=1e-9, abs=1e-18)


@pytest.mark.parametrize("step_s", [0.3, 5.0])
def test_the_drift_is_stationary_with_its_deviation(step_s):
    card = world(ClockModel(sd=0.012, tau_s=2.0), draws=None)
    clocks = []
    for _ in range(40_000):
        card.advance(step_s, 0.0)
        clocks.append(card.relative_clock())
    steps = exp(-step_s / 2)  # correlation from step to step widens the error of the mean
    error = 0.012 / sqrt(40_000 * (1 - steps) / (1 + steps))
    assert abs(fmean(clocks) - 1) < 4 * error
    assert abs(stdev(clocks) / 0.012 - 1) < 0.04
    assert abs(fmean((a - 1) * (b - 1) for a, b in pairwise(clocks)) / 0.012**2 - steps) < 0.04


def test_both_drifts_add_up():
    card = world(ClockModel(sd=0.012, slow_sd=0.010), draws=None)
    clocks = []
    for _ in range(20_000):
        card.advance(300.0, 0.0)
        clocks.append(card.relative_clock())
    assert abs(stdev(clocks) / sqrt(0.012**2 + 0.010**2) - 1) < 0.03


def test_draws_depend_on_seed_counter_and_order():
    def numbers(seed, counter):
        draws = Draws(seed, counter)
        return [draws.normal() if i % 3 else draws.uniform() for i in range(300)]

    assert numbers(3, 5) == numbers(3, 5)
    assert numbers(3, 5) != numbers(3, 7)
    assert numbers(3, 5) != numbers(5, 3)
    assert len(set(numbers(3, 5))) == 300


def test_a_restart_drops_what_was_drawn_ahead():
    draws = Draws(3)
    draws.normal(), draws.uniform()
    draws.restart(5)
    assert [draws.normal(), draws.uniform()] == [(fresh := Draws(3, 5)).normal(), fresh.uniform()]
