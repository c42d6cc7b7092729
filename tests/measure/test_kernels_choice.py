"""Which kernels a round visits, and what a visit adds to what is known of its kernel."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.gemm import Gemm
from perfmodel.measure.job import Job
from perfmodel.measure.kernels import FAULTS_ALLOWED, LEAST_ROUND, Subject, next_round, seed_of
from perfmodel.measure.settings import Settings
from perfmodel.profiles.kernel import Kernel

HZ = 1.5e9
WIDE = [1.0, 1.1, 0.9, 1.2, 0.8, 1.05]  # no narrow interval
NARROW = [1.0, 1.0001, 0.9999, 1.0, 1.0002, 0.9998]


def subject(index=0, values=(), weight=1.0, seconds=1e-3, attempts=None, launches=1):
    """A kernel with visits of these values, at one clock, in rounds 1, 2, …"""
    job = Job(Kernel(Gemm(7, 5, 3 + index)), weight)
    one = Subject(index, job, launches, 3, "graph", seconds, 1e-4 * seconds * launches)
    one.visits = [(number, value * seconds, HZ) for number, value in enumerate(values, 1)]
    one.attempts = len(values) if attempts is None else attempts
    one.judge((), HZ)
    return one


def record(seconds, clock_hz=None, number=1, launches=1):
    clocks = [HZ] * len(seconds) if clock_hz is None else clock_hz
    return {"round": number, "launches": launches, "seconds": seconds, "clock_hz": clocks}


# One kernel


def test_the_value_of_a_visit():
    one = subject()
    one.add(record([8e-4, 1.1e-3, 9e-4], [3e9, 1e9, 2e9], number=7, launches=2), 2e-4)
    assert one.visits == [(7, pytest.approx(3.5e-4), 2e9)]
    assert one.attempts == 1


def test_bad_samples_do_not_count():
    one = subject()
    one.add(record([1e-3, None, math.nan, -1.0, 3e-3, 2e-3, 9e-3], [1e9, HZ, HZ, HZ, 2e9, None, 4e9]), 0.0)
    assert one.visits == [(1, 3e-3, 2e9)]


def test_the_clock_of_an_even_number_of_samples():
    one = subject()
    one.add(record([1e-3, 1e-3], [1e9, 2e9]), 0.0)
    assert one.visits == [(1, 1e-3, 1.5e9)]


@pytest.mark.parametrize("seconds", [[], [None], [math.nan, 0.0], [-1.0], [1e-6]])
def test_a_visit_without_a_value_counts_as_an_attempt(seconds):
    one = subject()
    one.add(record(seconds), 1e-5)
    assert (one.visits, one.attempts) == ([], 1)
    one.judge((), HZ)
    assert (one.estimate, one.count()) == (None, 0)


def test_suspect_rounds_do_not_count():
    one = subject(values=[1.0] * 4 + [7.0, 7.0] + [1.0] * 2)
    one.judge({5, 6}, HZ)
    assert (one.count(), one.estimate.seconds) == (6, pytest.approx(1e-3))
    one.judge(range(1, 9), HZ)
    assert one.estimate is None


def test_every_tenth_visit_checks_again():
    checks = [subject(attempts=attempts).request(1e-4, 3).recheck for attempts in range(21)]
    assert [number for number, check in enumerate(checks, 1) if check] == [10, 20]


def test_when_a_kernel_is_done():
    settings = Settings(half_width=0.01, most_visits=12)
    assert subject(values=WIDE).is_open(settings)
    assert not subject(values=NARROW).is_open(settings)
    assert subject(values=NARROW[:5]).is_open(settings)  # five visits have no interval
    assert not subject(values=WIDE, attempts=12).is_open(settings)
    assert subject(values=WIDE, attempts=11).is_open(settings)
    broken = subject(values=WIDE)
    broken.faults = FAULTS_ALLOWED
    assert not broken.is_open(settings)


def test_a_subject_of_a_record():
    row = {"launches": 3, "sets": 5, "mode": "stream", "offset_s": 2e-6, "expected_s": 1e-4}
    one = Subject.of(7, Job(Kernel(Gemm(7, 5, 3))), row, 3e-6)
    assert (one.index, one.launches, one.sets, one.mode, one.tick_s) == (7, 3, 5, "stream", 3e-6)
    visit = one.request(1.5e-4, 11)
    assert (visit.launches, visit.sets, visit.mode, visit.spin_s, visit.seed) == (3, 5, "stream", 1.5e-4, 11)
    assert visit.sample_s == pytest.approx(3e-4)


def test_the_step_of_the_clock_is_that_of_what_was_measured():
    """Three launches of 1 ms, with a tick of 0.06 ms: values can be off by 1 %, and the pilot does not matter."""
    one = subject(launches=3, seconds=7e-3)
    one.tick_s, one.visits = 6e-5, [(number, 1e-3, HZ) for number in range(6)]
    one.judge((), HZ)
    assert one.estimate.half_width == pytest.approx(0.01, rel=1e-3)
    one.tick_s = 1.0  # hardly a sample lasts a tick
    one.judge((), HZ)
    assert one.estimate.half_width == pytest.approx(math.sinh(0.99 / 2), rel=1e-3)


# A round


def test_at_first_everybody_is_visited():
    many = [subject(index, WIDE[: index % 6]) for index in range(50)]
    assert sorted(next_round(many, Settings(), "a")) == list(range(50))


def test_who_has_too_few_visits_comes_first():
    many = [subject(index, WIDE if index % 5 else WIDE[:5]) for index in range(50)]
    assert sorted(next_round(many, Settings(), "a")) == list(range(0, 50, 5))


def test_then_the_fifth_in_which_a_visit_helps_most():
    many = [subject(index, WIDE, weight=1.0 + index) for index in range(125)]
    assert sorted(next_round(many, Settings(), "a")) == list(range(100, 125))


def test_no_fewer_than_a_round_has_to_have():
    many = [subject(index, WIDE, weight=1.0 + index) for index in range(30)]
    assert sorted(next_round(many, Settings(), "a")) == list(range(30 - LEAST_ROUND, 30))
    assert sorted(next_round(many[:7], Settings(), "a")) == list(range(7))


def test_a_long_visit_must_help_more():
    """3·10 ms of weight each; one visit takes 9 times as long as the other."""
    many = [subject(i, WIDE, weight=3.0, seconds=1e-2) for i in range(20)]
    many += [subject(20 + i, WIDE, weight=30.0, seconds=1e-3) for i in range(20)]
    assert sorted(next_round(many, Settings(), "a")) == list(range(20, 40))


def test_done_kernels_are_not_visited():
    assert next_round([subject(0, NARROW), subject(1, WIDE)], Settings(), "a") == [1]
    assert next_round([subject(0, NARROW)], Settings(), "a") == []
    assert next_round([], Settings(), "a") == []


def test_the_order_is_random_and_always_the_same():
    many = [subject(index) for index in range(20)]
    first = next_round(many, Settings(), "1/1/1")
    assert first == next_round(list(reversed(many)), Settings(), "1/1/1")
    assert first != next_round(many, Settings(), "1/1/2")
    assert first != sorted(first)


def test_every_place_in_a_round_is_as_likely():
    many = [subject(index) for index in range(4)]
    places = [next_round(many, Settings(), str(n)).index(0) for n in range(2000)]
    assert all(400 < places.count(place) < 600 for place in range(4))


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.floats(0, 1e9), st.floats(0, 0.5), st.booleans()), max_size=60),
    st.integers(6, 12),
)
def test_a_round_is_made_of_open_kernels_once_each(rows, least):
    limits = Settings(least_visits=least, most_visits=12)
    many = []
    for index, (visits, weight, scatter, broken) in enumerate(rows):
        one = subject(index, [1 + scatter * (-1) ** n for n in range(visits)], weight)
        one.faults = FAULTS_ALLOWED * broken
        many.append(one)
    order = next_round(many, limits, "a")
    alive = {one.index for one in many if one.is_open(limits)}
    assert len(set(order)) == len(order)
    assert set(order) <= alive
    assert bool(order) == bool(alive)
    few = {index for index in alive if many[index].count() < least}
    assert set(order) == few if few else len(order) >= min(len(alive), max(LEAST_ROUND, len(alive) // 2))


def test_seeds_differ():
    seeds = {seed_of(1, number, place) for number in range(40) for place in range(40)}
    assert len(seeds) == 1600
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert seed_of(1, 23) != seed_of(12, 3)
