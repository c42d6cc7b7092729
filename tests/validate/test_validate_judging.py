"""Whole runs on small files whose errors are known."""

from dataclasses import replace
from math import isnan

import numpy as np
import pytest

from perfmodel.validate.contenders import BASELINES, Contender, find_contenders
from perfmodel.validate.judging import ALL, judge
from perfmodel.validate.ledger import Ledger
from perfmodel.validate.problems import Guess, Series
from perfmodel.validate.protocols import (
    ALL_OTHER_NETWORKS,
    FEW,
    HALF,
    NOTHING,
    OTHER_GPUS,
    OTHER_NETWORKS,
    OTHERS_ALONE,
)
from perfmodel.validate.readers import read_convolutions, read_gemms, read_iterations


@pytest.fixture
def two_devices(write_times, tiles_rows):
    """Volta takes twice what `tiles` says, Turing four times."""
    rows = [*tiles_rows("v100-sxm2", "V100", 2.0), *tiles_rows("t4", "T4", 4.0)]
    return read_gemms(write_times("gemm_times.csv", rows)).series


def found(verdicts, model, fitted, device, part=ALL):
    (one,) = [
        v for v in verdicts
        if (v.model, v.fitted, v.problems.device.name, v.part) == (model, fitted, device, part)
    ]  # fmt: skip
    return one


def spy(seen, protocols, kinds=("gemm",), least=1):
    """A model that says one second, and writes down what it is fitted on and asked."""

    def fit(lessons):
        def model(question):
            seen.append((list(lessons), question))
            return Guess.of(np.ones(len(question)))

        return model

    return Contender("spy", fit, protocols, kinds, least)


def test_errors_of_known_factors(two_devices):
    verdicts = judge(two_devices, BASELINES, 3, Ledger())
    raw = found(verdicts, "tiles", NOTHING, "v100-sxm2")
    assert (raw.rows, raw.score.mape, raw.score.bias) == (60, pytest.approx(0.5), pytest.approx(-0.5))
    assert found(verdicts, "tiles", NOTHING, "t4").score.median == pytest.approx(0.75)
    for fitted in (FEW, HALF):
        assert found(verdicts, "tiles, clock and launch", fitted, "t4").score.p90 < 1e-3
    # clock and launch of the other device: half, and twice, of what they should be
    assert found(verdicts, "tiles, clock and launch", OTHER_GPUS, "t4").score.mape == pytest.approx(0.5, abs=1e-3)
    assert found(verdicts, "tiles, clock and launch", OTHER_GPUS, "v100-sxm2").score.mape == pytest.approx(1, abs=2e-3)
    assert isnan(raw.score.coverage)
    assert isnan(raw.p)


def test_the_interval_of_an_unseen_gpu_reaches_as_far_as_the_others_were_off(write_times, tiles_rows):
    rows = [*tiles_rows("v100-sxm2", "V100", 2.0), *tiles_rows("a100", "NVIDIA A100-PCIE-40GB", 4.0)]
    series = read_gemms(write_times("gemm_times.csv", rows)).series
    unseen = found(judge(series, BASELINES, 1, Ledger()), "tiles", OTHER_GPUS, "v100-sxm2")
    assert unseen.score.mape == pytest.approx(0.5)
    assert unseen.score.coverage == 1.0
    assert unseen.score.width == pytest.approx(4 - 1 / 4, rel=1e-6)


def test_every_row_is_judged_once_in_each_draw(two_devices):
    seen = []
    verdicts = judge(two_devices, [spy(seen, (FEW, HALF))], 2, Ledger())
    assert [(one.rows, one.draws) for one in verdicts if one.part == ALL] == [(60, 2), (60, 1)] * 2
    for start in range(0, len(seen), 2):
        (_, first), (_, second) = seen[start : start + 2]
        assert sorted([*first.at, *second.at]) == list(range(60))
        assert set(first.problems.halves[first.at]) != set(second.problems.halves[second.at])


def test_few_are_twenty_of_one_half(two_devices):
    seen = []
    judge(two_devices[:1], [spy(seen, (FEW,))], 2, Ledger())
    for (lesson,), question in seen:
        assert len(lesson) == 20
        assert len(set(lesson.problems.halves[lesson.at])) == 1
        assert not set(lesson.problems.halves[lesson.at]) & set(question.problems.halves[question.at])
    assert seen[0][0][0].at.tolist() != seen[2][0][0].at.tolist()  # another draw, other timings


def test_an_unseen_gpu_is_judged_by_other_gpus_and_other_shapes(two_devices):
    seen = []
    judge(two_devices, [spy(seen, (OTHER_GPUS,))], 1, Ledger())
    assert len(seen) == 4
    for lessons, question in seen:
        assert [one.problems.device.name for one in lessons] != [question.problems.device.name]
        fitted = {shape for one in lessons for shape in one.problems.shapes[one.at].tolist()}
        assert fitted
        assert not fitted & set(question.problems.shapes[question.at].tolist())


def test_a_lone_gpu_has_no_others(two_devices):
    assert judge(two_devices[:1], [spy([], (OTHER_GPUS,))], 1, Ledger()) == []


def test_what_needs_more_timings_than_there_are_is_not_judged(two_devices):
    assert judge(two_devices[:1], [spy([], (FEW,), least=21)], 1, Ledger()) == []
    assert judge(two_devices[:1], [spy([], (FEW,), least=20)], 1, Ledger())


def test_parts_are_size_classes_and_tags(write_times):
    rows = [{"m": 64 + i, "seconds": [4e-5, 3e-3][i % 2], "note": "padded" * (i < 6)} for i in range(20)]
    series = read_gemms(write_times("gemm_times.csv", rows)).series
    verdicts = judge(series, [spy([], (NOTHING,))], 1, Ledger())
    assert [(one.part, one.rows) for one in verdicts] == [
        ("all", 20), ("under 0.1 ms", 10), ("1 to 10 ms", 10), ("padded", 6),
    ]  # fmt: skip


def test_passes_of_convolutions_are_judged_apart(write_times):
    rows = [{"pass": p, "k": 16 * i} for p in ("fprop", "dgrad", "wgrad") for i in range(1, 9)]
    series = read_convolutions(write_times("conv_times.csv", rows)).series
    verdicts = judge(series, [one for one in BASELINES if NOTHING in one.protocols], 1, Ledger())
    whole = [one for one in verdicts if one.part == ALL]
    assert {(one.problems.pass_, one.model) for one in whole} == {
        (p, model) for p in ("fprop", "dgrad", "wgrad") for model in ("roofline", "tiles")
    }
    assert all(one.rows == 8 for one in whole)


@pytest.fixture
def iterations(write_times):
    rows = [
        {"network": name, "mode": mode, "seconds_per_iteration": 0.02 + 0.01 * i, "device": device}
        for device in ("GeForce RTX 2080 Ti", "GeForce GTX 1080 Ti")
        for mode in ("forward", "forward+backward, no optimizer")
        for i, name in enumerate(("resnet34", "vgg19", "densenet121"))
    ]
    return read_iterations(write_times("training_times.csv", rows)).series


def test_a_network_is_judged_by_other_networks(iterations):
    seen = []
    judge(iterations, [spy(seen, (OTHER_NETWORKS, ALL_OTHER_NETWORKS), ("iteration",))], 1, Ledger())
    assert len(seen) == 4 * 3 * 2
    for lessons, question in seen:
        asked = {question.problems.kernels[i].network for i in question.at}
        taught = {one.problems.kernels[i].network for one in lessons for i in one.at}
        assert len(asked) == 1
        assert len(taught) == 2
        assert not asked & taught
    assert {len(lessons) for lessons, _ in seen} == {1, 4}


def test_a_network_on_an_unseen_gpu_is_judged_by_neither(iterations):
    seen = []
    judge(iterations, [spy(seen, (OTHERS_ALONE,), ("iteration",))], 1, Ledger())
    assert len(seen) == 4 * 3
    for lessons, question in seen:
        assert {one.problems.device.name for one in lessons}.isdisjoint({question.problems.device.name})
        asked = {question.problems.kernels[i].network for i in question.at}
        assert not asked & {one.problems.kernels[i].network for one in lessons for i in one.at}


def test_a_model_that_has_learned_too_little_abstains(iterations):
    two = [one for one in iterations if one.problems.device.name == "rtx-2080-ti"]
    kept = [Series(*first_two(one)) for one in two]
    views = [one for one in find_contenders() if one.name == "framework view"]
    assert judge(kept, views, 1, Ledger()) == []  # one other network is not enough to fit a view on


def first_two(series):
    at = np.flatnonzero(series.problems.shapes < 2)
    old = series.problems
    problems = replace(
        old,
        kernels=tuple(old.kernels[i] for i in at),
        lines=old.lines[at],
        shapes=old.shapes[at],
        halves=old.halves[at],
    )
    return problems, series.seconds[at], tuple(series.tags[i] for i in at)


def test_iterations_have_prices_and_views(iterations):
    contenders = [one for one in find_contenders() if "iteration" in one.kinds]
    verdicts = [one for one in judge(iterations, contenders, 1, Ledger()) if one.part == ALL]
    assert len(verdicts) == 4 * 8
    forward = [one for one in verdicts if one.problems.pass_ == "forward"]
    view = found(forward, "framework view", ALL_OTHER_NETWORKS, "rtx-2080-ti")
    assert (view.rows, view.score.mape > 0) == (3, True)


def test_runs_repeat(two_devices):
    contenders = [one for one in find_contenders() if "gemm" in one.kinds]
    first, second = (judge(two_devices, contenders, 2, Ledger()) for _ in range(2))
    assert [str(one.score) for one in first] == [str(one.score) for one in second]
    assert {one.model for one in first} > {"calibrated", "roofline, 3 factors", "roofline, one scale"}


def test_the_calibrated_model_learns_a_slow_device(two_devices):
    contenders = [one for one in find_contenders() if one.name == "calibrated"]
    verdicts = judge(two_devices, contenders, 2, Ledger())
    for device in ("v100-sxm2", "t4"):
        one = found(verdicts, "calibrated", HALF, device)
        assert one.score.mape < 0.03
        assert 0 < one.score.width < 0.5
        assert one.score.coverage > 0.8


def test_a_protocol_that_is_none_is_a_mistake_of_the_program(two_devices):
    with pytest.raises(ValueError, match="no protocol 'guess'"):
        judge(two_devices, [spy([], ("guess",))], 1, Ledger())
