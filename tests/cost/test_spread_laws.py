"""What holds for every sum and ratio of kernels, whatever their seconds and half-widths are."""

from math import isnan, log, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.cost.spread import Spread, around, ratio_interval

works = st.lists(
    st.tuples(
        st.sampled_from("abcde"), st.floats(1e-3, 1e3), st.floats(0, 0.7), st.floats(0, 0.7), st.sampled_from("xyz")
    ),
    min_size=1, max_size=12,
)  # fmt: skip


def spread_of(rows):
    return Spread.of([row[0] for row in rows], [row[1] for row in rows], [row[2:] for row in rows])


def seconds_of(rows):
    return sum(row[1] for row in rows)


@given(works, st.randoms())
def test_the_order_of_works_and_where_they_are_split_do_not_matter(rows, random):
    mixed = random.sample(rows, len(rows))
    cut = random.randrange(len(rows) + 1)
    whole = spread_of(rows).half_width
    assert spread_of(mixed).half_width == pytest.approx(whole)
    assert (spread_of(mixed[:cut]) + spread_of(mixed[cut:])).half_width == pytest.approx(whole)


@given(works, st.integers(0, 11), st.floats(0, 0.7), st.sampled_from([2, 3]))
def test_more_doubt_about_one_kernel_never_narrows_a_sum(rows, i, more, column):
    i %= len(rows)
    wider = [*rows]
    wider[i] = tuple(value + more if j == column else value for j, value in enumerate(rows[i]))
    assert spread_of(wider).half_width >= spread_of(rows).half_width * (1 - 1e-9)


@given(works)
def test_a_sum_is_no_wider_than_its_widest_kernel_if_all_moved_with_it(rows):
    low, high = spread_of(rows).interval(seconds_of(rows))
    most = max(shared + own for _, _, shared, own, _ in rows)
    assert around(seconds_of(rows), most)[0] <= low * (1 + 1e-9)
    assert high <= around(seconds_of(rows), most)[1] * (1 + 1e-9)
    assert low <= seconds_of(rows) <= high


@given(works, st.integers(1, 10**6))
def test_iterations_leave_the_relative_interval_and_ratios_alone(rows, iterations):
    spread, seconds = spread_of(rows), seconds_of(rows)
    many = (spread * iterations).interval(seconds * iterations)
    assert many == pytest.approx([iterations * end for end in spread.interval(seconds)])
    same = ratio_interval(seconds * iterations, spread * iterations, seconds, spread)
    assert same == pytest.approx((iterations, iterations))


@given(works, works)
def test_a_ratio_is_no_wider_than_if_nothing_cancelled_and_all_moved_apart(rows, others):
    one, other = spread_of(rows), spread_of(others)
    low, high = ratio_interval(seconds_of(rows), one, seconds_of(others), other)
    relative = one.half_width / seconds_of(rows) + other.half_width / seconds_of(others)
    assert log(high / low) / 2 <= relative * (1 + 1e-9) + 1e-12


@given(works, st.integers(0, 11))
def test_a_kernel_of_unknown_width_leaves_nothing_known(rows, i):
    hidden = [*rows]
    kernel, seconds, *_ = rows[i % len(rows)]
    hidden[i % len(rows)] = (kernel, seconds, nan, nan, "")
    assert all(map(isnan, spread_of(hidden).interval(seconds_of(hidden))))
    assert all(map(isnan, ratio_interval(1.0, spread_of(hidden), 1.0, spread_of(hidden))))
