"""Schedules: the stopping rules in floating point, and all published runs against values worked out by hand."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.errors import InputError, PerfModelError
from perfmodel.traces.published import published_traces
from perfmodel.traces.schedule import (
    Setup,
    candidates_trace,
    paper_fp32_rates,
    reference_fp32_rates,
    schedule_trace,
)

SETUP = Setup("resnet20", "cifar10", 40_000, 128, 0.1, 0.001, {"paper": "an example"})

# name: epochs at 8, 12, 14, 16 bit and FP32; iterations of an epoch. FP32: 44, but 59 from a rate of 0.1.
KNOWN = {
    "muppet-resnet20-cifar100": ([30, 18, 12, 12, 59], 313),
    "muppet-googlenet-cifar100": ([45, 9, 12, 12, 44], 313),
    "muppet-alexnet-cifar100-a": ([18, 12, 21, 15, 44], 313),
    "muppet-alexnet-cifar100-b": ([42, 9, 9, 12, 44], 313),
    "muppet-googlenet-cifar10": ([33, 9, 9, 9, 44], 313),
    "muppet-resnet20-cifar10": ([21, 18, 12, 12, 59], 313),
}
FORMATS = ["dfx8", "dfx12", "dfx14", "dfx16", "fp32"]


@pytest.fixture(scope="module")
def published():
    return published_traces()


class TestRates:
    @pytest.mark.parametrize(
        ("lr0", "min_lr", "stages"),
        [
            (0.01, 0.0001, {0.01: 14, 0.001: 15, 0.0001: 15}),
            (0.001, 0.00001, {0.001: 14, 0.0001: 15, 0.00001: 15}),
            (0.1, 0.001, {0.1: 14, 0.1 * 0.1: 15, 0.1 * 0.1 * 0.1: 15, 0.1 * 0.1 * 0.1 * 0.1: 15}),
        ],
    )
    def test_reference(self, lr0, min_lr, stages):
        assert Counter(reference_fp32_rates(lr0, min_lr)) == stages

    def test_the_fourth_stage_comes_from_rounding(self):
        assert 0.1 * 0.1 * 0.1 > 0.001
        assert len(reference_fp32_rates(0.1, 0.1 * 0.1 * 0.1)) == 44

    def test_a_stage_of_one_epoch_ends_with_the_switch(self):
        assert reference_fp32_rates(0.1, 0.1, every=1) == []
        assert reference_fp32_rates(0.1, 0.05, every=1) == [0.1 * 0.1]

    def test_paper(self):
        assert Counter(paper_fp32_rates(0.01)) == {0.01: 15, 0.01 * 0.1: 15, 0.01 * 0.1 * 0.1: 15}

    @given(st.floats(1e-6, 10), st.floats(1e-9, 10), st.integers(1, 30), st.integers(1, 200))
    def test_reference_ends_in_time_and_never_rises(self, lr0, min_lr, every, most):
        rates = reference_fp32_rates(lr0, min_lr, every=every, most=most)
        assert len(rates) <= most
        assert rates == sorted(rates, reverse=True)
        assert len(rates) == most or (len(rates) + 1) % every == 0


class TestSchedule:
    def test_by_hand(self):
        trace = schedule_trace(SETUP, [20, 38, 50, 62])
        assert trace.epochs == 62 + 60  # E + 60 for a rate of 0.1
        assert trace.iterations == 122 * 313
        assert [trace.segments[e].precision.label for e in (20, 21, 38, 39, 62, 63)] == [
            "dfx8", "dfx12", "dfx12", "dfx14", "dfx16", "fp32",
        ]  # fmt: skip
        assert {s.lr for s in trace.segments[:77]} == {0.1}  # the rate falls after E + 14
        assert trace.segments[77].lr == 0.1 * 0.1
        assert trace.segments[62].precision.master == "fp32"
        assert trace.segments[63].precision.master is None
        assert [s.inferred for s in trace.segments] == [False] * 63 + [True] * 59
        assert trace.scheme_params["min_dwell"] == 9
        assert any("59 fp32 epochs from epoch 63 on" in line for line in trace.inferred)

    def test_the_papers_rule(self):
        trace = schedule_trace(SETUP, [20, 38, 50, 62], stopping="paper")
        assert trace.epochs_by_precision()["fp32"] == 45
        assert trace.scheme_params["stopping"] == "paper"

    @pytest.mark.parametrize(("stopping", "last"), [("reference", 99), ("paper", 120), ("reference", 149)])
    def test_the_reference_never_trains_longer_than_its_limit(self, stopping, last):
        trace = schedule_trace(SETUP, [20, 38, 50, last], stopping)
        assert trace.epochs == 150
        assert "cut at 150 epochs" in trace.inferred[-1]

    @pytest.mark.parametrize(
        "switches", [[], [1, 2, 3], [1, 2, 3, 4, 5], [1, 3, 2, 4], [1, 2, 2, 3], [1, 2, 3, 150], [9]]
    )
    def test_switches_that_do_not_fit(self, switches):
        with pytest.raises(InputError) as error:
            schedule_trace(SETUP, switches)
        assert [problem.code for problem in error.value.problems] == ["E1316"]

    @pytest.mark.parametrize("switch", [-1, True, 2.0, "2", None])
    def test_switches_that_are_no_epochs(self, switch):
        with pytest.raises(InputError, match=r"E130[67] switches:"):
            schedule_trace(SETUP, [switch, 10, 20, 30])

    def test_no_such_rule(self):
        with pytest.raises(InputError, match=r"E1317 stopping: 'never' is not a rule. Known: reference, paper\."):
            schedule_trace(SETUP, [1, 2, 3, 4], stopping="never")

    @pytest.mark.parametrize(
        "values",
        [
            {"lr0": 0}, {"lr0": float("nan")}, {"min_lr": -1}, {"gamma": 1}, {"gamma": "0.1"}, {"ladder": ()},
            {"ladder": ("dfx8", "dfx8")}, {"ladder": ("dfx8", "dfx17")}, {"resolution": 0}, {"epochs_per_lr": 1.5},
            {"most_epochs": 0}, {"inferred": "a text"}, {"batch": 0},
        ],
    )  # fmt: skip
    def test_setups_that_are_refused(self, values):
        with pytest.raises(PerfModelError):
            replace(SETUP, **values)

    @given(st.lists(st.integers(0, 149), min_size=4, max_size=4, unique=True).map(sorted))
    def test_every_epoch_has_one_segment(self, switches):
        trace = schedule_trace(SETUP, switches)
        assert [s.epoch for s in trace.segments] == list(range(trace.epochs))
        assert trace.epochs == min(150, switches[-1] + 60)
        assert trace.epochs_by_precision()["dfx8"] == switches[0] + 1


class TestCandidates:
    def test_by_hand(self):
        trace = candidates_trace(replace(SETUP, lr0=0.01, min_lr=0.0001), 68)
        assert trace.epochs_by_precision() == {"dfx8|dfx12|dfx14|dfx16": 69, "fp32": 44}
        assert not trace.known
        assert all(segment.inferred for segment in trace.segments)

    def test_a_ladder_of_two_leaves_nothing_unknown(self):
        assert candidates_trace(replace(SETUP, ladder=("dfx8", "fp32")), 9).known

    @pytest.mark.parametrize("end", [150, 10**6])
    def test_an_end_behind_the_end(self, end):
        with pytest.raises(InputError, match="E1316"):
            candidates_trace(SETUP, end)

    def test_too_short_to_complete(self):
        with pytest.raises(InputError, match="E1315 trace: 35 epochs are too few for 4 formats of at least 9 each"):
            candidates_trace(SETUP, 34).completions()


class TestPublished:
    def test_eight_runs(self, published):
        assert list(published) == [*KNOWN, "muppet-alexnet-imagenet", "muppet-googlenet-imagenet"]

    @pytest.mark.parametrize("name", KNOWN)
    def test_complete_runs(self, published, name):
        trace = published[name]
        epochs, iterations = KNOWN[name]
        assert trace.epochs_by_precision() == dict(zip(FORMATS, epochs, strict=True))
        assert {s.iterations for s in trace.segments} == {iterations}
        assert trace.known
        assert sum(s.inferred for s in trace.segments) == epochs[-1]

    def test_totals(self, published):
        assert published["muppet-resnet20-cifar100"].epochs == 131  # E + 60 with E = 71
        assert published["muppet-alexnet-cifar100-b"].epochs == 116  # E + 45 with E = 71
        assert published["muppet-alexnet-imagenet"].epochs == 113
        assert published["muppet-googlenet-imagenet"].epochs == 107
        assert published["muppet-alexnet-imagenet"].iterations == 113 * 5005

    def test_decisions_fall_on_every_third_epoch_and_dwell_nine(self, published):
        for name in KNOWN:
            labels = [s.precision.label for s in published[name].segments]
            ends = [labels.index(after) - 1 for after in FORMATS[1:]]
            assert all(end % 3 == 2 for end in ends)
            assert min(list(published[name].epochs_by_precision().values())[:4]) >= 9

    @pytest.mark.parametrize(("name", "spare"), [("muppet-alexnet-imagenet", 42), ("muppet-googlenet-imagenet", 36)])
    def test_imagenet_extremes(self, published, name, spare):
        fewest, most = published[name].completions()
        assert list(fewest.epochs_by_precision().values()) == [9, 9, 9, spare, 44]
        assert list(most.epochs_by_precision().values()) == [spare, 9, 9, 9, 44]
        assert fewest.epochs == most.epochs == published[name].epochs
        assert fewest.completions() == (fewest, fewest)

    def test_headers(self, published):
        for trace in published.values():
            assert trace.scheme == "muppet"
            assert trace.baseline_epochs == 150
            assert trace.source["evidence"]
            assert len(trace.inferred) >= 3
        assert any("WEAK" in line for line in published["muppet-googlenet-imagenet"].inferred)

    @pytest.mark.parametrize(
        ("old", "new", "code"),
        [
            ("switches = [29, 47, 59, 71]", "switches = [29, 47, 59]", "E1316"),
            ("switches = [29, 47, 59, 71]", "", "E1210"),
            ("end = 62", "end = 62\nswitches = [1, 2, 3, 4]", "E1213"),
            ('network = "resnet20"', 'network = ""', "E1211"),
            ("gamma = 0.1", "gamma = 2", "E1307"),
            ('"muppet-resnet20-cifar10"', '"muppet-resnet20-cifar100"', "E1211"),
            ('paper = "R', '# "', "E1210"),
        ],
    )
    def test_a_wrong_file_is_named(self, tmp_path, old, new, code):
        from perfmodel.traces.published import FILE

        path = tmp_path / "schedules.toml"
        text = FILE.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(InputError) as error:
            published_traces(path)
        assert [problem.code for problem in error.value.problems] == [code]
        assert str(path) in str(error.value)
