"""Trace x network x scheme x cost model, with a model whose kernels take whole seconds, so that every sum is exact."""

from dataclasses import dataclass

import numpy as np
import pytest

from perfmodel.cost.estimate import Estimates
from perfmodel.errors import InputError, UnknownName, Unsupported
from perfmodel.networks import read_network
from perfmodel.report.speedup import speedup_frame, timeline_frame
from perfmodel.schemes import Overhead, find_scheme
from perfmodel.schemes.formats import StepFormats
from perfmodel.simulate import Setting, compare, constant_run, simulate, step_cost
from perfmodel.traces import PassPrecision, Segment, Trace

# One layer, of 2 parameters: a step has two GEMMs (fprop, wgrad) and the update. Mixed precision adds two casts.
NETWORK = """
title = "One layer"
source = "made up"
input = [1, 1, 1]
layers = [{ op = "linear", name = "fc", out = 2, bias = false }]
"""
GEMM_S = {"fp32": 100.0, "fp16": 30.0, "int8": 10.0}


@dataclass(frozen=True)
class Fake:
    """A GEMM takes 100 s in FP32, 30 s in FP16, 10 s in INT8; any other kernel 1 s."""

    device: None = None

    def gemms(self, gemms):
        return Estimates(np.full(len(gemms), GEMM_S[gemms.precision.name]), "measured")

    def memory(self, streams):
        return Estimates(np.ones(len(streams)), "analytical")


# Seconds of a step: 2 GEMMs and the update, and what converts.
FP32_S = 201.0
MIXED_S = 63.0  # 2·30 + 1 + 2 casts
INT8_LIMIT_S, FP16_LIMIT_S = 21.0, 61.0
# Quantised: images, output, the weights' gradient, that gradient again, the updated weights: 5 tensors, 2 kernels each.
# INT8 has two copies more: wgrad reads the output gradient and the input along k, so both are turned round.
INT8_S, FP16_S = 33.0, 71.0
DELAYED = Setting(Fake(), overhead=Overhead("delayed"))  # 1 kernel for each tensor
CURRENT = Setting(Fake())


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "one.toml"
    path.write_text(NETWORK)
    return read_network(path)


def a_trace(*segments, samples=40, batch=4, **header):
    rows = tuple(Segment(epoch, iterations, PassPrecision.same(names)) for epoch, iterations, names in segments)
    facts = {"scheme": "muppet", "source": {"note": "made up"}} | header
    return Trace("one", "none", samples=samples, batch=batch, segments=rows, **facts)


def priced(trace, network, setting=CURRENT):
    return simulate(trace, network, find_scheme("muppet"), setting)


@pytest.mark.parametrize(
    ("scheme", "format_", "seconds", "overhead"),
    [
        ("fp32", "fp32", FP32_S, 0), ("mixed", "fp16", MIXED_S, 2), ("muppet", "dfx8", INT8_S, 12),
        ("muppet", "dfx12", FP16_S, 10), ("muppet", "dfx16", FP16_S, 10), ("muppet", "fp32", FP32_S, 0),
    ],
)  # fmt: skip
def test_a_step(network, scheme, format_, seconds, overhead):
    step = step_cost(network, 4, find_scheme(scheme), StepFormats.everywhere(format_), CURRENT)
    assert step.total.seconds == seconds
    assert step.total.basis == "measured+analytical"
    assert step.overhead_s == overhead
    assert step.seconds_of(("gemm",)) + step.seconds_of(("update",)) + step.overhead_s == seconds


@pytest.mark.parametrize(("level", "seconds"), [("ideal", 21), ("delayed", 28), ("current", 33), ("unfused", 93)])
def test_levels_of_overhead(network, level, seconds):
    setting = Setting(Fake(), overhead=Overhead(level))
    step = step_cost(network, 4, find_scheme("muppet"), StepFormats.everywhere("dfx8"), setting)
    assert step.total.seconds == seconds


def test_a_given_overhead_keeps_its_basis(network):
    setting = Setting(Fake(), overhead=Overhead("table3", 0.5, "published"))
    step = step_cost(network, 4, find_scheme("muppet"), StepFormats.everywhere("dfx8"), setting)
    assert (step.total.seconds, step.overhead_s) == (21.5, 0.5)
    assert step.total.basis == "measured+analytical+published"


def test_launches_count(network, tmp_path):
    path = tmp_path / "conv.toml"
    path.write_text(NETWORK.replace('op = "linear", name = "fc"', 'op = "conv", name = "c", kernel = 1'))
    setting = Setting(Fake(), "im2col-per-image")
    step = step_cost(read_network(path), 4, find_scheme("fp32"), StepFormats.everywhere("fp32"), setting)
    assert step.total.seconds == 801  # a 1x1 kernel needs no copy: 4 images x 2 GEMMs x 100 s, and the update


def test_iterations_times_step(network):
    run = priced(a_trace((0, 10, "dfx8"), (1, 7, "dfx16"), (2, 10, "fp32")), network)
    # 10·33, 7·71, 10·201
    assert [(s.epoch, s.label, s.iterations, s.seconds) for s in run.segments] == [
        (0, "dfx8", 10, 330.0), (1, "dfx16", 7, 497.0), (2, "fp32", 10, 2010.0),
    ]  # fmt: skip
    assert run.seconds == 2837.0
    assert run.epochs == 3
    assert run.overhead_s == 190.0  # 17 iterations quantise for 10 s, 10 of them turn operands round for 2 s
    assert run.epoch_ends_s().tolist() == [330.0, 827.0, 2837.0]
    assert run.proxies == ("dfx16 timed as fp16",)
    assert run.basis == "measured+analytical"


def test_several_segments_in_one_epoch(network):
    run = priced(a_trace((0, 4, "dfx8"), (0, 6, "dfx16"), (1, 10, "dfx16")), network)
    assert [s.seconds for s in run.segments] == [132.0, 426.0, 710.0]  # 4·33, 6·71, 10·71
    assert run.epoch_ends_s().tolist() == [558.0, 1268.0]
    assert run.epochs == 2


def test_epochs_with_gaps(network):
    run = priced(a_trace((1, 10, "dfx8"), (4, 10, "fp32")), network)
    assert run.epochs == 2
    assert run.epoch_ends_s().tolist() == [0.0, 330.0, 330.0, 330.0, 2340.0]
    assert run.seconds == 2340.0


def test_a_layer_of_its_own(network):
    segments = (Segment(0, 10, PassPrecision.same("dfx8"), layers={"fc": "fp32"}),)
    trace = Trace("one", "none", "muppet", 40, 4, segments, {"note": "made up"})
    run = priced(trace, network)
    assert run.segments[0].label == "dfx8*"
    assert run.seconds == 10 * 203  # FP32's step, and 2 kernels that quantise the images; FP32 turns nothing round
    assert run.overhead_s == 20


def test_equal_steps_are_priced_once(network):
    steps = {}
    simulate(a_trace((0, 10, "dfx8"), (1, 10, "dfx8"), (2, 10, "fp32")), network, find_scheme("muppet"), CURRENT, steps)
    assert len(steps) == 2
    known = dict(steps)
    run = simulate(a_trace((0, 10, "dfx8")), network, find_scheme("muppet"), CURRENT, steps)
    assert steps == known
    assert list(run.steps) == [StepFormats.everywhere("dfx8")]  # only what this run used


def test_segments_name_their_formats(network):
    run = priced(a_trace((0, 10, "dfx8"), (1, 10, "fp32")), network)
    assert [segment.formats for segment in run.segments] == list(run.steps)
    assert list(run.steps) == [StepFormats.everywhere("dfx8"), StepFormats.everywhere("fp32")]


def test_a_run_without_conversions(network):
    run = priced(a_trace((0, 10, "dfx8"), (1, 7, "dfx16"), (2, 10, "fp32")), network)
    bare = run.without_conversions()
    # 10·21, 7·61, 10·201; everything else is as before.
    assert [(s.epoch, s.label, s.iterations, s.seconds) for s in bare.segments] == [
        (0, "dfx8", 10, 210.0), (1, "dfx16", 7, 427.0), (2, "fp32", 10, 2010.0),
    ]  # fmt: skip
    assert (bare.seconds, bare.overhead_s, bare.epochs, bare.title) == (2647.0, 0.0, 3, "MuPPET")
    assert (bare.basis, bare.proxies) == (run.basis, run.proxies)
    assert bare.epoch_ends_s().tolist() == [210.0, 637.0, 2647.0]
    assert (run.seconds, run.overhead_s) == (2837.0, 190.0)  # untouched
    assert bare.without_conversions().segments == bare.segments
    kinds = {work.kind for step in bare.steps.values() for work in step.works}
    assert kinds == {"gemm", "update"}


def test_mixed_precision_without_conversions_has_no_casts(network):
    run = constant_run(network, 4, dict.fromkeys(range(3), 10), find_scheme("mixed"), "fp16", CURRENT)
    assert run.overhead_s == 60.0  # 2 casts in each of 30 iterations
    assert run.without_conversions().seconds == 1830.0  # 30·61


def test_without_conversions_the_given_time_is_gone_too(network):
    run = priced(a_trace((0, 10, "dfx8")), network, Setting(Fake(), overhead=Overhead("table3", 0.5, "published")))
    assert (run.seconds, run.overhead_s, run.basis) == (215.0, 5.0, "measured+analytical+published")
    bare = run.without_conversions()
    assert (bare.seconds, bare.overhead_s, bare.basis) == (210.0, 0.0, "measured+analytical")


def test_one_set_of_steps_serves_several_runs(network):
    """Steps priced for one completion of a trace are not those of another's limit."""
    comparison = compare(incomplete(7), network, DELAYED)
    for run, limit in zip(comparison.runs, comparison.limits, strict=True):
        assert run.steps.keys() == limit.steps.keys()
        assert limit.segments == run.without_conversions().segments


def test_an_unknown_segment_has_no_price(network):
    trace = a_trace((0, 10, "dfx8"), (1, 10, ("dfx8", "dfx12")))
    with pytest.raises(InputError, match=r"^E1315 "):
        priced(trace, network)


def test_a_baseline(network):
    run = constant_run(network, 4, dict.fromkeys(range(3), 10), find_scheme("mixed"), "fp16", CURRENT)
    assert (run.title, run.epochs, run.seconds, run.overhead_s) == ("mixed precision", 3, 1890.0, 60.0)
    assert run.epoch_ends_s().tolist() == [630.0, 1260.0, 1890.0]


KNOWN = ((0, 10, "dfx8"), (1, 10, "dfx16"), (2, 10, "fp32"))


def test_baselines_and_limit(network):
    comparison = compare(a_trace(*KNOWN), network, CURRENT)
    assert comparison.fp32.seconds == 6030.0  # 3 epochs · 10 · 201
    assert comparison.mixed.seconds == 1890.0
    assert [run.seconds for run in comparison.runs] == [3050.0]  # 330 + 710 + 2010
    assert [run.seconds for run in comparison.limits] == [2830.0]  # 210 + 610 + 2010
    assert comparison.limits[0].overhead_s == 0.0


def test_a_run_that_was_interrupted_gains_nothing_by_that(network):
    """The baselines stop where it did, unless somebody says how long they are."""
    trace = a_trace((0, 10, "fp32"), (1, 3, "fp32"))
    comparison = compare(trace, network, CURRENT)
    assert comparison.fp32.seconds == comparison.runs[0].seconds == 13 * 201.0
    assert [segment.iterations for segment in comparison.mixed.segments] == [10, 3]
    assert compare(trace, network, CURRENT, 2).fp32.seconds == 20 * 201.0


@pytest.mark.parametrize(
    ("header", "given", "epochs"), [(None, None, 3), (5, None, 5), (5, 7, 7), (None, 7, 7), (5, 1, 1)]
)
def test_epochs_of_the_baselines(network, header, given, epochs):
    comparison = compare(a_trace(*KNOWN, baseline_epochs=header), network, CURRENT, given)
    assert comparison.fp32.epochs == comparison.mixed.epochs == epochs
    assert comparison.fp32.seconds == epochs * 2010.0
    assert comparison.runs[0].epochs == 3


def test_iterations_of_the_baselines_are_rounded_up(network):
    comparison = compare(a_trace((0, 11, "dfx8"), samples=41), network, CURRENT)
    assert comparison.fp32.seconds == 11 * 201


def incomplete(quantised=6, dwell=2):
    """Six epochs in one of 8, 12 and 16 bit, at least two in each, then one in FP32."""
    ladder = ["dfx8", "dfx12", "dfx16", "fp32"]
    rows = [(epoch, 10, tuple(ladder[:3])) for epoch in range(quantised)] + [(quantised, 10, "fp32")]
    return a_trace(*rows, scheme_params={"ladder": ladder, "min_dwell": dwell})


def test_both_ends_of_an_incomplete_trace(network):
    comparison = compare(incomplete(7), network, DELAYED)
    # Fewest in 8 bit: 2·280 + 5·660 + 2010; most: 3·280 + 4·660 + 2010 (a step is 28 and 66 s).
    assert [run.seconds for run in comparison.runs] == [5870.0, 5490.0]
    # Without the 5 quantise kernels of a step, and 2 transposes in 8 bit: 2·210 + 5·610 + 2010, 3·210 + 4·610 + 2010.
    assert [run.seconds for run in comparison.limits] == [5480.0, 5080.0]
    assert [run.overhead_s for run in comparison.runs] == [390.0, 410.0]  # 2·70 + 5·50, 3·70 + 4·50
    labels = [[segment.label for segment in run.segments] for run in comparison.runs]
    assert labels == [
        ["dfx8", "dfx8", "dfx12", "dfx12", "dfx16", "dfx16", "dfx16", "fp32"],
        ["dfx8", "dfx8", "dfx8", "dfx12", "dfx12", "dfx16", "dfx16", "fp32"],
    ]


def test_ranges_of_an_incomplete_trace(network):
    comparison = compare(incomplete(7), network, DELAYED, 16)
    frame = speedup_frame(["mine"], [comparison]).set_index("training")
    row = frame.loc["MuPPET"]
    assert (row.time_low_s, row.time_high_s) == (5490.0, 5870.0)
    assert row.epoch_factor == 2.0  # 16 against 8
    # FP32 takes 16·2010 = 32160 s.
    assert row.speedup_low == pytest.approx(32160 / 5870)
    assert row.equal_epoch_speedup_high == pytest.approx(16080 / 5490)
    assert row.overhead_share_low == pytest.approx(390 / 5870)
    assert frame.loc["MuPPET, theoretical limit"].overhead_share_high == 0
    assert frame.loc["FP32"].speedup_low == frame.loc["FP32"].speedup_high == 1
    assert list(timeline_frame(comparison).columns) == [
        "epoch", "precision",
        "fp32_hours", "fp32_interval_low_hours", "fp32_interval_high_hours",
        "mixed_hours", "mixed_interval_low_hours", "mixed_interval_high_hours",
        "run_low_hours", "run_high_hours", "run_hours", "run_interval_low_hours", "run_interval_high_hours",
    ]  # fmt: skip


def test_a_timeline(network):
    frame = timeline_frame(compare(a_trace(*KNOWN), network, CURRENT, 4))
    assert frame.epoch.tolist() == [0, 1, 2, 3]
    assert frame.precision.tolist()[:3] == ["dfx8", "dfx16", "fp32"]
    assert frame.precision.isna().tolist() == [False, False, False, True]
    assert (frame.run_hours * 3600).round(6).tolist()[:3] == [330.0, 1040.0, 3050.0]
    assert (frame.fp32_hours * 3600).round(6).tolist() == [2010.0, 4020.0, 6030.0, 8040.0]


@pytest.mark.parametrize("level", ["ideal", "delayed", "current", "unfused"])
@pytest.mark.parametrize("trace", [a_trace(*KNOWN), incomplete(), incomplete(9, 1), a_trace((0, 3, "fp32"))])
def test_the_limit_bounds_the_run(network, trace, level):
    comparison = compare(trace, network, Setting(Fake(), overhead=Overhead(level)))
    for run, limit in zip(comparison.runs, comparison.limits, strict=True):
        assert limit.seconds <= run.seconds
        assert run.seconds - limit.seconds == pytest.approx(run.overhead_s)
        assert 0 <= run.overhead_s / run.seconds < 1


def test_the_share_of_conversions(network):
    comparison = compare(a_trace((0, 10, "dfx8")), network, CURRENT)
    frame = speedup_frame(["mine"], [comparison]).set_index("training")
    assert frame.loc["MuPPET"].overhead_share_low == pytest.approx(12 / 33)
    assert frame.loc["mixed precision"].overhead_share_low == pytest.approx(2 / 63)
    assert frame.loc["FP32"].overhead_share_low == 0


def test_other_schemes_have_traces_too(network):
    comparison = compare(a_trace((0, 10, "fp16"), scheme="mixed"), network, CURRENT)
    assert comparison.runs[0].seconds == comparison.mixed.seconds == 630.0
    assert comparison.limits[0].seconds == 610.0  # without the casts: 10 iterations of 2 s


def test_what_cannot_be_priced(network):
    with pytest.raises(UnknownName, match="E1006 scheme 'mupet'"):
        compare(a_trace(*KNOWN, scheme="mupet"), network, CURRENT)
    with pytest.raises(Unsupported, match="E1104 scheme fp32: does not train in dfx8"):
        compare(a_trace(*KNOWN, scheme="fp32"), network, CURRENT)
    with pytest.raises(InputError, match="E1315"):
        compare(a_trace((0, 10, ("dfx8", "dfx12"))), network, CURRENT)
    with pytest.raises(UnknownName, match="E1005 mapping 'winograd'"):
        compare(a_trace(*KNOWN), network, Setting(Fake(), "winograd"))
