"""What visits say about a time: values by hand, invariances, hostile samples, and how often the intervals hold."""

import heapq
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.profiles.anomalies import flag_samples, is_unstable, modes, suspect_rounds, usable
from perfmodel.profiles.intervals import STUDENT_975, deviation, median, median_ranks, part, reach, student_t
from perfmodel.profiles.statistics import (
    LEAST_VISITS,
    SessionEstimate,
    combine_sessions,
    estimate_session,
    expected_gain,
    visit_seconds,
)

NAN, INF = math.nan, math.inf
REFERENCE = 1.5e9
AT_NIGHT = {}

anything = st.floats() | st.integers(-3, 3) | st.integers(10**400, 10**401)
scatter = st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(-0.3, 0.3)), min_size=1, max_size=40)
priors = st.floats(-0.5, 1.5)


def holds(**strategies):
    """Check a property with 500 examples, and with 10,000 at night."""

    def decorate(check):
        AT_NIGHT[check.__name__] = settings(max_examples=10_000, deadline=None)(given(**strategies)(check))
        return settings(max_examples=500, deadline=None, derandomize=True)(given(**strategies)(check))

    return decorate


def timed(pairs, seconds=3e-5):
    """Values and clocks from pairs of logarithms."""
    return [seconds * math.exp(time) for time, _ in pairs], [REFERENCE * math.exp(clock) for _, clock in pairs]


def close(one, other, relative=1e-9):
    return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=relative)


def session(seconds, low=NAN, high=NAN, visits=8):
    return SessionEstimate(seconds, low, high, visits, 0.5, 0.1, seconds, 0.01)


# Student's t and ranks


def test_student_t_against_published_tables():
    published = {
        1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228,
        11: 2.201, 12: 2.179, 13: 2.160, 14: 2.145, 15: 2.131, 16: 2.120, 17: 2.110, 18: 2.101, 19: 2.093, 20: 2.086,
        25: 2.060, 30: 2.042, 40: 2.021, 50: 2.009, 60: 2.000, 80: 1.990, 100: 1.984, 120: 1.980, 10**9: 1.960,
    }  # fmt: skip
    assert {freedom: round(student_t(freedom), 3) for freedom in published} == published


def test_student_t_against_the_density():
    for freedom in [*range(1, 46), 100, 1000]:
        scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)
        x = np.linspace(0.0, student_t(freedom), 2001)
        y = scale * (1 + x * x / freedom) ** (-(freedom + 1) / 2)
        simpson = (x[1] / 3) * (y[0] + 4 * y[1:-1:2].sum() + 2 * y[2:-1:2].sum() + y[-1])
        assert simpson == pytest.approx(0.475, abs=5e-8), freedom


def test_student_t_falls_and_ends_at_the_normal_quantile():
    quantiles = [student_t(freedom) for freedom in range(1, 200)]
    assert quantiles == sorted(quantiles, reverse=True)
    assert len(set(quantiles)) == 199
    assert len(STUDENT_975) == 39
    with pytest.raises(ValueError, match="0 degrees of freedom"):
        student_t(0)


def test_ranks():
    table = {
        6: (1, 6), 7: (1, 7), 8: (1, 8), 9: (2, 8), 10: (2, 9), 12: (3, 10), 15: (4, 12), 20: (6, 15), 30: (10, 21),
        40: (14, 27),
    }  # fmt: skip
    assert {count: median_ranks(count) for count in table} == table
    assert [median_ranks(count) for count in range(-1, 6)] == [None] * 7


@pytest.mark.parametrize("count", [*range(6, 80), 1001])
def test_ranks_are_the_innermost_that_cover(count):
    def outside(rank):  # of 2**count cases, those where the median lies outside rank..count - rank + 1
        return 2 * sum(math.comb(count, i) for i in range(rank))

    first, last = median_ranks(count)
    assert first + last == count + 1
    assert 20 * outside(first) <= 2**count < 20 * outside(first + 1)


def test_medians_and_deviations():
    assert (median([7.0]), median([3.0, 5.0]), median([1.0, 3.0, 11.0])) == (7.0, 4.0, 3.0)
    assert (median([1.7e308, 1.7e308]), median([5e-324, 5e-324])) == (1.7e308, 5e-324)
    assert deviation([3.0, 5.0, 7.0]) == 2.0
    assert math.isnan(deviation([3.0]))
    below, above = reach([-0.02, -0.01, 0.0, 0.0, 0.0, 0.03])  # mean 0, sum of squares 14e-4
    assert below == above == pytest.approx(2.570582 * math.sqrt(14e-4 / 5 / 6))
    below, above = reach([-0.07, -0.05, -0.03, -0.01, 0.01, 0.03, 0.05, 0.07])  # eight: sum of squares 168e-4
    assert below == above == pytest.approx(2.364624 * math.sqrt(168e-4 / 7 / 8))
    assert reach([0.5] * 7) == (0.0, 0.5)  # the point estimate stays inside
    assert reach([-9.0, -7.0, -5.0, -0.5, 0.0, 0.25, 3.0, 5.0, 9.0]) == (7.0, 5.0)  # ranks 2 and 8 of 9


# one visit


def test_visit_value():
    assert visit_seconds([7e-4, 9e-4, 8e-4], 3, 2e-4) == pytest.approx(2e-4)
    assert visit_seconds([1.0, 3.0], 1, 0.0) == 2.0
    assert visit_seconds(np.array([5.0, 7.0, 9.0]), 2, -1.0) == 4.0  # a calibrated offset may be below zero


@pytest.mark.parametrize("bad", [NAN, INF, -INF, 0.0, -3e-4, 1e-5, 10**400])
def test_visit_value_leaves_out_what_is_no_time(bad):
    assert visit_seconds([3e-4, bad, 5e-4, 9e-4], 1, 1e-5) == pytest.approx(49e-5)
    assert math.isnan(visit_seconds([bad, bad], 1, 1e-5))


@pytest.mark.parametrize("offset", [NAN, INF, -INF])
def test_visit_value_without_an_offset(offset):
    assert math.isnan(visit_seconds([3e-4, 5e-4], 1, offset))


def test_visit_of_nothing():
    assert math.isnan(visit_seconds([], 1, 0.0))
    with pytest.raises(ValueError, match="0 launches"):
        visit_seconds([3e-4], 0, 0.0)


@holds(samples=st.lists(anything), launches=st.integers(1, 512), offset=st.floats())
def test_visit_value_is_a_time_or_nan(samples, launches, offset):
    value = visit_seconds(samples, launches, offset)
    assert math.isnan(value) or 0 < value < INF


@holds(
    good=st.lists(st.floats(2e-5, 1.0), max_size=9),
    bad=st.lists(st.sampled_from([NAN, INF, -INF, 0.0, -1.0, 1e-5, 5e-6])),
    data=st.data(),
)
def test_visit_value_is_the_median_of_the_usable(good, bad, data):
    value = visit_seconds(data.draw(st.permutations(good + bad)), 7, 1e-5)
    assert close(value, (float(np.median(good)) - 1e-5) / 7 if good else NAN)


@pytest.mark.parametrize(
    ("seconds", "clock", "expected"),
    [
        (3e-4, 1e9, True), (0.0, 1e9, False), (-3e-4, 1e9, False), (NAN, 1e9, False), (INF, 1e9, False),
        (3e-4, 0, False), (3e-4, -1e9, False), (3e-4, NAN, False), (3e-4, INF, False), (10**400, 1e9, False),
        (1, 1, True),
    ],
)  # fmt: skip
def test_usable(seconds, clock, expected):
    assert usable(seconds, clock) is expected


CLOCKS = [REFERENCE] * 5
SAMPLES = [3.00e-4, 3.01e-4, 3.02e-4, 3.03e-4, 3.04e-4]  # median 3.02, MAD 0.01: high above 3.02 + 0.07413


@pytest.mark.parametrize(
    ("seconds", "clocks", "flags"),
    [
        (SAMPLES, CLOCKS, []),
        ([*SAMPLES[:4], 3.094e-4], CLOCKS, []),
        ([*SAMPLES[:4], 3.095e-4], CLOCKS, ["high"]),
        ([*SAMPLES[:4], NAN], CLOCKS, ["bad_clock"]),
        ([*SAMPLES[:4], 0.0], CLOCKS, ["bad_clock"]),
        (SAMPLES, [*CLOCKS[:4], 0.901 * REFERENCE], []),
        (SAMPLES, [*CLOCKS[:4], 0.899 * REFERENCE], ["throttle"]),
        (SAMPLES, [*CLOCKS[:4], -REFERENCE], ["bad_clock"]),  # an unusable clock does not count as a low one
        ([*SAMPLES[:3], NAN, 9e-4], [0.5 * REFERENCE] * 5, ["bad_clock", "high", "throttle"]),
        ([3e-4] * 4 + [3.002e-4], CLOCKS, []),  # no MAD: the floor is 5 x 1.4826e-4 of the median
        ([3e-4] * 4 + [3.003e-4], CLOCKS, ["high"]),
        ([NAN] * 5, CLOCKS, ["bad_clock"]),
        ([], [], []),
    ],
)
def test_flags(seconds, clocks, flags):
    assert flag_samples(seconds, clocks, REFERENCE) == flags


def test_no_throttle_without_a_reference():
    assert flag_samples(SAMPLES, [1.0] * 5, NAN) == []
    with pytest.raises(ValueError, match="zip"):
        flag_samples(SAMPLES, CLOCKS[:4], REFERENCE)


@holds(samples=st.lists(st.tuples(anything, anything)), reference=st.floats())
def test_flags_of_anything(samples, reference):
    flags = flag_samples([time for time, _ in samples], [clock for _, clock in samples], reference)
    assert flags == sorted(set(flags))
    assert set(flags) <= {"bad_clock", "high", "throttle"}
    assert ("bad_clock" in flags) == (not all(usable(*sample) for sample in samples))


# one session


def test_seven_visits_by_hand():
    values = [3.00e-5, 3.03e-5, 2.97e-5, 3.06e-5, 3.00e-5, 2.94e-5, 3.09e-5]
    e = estimate_session(values, [REFERENCE] * 7, REFERENCE, 0.7)
    logs = [math.log(v) for v in values]
    mean = sum(logs) / 7
    sd = math.sqrt(sum((one - mean) ** 2 for one in logs) / 6)
    assert e.seconds == e.raw_seconds == 3.00e-5
    assert (e.visits, e.elasticity) == (7, pytest.approx(0.7))
    assert e.elasticity_sd == pytest.approx(0.15)
    assert e.spread == pytest.approx(sd)
    assert e.low == pytest.approx(math.exp(mean - 2.446912 * sd / math.sqrt(7)), rel=1e-9)
    assert e.high == pytest.approx(math.exp(mean + 2.446912 * sd / math.sqrt(7)), rel=1e-9)
    assert e.half_width == pytest.approx((e.high - e.low) / 2 / 3.00e-5)


def test_ten_visits_by_hand():
    values = [101, 97, 103, 99, 95, 107, 105, 93, 109, 91]
    e = estimate_session(values, [REFERENCE] * 10, REFERENCE, 0.3)
    assert (e.seconds, e.raw_seconds) == (100.0, 100.0)
    assert (e.low, e.high) == (pytest.approx(93), pytest.approx(107))  # ranks 2 and 9
    assert e.spread == pytest.approx(1.4826 * 5 / 100)  # distances 1, 1, 3, 3, 5, 5, 7, 7, 9, 9
    assert e.half_width == pytest.approx(0.07)


def test_slope_term_by_hand():
    clocks = [REFERENCE * math.exp(-0.1)] * 9
    e = estimate_session([3e-5] * 9, clocks, REFERENCE, 0.4)
    assert e.elasticity == pytest.approx(0.4)
    assert e.seconds == pytest.approx(3e-5 * math.exp(-0.04))
    assert e.raw_seconds == 3e-5
    assert e.low == pytest.approx(e.seconds * math.exp(-1.96 * 0.15 * 0.1))
    assert e.high == pytest.approx(e.seconds * math.exp(1.96 * 0.15 * 0.1))


def test_slope_by_hand():
    logs = [-0.02, 0.02] * 3  # sum of squares 24e-4, over 0.005²: 96; the prior's 1/0.15² is 44.4
    e = estimate_session(*timed([(-0.8 * f, f) for f in logs]), REFERENCE, 0.5)
    precision = 1 / 0.0225 + 96
    assert e.elasticity == pytest.approx((0.5 / 0.0225 + 0.8 * 96) / precision)
    assert e.elasticity_sd == pytest.approx(precision**-0.5)


def test_slope_by_hand_where_visits_scatter_more():
    logs, rest = [-0.02, 0.02] * 3, [0.03, 0.03, -0.03, -0.03, 0.0, 0.0]  # about the line: 36e-4 over 6 - 2
    pairs = [(r - 0.8 * f, f) for r, f in zip(rest, logs, strict=True)]
    e = estimate_session(*timed(pairs), REFERENCE, 0.5)
    precision = 1 / 0.0225 + 24e-4 / 9e-4
    assert e.elasticity == pytest.approx((0.5 / 0.0225 + 0.8 * 24 / 9) / precision)
    assert e.elasticity_sd == pytest.approx(precision**-0.5)


def test_slope_term_takes_the_mean_clock():
    pairs = [(-0.8 * f, f) for f in [-0.06, -0.02] * 3]
    e = estimate_session(*timed(pairs), REFERENCE, 0.8)
    assert math.log(e.high / 3e-5) == pytest.approx(1.96 * (1 / 0.0225 + 96) ** -0.5 * 0.04)
    assert math.log(e.low / 3e-5) == pytest.approx(-math.log(e.high / 3e-5))


def test_terms_combine_side_by_side():
    pairs = [(time, -0.1) for time in (-0.03, -0.02, -0.01, 0.0, 0.0, 0.0, 0.01, 0.05, 0.07)]
    e = estimate_session(*timed(pairs), REFERENCE, 0.0, resolution=0.04)
    assert e.seconds == pytest.approx(3e-5)
    assert e.low == pytest.approx(3e-5 * math.exp(-math.hypot(0.02, 0.0294, 0.02)))
    assert e.high == pytest.approx(3e-5 * math.exp(math.hypot(0.05, 0.0294, 0.02)))


@pytest.mark.parametrize("prior", [-3.0, 0.0, 1.0, 4.0])
def test_elasticity_stays_a_share(prior):
    e = estimate_session([3e-5] * 6, [REFERENCE] * 6, REFERENCE, prior)
    assert e.elasticity == min(max(prior, 0.0), 1.0)


def test_one_wild_visit_does_not_make_a_slope():
    quiet = [(0.0, f) for f in (-0.03, -0.02, -0.01, 0.0, 0.01, 0.02, 0.0, 0.01, -0.01)]
    wild = estimate_session(*timed([*quiet, (0.3, -0.03)]), REFERENCE, 0.1)
    assert wild.elasticity < 0.3  # at 0.5 % scatter it would be 1
    assert wild.seconds == pytest.approx(3e-5, rel=0.005)


@pytest.mark.parametrize("elasticity", [0.0, 0.35, 1.0])
def test_clock_effect_is_removed(elasticity):
    rng = np.random.default_rng(7)
    pairs = [(-elasticity * f, f) for f in rng.normal(-0.06, 0.05, 15)]
    e = estimate_session(*timed(pairs), REFERENCE, elasticity)
    assert e.seconds == pytest.approx(3e-5, rel=1e-9)
    assert e.elasticity == pytest.approx(elasticity, abs=1e-9)
    assert e.spread < 1e-9
    assert e.raw_seconds == pytest.approx(3e-5 * math.exp(0.06 * elasticity), rel=0.03)


def test_a_wrong_prior_gives_way_to_the_visits():
    pairs = [(-0.9 * f, f) for f in np.linspace(-0.3, 0.1, 12)]
    assert estimate_session(*timed(pairs), REFERENCE, 0.3).elasticity == pytest.approx(0.9, abs=0.01)


def test_throttled_to_half_for_a_third_of_the_visits():
    rng = np.random.default_rng(11)
    pairs = [(-0.8 * f + 0.003 * rng.standard_normal(), f) for f in [0.0] * 8 + [math.log(0.5)] * 4]
    e = estimate_session(*timed(pairs), REFERENCE, 0.7)
    assert e.seconds == pytest.approx(3e-5, rel=0.005)
    assert e.low <= 3e-5 <= e.high


@pytest.mark.parametrize("count", [6, 8, 9, 40])
def test_zero_variance(count):
    e = estimate_session([3e-5] * count, [REFERENCE] * count, REFERENCE, 0.5)
    assert (e.seconds, e.low, e.high, e.spread, e.half_width) == (3e-5, 3e-5, 3e-5, 0.0, 0.0)
    stepped = estimate_session([3e-5] * count, [REFERENCE] * count, REFERENCE, 0.5, resolution=0.01)
    assert stepped.low == pytest.approx(3e-5 * math.exp(-0.005))
    assert stepped.high == pytest.approx(3e-5 * math.exp(0.005))


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_too_few_visits(count):
    e = estimate_session([3e-5] * count, [REFERENCE] * count, REFERENCE, 0.5, 0.01)
    assert e.visits == count
    assert e.seconds == pytest.approx(3e-5 if count else NAN, nan_ok=True)
    assert all(map(math.isnan, (e.low, e.high, e.half_width)))
    assert e.spread == pytest.approx(0.0 if count > 1 else NAN, nan_ok=True)
    assert (e.elasticity, e.elasticity_sd) == (0.5, pytest.approx(0.15))


@pytest.mark.parametrize("bad", [NAN, INF, -INF, 0.0, -3e-5, 10**400])
def test_what_was_not_filtered(bad):
    values, clocks = [3e-5] * 7, [REFERENCE] * 7
    for arguments in (
        ([*values, bad], [*clocks, REFERENCE], REFERENCE),
        (values, [*clocks[1:], bad], REFERENCE),
        (values, clocks, bad),
    ):
        with pytest.raises(ValueError, match="must be finite"):
            estimate_session(*arguments, 0.5)
    with pytest.raises(ValueError, match="zip"):
        estimate_session(values, clocks[:-1], REFERENCE, 0.5)


@pytest.mark.parametrize(("prior", "resolution"), [(NAN, 0.0), (INF, 0.0), (0.5, -0.01), (0.5, NAN), (0.5, 1.0)])
def test_wrong_prior_or_resolution(prior, resolution):
    with pytest.raises(ValueError, match="must be finite"):
        estimate_session([3e-5] * 7, [REFERENCE] * 7, REFERENCE, prior, resolution)


@holds(pairs=scatter, prior=priors, unit=st.sampled_from([1e-3, 1e3, 1e6, 7.0, 1 / 3]))
def test_another_unit_of_time(pairs, prior, unit):
    values, clocks = timed(pairs)
    a = estimate_session(values, clocks, REFERENCE, prior)
    b = estimate_session([unit * v for v in values], clocks, REFERENCE, prior)
    for name in ("seconds", "low", "high", "raw_seconds"):
        assert close(unit * getattr(a, name), getattr(b, name)), name
    assert abs(a.elasticity - b.elasticity) < 1e-9
    assert close(a.elasticity_sd, b.elasticity_sd)


@holds(pairs=scatter, prior=priors, unit=st.sampled_from([1e-6, 1e-9, 3.0]))
def test_another_unit_of_clock(pairs, prior, unit):
    values, clocks = timed(pairs)
    a = estimate_session(values, clocks, REFERENCE, prior)
    b = estimate_session(values, [unit * f for f in clocks], unit * REFERENCE, prior)
    assert all(close(getattr(a, name), getattr(b, name)) for name in ("seconds", "low", "high", "elasticity_sd"))
    assert a.raw_seconds == b.raw_seconds


@holds(pairs=scatter, prior=priors, data=st.data())
def test_the_order_of_visits_does_not_matter(pairs, prior, data):
    shuffled = data.draw(st.permutations(pairs))
    a, b = (estimate_session(*timed(p), REFERENCE, prior, 0.01) for p in (pairs, shuffled))
    assert repr(a) == repr(b)  # to the last bit: a resumed session ends as an uninterrupted one


@holds(pairs=scatter, prior=priors, resolution=st.sampled_from([0.0, 0.01]))
def test_the_interval_holds_its_point(pairs, prior, resolution):
    e = estimate_session(*timed(pairs), REFERENCE, prior, resolution)
    assert math.isnan(e.low) == math.isnan(e.high) == math.isnan(e.half_width) == (len(pairs) < LEAST_VISITS)
    if len(pairs) >= LEAST_VISITS:
        assert 0 < e.low <= e.seconds <= e.high < INF
        assert e.half_width >= math.sinh(resolution / 2) * (1 - 1e-6)


@holds(
    values=st.lists(st.floats(min_value=0, exclude_min=True, allow_infinity=False), min_size=1, max_size=12),
    data=st.data(),
    prior=st.floats(allow_nan=False, allow_infinity=False),
)
def test_absurd_but_positive_numbers(values, data, prior):
    clocks = data.draw(st.lists(st.floats(5e-324, 1.7e308), min_size=len(values), max_size=len(values)))
    e = estimate_session(values, clocks, data.draw(st.floats(5e-324, 1.7e308)), prior)
    assert 0 < e.seconds < INF
    assert 0 <= e.elasticity <= 1
    assert min(values) <= e.raw_seconds <= max(values)
    assert len(values) < LEAST_VISITS or 0 < e.low <= e.seconds <= e.high < INF


@holds(times=st.lists(st.floats(-0.1, 0.1), min_size=6, max_size=30), factor=st.floats(1.0, 3.0))
def test_more_scatter_is_never_narrower(times, factor):
    a, b = (estimate_session(*timed([(k * time, -0.01) for time in times]), REFERENCE, 0.5) for k in (1.0, factor))
    assert math.log(b.high / b.low) >= math.log(a.high / a.low) - 1e-12
    assert b.half_width >= a.half_width - 1e-12


@holds(ticks=st.lists(st.integers(1, 4), min_size=6, max_size=40))
def test_values_on_the_tick(ticks):
    e = estimate_session([1.024e-6 * k for k in ticks], [REFERENCE] * len(ticks), REFERENCE, 0.5, resolution=0.5)
    ordered = sorted(1.024e-6 * k for k in ticks)
    assert e.seconds == e.raw_seconds == pytest.approx(float(np.median(ordered)))
    assert e.low <= e.seconds * math.exp(-0.25) * (1 + 1e-9)
    assert e.high >= e.seconds * math.exp(0.25) * (1 - 1e-9)
    assert e.spread >= 0


# how often the intervals hold


def coverage(draw, truth, sets):
    """The share of `sets` estimates whose interval holds the truth."""
    estimates = [draw() for _ in range(sets)]
    return sum(e.low <= truth <= e.high for e in estimates) / sets


def test_coverage_of_pure_noise():
    rng = np.random.default_rng(1)

    def draw():
        return estimate_session(np.exp(0.3 * rng.standard_normal(12)), [REFERENCE] * 12, REFERENCE, 0.5)

    assert 0.93 <= coverage(draw, 1.0, 2000) <= 0.985


def drifting(rng, noise, count):
    """Visits under a clock that wanders, with a prior that is off by 0.15: a session's estimate of 3e-5 s."""
    elasticity, step = rng.uniform(0, 1), rng.standard_normal(count)
    wander = np.empty(count)
    state = 0.02 * rng.standard_normal()
    for i in range(count):
        state = 0.8 * state + 0.007 * step[i]
        wander[i] = state
    values = 3e-5 * np.exp(-elasticity * wander + noise * rng.standard_normal(count))
    prior = elasticity + 0.15 * rng.standard_normal()
    return estimate_session(values, REFERENCE * np.exp(wander), REFERENCE, prior)


@pytest.mark.parametrize("noise", [0.002, 0.005, 0.02])
def test_coverage_under_a_drifting_clock(noise):
    rng = np.random.default_rng(3)
    assert coverage(lambda: drifting(rng, noise, int(rng.integers(6, 13))), 3e-5, 1500) >= 0.94


def test_coverage_far_from_the_reference():
    rng = np.random.default_rng(5)

    def draw():  # the clock 10 % below its reference and hardly moving: the prior is nearly all that is known
        elasticity, clocks = rng.uniform(0, 1), -0.1 + 0.003 * rng.standard_normal(20)
        values = 3e-5 * np.exp(-elasticity * clocks + 0.02 * rng.standard_normal(20))
        prior = elasticity + 0.15 * rng.standard_normal()
        return estimate_session(values, REFERENCE * np.exp(clocks), REFERENCE, prior)

    assert coverage(draw, 3e-5, 1000) >= 0.94  # 86 % if visits were taken to scatter by 0.5 % whatever they show


def test_coverage_on_the_tick():
    rng = np.random.default_rng(9)
    hits = 0
    for _ in range(1000):
        truth, noise = rng.uniform(99, 101), rng.choice([0.0, 0.05, 0.3, 1.0])  # in ticks
        values = np.round(truth + noise * rng.standard_normal(8))
        e = estimate_session(values, [REFERENCE] * 8, REFERENCE, 0.5, resolution=0.01)
        hits += e.low <= truth <= e.high
    assert hits >= 950


def test_coverage_over_sessions():
    rng = np.random.default_rng(13)

    def visited(level):
        return estimate_session(level * np.exp(0.002 * rng.standard_normal(6)), [REFERENCE] * 6, REFERENCE, 0.5)

    def draw():  # sessions 1 % apart, visits of one only 0.2 %
        return combine_sessions([visited(math.exp(0.01 * rng.standard_normal())) for _ in range(rng.integers(3, 7))])

    assert 0.93 <= coverage(draw, 1.0, 1000) <= 0.975


# sessions


def test_one_and_two_sessions():
    a, b = session(3e-5, 2.9e-5, 3.2e-5), session(4e-5, 3.7e-5, 4.1e-5)
    one, two = combine_sessions([a]), combine_sessions([a, b])
    assert (one.seconds, one.low, one.high, one.sessions) == (3e-5, 2.9e-5, 3.2e-5, 1)
    assert math.isnan(one.spread)
    assert one.half_width == a.half_width == pytest.approx(0.05)
    assert two.seconds == pytest.approx(math.sqrt(12e-10))
    assert (two.low, two.high, two.sessions) == (2.9e-5, 4.1e-5, 2)
    assert two.spread == pytest.approx(math.log(4 / 3) / math.sqrt(2))


def test_three_sessions_by_hand():
    e = combine_sessions([session(3e-5 * math.exp(x)) for x in (-0.02, 0.0, 0.02)])  # sd 0.02, t 4.302653
    assert e.seconds == pytest.approx(3e-5)
    assert e.spread == pytest.approx(0.02)
    half = 4.302653 * 0.02 / math.sqrt(3) * math.sqrt(1.2 / 0.9)  # wider for sessions that correlate by 0.1
    assert e.low == pytest.approx(3e-5 * math.exp(-half))
    assert e.high == pytest.approx(3e-5 * math.exp(half))
    assert e.sessions == 3


def test_sessions_without_an_interval_or_a_visit():
    nothing = estimate_session([], [], REFERENCE, 0.5)
    good, short = session(3e-5, 2.9e-5, 3.1e-5), session(3.2e-5)
    assert repr(combine_sessions([nothing, good])) == repr(combine_sessions([good]))
    for sessions in ([short], [short, good], [good, short], [nothing], []):
        e = combine_sessions(sessions)
        assert math.isnan(e.low)
        assert math.isnan(e.high)
        assert math.isnan(e.half_width)
    assert combine_sessions([]).sessions == 0
    assert math.isnan(combine_sessions([]).seconds)
    assert combine_sessions([short, good]).seconds == pytest.approx(math.sqrt(3e-5 * 3.2e-5))


@holds(logs=st.lists(st.floats(-1, 1), min_size=1, max_size=8), data=st.data())
def test_combined_interval_holds_its_point(logs, data):
    sessions = [session(3e-5 * math.exp(x), 2.9e-5 * math.exp(x), 3.1e-5 * math.exp(x)) for x in logs]
    e = combine_sessions(sessions)
    assert e.low <= e.seconds <= e.high
    assert e.seconds == pytest.approx(3e-5 * math.exp(sum(logs) / len(logs)))
    assert repr(combine_sessions(data.draw(st.permutations(sessions)))) == repr(e)


def test_equal_sessions():
    e = combine_sessions([session(3e-5, 3e-5, 3e-5)] * 5)
    assert (e.seconds, e.low, e.high, e.spread, e.half_width) == (3e-5, 3e-5, 3e-5, 0.0, 0.0)


# rounds, modes, allocation


def test_a_foreign_process_in_two_rounds():
    calm = [(r, 1e6 * (1 + 0.001 * r), 2e-3) for r in range(1, 11)]
    assert suspect_rounds(calm) == frozenset()
    cycles = [(r, c * (1.2 if r in (3, 4) else 1.0), s) for r, c, s in calm]
    copies = [(r, c, s * (1.2 if r in (3, 4) else 1.0)) for r, c, s in calm]
    assert suspect_rounds(cycles) == suspect_rounds(copies) == {3, 4}
    assert suspect_rounds(cycles[:1] + copies[:1]) == frozenset()


@pytest.mark.parametrize(("change", "expected"), [(1.019, set()), (1.021, {2}), (0.981, set()), (0.979, {2})])
def test_two_percent(change, expected):
    assert suspect_rounds([(1, 1e6, 2e-3), (2, 1e6 * change, 2e-3), (3, 1e6, 2e-3)]) == expected
    assert suspect_rounds([(1, 1e6, 2e-3), (2, 1e6, 2e-3 * change), (3, 1e6, 2e-3)]) == expected


def test_canaries_of_a_round_count_by_their_median():
    factors = {1: [1.0], 2: [1.0, 1.3, 1.0], 3: [1.0], 4: [1.3, 1.0, 1.3]}
    assert suspect_rounds([(r, 1e6 * f, 2e-3) for r, each in factors.items() for f in each]) == {4}


def test_canaries_that_say_nothing():
    assert suspect_rounds([]) == frozenset()
    assert suspect_rounds([(1, 1e6, 2e-3), (2, 2e6, 2e-3)]) == frozenset()
    rows = [(1, 1e6, 2e-3), (2, NAN, 2e-3), (3, 0, INF), (4, -1.0, 2e-3), (5, 1e6, NAN)]
    assert suspect_rounds(rows) == frozenset()
    assert suspect_rounds([*rows, (6, 2e6, 3e-3)]) == {6}


def bimodal(rng, count, share, gap, noise):
    upper = max(-(-count // 5), round(share * count))
    return np.exp(gap * (np.arange(count) < upper) + noise * rng.standard_normal(count))


def test_modes_by_hand():
    values = [3.0, 3.01, 3.02, 3.03, 3.3, 3.31, 3.32, 3.33]
    assert modes(values) == (pytest.approx(3.015), pytest.approx(3.315))
    assert is_unstable(values)
    assert modes(values[:7]) is None  # too few to tell
    assert not is_unstable([3.0, 3.01, 3.02, 3.03, 3.04, 3.05, 3.06, 3.6])  # one outlier is not a mode
    assert not is_unstable([3.0] * 5 + [3.05] * 5)  # 1.7 % apart
    assert modes([3.0] * 5 + [3.1] * 5) == (3.0, 3.1)
    assert not is_unstable([3.0] * 40)
    with pytest.raises(ValueError, match="finite and positive"):
        modes([3.0] * 8 + [NAN])


@pytest.mark.parametrize(("count", "most"), [(8, 0.03), (10, 0.015), (12, 0.005), (40, 0.001)])
def test_one_mode_is_seldom_taken_for_two(count, most):
    rng = np.random.default_rng(17)
    for noise in (0.03, 0.3):
        assert sum(is_unstable(np.exp(noise * rng.standard_normal(count))) for _ in range(1000)) <= most * 1000


@pytest.mark.parametrize("count", [8, 9, 12, 20])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.75])
def test_two_modes_are_found(count, share):
    rng = np.random.default_rng(19)
    found = [modes(bimodal(rng, count, share, 0.06, 0.004)) for _ in range(200)]
    assert sum(pair is not None for pair in found) >= 180
    assert all(pair == pytest.approx((1.0, math.exp(0.06)), rel=0.02) for pair in found if pair)


@holds(values=st.lists(st.floats(1e-9, 1e3), max_size=30), unit=st.sampled_from([2.0**-10, 2.0**20]), data=st.data())
def test_modes_of_anything(values, unit, data):
    pair = modes(values)
    assert pair is None or min(values) <= pair[0] < pair[1] <= max(values)
    assert is_unstable(data.draw(st.permutations(values))) == (pair is not None)
    assert modes([unit * v for v in values]) == (pair and (unit * pair[0], unit * pair[1]))


@holds(
    low=st.lists(st.floats(1.0, 2.0), min_size=3, max_size=12),
    high=st.lists(st.floats(9.0, 10.0), min_size=3, max_size=12),
)
def test_values_part_at_the_gap(low, high):
    low, high = sorted(low), sorted(high)
    assert part(low + high) == (low, high)
    assert modes(low + high) == ((median(low), median(high)) if len(low + high) >= 8 else None)


def test_expected_gain():
    assert expected_gain(0.5, 0.02, 4, 0.01) == pytest.approx(1e-4 / 20 / 0.01)
    assert expected_gain(0.3, 0.1, 2, 5.0) == pytest.approx(0.0009 / 30)
    assert expected_gain(0.5, 0.0, 6, 0.01) == 0.0
    assert expected_gain(0.5, NAN, 6, 0.01) == expected_gain(0.5, 0.02, 0, 0.01) == INF
    for cost in (0.0, -1.0, NAN):
        with pytest.raises(ValueError, match="a visit of"):
            expected_gain(0.5, 0.02, 4, cost)


def test_visits_by_gain_against_equal_visits():
    """200 kernels, six visits each, against two each and then the largest gain, for the same device time."""
    rng = np.random.default_rng(3)
    seconds = np.exp(rng.uniform(math.log(3e-6), math.log(4e-3), 200))
    calls, spread = rng.integers(1, 24, 200), 0.006 * np.exp(0.5 * rng.standard_normal(200))
    cost = 5 * np.maximum(3e-4, seconds) + 3e-3
    weight = calls * seconds / (calls * seconds).sum()
    visits, left = [2] * 200, 4 * float(cost.sum())
    queue = [(-expected_gain(weight[i], spread[i], 2, cost[i]), i) for i in range(200)]
    heapq.heapify(queue)
    while left > 0:
        _, i = heapq.heappop(queue)
        visits[i] += 1
        left -= cost[i]
        heapq.heappush(queue, (-expected_gain(weight[i], spread[i], visits[i], cost[i]), i))
    equal, greedy = (((weight * spread) ** 2 / n).sum() for n in (6, np.array(visits)))
    assert equal / greedy >= 1.8


@pytest.mark.nightly
@pytest.mark.parametrize("name", sorted(AT_NIGHT))
def test_at_length(name):
    AT_NIGHT[name]()
