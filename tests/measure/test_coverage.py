"""The engine's intervals on a drifting card hold what they state; a single long visit does not. See benchmarks/."""

import importlib.util
import sys
from dataclasses import replace
from math import inf, isclose, nan
from pathlib import Path

import numpy as np
import pytest

from perfmodel.gemm import Gemm
from perfmodel.measure.settings import Settings
from perfmodel.measure.simulated import Truth, find_scenario
from perfmodel.profiles.kernel import Kernel

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
KERNEL = Kernel(Gemm(7, 5, 3))


def load(name):
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def modules():
    """The scripts, by name; they import each other by these names, which other modules may have as well."""
    names = ("rules", "sessions", "coverage")
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setitem(sys.modules, name, None)  # undone at the end
        yield {name: load(name) for name in names}


@pytest.fixture(scope="module")
def rules(modules):
    return modules["rules"]


@pytest.fixture(scope="module")
def coverage(modules):
    return modules["coverage"]


@pytest.fixture(scope="module")
def few(coverage):
    """Two workloads of 20 kernels, three sessions each; those of the first dozen seeds that simulate fastest."""
    return coverage.merge(coverage.engine(seed, 10, 3) for seed in (8, 11))


def test_one_session_holds_the_time_at_its_clock(coverage, few):
    found = few[coverage.ENGINE]
    assert sum(len(one.seconds) for one in found) == 120
    assert coverage.share(found, "own") >= 90.0  # 95 %, less what 120 of them may miss by chance
    error, ratio = coverage.errors_of(found, "own")
    assert np.median(error) < 0.4
    assert np.percentile(ratio, 95) < 1.2
    assert max(one.half_width.max() for one in found) <= 0.01


def test_one_session_does_not_hold_the_long_run(coverage, few):
    found = few[coverage.ENGINE]
    assert coverage.share(found, "long_run") < coverage.share(found, "own") - 5.0


def test_several_sessions_hold_the_long_run(coverage, few):
    found = few[coverage.COMBINED]
    assert coverage.share(found, "long_run") >= 85.0  # 95 %, but one card's kernels stray together
    assert np.median(coverage.errors_of(found, "long_run")[0]) < 0.7


def test_without_the_clock_the_intervals_are_wrong(coverage, few):
    assert coverage.share(few[coverage.CLOCKLESS], "own") < coverage.share(few[coverage.ENGINE], "own") - 10.0


def test_order_of_the_file_measures_the_same_kernels(coverage, few):
    (one, two), first = few[coverage.IN_ORDER], few[coverage.ENGINE][0]
    assert len(one.seconds) == len(two.seconds) == 20
    assert np.abs(one.seconds / first.seconds - 1).max() < 0.05
    assert not np.array_equal(one.seconds, first.seconds)


def test_one_long_visit_is_certain_and_wrong(coverage):
    found = coverage.tool("one visit, 200 samples", 1, 10)["one visit, 200 samples"]
    assert coverage.share(found, "long_run") < 20.0
    assert np.median(found[0].half_width) < 0.001


def test_same_seed_same_figures(coverage):
    short = Settings(verify="off", settle_least_s=1.0, settle_most_s=1.0)
    load, drift = coverage.workload(2, 5), find_scenario("drift")
    one, two = (coverage.Measured(drift, load, 3, short).run(2) for _ in range(2))
    assert one.records == two.records
    assert one.spent == two.spent


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [  # 1 ms, and what the tool adds: launch latency and enqueueing between events, or nothing
        ("cupyx benchmark, n = 100", 1.015e-3, 1.019e-3), ("kernel_tuner, 7 launches", 1.015e-3, 1.019e-3),
        ("triton do_bench", 0.999e-3, 1.001e-3), ("cutlass_profiler", 0.999e-3, 1.001e-3),
        ("torch adaptive_autorange", 1.000e-3, 1.001e-3), ("nvbench cold, stdrel", 0.999e-3, 1.001e-3),
        ("one visit, 200 samples", 0.999e-3, 1.001e-3),
    ],
)  # fmt: skip
def test_each_rule_on_a_card_without_noise(rules, name, least, most):
    drift = find_scenario("drift")
    quiet = replace(drift, clock=type(drift.clock)(), noise=type(drift.noise)())
    card = rules.Metered(quiet, 3, {KERNEL: Truth(1e-3, 0.0, 0.5)})
    seconds, low, high = rules.RULES[name](rules.Target(card, KERNEL))
    assert least <= seconds <= most
    assert np.isnan(low) or low <= seconds <= high
    assert 0 < card.busy_s <= card.now_s()


def test_every_rule_is_tested(rules):
    assert len(rules.RULES) == 7


def test_meter_counts_work_and_not_waiting(rules):
    drift = find_scenario("drift")
    quiet = replace(drift, clock=type(drift.clock)(), noise=type(drift.noise)())
    card = rules.Metered(quiet, 3, {KERNEL: Truth(7e-4, 0.0, 0.5)})
    target = rules.Target(card, KERNEL)
    target.timed()
    card.wait(0.5)
    card.spin(3e-4)
    assert isclose(card.busy_s, 1e-3, rel_tol=1e-9)
    target.run(3)
    assert isclose(card.busy_s, 3.1e-3, rel_tol=1e-9)


def test_coverage_counts_intervals_that_exist(coverage):
    one = coverage.Estimates(
        np.array([3.0, 5.0, 7.0, 9.0]), np.array([2.0, nan, 6.0, 8.0]), np.array([4.0, nan, 6.5, inf]),
        np.array([3.5, 5.0, 7.0, 9.0]), np.ones(4), 0.0, 0.0,
    )  # fmt: skip
    assert np.array_equal(one.covers(one.own), [1.0, nan, 0.0, 1.0], equal_nan=True)
    assert one.half_width[0] == 1 / 3
    times, ratios = coverage.errors_of([one], "long_run")
    assert times.tolist() == [200.0, 400.0, 600.0, 800.0]
    assert ratios == pytest.approx([100 * (1 - 3 / 7), 100 * (1 - 5 / 9)])


def test_spending_after_the_sixth_round(coverage):
    rows = [
        {"type": "visit", "round": number, "kernel": kernel, "took_s": 3.0}
        for number, kernel in [*((n, k) for n in range(1, 7) for k in (0, 1)), (7, 1), (8, 1)]
    ]
    rows[3:3] = [{"type": "canary", "round": 2, "took_s": 0.5}, {"type": "settle", "took_s": 20.0}]
    spent, visits = coverage.spending(rows, 2)
    assert spent.tolist() == [36.5, 39.5, 42.5]
    assert visits.tolist() == [[6, 6], [6, 7], [6, 8]]


def test_grid_is_a_hundred_different_scenarios(coverage):
    found = coverage.scenarios()
    assert len(found) == 100
    assert [sum(name == pattern for name, _ in found) for pattern in coverage.PATTERNS] == [25] * 4
    assert len({repr((one.clock, one.environment)) for _, one in found}) == 100
    drift = find_scenario("drift")
    assert all((one.noise, one.instrument) == (drift.noise, drift.instrument) for _, one in found)


@pytest.mark.nightly
def test_thousands_of_intervals(coverage):
    found = coverage.merge(coverage.engine(seed, 50, 5) for seed in range(8))
    single, combined = found[coverage.ENGINE], found[coverage.COMBINED]
    assert sum(len(one.seconds) for one in single) == 4000
    assert coverage.share(single, "own") >= 92.0
    assert coverage.share(combined, "long_run") >= 95.0
    assert np.median(coverage.errors_of(single, "long_run")[0]) <= 0.5
    assert np.percentile(coverage.errors_of(single, "own")[1], 95) <= 1.2
