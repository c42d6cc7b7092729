"""The types: checks of their constructors, what they count, and the completion of unknown precisions."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.errors import InputError, UnknownName
from perfmodel.traces.completion import split
from perfmodel.traces.trace import PassPrecision, Segment, Trace

RUNGS = ("dfx8", "dfx12", "dfx14", "dfx16")
CLIMB = {"ladder": [*RUNGS, "fp32"], "min_dwell": 2}


def trace_of(*names, samples=100, batch=10, **header):
    """A trace with one segment of 10 iterations for each name (or tuple of candidates)."""
    segments = [Segment(i, 10, PassPrecision.same(name)) for i, name in enumerate(names)]
    return Trace("net", "data", "scheme", samples, batch, segments, {"by": "a test"}, **header)


def code_and_place(error):
    return [(problem.code, problem.place) for problem in error.value.problems]


class TestPassPrecision:
    def test_a_text_is_one_candidate(self):
        passes = PassPrecision("fp8_e4m3", ["fp8_e5m2"], ("fp16", "bf16"), "fp32")
        assert (passes.fprop, passes.dgrad, passes.wgrad) == (("fp8_e4m3",), ("fp8_e5m2",), ("fp16", "bf16"))
        assert not passes.known
        assert PassPrecision.same("fp16").known

    @pytest.mark.parametrize("names", [(), [], None, 8, {"dfx8"}, ("dfx8", "dfx8")])
    def test_not_a_list_of_different_names(self, names):
        with pytest.raises(InputError) as error:
            PassPrecision("fp32", names, "fp32")
        assert code_and_place(error) == [("E1306", "dgrad:")]

    @pytest.mark.parametrize("name", ["dfx17", 8, ["dfx8"]])
    def test_no_such_format(self, name):
        with pytest.raises(UnknownName) as error:
            PassPrecision("fp32", "fp32", ("fp32", name))
        assert code_and_place(error) == [("E1004", "wgrad: format")]

    def test_no_such_master(self):
        with pytest.raises(UnknownName) as error:
            PassPrecision.same("fp16", "fp33")
        assert code_and_place(error) == [("E1004", "master: format")]


class TestSegment:
    @pytest.mark.parametrize(
        ("values", "code", "place"),
        [
            ({"epoch": -1}, "E1307", "epoch:"),
            ({"epoch": 1_000_001}, "E1307", "epoch:"),
            ({"epoch": True}, "E1306", "epoch:"),
            ({"epoch": 1.0}, "E1306", "epoch:"),
            ({"iterations": 0}, "E1307", "iterations:"),
            ({"iterations": 10**9 + 1}, "E1307", "iterations:"),
            ({"precision": "fp32"}, "E1306", "precision:"),
            ({"lr": 0}, "E1307", "lr:"),
            ({"lr": float("nan")}, "E1307", "lr:"),
            ({"lr": "0.1"}, "E1306", "lr:"),
            ({"gradient_diversity": {"mean": float("inf")}}, "E1307", "gd['mean']:"),
            ({"gradient_diversity": [1]}, "E1306", "gd:"),
            ({"metrics": {"loss": None}}, "E1306", "metrics['loss']:"),
            ({"metrics": {"loss": 10**400}}, "E1307", "metrics['loss']:"),
            ({"metrics": {" ": 1}}, "E1306", "metrics:"),
            ({"layers": {"conv1": "dfx17"}}, "E1004", "layers['conv1'].fprop: format"),
            ({"layers": {"conv1": {"fprop": "fp32"}}}, "E1304", "layers['conv1'].dgrad:"),
            ({"layers": {"conv1": 8}}, "E1306", "layers['conv1'].precision:"),
            ({"layers": "conv1"}, "E1306", "layers:"),
            ({"inferred": 1}, "E1306", "inferred:"),
        ],
    )
    def test_wrong_values(self, values, code, place):
        right = {"epoch": 0, "iterations": 1, "precision": PassPrecision.same("fp32")}
        with pytest.raises((InputError, UnknownName)) as error:
            Segment(**(right | values))
        assert code_and_place(error)[0] == (code, place)

    def test_limits_are_inside(self):
        assert Segment(10**6, 10**9, PassPrecision.same("fp32")).epoch == 10**6

    def test_numpy_numbers_become_plain(self):
        segment = Segment(np.int64(3), np.int32(7), PassPrecision.same("fp32"), lr=np.float32(0.5))
        assert [type(v) for v in (segment.epoch, segment.iterations, segment.lr)] == [int, int, float]

    def test_precision_of_a_layer(self):
        fp8 = {"fprop": "fp8_e4m3", "dgrad": "fp8_e5m2", "wgrad": ["fp16", "bf16"]}
        segment = Segment(0, 1, PassPrecision.same("dfx8"), layers={"conv1": "fp32", "fc": fp8})
        assert segment.layer("conv1") == PassPrecision.same("fp32")
        assert segment.layer("fc").dgrad == ("fp8_e5m2",)
        assert segment.layer("conv2") == PassPrecision.same("dfx8")
        assert not segment.known

    def test_tables_are_copied(self):
        metrics = {"loss": 1.0}
        segment = Segment(0, 1, PassPrecision.same("fp32"), metrics=metrics)
        metrics["loss"] = 2.0
        assert segment.metrics == {"loss": 1.0}


class TestTrace:
    def test_counts(self):
        trace = trace_of("dfx8", "dfx8", "fp32", "dfx8")
        assert (trace.epochs, trace.iterations, trace.known) == (4, 40, True)
        assert trace.epochs_by_precision() == {"dfx8": 3, "fp32": 1}
        assert list(trace.epochs_by_precision()) == ["dfx8", "fp32"]

    def test_an_epoch_of_two_formats_counts_for_both(self):
        halves = [Segment(0, 5, PassPrecision.same(name)) for name in ("dfx8", "fp32")]
        trace = replace(trace_of("fp32"), segments=halves)
        assert trace.epochs == 1
        assert trace.epochs_by_precision() == {"dfx8": 1, "fp32": 1}

    @pytest.mark.parametrize(
        ("epochs", "gaps"),
        [([0, 1], ()), ([2], ((0, 1),)), ([0, 2, 6, 6], ((1, 1), (3, 5)))],
    )
    def test_missing_epochs_are_listed_and_not_counted(self, epochs, gaps):
        segments = [Segment(epoch, 5, PassPrecision.same("fp32")) for epoch in epochs]
        trace = Trace("net", "data", "scheme", 100, 10, segments, {"by": "a test"})
        assert trace.gaps == gaps
        assert trace.epochs == len(set(epochs))

    @pytest.mark.parametrize(
        ("rows", "partial"),
        [([(0, 10), (1, 10)], ()), ([(0, 10), (1, 3)], (1,)), ([(0, 4), (0, 6), (1, 4), (1, 5)], (1,))],
    )
    def test_epochs_cut_short_are_listed(self, rows, partial):
        segments = [Segment(epoch, iterations, PassPrecision.same("fp32")) for epoch, iterations in rows]
        assert Trace("net", "data", "scheme", 100, 10, segments, {"by": "a test"}).partial == partial

    def test_candidates_have_a_label(self):
        assert trace_of(("dfx8", "dfx12"), "fp32").epochs_by_precision() == {"dfx8|dfx12": 1, "fp32": 1}

    @pytest.mark.parametrize(
        ("epochs", "expected"),
        [
            ([0, 1, 0, 2], [("E1309", "segments[2]:")]),
            ([0, 0, 1, 1, 1], [("E1311", "segments[1]:"), ("E1311", "segments[3]:")]),
            ([], [("E1312", "segments:")]),
        ],
    )
    def test_order(self, epochs, expected):
        segments = [Segment(epoch, 6, PassPrecision.same("fp32")) for epoch in epochs]
        with pytest.raises(InputError) as error:
            Trace("net", "data", "scheme", 100, 10, segments, {"by": "a test"})
        assert code_and_place(error) == expected

    def test_a_partial_last_batch_is_an_iteration(self):
        trace_of("fp32", samples=91, batch=10)
        with pytest.raises(InputError, match=r"epoch 0 has 10 iterations; 90 samples in batches of 10 make 9\."):
            trace_of("fp32", samples=90, batch=10)

    @pytest.mark.parametrize(
        ("header", "code"),
        [
            ({"network": " "}, "E1306"),
            ({"dataset": 1}, "E1306"),
            ({"scheme": "\ud800"}, "E1306"),
            ({"samples": 0}, "E1307"),
            ({"samples": 10**12 + 1}, "E1307"),
            ({"batch": 10**7 + 1}, "E1307"),
            ({"source": {}}, "E1304"),
            ({"source": "log.csv"}, "E1306"),
            ({"scheme_params": {"r": float("nan")}}, "E1307"),
            ({"scheme_params": {"r": None}}, "E1306"),
            ({"scheme_params": {"r": object()}}, "E1306"),
            ({"scheme_params": {1: 2}}, "E1306"),
            ({"corrections": "a text"}, "E1306"),
            ({"inferred": [""]}, "E1306"),
            ({"baseline_epochs": 0}, "E1307"),
            ({"title": 3}, "E1306"),
        ],
    )
    def test_header(self, header, code):
        with pytest.raises(InputError) as error:
            replace(trace_of("fp32"), **header)
        assert error.value.problems[0].code == code
        assert error.value.problems[0].place.startswith(next(iter(header)))

    def test_nesting_has_a_limit(self):
        params = {}
        for _ in range(40):
            params = {"in": params}
        with pytest.raises(InputError, match="nested more than 32"):
            replace(trace_of("fp32"), scheme_params=params)


class TestCompletions:
    def test_known_is_its_own_completion(self):
        trace = trace_of("fp32")
        assert trace.completions() == (trace, trace)

    def test_by_hand(self):
        trace = trace_of(*[RUNGS] * 10, "fp32", scheme_params=CLIMB)
        fewest, most = trace.completions()
        assert fewest.epochs_by_precision() == {"dfx8": 2, "dfx12": 2, "dfx14": 2, "dfx16": 4, "fp32": 1}
        assert most.epochs_by_precision() == {"dfx8": 4, "dfx12": 2, "dfx14": 2, "dfx16": 2, "fp32": 1}
        assert [segment.inferred for segment in most.segments] == [True] * 10 + [False]
        assert fewest.corrections == (
            "assumed: epochs 0 to 9 are 2 in dfx8, 2 in dfx12, 2 in dfx14, 4 in dfx16, the fewest epochs in dfx8 "
            "that a minimum of 2 on each format allows; the real split is not known",
        )

    def test_each_unknown_stretch_by_itself(self):
        trace = trace_of(*[("dfx8", "dfx12")] * 5, *[("dfx14", "dfx16")] * 6, "fp32", scheme_params=CLIMB)
        fewest, most = trace.completions()
        assert list(fewest.epochs_by_precision().values()) == [2, 3, 2, 4, 1]
        assert list(most.epochs_by_precision().values()) == [3, 2, 4, 2, 1]
        assert len(most.corrections) == 2

    def test_the_rest_of_a_segment_stays(self):
        passes = PassPrecision.same(("dfx8", "dfx12"), "fp32")
        segments = [Segment(i, 5, passes, lr=0.1, metrics={"loss": i}) for i in range(4)]
        most = replace(trace_of("fp32", scheme_params=CLIMB), segments=segments).completions()[1]
        assert most.segments[3] == Segment(
            3, 5, PassPrecision.same("dfx12", "fp32"), lr=0.1, metrics={"loss": 3}, inferred=True
        )

    @pytest.mark.parametrize(
        ("names", "params"),
        [
            ([RUNGS] * 10, {}),
            ([RUNGS] * 10, {"ladder": list(RUNGS)}),
            ([RUNGS] * 7, CLIMB),  # too few epochs
            ([("dfx12", "dfx8")] * 9, CLIMB),  # downwards
            ([("dfx8", "dfx14")] * 9, CLIMB),  # leaves a rung out
            ([("dfx8", "fp16")] * 9, CLIMB),  # not on the ladder
            ([*[("dfx8", "dfx12")] * 9, "dfx16"], CLIMB),  # leaves a rung out between stretches
            (["dfx8", *[("dfx8", "dfx12")] * 9], CLIMB),  # the dwell on dfx8 would be counted twice
        ],
    )
    def test_impossible(self, names, params):
        with pytest.raises(InputError) as error:
            trace_of(*names, scheme_params=params).completions()
        assert code_and_place(error) == [("E1315", "trace:")]

    def test_passes_that_differ(self):
        segments = [Segment(i, 5, PassPrecision(("dfx8", "dfx12"), "fp32", "fp32")) for i in range(4)]
        with pytest.raises(InputError, match="E1315"):
            replace(trace_of("fp32", scheme_params=CLIMB), segments=segments).completions()

    @pytest.mark.parametrize("value", [{"ladder": "dfx8", "min_dwell": 2}, {"ladder": [*RUNGS], "min_dwell": 0}])
    def test_params_of_the_wrong_kind(self, value):
        with pytest.raises(InputError, match=r"E130[67] scheme_params\."):
            trace_of(*[RUNGS] * 10, scheme_params=value).completions()

    @given(st.integers(0, 200), st.integers(2, 6), st.integers(1, 12))
    def test_splits(self, spare, formats, dwell):
        epochs = dwell * formats + spare
        fewest, most = (split(epochs, formats, dwell, end) for end in ("fewest", "most"))
        assert sum(fewest) == sum(most) == epochs
        assert min(fewest + most) == dwell
        assert most[0] == epochs - dwell * (formats - 1)
        assert fewest == most[::-1]
