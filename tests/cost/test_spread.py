"""How far sums and ratios may be off: by hand, against drawn errors, and what must always hold."""

from math import exp, inf, isnan, nan

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from perfmodel.cost.spread import EVERYTHING_KNOWN, Spread, Spreads, around, ratio_interval, sum_intervals

parts = st.dictionaries(st.sampled_from("abc"), st.integers(0, 10**6).map(lambda n: n / 1e5))
spreads = st.builds(Spread, parts, parts)


def test_by_hand():
    widths = [(0.1, 0.2, "gemm"), (0.3, 0.4, "gemm"), (0.5, 0.0, "x")]
    one = Spread.of(["conv", "fc", "conv"], [10.0, 20.0, 30.0], widths)
    assert one.sources == pytest.approx({"gemm": 1 + 6, "x": 15})
    assert one.kernels == pytest.approx({"conv": 2, "fc": 8})
    assert one.half_width == pytest.approx((49 + 225 + 4 + 64) ** 0.5)
    # Means of log-normal errors: exp(variance / 2), with 1.645 deviations in a half-width.
    mean = 10 * exp(0.05 / 1.645**2 / 2) + 20 * exp(0.25 / 1.645**2 / 2) + 30 * exp(0.25 / 1.645**2 / 2)
    assert one.excess == pytest.approx(mean - 60)
    middle = mean * exp(-((one.half_width / 60 / 1.645) ** 2) / 2)
    assert one.interval(60.0) == pytest.approx((middle / exp(one.half_width / 60), middle * exp(one.half_width / 60)))


def test_a_lone_kernels_interval_is_its_own():
    one = Spread.of(["conv"], [7.0], [(0.3, 0.4, "gemm")])
    assert one.interval(7.0) == pytest.approx((7 * exp(-0.5), 7 * exp(0.5)))


def test_many_wild_kernels_pull_their_sum_up():
    """A hundred that may each take twice or half as long take more than a hundred together, nine times in ten."""
    many = Spread.of(range(100), [1.0] * 100, [(0.0, 1.1, "int8")] * 100)
    low, high = many.interval(100.0)
    assert low == 100.0  # the number itself is always inside
    random = np.random.default_rng(3)
    drawn = np.exp(random.normal(0, 1.1 / 1.645, size=(20_000, 100))).sum(axis=1)
    assert high == pytest.approx(np.quantile(drawn, 0.95), rel=0.03)


def test_a_kernels_half_width_and_its_row():
    found = Spreads(np.array([0.3, 0.0]), np.array([0.4, 0.2]), "gemm fp32")
    assert found.half_widths.tolist() == pytest.approx([0.5, 0.2])
    assert list(found.rows()) == [(0.3, 0.4, "gemm fp32"), (0.0, 0.2, "gemm fp32")]
    assert list(Spreads.of(list(found.rows())).rows()) == list(found.rows())


def test_what_is_shared_adds_up_and_what_is_not_adds_in_squares():
    shared = [Spread({"clock": 3.0}, {}), Spread({"clock": 4.0}, {})]
    apart = [Spread({}, {"a": 3.0}), Spread({}, {"b": 4.0})]
    assert sum(shared, EVERYTHING_KNOWN).half_width == 7
    assert sum(apart, EVERYTHING_KNOWN).half_width == 5


def test_one_unknown_kernel_makes_the_sum_unknown():
    one = Spread.of(["a", "b"], [1.0, 1.0], [(0.1, 0.1, "gemm"), (nan, nan, "")])
    assert isnan(one.half_width)
    assert all(map(isnan, one.interval(2.0)))
    assert all(map(isnan, ratio_interval(1.0, EVERYTHING_KNOWN, 2.0, one)))


def test_nothing_takes_no_time_and_has_no_interval():
    assert all(map(isnan, ratio_interval(0.0, EVERYTHING_KNOWN, 1.0, EVERYTHING_KNOWN)))
    assert around(2.0, 1e9)[1] < inf
    assert all(map(isnan, EVERYTHING_KNOWN.interval(0.0)))
    assert around(3.0, 0.0) == (3.0, 3.0)


@given(spreads, spreads)
def test_sums_commute_and_are_no_wider_than_if_all_moved_together(a, b):
    assert (a + b).half_width == pytest.approx((b + a).half_width)
    assert max(a.half_width, b.half_width) <= (a + b).half_width * (1 + 1e-9)
    assert (a + b).half_width <= (a.half_width + b.half_width) * (1 + 1e-9)


@given(spreads, st.floats(0, 100))
def test_scaling_scales(a, times):
    assert (a * times).half_width == pytest.approx(a.half_width * times)


@given(spreads, st.floats(1e-3, 1e3))
def test_a_run_against_itself_is_known_exactly(a, seconds):
    assert ratio_interval(seconds, a, seconds, a) == pytest.approx((1.0, 1.0))


def test_sums_of_parts_by_hand():
    one, two = Spread({"clock": 3.0}, {"a": 4.0}), Spread({"clock": 1.0}, {"b": 2.0}, 0.5)
    found = sum_intervals([one, two], [10.0, 20.0], np.array([[1, 0], [0, 0], [2, 3]]))
    assert found[0] == pytest.approx(one.interval(10.0))
    assert np.isnan(found[1]).all()  # nothing takes no time
    half = (9**2 + 8**2 + 6**2) ** 0.5  # the clock moves 2·3 + 3·1 together
    middle = 81.5 * exp(-((half / 80 / 1.645) ** 2) / 2)
    assert found[2] == pytest.approx((middle * exp(-half / 80), middle * exp(half / 80)))


@given(st.lists(st.tuples(spreads, st.floats(0.5, 9), st.integers(0, 7)), min_size=1, max_size=4))
def test_a_sum_of_parts_is_their_sum(parts):
    each, seconds, counts = zip(*parts, strict=True)
    whole = sum((one * count for one, count in zip(each, counts, strict=True)), EVERYTHING_KNOWN)
    expected = whole.interval(sum(one * count for one, count in zip(seconds, counts, strict=True)))
    assert sum_intervals(each, seconds, np.array([counts]))[0] == pytest.approx(expected, nan_ok=True)


def test_an_unknown_part_counts_only_where_it_is_one():
    unknown = Spread.of(["x"], [1.0], [(nan, nan, "")])
    found = sum_intervals([Spread({}, {"a": 1.0}), unknown], [4.0, 5.0], np.array([[1, 0], [1, 2]]))
    assert np.isnan(found).tolist() == [[False, False], [True, True]]


@given(spreads, spreads, st.floats(1, 100), st.floats(1, 100))
def test_intervals_hold_their_value_and_swap_with_the_ratio(a, b, above, below):
    low, high = ratio_interval(above, a, below, b)
    assume(low > 0 and high < inf)
    assert low <= above / below * (1 + 1e-9)
    assert high >= above / below * (1 - 1e-9)
    turned = ratio_interval(below, b, above, a)
    assert (1 / turned[1], 1 / turned[0]) == pytest.approx((low, high))


def test_the_closed_form_agrees_with_drawn_errors():
    """An oracle: normal log errors drawn for each source and kernel, sums and ratios taken of what comes out."""
    random = np.random.default_rng(7)
    seconds = random.uniform(1, 9, size=20)
    shared, own = random.uniform(0.02, 0.1, size=20), random.uniform(0.05, 0.2, size=20)
    source = np.array(["gemm fp32"] * 12 + ["memory"] * 8)
    names = [f"kernel {i % 17}" for i in range(20)]  # three are launched twice
    draws, at_90 = 40_000, 1.645
    by_source = {name: random.normal(size=draws) for name in ("gemm fp32", "memory")}
    by_kernel = {name: random.normal(size=draws) for name in names}
    errors = [
        shared[i] / at_90 * by_source[source[i]] + own[i] / at_90 * by_kernel[names[i]] for i in range(20)
    ]  # fmt: skip
    times = seconds[:, None] * np.exp(errors)
    widths = list(zip(shared, own, source, strict=True))
    whole = Spread.of(names, seconds, widths)
    part = Spread.of(names[:12], seconds[:12], widths[:12])
    check = [
        (whole.interval(seconds.sum()), times.sum(axis=0)),
        (ratio_interval(seconds.sum(), whole, seconds[:12].sum(), part), times.sum(axis=0) / times[:12].sum(axis=0)),
    ]
    for (low, high), drawn in check:
        inside = ((drawn >= low) & (drawn <= high)).mean()
        assert inside == pytest.approx(0.9, abs=0.01)
