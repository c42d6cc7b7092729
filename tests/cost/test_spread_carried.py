"""Intervals from kernels through steps, runs and ratios to rows of tables, against errors drawn kernel by kernel.

The oracle knows nothing of `Spread`: it draws a normal log error for each source and each kernel, makes the seconds of
every launch from them, adds up, divides, and looks where nine in ten of what comes out lie.
"""

from dataclasses import dataclass
from math import isnan

import numpy as np
import pytest

from perfmodel.cost.estimate import Estimates, Prices, price
from perfmodel.cost.spread import EXACT, Spread, Spreads, around, ratio_interval
from perfmodel.gemm import Gemm
from perfmodel.lowering import Delay, MemoryOp
from perfmodel.networks import find_network, read_network
from perfmodel.report.breakdown import breakdown_frame, interval_frame
from perfmodel.report.speedup import speedup_frame
from perfmodel.schemes import Overhead, find_breakdown_scheme, find_scheme
from perfmodel.schemes.formats import StepFormats
from perfmodel.sidebyside import Run, price_schemes
from perfmodel.simulate import Setting, compare, constant_run, simulate, step_cost
from perfmodel.traces import PassPrecision, Segment, Trace

SHARED, OWN = 0.2, 0.1
AT_90 = 1.6448536  # standard deviations from the middle of a normal distribution to the ends of its inner 90 %
DRAWS = 20_000
FORMATS = ("fp32", "fp16", "int8")
MAC_S = {"fp32": 7e-14, "fp16": 2e-14, "int8": 1e-14}


@dataclass(frozen=True)
class Wide:
    """Seconds that grow with a kernel's work, and the same half-widths for all; `unknown` has none for a precision."""

    shared: float = SHARED
    own: float = OWN
    unknown: str = ""
    device: None = None

    def gemms(self, gemms):
        seconds = 3e-6 + gemms.m * gemms.n * gemms.k * gemms.batch * MAC_S[gemms.precision.operand.name]
        known = gemms.precision.operand.name != self.unknown
        return Estimates(seconds, "analytical", None, self._spreads(len(gemms), f"gemm {gemms.precision.name}", known))

    def memory(self, streams):
        seconds = 3e-6 + streams.bytes / 7e11
        return Estimates(seconds, "analytical", None, self._spreads(len(streams), "memory", True))

    def _spreads(self, count, source, known):
        return Spreads(np.full(count, self.shared), np.full(count, self.own), source) if known else None


class Drawn:
    """Log errors of sources and kernels, each drawn once however often it is asked for."""

    def __init__(self, seed=7):
        self.random, self.found = np.random.default_rng(seed), {}

    def __getitem__(self, key):
        if key not in self.found:
            self.found[key] = self.random.normal(size=DRAWS)
        return self.found[key]

    def seconds(self, step, chosen=lambda work: True):
        """The seconds of a step [DRAWS], or of some of its work."""
        total = np.zeros(DRAWS)
        rows = zip(step.works, step.prices.seconds, step.prices.widths, strict=True)
        for work, price_s, (shared, own, source) in rows:
            if chosen(work):
                error = shared * self["source", source] + own * self["kernel", work.kernel]
                total += work.count * price_s * np.exp(error / AT_90)
        return total


def steps_of(name, model=Wide()):
    return {one: step_cost(find_network(name), 7, *find_breakdown_scheme(one), Setting(model)) for one in FORMATS}


def agrees(interval, value, drawn):
    """The closed form holds nine in ten of the drawn times, and ends where they do, to a few per cent of its width."""
    low, high = np.log(np.array(interval) / value)
    first, last = np.log(np.quantile(drawn, (0.05, 0.95)) / value)
    assert (low, high) == pytest.approx((first, last), abs=0.03 * (last - first))
    assert ((drawn >= interval[0]) & (drawn <= interval[1])).mean() == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("network", ["alexnet", "resnet20"])
def test_steps_and_their_ratios_against_drawn_errors(network):
    steps, drawn = steps_of(network), Drawn()
    times = {name: drawn.seconds(step) for name, step in steps.items()}
    for name, step in steps.items():
        agrees(step.interval(), step.total.seconds, times[name])
        if name != "fp32":
            first = steps["fp32"]
            ends = ratio_interval(first.total.seconds, first.spread, step.total.seconds, step.spread)
            agrees(ends, first.total.seconds / step.total.seconds, times["fp32"] / times[name])


@pytest.mark.parametrize("by", ["layer", "pass", "kind"])
def test_groups_of_a_step_against_drawn_errors(by):
    steps, drawn = steps_of("alexnet"), Drawn()
    ends = interval_frame(steps, [by])
    names = {"pass": "pass_"}.get(by, by)
    rows = ends[(ends["precision"] == "int8") & (ends[by] != "total")]
    assert len(rows) >= 3
    for _, row in rows.iterrows():
        chosen = [i for i, work in enumerate(steps["int8"].works) if getattr(work, names) == row[by]]
        times = drawn.seconds(steps["int8"], lambda work, name=row[by]: getattr(work, names) == name)
        agrees((row["low_s"], row["high_s"]), float(steps["int8"].seconds[chosen].sum()), times)


def a_trace(*segments):
    rows = tuple(Segment(epoch, iterations, PassPrecision.same(names)) for epoch, iterations, names in segments)
    return Trace("resnet20", "cifar10", samples=70, batch=7, segments=rows, scheme="muppet", source={"note": "made up"})


TRACE = a_trace((0, 10, "dfx8"), (1, 10, "dfx8"), (2, 10, "dfx12"), (3, 3, "dfx12"), (3, 7, "fp32"))


def test_a_run_of_several_formats_against_drawn_errors():
    network, drawn = find_network("resnet20"), Drawn()
    found = compare(TRACE, network, Setting(Wide()))
    run, fp32 = found.runs[0], found.fp32
    iterations = {"dfx8": 20, "dfx12": 13, "fp32": 7}
    assert {formats.label for formats in run.steps} == set(iterations)
    times = sum(iterations[formats.label] * drawn.seconds(step) for formats, step in run.steps.items())
    reference = 40 * sum(drawn.seconds(step) for step in fp32.steps.values())
    agrees(run.interval(), run.seconds, times)
    agrees(run.speedup_interval(fp32), fp32.seconds / run.seconds, reference / times)


@pytest.mark.parametrize("unknown", ["", "fp32"])
def test_the_end_of_each_epoch_has_the_interval_of_the_run_until_then(unknown):
    run = compare(TRACE, find_network("resnet20"), Setting(Wide(unknown=unknown))).runs[0]
    found = run.epoch_end_intervals()
    assert found.shape == (4, 2)
    for epoch, ends in enumerate(found.tolist()):
        assert ends == pytest.approx(run.until(epoch).interval(), nan_ok=True)
    assert np.isnan(found).all(axis=1).tolist() == [False, False, False, bool(unknown)]


def test_what_tables_hold_are_these_intervals():
    network = find_network("resnet20")
    found = compare(TRACE, network, Setting(Wide()))
    row = speedup_frame(["t"], [found]).set_index("training").iloc[2]
    ends = row[["time_interval_low_s", "time_interval_high_s", "speedup_interval_low", "speedup_interval_high"]]
    assert ends.tolist() == pytest.approx([*found.runs[0].interval(), *found.runs[0].speedup_interval(found.fp32)])
    steps = steps_of("resnet20")
    rows = breakdown_frame(steps)
    once = rows[rows["launches"] == 1].iloc[0]  # of one kernel, launched once: its own half-width and nothing else
    half_width = (SHARED**2 + OWN**2) ** 0.5
    assert (once["low_s"], once["high_s"]) == pytest.approx(around(once["time_s"], half_width))


def test_schemes_side_by_side_carry_the_same_as_runs():
    network, run = find_network("resnet20"), Run(3, 70, 7)
    schemes = [find_scheme(name) for name in ("fp32", "mixed")]
    found = price_schemes(network, schemes, run, Setting(Wide()))
    runs = [
        constant_run(network, 7, dict.fromkeys(range(3), 10), scheme, format_, Setting(Wide()))
        for scheme, format_ in zip(schemes, ("fp32", "fp16"), strict=True)
    ]
    for cost, one in zip(found.costs, runs, strict=True):
        assert cost.seconds == pytest.approx(one.seconds)
        assert cost.interval() == pytest.approx(one.interval())
        assert found.speedup_interval(cost) == pytest.approx(one.speedup_interval(runs[0]))
    assert found.speedup_interval(found.costs[0]) == pytest.approx((1.0, 1.0))


def test_by_hand(tmp_path):
    """Two GEMMs of one shape (fprop, wgrad of a 1 x 1 layer: m n k = 2·1·4, 2·4·1) and one update."""
    path = tmp_path / "one.toml"
    path.write_text(
        'title = "One layer"\nsource = "made up"\ninput = [1, 1, 1]\n'
        'layers = [{ op = "linear", name = "fc", out = 2, bias = false }]\n'
    )
    step = step_cost(read_network(path), 4, find_scheme("fp32"), StepFormats.everywhere("fp32"), Setting(Flat()))
    # 2 GEMMs of 7 s, an update of 3 s; of the GEMMs' source 14·0.5, of each alone 7·0.1; of the update 3·0.3 and 3·0.4
    assert step.total.seconds == 17
    assert len({work.kernel for work in step.works}) == 3
    assert step.spread.half_width == pytest.approx((7.0**2 + 0.7**2 + 0.7**2 + 0.9**2 + 1.2**2) ** 0.5)


@dataclass(frozen=True)
class Flat:
    """A GEMM takes 7 s, anything else 3 s; the spreads of the test by hand."""

    device: None = None

    def gemms(self, gemms):
        ones = np.ones(len(gemms))
        return Estimates(7 * ones, "analytical", None, Spreads(0.5 * ones, 0.1 * ones, "gemm"))

    def memory(self, streams):
        ones = np.ones(len(streams))
        return Estimates(3 * ones, "analytical", None, Spreads(0.3 * ones, 0.4 * ones, "memory"))


def test_what_is_given_is_exact_and_narrows_the_sum():
    kernels = [Delay(5.0, "given"), Gemm(3, 5, 7)]
    found = price(Flat(), kernels)
    assert found.widths == [EXACT, (0.5, 0.1, "gemm")]
    spread = Spread.of(kernels, found.seconds.tolist(), found.widths)
    assert spread.half_width == pytest.approx(7 * 0.26**0.5)
    mean = 5 + 7 * np.exp(0.26 / 1.645**2 / 2)  # of a log-normal error
    middle = mean * np.exp(-((7 * 0.26**0.5 / 12 / 1.645) ** 2) / 2)
    assert spread.interval(12.0) == pytest.approx(around(middle, 7 * 0.26**0.5 / 12))


def test_equal_kernels_move_together_and_unlike_ones_do_not():
    model = Wide(shared=0.0)
    same, other = [Gemm(300, 500, 700)] * 2, [Gemm(300, 500, 700), Gemm(500, 300, 700)]  # of the same seconds
    twice, apart = (price(model, kernels) for kernels in (same, other))
    assert twice.seconds.tolist() == apart.seconds.tolist()
    one_s = float(twice.seconds[0])
    assert Spread.of(same, twice.seconds.tolist(), twice.widths).half_width == pytest.approx(2 * one_s * OWN)
    assert Spread.of(other, apart.seconds.tolist(), apart.widths).half_width == pytest.approx(2**0.5 * one_s * OWN)


def test_each_kernel_keeps_its_width_through_price_and_take():
    ones = np.array([0.1, 0.3])
    kernels = [Gemm(3, 5, 7), MemoryOp(3, 5), Gemm(5, 3, 7), Gemm(3, 5, 7)]

    class Each(Flat):
        def gemms(self, gemms):
            return Estimates(7 * np.ones(len(gemms)), "analytical", None, Spreads(ones, 2 * ones, ["a", "b"]))

    found = price(Each(), kernels)
    first, second, memory = (0.1, 0.2, "a"), (0.3, 0.6, "b"), (0.3, 0.4, "memory")
    assert found.widths == [first, memory, second, first]
    assert found.take([2, 0]).widths == [second, first]


def test_one_unknown_precision_leaves_no_interval_that_it_is_part_of():
    model = Wide(unknown="int8")
    steps = steps_of("resnet20", model=model)
    assert [isnan(step.interval()[0]) for step in steps.values()] == [False, False, True]
    found = compare(TRACE, find_network("resnet20"), Setting(model))
    assert all(map(isnan, found.runs[0].interval()))
    assert all(map(isnan, found.runs[0].speedup_interval(found.fp32)))
    assert not any(map(isnan, found.mixed.speedup_interval(found.fp32)))
    row = speedup_frame(["t"], [found]).set_index("training").iloc[2]
    assert row[["speedup_interval_low", "time_interval_high_s"]].isna().all()
    rows = breakdown_frame(steps)
    gemms = rows[rows["kind"] == "gemm"]
    assert gemms["low_s"].isna().tolist() == (gemms["precision"] == "int8").tolist()
    assert rows[rows["kind"] != "gemm"]["low_s"].notna().all()


def test_prices_without_widths_are_of_unknown_width():
    assert all(isnan(shared) and isnan(own) for shared, own, _ in Prices(np.ones(2), ["x"] * 2, [""] * 2).widths)


def test_without_conversions_the_limit_is_as_if_they_had_never_been():
    network = find_network("resnet20")
    run = simulate(TRACE, network, find_scheme("muppet"), Setting(Wide()))
    ideal = simulate(TRACE, network, find_scheme("muppet"), Setting(Wide(), overhead=Overhead("ideal")))
    limit = run.without_conversions()
    assert limit.interval() == pytest.approx(ideal.interval())
    assert limit.spread.half_width < run.spread.half_width
